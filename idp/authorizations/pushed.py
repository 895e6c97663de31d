"""Authorization requests that applications have pushed (RFC 9126): kept for a minute and a half, and taken up once."""

import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, select

from idp import clock, crypto
from idp.authorizations.models import PushedRequest
from idp.db import db, reading
from idp.realms import KnownRealm

LIFETIME = 90
"""Seconds within which a request is begun with (RFC 9126 §2.2)."""

LONGEST_PAGE = timedelta(hours=1)
"""For how long somebody may look at the page to sign in that a pushed request has led to, before it is taken up."""

PREFIX = "urn:ietf:params:oauth:request_uri:"


def push(realm: KnownRealm, application_id: int, parameters: Mapping[str, str]) -> str:
    """Keep a request that was checked, and return the `request_uri` that stands for it, with 256 random bits."""
    reference = secrets.token_urlsafe(32)
    expires_at = clock.now() + timedelta(seconds=LIFETIME)
    row = PushedRequest(
        reference_hash=_hash(reference),
        realm_id=realm.id,
        application_id=application_id,
        parameters=dict(parameters),
        expires_at=expires_at,
    )
    db.session.add(row)
    return PREFIX + reference


def find_pushed(realm: KnownRealm, request_uri: str) -> dict[str, str] | None:
    """Return what was pushed, by its `request_uri`; None if it is over, was taken up, or never was."""
    query = select(PushedRequest.parameters).where(
        PushedRequest.reference_hash == _hash(request_uri.removeprefix(PREFIX)),
        PushedRequest.realm_id == realm.id,
        PushedRequest.expires_at > clock.now(),
    )
    with reading() as session:
        return session.scalar(query)


def take_up(request_uri: str) -> bool:
    """Take a pushed request up. Of several who try, one does; True for that one. The caller commits."""
    taken = delete(PushedRequest).where(PushedRequest.reference_hash == _hash(request_uri.removeprefix(PREFIX)))
    taken_rows: int = db.session.execute(taken).rowcount  # type: ignore[attr-defined]
    return taken_rows == 1


def forget_pushed() -> None:
    """Remove what was never taken up, and is by nobody any more."""
    db.session.execute(delete(PushedRequest).where(PushedRequest.expires_at < clock.now() - LONGEST_PAGE))


def _hash(reference: str) -> str:
    return crypto.keyed_hash(b"pushed request", reference).hex()
