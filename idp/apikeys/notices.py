"""What becomes due with time: the mails before a key expires, and its removal long after."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select

from idp import audit, clock, mail
from idp.apikeys.models import ApiKey
from idp.apikeys.service import publish_key
from idp.db import AfterColon, db
from idp.realms import Realm
from idp.users import MailKind, User, may_mail, name_in_mails

NOTICES = (timedelta(days=7), timedelta(days=1))
"""How long before its expiry the owner of a key is told."""

AT_ONCE = 500
"""Keys, and mails, that one query asks for."""

KEEP_EXPIRED = timedelta(days=90)
"""How long an expired key is kept, so that who still uses it can be told why it fails."""


def send_notices(limit: int = 500) -> int:
    """Write the mails that are due to the outbox, each once, and return how many were written.

    The owner is told; for a machine user or an application, the person who made the key.
    """
    now, written = clock.now(), 0
    refused: set[tuple[int | None, str]] = set()
    """Owners and makers of whom nobody may be mailed just now: of those with thousands of keys, one is tried."""
    for index, notice in enumerate(NOTICES):
        closer = NOTICES[index + 1] if index + 1 < len(NOTICES) else timedelta(0)
        for found in _expiring(now + closer, now + notice):
            sent = _sent([_occasion(notice, row.uid, row.expires_at) for row in found])
            for row in found:
                occasion = _occasion(notice, row.uid, row.expires_at)
                # a key that lives no longer than this notice is not announced as soon as it is made
                if occasion in sent or row.expires_at - row.created_at <= notice:
                    continue
                if (row.user_id, row.created_by) in refused:
                    continue
                if written >= limit:
                    return written
                key = db.session.get(ApiKey, row.id)
                if key is None or key.expires_at != row.expires_at or key.revoked_at is not None or not key.active:
                    continue  # somebody was faster
                # what it says is true until the next notice is due, and the last one until the key has expired
                until = row.expires_at - closer
                realm = db.session.get_one(Realm, key.realm_id)
                if _tell(realm, key, occasion, MailKind.KEY_EXPIRY, now, until):
                    written += 1
                else:
                    refused.add((row.user_id, row.created_by))
    return written


def _expiring(after: datetime, until: datetime) -> Iterator[Sequence[Row[int, str, Any, datetime, int | None, str]]]:
    """Yield the keys that expire after a time, and not after another, of which somebody can be told.

    Few at once, and of each only what says whether it was announced: of millions of keys, many thousands expire within a week.
    """
    owner = select(User.id).where(User.id == ApiKey.user_id, User.email != "")
    maker = select(User.id).where(
        User.realm_id == ApiKey.realm_id, User.name == AfterColon(ApiKey.created_by), ApiKey.created_by.startswith("user:")
    )
    query = (
        select(ApiKey.id, ApiKey.uid, ApiKey.expires_at, ApiKey.created_at, ApiKey.user_id, ApiKey.created_by)
        .where(ApiKey.expires_at <= until, ApiKey.active, ApiKey.revoked_at.is_(None))
        .where(or_(owner.exists(), maker.where(User.email != "").exists()))
        .order_by(ApiKey.expires_at, ApiKey.id)
        .limit(AT_ONCE)
    )
    beyond = ApiKey.expires_at > after
    while found := db.session.execute(query.where(beyond)).all():
        yield found
        if len(found) < AT_ONCE:
            return
        last = found[-1]
        beyond = and_(ApiKey.expires_at >= last.expires_at, or_(ApiKey.expires_at > last.expires_at, ApiKey.id > last.id))


def tell_of_leak(realm: Realm, key: ApiKey) -> None:
    """Tell who is concerned that a key was reported as leaked and revoked."""
    _tell(realm, key, f"api-key-leaked:{key.uid}", MailKind.KEY_LEAKED, clock.now(), None)


def remove_long_expired() -> int:
    """Remove keys that expired 90 days ago, and return how many."""
    gone = db.session.execute(
        delete(ApiKey)
        .where(ApiKey.expires_at < clock.now() - KEEP_EXPIRED)
        .returning(ApiKey.public_part, ApiKey.uid, ApiKey.realm_id, ApiKey.name)
    ).all()
    for public_part, uid, realm_id, name in gone:
        realm = db.session.get_one(Realm, realm_id)
        audit.record(
            audit.Tag.API_KEY_DELETE, realm.name, f"api-key:{public_part}", uid=uid, name=name, reason="expired long ago"
        )
        publish_key(realm_id, public_part)
    return len(gone)


def _occasion(notice: timedelta, uid: str, expires_at: datetime) -> str:
    """Return what a key is announced for: this end of it. Another end is another occasion."""
    return f"api-key-expiry-{notice.days}:{uid}:{int(expires_at.timestamp())}"


def _sent(occasions: Sequence[str]) -> set[str]:
    """Return those of the occasions for which a mail was written."""
    return set(db.session.scalars(select(mail.MailMessage.occasion).where(mail.MailMessage.occasion.in_(occasions))))


def _tell(realm: Realm, key: ApiKey, occasion: str, kind: MailKind, now: datetime, useful_until: datetime | None) -> bool:
    owner = db.session.get(User, key.user_id) if key.user_id else None
    recipient = _recipient(key, owner)
    if recipient is None or not may_mail(kind, recipient):
        return False
    left = key.expires_at - now if key.expires_at else timedelta(0)
    values = {
        "organisation": realm.name,
        "realm_name": realm.name,
        "public_part": key.public_part,
        "uid": key.uid,
        "holder": name_in_mails(owner) if owner is not None else "an application",
        "expires": f"{key.expires_at:%Y-%m-%d %H:%M:%S} UTC" if key.expires_at else "never",
        "left": f"{left.days + 1} days" if left > timedelta(days=1) else "1 day",
        "uses": str(key.use_count),
        "last_used": f"on {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never",
        "revoked": f"{key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else "",
    }
    return mail.enqueue(realm.name, occasion, kind.value, recipient.email, useful_until=useful_until, **values)


def _recipient(key: ApiKey, owner: User | None) -> User | None:
    """Return whom to write to about a key; None where nobody is known."""
    if owner is not None and owner.email:
        return owner
    kind, _, name = key.created_by.partition(":")
    maker = db.session.scalar(select(User).where(User.realm_id == key.realm_id, User.name == name)) if kind == "user" else None
    return maker if maker is not None and maker.email else None
