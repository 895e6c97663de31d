"""How an application that has no secret begins: what is left to do, texts to copy, and whether its first token has come."""

from collections.abc import Sequence
from typing import Any

from idp import applications, federation, rules, runtime
from idp.applications import Application, Kind
from idp.console.applications import MOST_RULES, application_url
from idp.console.browser import Visit, page
from idp.console.key_pairs import FIRST, NEXT, Signer, making_key_pair, registering, signing
from idp.console.render import render
from idp.console.snippets import Snippet, environment
from idp.console.workloads import workload_snippets
from idp.federation import FederationRule, TrustedIssuer

MOST_ISSUERS = 10
"""Trusted issuers that there are texts for where no rule says which of them vouches for the application."""


@page
def start(visit: Visit, name: str) -> str:
    """Show how an application fetches its first token without a secret, and wait for it."""
    application = rules.applications.visible(visit.authority, name)
    issuer = runtime.current().settings.issuer(visit.realm.name)
    admitting = _rules(visit, application)
    known_keys = _keys(application)
    client_id = application.document_url or application.name
    grants = applications.allowed_grants(Kind(application.kind), application.grant_types)
    fetching: list[Snippet] = []
    if "client_credentials" in grants:
        if admitting or not application.has_keys:
            fetching += workload_snippets(issuer, client_id, _issuers(visit, admitting))
        if application.has_keys or not admitting:
            fetching += signing(issuer, client_id, Signer.of(known_keys[0]) if known_keys else Signer())
    else:
        fetching.append(Snippet(".env", f"{name}.env", environment(issuer, client_id)))
    return render(
        "console/applications/started.html",
        application=application,
        name=application.name,
        client_id=client_id,
        issuer=issuer,
        admitting=admitting,
        keys=known_keys,
        has_roles=bool(rules.grants.visible_of(visit.authority, applications.holder_of(application))),
        acts="client_credentials" in grants,
        snippets=fetching,
        is_bound=_is_bound(visit, application),
        pair=[making_key_pair(NEXT if application.has_keys else FIRST), registering(visit.realm.name, name)],
        explains=rules.federation.can_explain(visit.authority),
        used=application.token_count > 0,
        url=application_url(visit, application.name),
    )


def _rules(visit: Visit, application: Application) -> Sequence[FederationRule]:
    """Return the rules that admit an application, as far as its page shows them."""
    if not visit.can("applications:read"):
        return []
    listing = federation.rule_listing(visit.realm, application=application.name)
    return listing.take("name", descending=False, after=None, limit=MOST_RULES)


def _issuers(visit: Visit, admitting: Sequence[FederationRule]) -> Sequence[TrustedIssuer]:
    """Return who may vouch for an application: by its rules, or anybody who is trusted where there is none."""
    if admitting:
        return list({rule.issuer.id: rule.issuer for rule in admitting}.values())
    return federation.list_issuers(visit.realm)[:MOST_ISSUERS] if visit.can("realm:read") else []


def _is_bound(visit: Visit, application: Application) -> bool:
    """Tell whether an application gets no tokens but such as are bound to a key."""
    is_fapi = (application.profile or visit.realm.profile) == "fapi2"
    return is_fapi or application.dpop_bound_access_tokens or application.tls_client_certificate_bound_access_tokens


def _keys(application: Application) -> Sequence[dict[str, Any]]:
    """Return the public keys of an application, as far as they are known here."""
    key_set = applications.find_key_set(application)
    found: list[dict[str, Any]] = key_set.fetched_keys if key_set is not None else (application.jwks or {}).get("keys", [])
    return found
