"""After a backup was put back: what was ended since must not come to life again by that, and nothing says so by itself.

What can be ended without harm is ended: sessions, one-time links, tokens that live for hours. What lives long, and may have been
revoked since the backup, is listed, for somebody to look at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select, update

from idp import audit, clock, keys, mail, realms, registrations, trail
from idp.apikeys import ApiKey
from idp.applications import Application, ApplicationSecret
from idp.audit import AuditEvent, Tag
from idp.authorizations import Authorization, DeviceRequest, End, PushedRequest
from idp.db import db
from idp.keys import KeyState
from idp.organisations.models import SignUp
from idp.personal_tokens import PersonalToken
from idp.realms import Realm
from idp.sessions import UserSession
from idp.trail import AuditBatch, Checkpoint
from idp.users import OneTimeLink, ResetRequest, User

ENDING = frozenset(
    {
        Tag.API_KEY_REVOKE, Tag.API_KEY_DELETE, Tag.API_KEY_UPDATE, Tag.API_KEY_ROTATE, Tag.API_KEY_REPORT, Tag.SECRET_RETIRE,
        Tag.SECRET_USE_UP, Tag.SECRET_UPDATE, Tag.APPLICATION_UPDATE, Tag.APPLICATION_DELETE, Tag.USER_UPDATE, Tag.USER_DELETE,
        Tag.PASSWORD_CHANGE, Tag.PASSWORD_RESET, Tag.PERSONAL_TOKEN_DELETE, Tag.GRANT_UPDATE, Tag.GRANT_DELETE, Tag.ROLE_UPDATE,
        Tag.GROUP_UPDATE, Tag.GROUP_DELETE, Tag.KEY_REVOKE, Tag.KEYSET_REPLACE, Tag.KEYSET_DELETE, Tag.KEYSET_UPDATE,
        Tag.PROTECTED_API_UPDATE, Tag.REALM_UPDATE, Tag.REALM_DEACTIVATE, Tag.REALM_DELETE,
        Tag.REGISTRATION_TOKEN_REVOKE, Tag.ADDRESS_VERIFY, Tag.AUTHORIZATION_END, Tag.CONSENT_TAKE_BACK,
    }
)  # fmt: skip # a list of words
"""Acts by which something stops working, or means something else."""


class Credential(NamedTuple):
    """A long-lived credential that works now, and may have been revoked since the backup."""

    realm: str
    kind: str
    """`api-key`, `secret`, `public-keys` or `personal-token`."""
    name: str
    owner: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass
class RestoreReport:
    """What became of it."""

    restored_to: datetime | None
    """Time of the newest event that the backup holds."""
    sessions: int = 0
    links: int = 0
    mails: int = 0
    sign_ins: int = 0
    """Sign-ins of people to applications, with their refresh tokens."""
    registrations: int = 0
    """Registration tokens."""
    keys: int = 0
    """Signing keys that were replaced."""
    lost: dict[str, int] = field(default_factory=dict)
    """By realm, how many events came after the backup, as checkpoints that were kept elsewhere say."""


def end_what_was_restored(*, replace_keys: bool, outside: Iterable[Checkpoint] = ()) -> RestoreReport:
    """End sessions, links and tokens of before this moment, in the current transaction.

    :param replace_keys: replace every signing key, too: APIs that check signatures by themselves then refuse what it signed.
    :param outside: checkpoints that were kept elsewhere.
    """
    now = clock.now()
    report = RestoreReport(db.session.scalar(select(func.max(AuditEvent.at))))
    report.lost = _count_lost(outside)
    report.sessions = _touch(update(UserSession).where(UserSession.ended_at.is_(None)).values(ended_at=now))
    for table in (OneTimeLink, SignUp):
        report.links += _touch(update(table).where(table.used_at.is_(None)).values(used_at=now))
    report.links += _touch(delete(ResetRequest))
    report.mails = mail.drop_waiting()
    report.registrations = registrations.end_all()
    live = update(Authorization).where(Authorization.ended_at.is_(None))
    report.sign_ins = _touch(live.values(ended_at=now, ended_by=End.ADMINISTRATOR.value))
    for remembered in (PushedRequest, DeviceRequest):
        _touch(delete(remembered))
    for realm in realms.list_realms():
        realm.tokens_from = now
        if replace_keys:
            for key in keys.list_keys(realm):
                if key.state(now) in {KeyState.ACTIVE, KeyState.ANNOUNCED}:
                    keys.revoke_key(realm, key.uid, "a backup was restored")
                    report.keys += 1
        realms.announce_realm(realm)
        audit.record(Tag.SERVER_RESTORE, realm.name, f"realm:{realm.name}", lost=report.lost.get(realm.name))
    trail.forget_what_was_seen()
    restored_to = report.restored_to and report.restored_to.isoformat(timespec="seconds")
    audit.record(Tag.SERVER_RESTORE, "", "server:realmgate", restored_to=restored_to, keys_replaced=replace_keys)
    return report


def _touch(statement: Any) -> int:
    return int(db.session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _count_lost(outside: Iterable[Checkpoint]) -> dict[str, int]:
    """Return by realm how many more events were sealed than there are now; realms that nothing was kept of are left out."""
    kept: dict[str, int] = {}
    for checkpoint in outside:
        kept[checkpoint.realm] = max(checkpoint.total, kept.get(checkpoint.realm, 0))
    query = select(AuditBatch.realm, func.max(AuditBatch.total)).group_by(AuditBatch.realm)
    there = {row[0]: int(row[1]) for row in db.session.execute(query)}
    return {realm: max(0, total - there.get(realm, 0)) for realm, total in kept.items()}


def acts_since(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the acts of a kept tail of the trail that the database does not know, and by which something was ended.

    :param events: the events of an export that is newer than the backup.
    """
    newest = {
        row[0]: row[1] for row in db.session.execute(select(AuditEvent.realm, func.max(AuditEvent.id)).group_by(AuditEvent.realm))
    }
    return [event for event in events if event["tag"] in ENDING and event["id"] > newest.get(event["realm"], 0)]


