"""One act has one verdict: whoever may do something at one edge may do it at every other, and nobody may at one only."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask

from idp import access, realms, users
from tests.console.surfing import Surfer
from tests.factories import Factory, session_of, set_realm

PERSON = "eve@example.test"
PAGES = "/console/realms/acme"
ROLES = ("", *access.BUILT_IN_ROLES)
Ask = tuple[str, str, dict[str, Any] | None]
"""Method, URL and body; `{name}` in a URL stands for what is asked about."""


def ask(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> Ask:
    return method, url, body


ACTS: Mapping[str, Mapping[str, Ask]] = {
    "list applications": {
        "api": ask("/v1/applications"),
        "console": ask(f"{PAGES}/applications"),
        "runai": ask("/api/v1/service-accounts"),
    },
    "see an application": {
        "api": ask("/v1/applications/{application}"),
        "console": ask(f"{PAGES}/applications/vision-bot"),
        "runai": ask("/api/v1/service-accounts/{application}"),
    },
    "see an application of the realm": {
        "api": ask("/v1/applications/{other}"),
        "console": ask(f"{PAGES}/applications/other-bot"),
        "runai": ask("/api/v1/service-accounts/{other}"),
    },
    "create an application": {
        "api": ask("/v1/applications", "POST", {"metadata": {"name": "made-api"}}),
        "console": ask(f"{PAGES}/new-application"),
        "runai": ask("/api/v1/service-accounts", "POST", {"name": "made-runai"}),
    },
    "list registration tokens": {
        "api": ask("/v1/registrationTokens"),
        "console": ask(f"{PAGES}/registration-tokens"),
    },
    "create a registration token": {
        "api": ask("/v1/registrationTokens", "POST", {"spec": {}}),
        "console": ask(f"{PAGES}/registration-tokens/new"),
    },
    "list users": {
        "api": ask("/v1/users"),
        "console": ask(f"{PAGES}/users"),
        "rafay": ask("/auth/v1/users/"),
        "runai": ask("/api/v1/users"),
        "ionos": ask("/cloudapi/v6/um/users"),
    },
    "see a user": {
        "api": ask("/v1/users/{user}"),
        "console": ask(f"{PAGES}/users/{{user}}"),
        "rafay": ask("/auth/v1/users/{user}/"),
        "runai": ask("/api/v1/users/{user}"),
        "ionos": ask("/cloudapi/v6/um/users/{user}"),
    },
    "add a user": {
        "api": ask("/v1/users", "POST", {"spec": {"emailId": "api@example.test"}}),
        "console": ask(f"{PAGES}/new-user"),
        "runai": ask("/api/v1/users", "POST", {"email": "runai@example.test"}),
        "ionos": ask(
            "/cloudapi/v6/um/users",
            "POST",
            {
                "properties": {"email": "ionos@example.test", "firstname": "I", "lastname": "O", "administrator": False},
            },
        ),
    },
    "sign a user out": {
        "api": ask("/v1/users/{user}/sessions", "DELETE"),
        "runai": ask("/api/v1/users/{user}/logout", "POST", {}),
    },
    "list groups": {
        "api": ask("/v1/groups"),
        "console": ask(f"{PAGES}/groups"),
        "rafay": ask("/auth/v1/groups/"),
        "ionos": ask("/cloudapi/v6/um/groups"),
    },
    "see a group": {
        "api": ask("/v1/groups/{group}"),
        "console": ask(f"{PAGES}/groups/modellers"),
        "rafay": ask("/auth/v1/groups/{group}/"),
        "ionos": ask("/cloudapi/v6/um/groups/{group}"),
    },
    "create a group": {
        "api": ask("/v1/groups", "POST", {"metadata": {"name": "made-api"}}),
        "console": ask(f"{PAGES}/new-group"),
        "rafay": ask("/auth/v1/groups/", "POST", {"name": "made-rafay"}),
        "ionos": ask("/cloudapi/v6/um/groups", "POST", {"properties": {"name": "made-ionos"}}),
    },
    "list roles": {
        "api": ask("/v1/roles"),
        "console": ask(f"{PAGES}/roles"),
        "rafay": ask("/auth/v1/roles"),
        "runai": ask("/api/v1/authorization/roles"),
    },
    "create a role": {
        "api": ask("/v1/roles", "POST", {"metadata": {"name": "made-api"}}),
        "console": ask(f"{PAGES}/new-role"),
    },
    "list projects": {
        "api": ask("/v1/projects"),
        "console": ask(f"{PAGES}/projects"),
        "rafay": ask("/auth/v1/projects/"),
        "runai": ask("/api/v1/org-unit/projects"),
    },
    "see a project": {
        "api": ask("/v1/projects/{project}"),
        "console": ask(f"{PAGES}/projects/vision"),
        "rafay": ask("/auth/v1/projects/{project}/"),
        "runai": ask("/api/v1/org-unit/projects/{project}"),
    },
    "create a project": {
        "api": ask("/v1/projects", "POST", {"metadata": {"name": "made-api"}}),
        "console": ask(f"{PAGES}/new-project"),
        "rafay": ask("/auth/v1/projects/", "POST", {"name": "made-rafay"}),
        "runai": ask("/api/v1/org-unit/projects", "POST", {"name": "made-runai"}),
    },
    "change a project": {
        "api": ask("/v1/projects/{project}", "PATCH", {"metadata": {"annotations": {"description": "by api"}}}),
        "rafay": ask("/auth/v1/projects/{project}/", "PUT", {"name": "vision", "description": "by rafay"}),
        "runai": ask("/api/v1/org-unit/projects/{project}", "PUT", {"description": "by runai"}),
    },
    "delete a project": {
        "api": ask("/v1/projects/{empty}", "DELETE"),
        "console": ask(f"{PAGES}/projects/empty-console/delete"),
        "rafay": ask("/auth/v1/projects/{empty-rafay}/", "DELETE"),
        "runai": ask("/api/v1/org-unit/projects/{empty-runai}", "DELETE"),
    },
    "list grants": {
        "api": ask("/v1/grants"),
        "console": ask(f"{PAGES}/access"),
        "runai": ask("/api/v1/authorization/access-rules"),
    },
    "list everybody's API keys": {
        "api": ask("/v1/apiKeys?scope=all"),
        "console": ask(f"{PAGES}/api-keys"),
        "runai": ask("/api/v1/administration/access-keys"),
    },
    "read the audit trail": {
        "api": ask("/v1/audit/events"),
        "console": ask(f"{PAGES}/audit"),
        "rafay": ask("/auth/v1/audit"),
    },
    "see the settings": {
        "api": ask("/v1/realms/acme"),
        "console": ask(f"{PAGES}/settings"),
        "runai": ask("/api/v1/security/settings"),
    },
    "list signing keys": {"api": ask("/v1/signingKeys"), "console": ask(f"{PAGES}/signing-keys")},
    "list everybody's sessions": {"api": ask("/v1/sessions?scope=all"), "console": ask(f"{PAGES}/sessions")},
    "list everybody's personal tokens": {"api": ask("/v1/personalTokens"), "console": ask(f"{PAGES}/personal-tokens")},
    "list keysets": {"api": ask("/v1/keysets"), "console": ask(f"{PAGES}/keysets")},
}
"""Acts by the edges that have them. A console's page that makes something asks as its form does."""


