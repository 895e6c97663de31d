"""Which third-party credentials there are: categories, their entities, and the keys that each consists of."""

from collections.abc import Mapping

from idp.errors import InvalidMembersError

_ACCESS_KEY = {"pub": "Access key id", "pvt": "Secret access key"}
_AZURE = {"subscription": "Subscription id", "tenant": "Tenant id", "pub": "Client id", "pvt": "Client secret"}
_API_TOKEN = {"token": "API token"}
_SERVICE_ACCOUNT = {"other": "Service account JSON"}
_LOGIN = {"username": "User name", "password": "Password"}

CATEGORIES: dict[str, dict[str, dict[str, str]]] = {
    "provider": {
        "aks": _AZURE,
        "aws": _ACCESS_KEY,
        "azure": _AZURE,
        "do": _API_TOKEN,
        "eks": _ACCESS_KEY,
        "gce": _SERVICE_ACCOUNT,
        "gke": _SERVICE_ACCOUNT,
        "oneandone": _API_TOKEN,
        "packet": _API_TOKEN,
        "profitbricks": _LOGIN,
    },
    "solution": {
        "cvsaws": {"pub": "API key", "pvt": "Secret key"},
        "sysdig": {"token": "Access key"},
        "turbonomic": {"url": "Instance URL", **_LOGIN, "scope": "Scope"},
    },
    "storage": {"azure-storage": {"other": "Account name", "access_key": "Access key"}},
    "user_ssh": {"": {"pub": "SSH public key"}},
    "vcs": {"bitbucket": _API_TOKEN, "github": _API_TOKEN, "gitlab": _API_TOKEN},
}
"""By category and entity, the types of the keys that a keyset has, with what each is. None of them can be left out."""

ENTITY_NAMES = {
    "aks": "Azure Kubernetes Service",
    "aws": "Amazon Web Services",
    "azure": "Microsoft Azure",
    "azure-storage": "Azure Storage",
    "bitbucket": "Bitbucket",
    "cvsaws": "Cloud Volumes Service for AWS",
    "do": "DigitalOcean",
    "eks": "Amazon Elastic Kubernetes Service",
    "gce": "Google Compute Engine",
    "github": "GitHub",
    "gitlab": "GitLab",
    "gke": "Google Kubernetes Engine",
    "oneandone": "1&1 IONOS",
    "packet": "Packet",
    "profitbricks": "ProfitBricks",
    "sysdig": "Sysdig",
    "turbonomic": "Turbonomic",
}
"""By entity, what it calls itself."""

WRITABLE = tuple(category for category in CATEGORIES if category != "vcs")
"""Categories whose keysets programs can make and change; those of `vcs` are made in the console."""

FIXED = {("turbonomic", "scope"): "external"}
"""By entity and type, keys that have one value only."""


def key_types(category: str, entity: str) -> Mapping[str, str]:
    """Return the types of the keys that a keyset of this category and entity has, with what each is.

    :raises InvalidMembersError: there is no such category or entity.
    """
    if category not in CATEGORIES:
        raise InvalidMembersError([("category", f"Use one of {', '.join(CATEGORIES)}")])
    entities = CATEGORIES[category]
    if entity not in entities:
        allowed = ", ".join(entities) if any(entities) else "no entity"
        raise InvalidMembersError([("entity", f"For category {category} use {'one of ' if any(entities) else ''}{allowed}")])
    return entities[entity]
