"""Devices that wait for a person to sign in elsewhere (RFC 8628)."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from idp import audit, clock, crypto
from idp.authorizations.models import DeviceRequest
from idp.db import SharedNow, commit, db, insert_if_new, reading, shared_now
from idp.errors import IdpError, Kind
from idp.realms import KnownRealm

LIFETIME = 600
"""Seconds for which a code can be entered."""

INTERVAL = 5
"""Seconds between two questions of a device; each one that comes too early adds as many (RFC 8628 §3.5)."""

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of what a person types: without vowels, which make words, and without look-alikes (RFC 8628 §6.1)."""

_LENGTH = 8
_LONGEST_INTERVAL = 60
_TRIES = 5


class NoFreeCodeError(IdpError):
    """No free code was found."""

    kind, retry_after = Kind.UNAVAILABLE, 60


@dataclass(frozen=True, slots=True)
class NewDevice:
    """What a device is told."""

    device_code: str = field(repr=False)
    user_code: str


def add_device(realm: KnownRealm, application_id: int, *, scope: str, resource: str, address: str) -> NewDevice:
    """Have a device wait, and return its codes: one that it keeps, with 256 random bits, and one that a person types."""
    device_code = secrets.token_urlsafe(32)
    expires_at = clock.now() + timedelta(seconds=LIFETIME)
    for _ in range(_TRIES):
        user_code = "".join(secrets.choice(LETTERS) for _ in range(_LENGTH))
        made = insert_if_new(
            DeviceRequest,
            realm_id=realm.id,
            application_id=application_id,
            code_hash=hash_device_code(device_code),
            user_code=user_code,
            scope=scope,
            resource=resource,
            address=address,
            interval=INTERVAL,
            expires_at=expires_at,
        )
        if made:  # nobody else waits with the same letters
            return NewDevice(device_code, user_code)
    raise NoFreeCodeError("Too many devices are waiting. Try again in a few minutes.")


def hash_device_code(device_code: str) -> str:
    """Return what is stored of a device code."""
    return crypto.keyed_hash(b"device code", device_code).hex()


def read_user_code(typed: str) -> str:
    """Return a code as it is stored, however it was typed: in lower case, with a hyphen, with spaces."""
    return "".join(character for character in typed.upper() if character.isalnum())[: 2 * _LENGTH]


def shown_user_code(user_code: str) -> str:
    """Return a code as people read it: `BCDF-GHJK`."""
    return f"{user_code[: _LENGTH // 2]}-{user_code[_LENGTH // 2 :]}"


def find_waiting(realm_id: int | None, user_code: str) -> DeviceRequest | None:
    """Return the device that waits with a code; None if there is none, or somebody has decided about it.

    :param realm_id: the only realm that it may be of; None for any.
    """
    query = select(DeviceRequest).where(
        DeviceRequest.user_code == user_code, DeviceRequest.expires_at > clock.now(), DeviceRequest.approved.is_(None)
    )
    if realm_id is not None:
        query = query.where(DeviceRequest.realm_id == realm_id)
    with reading() as session:
        row = session.scalar(query)
        if row is not None:
            session.expunge(row)
        return row


def decide(realm: str, row: DeviceRequest, user_id: int, *, approved: bool, auth_time: datetime) -> bool:
    """Decide about a device that waits. Of several who try, one does; True for that one. The caller commits."""
    claim = update(DeviceRequest).where(
        DeviceRequest.id == row.id, DeviceRequest.approved.is_(None), DeviceRequest.expires_at > clock.now()
    )
    values = {"user_id": user_id, "approved": approved, "auth_time": auth_time, "decided_at": SharedNow()}
    if db.session.execute(claim.values(**values)).rowcount != 1:  # type: ignore[attr-defined]
        return False
    audit.record(audit.Tag.DEVICE_APPROVE if approved else audit.Tag.DEVICE_REFUSE, realm, f"device:{row.uid}", scope=row.scope)
    return True


def find_device(realm: KnownRealm, device_code: str) -> DeviceRequest | None:
    """Return a device by the code that it keeps."""
    query = select(DeviceRequest).where(
        DeviceRequest.code_hash == hash_device_code(device_code), DeviceRequest.realm_id == realm.id
    )
    return db.session.scalar(query)


def asks_too_often(row: DeviceRequest) -> bool:
    """Note that a device has asked, and tell whether it was too early. Commits that."""
    now = shared_now()
    early = row.asked_at is not None and now < row.asked_at + timedelta(seconds=row.interval)
    row.asked_at = now
    if early:
        row.interval = min(row.interval + INTERVAL, _LONGEST_INTERVAL)
    commit()
    return early


def forget_devices() -> None:
    """Remove devices that nobody waits for any more; that a code was redeemed, its authorization knows."""
    db.session.execute(delete(DeviceRequest).where(DeviceRequest.expires_at < clock.now() - timedelta(minutes=10)))
