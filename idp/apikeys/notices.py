"""What becomes due with time: the mails before a key expires, and its removal long after."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from idp import audit, clock, mail
from idp.apikeys.models import ApiKey
from idp.apikeys.service import publish_key
from idp.db import db
from idp.realms import Realm
from idp.users import MailKind, User, may_mail, name_in_mails

NOTICES = (timedelta(days=7), timedelta(days=1))
"""How long before its expiry the owner of a key is told."""

AT_ONCE = 500
"""Mails that one query asks for."""

KEEP_EXPIRED = timedelta(days=90)
"""How long an expired key is kept, so that who still uses it can be told why it fails."""


def send_notices(limit: int = 500) -> int:
    """Write the mails that are due to the outbox, each once, and return how many were written.

    The owner is told; for a machine user or an application, the person who made the key.
    """
    now, written = clock.now(), 0
    for index, notice in enumerate(NOTICES):
        closer = NOTICES[index + 1] if index + 1 < len(NOTICES) else timedelta(0)
        rows = db.session.execute(
            select(ApiKey, Realm)
            .join(Realm, Realm.id == ApiKey.realm_id)
            .where(
                ApiKey.expires_at > now + closer,
                ApiKey.expires_at <= now + notice,
                ApiKey.active,
                ApiKey.revoked_at.is_(None),
            )
            .order_by(ApiKey.expires_at)
        ).all()
        sent = _sent([_occasion(notice, key) for key, _ in rows])
        for key, realm in rows:
            if _occasion(notice, key) in sent:
                continue
            # a key that lives no longer than this notice is not announced as soon as it is made
            if key.expires_at is None or key.expires_at - key.created_at <= notice or written >= limit:
                continue
            # what it says is true until the next notice is due, and the last one until the key has expired
            until = key.expires_at - closer
            written += _tell(realm, key, _occasion(notice, key), MailKind.KEY_EXPIRY, now, until)
    return written


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


def _occasion(notice: timedelta, key: ApiKey) -> str:
    """Return what a key is announced for: this end of it. Another end is another occasion."""
    end = int(key.expires_at.timestamp()) if key.expires_at is not None else 0
    return f"api-key-expiry-{notice.days}:{key.uid}:{end}"


def _sent(occasions: list[str]) -> set[str]:
    """Return those of the occasions for which a mail was written."""
    sent: set[str] = set()
    for first in range(0, len(occasions), AT_ONCE):
        named = mail.MailMessage.occasion.in_(occasions[first : first + AT_ONCE])
        sent.update(db.session.scalars(select(mail.MailMessage.occasion).where(named)))
    return sent


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