def list_doubtful() -> list[Credential]:
    """Return all long-lived credentials that work now, by realm: which of them were revoked since, the database does not know."""
    now = clock.now()
    live_key = ApiKey.revoked_at.is_(None) & ApiKey.active & (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now))
    keys_found = (
        select(Realm.name, ApiKey.public_part, func.coalesce(User.name, Application.name), ApiKey.created_at, ApiKey.last_used_at)
        .join(Realm, Realm.id == ApiKey.realm_id)
        .outerjoin(User, User.id == ApiKey.user_id)
        .outerjoin(Application, Application.id == ApiKey.application_id)
        .where(live_key)
    )
    live_secret = ApplicationSecret.retired_at.is_(None) & (
        ApplicationSecret.expires_at.is_(None) | (ApplicationSecret.expires_at > now)
    )
    secrets_found = (
        select(Realm.name, ApplicationSecret.name, Application.name, ApplicationSecret.created_at, ApplicationSecret.last_used_at)
        .join(Application, Application.id == ApplicationSecret.application_id)
        .join(Realm, Realm.id == Application.realm_id)
        .where(live_secret)
    )
    tokens_found = (
        select(Realm.name, PersonalToken.uid, User.name, PersonalToken.created_at)
        .join(Realm, Realm.id == PersonalToken.realm_id)
        .join(User, User.id == PersonalToken.user_id)
        .where(PersonalToken.expires_at > now)
    )
    found = [Credential(row[0], "api-key", row[1], row[2], row[3], row[4]) for row in db.session.execute(keys_found)]
    found += [Credential(row[0], "secret", row[1], row[2], row[3], row[4]) for row in db.session.execute(secrets_found)]
    found += [Credential(row[0], "personal-token", row[1], row[2], row[3], None) for row in db.session.execute(tokens_found)]
    with_keys = select(Realm.name, Application.name, Application.updated_at).join(Realm, Realm.id == Application.realm_id)
    with_keys = with_keys.where(Application.enabled, or_(Application.jwks.is_not(None), Application.jwks_uri.is_not(None)))
    found += [Credential(row[0], "public-keys", "jwks", row[1], row[2], None) for row in db.session.execute(with_keys)]
    return sorted(found, key=lambda each: each[:4])
