"""Checking a personal token that was presented: by the ledger, which holds its hash."""

import re
from dataclasses import dataclass, field

from sqlalchemy import select

from idp import clock, crypto, vault
from idp.db import reading
from idp.jose import InvalidTokenError, Kind, read_unverified, unverified_kind
from idp.personal_tokens.models import PersonalToken
from idp.realms import KnownRealm, Realm, known_realm
from idp.runtime import Runtime
from idp.users import KnownUser, User, UserKind, known_user

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class KnownPersonalToken:
    """A personal token as of the last look."""

    uid: str
    realm: str
    user_uid: str
    pepper: bytes = field(repr=False)
    token_hash: bytes
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class CheckedPersonalToken:
    """A personal token that was presented and works, with its realm and its owner."""

    token: KnownPersonalToken
    realm: KnownRealm
    owner: KnownUser


def is_personal_token(token: str) -> bool:
    """Tell, by what it says itself, whether a token may be a personal one."""
    return unverified_kind(token) is Kind.PERSONAL


def check_personal_token(process: Runtime, token: str) -> CheckedPersonalToken:
    """Check a personal token.

    :raises InvalidTokenError: it is unknown, deleted, expired, altered, or its owner cannot use it. One text for all.
    """
    refusal = InvalidTokenError("The personal token is unknown, deleted or expired.")
    unverified_uid = read_unverified(token).header.get("kid")
    if not isinstance(unverified_uid, str) or not _UUID.fullmatch(unverified_uid):
        raise refusal
    cache = process.feed.cache("personal-token")
    known: KnownPersonalToken | None = cache.get(unverified_uid) or cache.load(unverified_uid, lambda: _read(unverified_uid))
    if known is None or not crypto.same(crypto.keyed_hash(known.pepper, token), known.token_hash):
        raise refusal
    realm = known_realm(process, known.realm)
    owner = known_user(realm, known.user_uid) if realm is not None and realm.enabled else None
    if realm is None or owner is None or not owner.enabled or owner.kind is not UserKind.PERSON:
        raise refusal
    if clock.timestamp() >= known.expires_at or known.created_at < owner.password_changed_at:
        raise refusal
    return CheckedPersonalToken(known, realm, owner)


def _read(uid: str) -> KnownPersonalToken | None:
    with reading() as session:
        row = session.execute(
            select(PersonalToken, Realm.name, User.uid)
            .join(Realm, Realm.id == PersonalToken.realm_id)
            .join(User, User.id == PersonalToken.user_id)
            .where(PersonalToken.uid == uid)
        ).first()
        if row is None:
            return None
        token, realm, user_uid = row
        return KnownPersonalToken(
            uid=token.uid,
            realm=realm,
            user_uid=user_uid,
            pepper=vault.pepper(token.pepper_id),
            token_hash=token.token_hash,
            created_at=token.created_at.timestamp(),
            expires_at=token.expires_at.timestamp(),
        )
