"""Exchanging a key for a session token, which never outlives the key and never carries more than it."""

from typing import Any

from idp import clock
from idp.apikeys.known import CheckedKey
from idp.applications import KnownApplication
from idp.sessions import SessionTemplate, SessionToken, issue_session_token, make_template
from idp.tokens import KEYS_SESSION, ScopeError, Statement, projects_among, requested_scopes, roles_for_token


def exchange_key(
    checked: CheckedKey, *, scope: str = "", actor: dict[str, Any] | None = None, credential: str = ""
) -> SessionToken:
    """Issue a session token for a key that was checked.

    :param scope: `project:<name>` for each of the only projects that the token is to name; empty for all of the key's.
    :param actor: `act` claim, if the key was presented by an application that has proved who it is (RFC 8693 §4.1).
    :param credential: what names the credential by which that application has; empty for none that is kept here.
    :raises ScopeError: the scope is unknown, or exceeds the key.
    :raises TokenTooLargeError: it would not fit a header.
    """
    now = clock.timestamp()
    purpose = ("session", scope, str(actor), credential)
    remembered: tuple[Any, SessionTemplate] | None = checked.key.derived.get(purpose)
    if remembered is None or remembered[0] is not checked.owner or now >= remembered[1].valid_until:
        if len(checked.key.derived) > 50:
            checked.key.derived.clear()
        remembered = checked.key.derived[purpose] = (checked.owner, _template(checked, scope, actor, credential, now))
    template = remembered[1]
    until = min(checked.key.expires_at, template.valid_until)
    algorithm = checked.owner.algorithm if isinstance(checked.owner, KnownApplication) else ""
    return issue_session_token(checked.realm, template, until=until, algorithm=algorithm)


def _template(checked: CheckedKey, scope: str, actor: dict[str, Any] | None, credential: str, now: float) -> SessionTemplate:
    owner, held = checked.owner, checked.held_roles()
    scopes = requested_scopes(scope)
    projects = projects_among(scopes)
    if projects:
        if not projects <= {each.project for each in held if now < each.until}:
            raise ScopeError("The key carries no grant on one of the requested projects. Check the name, the grant and the key.")
        held = tuple(each for each in held if each.project in projects)
    client_id = owner.client_id if isinstance(owner, KnownApplication) else None
    said = Statement(
        form=KEYS_SESSION,
        realm=checked.realm,
        subject=owner,
        held=roles_for_token(held, now),
        audience=checked.realm.issuer,
        party=client_id,
        client_id=client_id,
        scope=" ".join(scopes) if projects else "",
        actor=actor,
        sid=checked.key.uid,
        key=checked.key.public_part,
        credential=credential,
        auth_method="token_exchange" if actor else "api_key",
    )
    return make_template(said)