@pytest.fixture
def names(make: Factory) -> dict[str, str]:
    """What the URLs are about, by the names in them."""
    bob = make.user("bob@example.test")
    found = {"application": make.application("vision-bot", projects=("vision",)).uid, "other": make.application("other-bot").uid}

    def fill(realm: realms.Realm) -> None:
        for name in ("empty", "empty-rafay", "empty-runai", "empty-console"):
            found[name] = access.create_project(realm, name).uid
        set_realm(realm, registration=True)
        found["project"] = access.get_project(realm, "vision").uid
        found["group"] = users.get_group(realm, "modellers").uid

    make.do(fill)
    return found | {"user": bob}


def verdict(status: int, where: str) -> str:
    assert status < 500, where
    if status in {403, 404}:
        return "refused"
    assert status < 400, f"{where}: {status} says neither"
    return "allowed"


@pytest.mark.parametrize("place", ["realm", "project"])
@pytest.mark.parametrize("role", ROLES)
def test_an_act_has_one_verdict_at_every_edge(app: Flask, make: Factory, names: dict[str, str], role: str, place: str) -> None:
    make.user(PERSON, roles=(role,) if role and place == "realm" else (), projects=((("vision", role),) if role else ()))
    client, surfer = app.test_client(), Surfer(app).sign_in(PERSON)
    header = {"Authorization": f"Bearer {session_of(client, PERSON)['Authorization']}"}

    def by_call(method: str, url: str, body: dict[str, Any] | None) -> int:
        return client.open(url, method=method, json=body, headers=header).status_code

    def by_page(_method: str, url: str, _body: dict[str, Any] | None) -> int:
        return surfer.open(url).status

    edges: dict[str, Callable[[str, str, dict[str, Any] | None], int]] = {"console": by_page}
    differing = {}
    verdicts = {}
    for act, at in ACTS.items():
        said = {}
        for edge, (method, url, body) in at.items():
            for name, value in names.items():
                url = url.replace(f"{{{name}}}", value)  # noqa: PLW2901 (the gaps of a URL are filled one by one)
            said[edge] = verdict(edges.get(edge, by_call)(method, url, body), f"{act} at {edge}")
        verdicts[act] = set(said.values())
        if len(verdicts[act]) > 1:
            differing[act] = said
    assert differing == {}
    if role == "administrator" and place == "realm":
        assert all(each == {"allowed"} for each in verdicts.values()), verdicts
    if not role:
        assert all(each == {"refused"} for each in verdicts.values()), verdicts
