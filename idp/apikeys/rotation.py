"""Replacing a key without an interruption: both work for a while, and the old one shows when it is no longer used."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp import audit, clock, crypto, vault
from idp.access import Frozen
from idp.apikeys.models import ApiKey, KeyStatus
from idp.apikeys.policy import longest_hours
from idp.apikeys.service import NewKey, change_public_part, create_key, lock_key, owner_of, record_act, text_of
from idp.apikeys.sheet import ApiKeySheet
from idp.db import db
from idp.errors import ConflictError, InvalidValueError, Sentence, Term
from idp.realms import Realm
from idp.users import User

QUIET_AFTER = timedelta(hours=24)
"""A key that was replaced and has not been used for so long is called quiet: nobody will miss it."""

LONGEST_OVERLAP = timedelta(days=365)


def rotate_key(
    realm: Realm,
    key: ApiKey,
    *,
    overlap: timedelta,
    hours: int | None = None,
    may_exceed: bool = False,
    made_with: str = "",
    frozen: Frozen | None,
) -> NewKey:
    """Create a key like another, to replace it. Both work during the overlap; then the old one expires.

    :param overlap: as the holder likes; the old key never outlives its own expiry.
    :param hours: lifetime of the new key; by default that of the old one, or what the policy allows.
    :param made_with: public part of the key that it is rotated with, if it is: the new one then lives no longer than the
        old one was made for, and dies with it.
    :param frozen: what the new key carries at the most; see `create_key`.
    :raises ConflictError: the key no longer works, or has already been replaced.
    """
    # of several at once, one goes on
    lock_key(key)
    now = clock.this_second()
    if key.status(now) is not KeyStatus.ACTIVE:
        raise _over(key, now)
    if successor_of(key) is not None:
        raise ConflictError(f"Key {key.public_part} has already been replaced.")
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidValueError(f"An overlap must be 0 to {LONGEST_OVERLAP.days * 24} hours.")
    sheet = ApiKeySheet.of(key).changed({"expires_at": None, "active": True})
    new = create_key(
        realm,
        owner_of(key),
        sheet,
        hours=_life(realm, key, hours, may_exceed=may_exceed, made_with=made_with),
        never=hours is None and key.expires_at is None and may_exceed,
        may_exceed=may_exceed,
        replaces=key,
        made_with=made_with,
        frozen=frozen,
    )
    ends = now + overlap
    key.expires_at = ends if key.expires_at is None else min(ends, key.expires_at)
    key.updated_at = now
    record_act(audit.Tag.API_KEY_ROTATE, realm, key, successor=new.key.uid, until=text_of(key.expires_at))
    return new


def renew_secret(realm: Realm, key: ApiKey, *, frozen: list[list[Any]] | None) -> NewKey:
    """Replace the secret of a key; the old secret stops working immediately, and the key keeps its identity.

    :raises ConflictError: the key no longer works.
    """
    lock_key(key)
    if key.status(clock.now()) is not KeyStatus.ACTIVE:
        raise _over(key, clock.now())
    former = key.public_part
    plain = crypto.make_secret("ak")
    key.pepper_id, key.secret_hash = vault.hash_secret(plain)
    change_public_part(key, crypto.public_part(plain))
    key.frozen, key.updated_at = frozen, clock.now()
    record_act(audit.Tag.API_KEY_ROTATE, realm, key, former=former, renewed=True)
    return NewKey(key, plain)


def _life(realm: Realm, key: ApiKey, hours: int | None, *, may_exceed: bool, made_with: str) -> int | None:
    """Return how many hours the successor lives; None for what the policy says."""
    if key.expires_at is None:
        return hours
    original = max(1, round((key.expires_at - key.created_at).total_seconds() / 3600))
    if hours is not None:
        return min(hours, original) if made_with else hours
    if may_exceed:
        return original
    user = db.session.get(User, key.user_id) if key.user_id else None
    return min(original, longest_hours(realm, user.api_key_hours if user else None))


def _over(key: ApiKey, now: datetime) -> ConflictError:
    sentence = "Key {key} is {state}. Create a new one instead."
    return ConflictError(Sentence(sentence, key=key.public_part, state=Term(key.status(now).value)))


def successor_of(key: ApiKey) -> ApiKey | None:
    """Return the key that replaces this one, if there is one."""
    return db.session.scalar(select(ApiKey).where(ApiKey.replaces_id == key.id).order_by(ApiKey.id.desc()).limit(1))


def quiet_since(key: ApiKey, now: datetime) -> datetime | None:
    """Return since when a key that was replaced has not been used, once that is long enough to call it quiet."""
    since = key.last_used_at or key.created_at
    return since if now - since >= QUIET_AFTER else None
