"""What tokens say, written out: worked out once for each kind of request of an application, and kept until something changes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from idp.applications import KnownApplication
from idp.errors import IdpError, Kind
from idp.proofs import ANYBODYS, Binding
from idp.realms import KnownRealm
from idp.tokens.claim_list import ACCESS, BY_NAME, ID, Statement
from idp.tokens.narrowing import Narrowing, narrow
from idp.tokens.token_roles import TokenRoles, roles_for_token

LONGEST_CLAIMS = 5_500
"""Characters of a token's claims, so that the token stays under 8,000 and fits a header of 8 KB with its name."""

MOST_TEMPLATES = 50
"""Different requests of one application that are remembered."""


class TokenTooLargeError(IdpError):
    """The grants of a token's subject do not fit it."""

    kind = Kind.TOO_LARGE


def claims_of(said: Statement) -> dict[str, Any]:
    """Return the claims of a token, in the order of its form: one that takes a scope if that was granted, or it was named."""
    found = {}
    scoped, granted = said.form.scoped, said.scope.split()
    for name in said.form.names:
        scope = scoped.get(name)
        if scope is not None and scope not in granted and name not in said.named:
            continue
        claim = BY_NAME[name]
        value = said.exchanged.get(name) if said.exchanged and claim.passed_on else claim.value(said)
        if value is not None:
            found[name] = value
    return found


def write_claims(said: Statement) -> str:
    """Return the claims of a token as JSON without the closing brace, for `close_claims` to add what is known when it is signed.

    :raises TokenTooLargeError: the token would not fit a header.
    """
    text = json.dumps(claims_of(said), separators=(",", ":"))[:-1]
    if len(text) > LONGEST_CLAIMS:
        raise TokenTooLargeError(said.form.too_large.format(projects=len(said.held.projects)))
    return text


def close_claims(written: str, now: int, expires: int, jti: str, binding: Binding = ANYBODYS) -> str:
    """Add times (seconds since 1970) and id to claims that were written out, and what the token is bound to."""
    return f'{written},"iat":{now},"nbf":{now},"exp":{expires},"jti":"{jti}"{binding.claim}}}'


@dataclass(frozen=True, slots=True)
class Template:
    """Everything of a token that does not change from one request to the next like it, written out once."""

    access: str
    """The access token's claims as JSON, without the closing brace."""
    id: str
    """The ID token's likewise; empty when `openid` was not asked for."""
    scope: str
    valid_until: float
    """When the next of the application's grants ends (seconds since 1970)."""


def template_for(
    realm: KnownRealm, application: KnownApplication, now: float, *, scope: str, resource: str, audience: str
) -> Template:
    """Return the template for a request, made once and kept with the application while it holds; see `narrow`.

    :raises TokenTooLargeError: the token would not fit a header.
    """
    key = (scope, resource, audience)
    template: Template | None = application.derived.get(key)
    if template is None or now >= template.valid_until:
        template = _template(realm, application, now, *key)
        if len(application.derived) >= MOST_TEMPLATES:
            application.derived.clear()
        application.derived[key] = template
    return template


def _template(realm: KnownRealm, application: KnownApplication, now: float, scope: str, resource: str, audience: str) -> Template:
    held = roles_for_token(application.held_roles, now)
    narrowing = narrow(realm, application, held, scope, resource, audience)
    party = application.client_id
    access = Statement(
        form=ACCESS,
        realm=realm,
        subject=application,
        held=replace(held, projects=_named(held.projects, narrowing)),
        audience=narrowing.audience or application.audience,
        party=party,
        client_id=party,
        scope=narrowing.scope,
        limit=application.frozen,
        credential=application.credential,
    )
    return Template(
        access=write_claims(access),
        id=_id_claims(realm, application, held) if narrowing.openid else "",
        scope=narrowing.scope,
        valid_until=held.valid_until,
    )


def _named(projects: Iterable[dict[str, Any]], narrowing: Narrowing) -> list[dict[str, Any]]:
    return [each for each in projects if not narrowing.projects or each["name"] in narrowing.projects]


def _id_claims(realm: KnownRealm, application: KnownApplication, held: TokenRoles) -> str:
    party = application.client_id
    return write_claims(Statement(form=ID, realm=realm, subject=application, held=held, audience=party, party=party))
