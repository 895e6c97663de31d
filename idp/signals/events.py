"""What is told to receivers: events of CAEP 1.0 and SSF 1.0, and the subjects that they are about (RFC 9493)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.audit import SYSTEM, Actor, Tag

_CAEP = "https://schemas.openid.net/secevent/caep/event-type"
_SSF = "https://schemas.openid.net/secevent/ssf/event-type"

SESSION_REVOKED = f"{_CAEP}/session-revoked"
"""CAEP §3.1."""
CREDENTIAL_CHANGE = f"{_CAEP}/credential-change"
"""CAEP §3.3."""
EVENTS_SUPPORTED = (SESSION_REVOKED, CREDENTIAL_CHANGE)

VERIFICATION = f"{_SSF}/verification"
"""SSF §8.1.4.1."""
STREAM_UPDATED = f"{_SSF}/stream-updated"
"""SSF §8.1.5."""

Subject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An event before anybody in particular is told of it."""

    type: str
    subject: Subject
    told: dict[str, Any]


def of_issuer(issuer: str, uid: str) -> Subject:
    """Return the subject that a user or an application is, as `iss` and `sub` of its tokens name it (RFC 9493 §3.2.3)."""
    return {"format": "iss_sub", "iss": issuer, "sub": uid}


def of_token(issuer: str, jti: str) -> Subject:
    """Return the subject that a token is (SSF §3.5.1)."""
    return {"format": "jwt_id", "iss": issuer, "jti": jti}


def of_realm(issuer: str) -> Subject:
    """Return the subject that a whole realm is (RFC 9493 §3.2.7)."""
    return {"format": "uri", "uri": issuer}


def opaque(text: str) -> Subject:
    """Return the subject that something is which has an id and no more (RFC 9493 §3.2.4)."""
    return {"format": "opaque", "id": text}


def of_session(session: str, **others: Subject) -> Subject:
    """Return the subject that a session is: by what its tokens carry as `sid`, `grant_id` or `key` (SSF §3.3).

    :param others: whose it is: `user`, and `application`.
    """
    return {"format": "complex", "session": opaque(session), **others}


def session_revoked(subject: Subject, at: datetime, actor: Actor, reason: str) -> Event:
    """Return the event that tokens about a subject do not count any more (CAEP §3.1)."""
    return Event(SESSION_REVOKED, subject, _told(at, actor, reason))


def credential_change(
    subject: Subject, at: datetime, actor: Actor, *, credential: str, change: str, name: str, reason: str, is_own: bool
) -> Event:
    """Return the event that a credential of a subject was made, changed or taken away (CAEP §3.3).

    :param credential: its kind.
    :param change: `create`, `update`, `revoke` or `delete`.
    :param name: what people call it; empty if nothing.
    :param is_own: whether it was the one whose credential it is.
    """
    told = {"credential_type": credential, "change_type": change} | ({"friendly_name": name} if name else {})
    return Event(CREDENTIAL_CHANGE, subject, told | _told(at, actor, reason, is_own=is_own))


def _told(at: datetime, actor: Actor, reason: str, *, is_own: bool = False) -> dict[str, Any]:
    """Return what every event says (CAEP §2). The profile for interoperability wants a reason with each."""
    entity = "system" if actor == SYSTEM else "user" if is_own else "admin"
    return {"event_timestamp": int(at.timestamp()), "initiating_entity": entity, "reason_admin": {"en": reason}}


@dataclass(frozen=True, slots=True)
class Change:
    """What an act of the audit trail does to a credential."""

    credential: str
    change: str


CHANGES: Mapping[Tag, Change] = {
    Tag.SECRET_CREATE: Change("client-secret", "create"),
    Tag.SECRET_UPDATE: Change("client-secret", "update"),
    Tag.SECRET_RETIRE: Change("client-secret", "revoke"),
    Tag.SECRET_USE_UP: Change("client-secret", "revoke"),
    Tag.FEDERATION_RULE_CREATE: Change("federation-rule", "create"),
    Tag.FEDERATION_RULE_UPDATE: Change("federation-rule", "update"),
    Tag.FEDERATION_RULE_DELETE: Change("federation-rule", "delete"),
    Tag.TRUSTED_ISSUER_CREATE: Change("trusted-issuer", "create"),
    Tag.TRUSTED_ISSUER_UPDATE: Change("trusted-issuer", "update"),
    Tag.TRUSTED_ISSUER_DELETE: Change("trusted-issuer", "delete"),
    Tag.USER_ACTIVATE: Change("password", "create"),
    Tag.PASSWORD_CHANGE: Change("password", "update"),
    Tag.PASSWORD_RESET: Change("password", "update"),
    Tag.API_KEY_CREATE: Change("api-key", "create"),
    Tag.API_KEY_UPDATE: Change("api-key", "update"),
    Tag.API_KEY_ROTATE: Change("api-key", "update"),
    Tag.API_KEY_REVOKE: Change("api-key", "revoke"),
    Tag.API_KEY_REPORT: Change("api-key", "revoke"),
    Tag.API_KEY_DELETE: Change("api-key", "delete"),
    Tag.PERSONAL_TOKEN_CREATE: Change("personal-token", "create"),
    Tag.PERSONAL_TOKEN_DELETE: Change("personal-token", "delete"),
    Tag.KEY_CREATE: Change("signing-key", "create"),
    Tag.KEY_ROTATE: Change("signing-key", "update"),
    Tag.KEY_REVOKE: Change("signing-key", "revoke"),
}
"""By act, as far as it changes a credential whatever else is said of it."""

KEYS_OF_APPLICATIONS = Change("public-key", "update")
"""What an update of an application does that changes its public keys."""
