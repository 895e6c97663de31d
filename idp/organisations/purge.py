"""Purging a deleted realm: everything of it goes but its audit trail, its name, and the keys that its checkpoints need.

A realm may hold a hundred thousand applications, so it goes piece by piece, each piece a short transaction. A purge that was
interrupted is taken up again by the next one.
"""

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute

from idp import audit, clock, realms, trail
from idp.access import Grant, Project, Role
from idp.apikeys import ApiKey
from idp.applications import Application, ApplicationKeySet, ApplicationSecret, DailyUse, UsedAssertion
from idp.audit import Tag
from idp.audit.activity import ActivityCount
from idp.db import commit, db
from idp.errors import ConflictError, Sentence, Term
from idp.federation import FederatedPerson, FederationRule, TrustedIssuer, UsedForeignAssertion
from idp.keys import SigningKey
from idp.keysets import Keyset, KeysetKey, KeysetProject, KeysetVersion, Lease
from idp.mail import MailMessage
from idp.personal_tokens import PersonalToken
from idp.protected_apis import ProtectedApi
from idp.realms import GRACE, PurgedRealm, Realm, RealmState
from idp.recall import RecallCause, RecallClock
from idp.registrations import RegistrationToken
from idp.sessions import UserSession
from idp.stuck import allow_seconds
from idp.tokens import RevokedToken
from idp.users import Group, Membership, OneTimeLink, User

PIECE = 1_000
"""Rows of one transaction."""

# in the order in which nothing points to what goes
_BY_REALM: tuple[InstrumentedAttribute[int], ...] = (
    Grant.realm_id, ApiKey.realm_id, PersonalToken.realm_id, UserSession.realm_id, ProtectedApi.realm_id, Lease.realm_id,
    RegistrationToken.realm_id, FederationRule.realm_id, FederatedPerson.realm_id,
)  # fmt: skip # a list of words
_BY_PARENT = (
    (Keyset, (KeysetKey.keyset_id, KeysetVersion.keyset_id, KeysetProject.keyset_id)),
    (
        Application,
        (
            ApplicationSecret.application_id,
            ApplicationKeySet.application_id,
            UsedAssertion.application_id,
            DailyUse.application_id,
        ),
    ),
    (TrustedIssuer, (UsedForeignAssertion.issuer_id,)),
    (Group, (Membership.group_id,)),
    (User, (Membership.user_id, OneTimeLink.user_id)),
    (Role, ()),
    (Project, ()),
)


def purge_due_realms() -> int:
    """Purge every realm that was deleted longer ago than it can be restored; return how many."""
    query = select(Realm.name).where(Realm.deleted_at <= clock.now() - GRACE).order_by(Realm.deleted_at)
    due = db.session.scalars(query).all()
    db.session.rollback()
    for name in due:
        purge_realm(name)
    return len(due)


def purge_realm(name: str) -> None:
    """Remove a deleted realm for good, whether or not its time is over.

    :raises NotFoundError: there is none.
    :raises ConflictError: it is not deleted.
    """
    realm = _deleted(name)
    realm_id = realm.id
    realm.purging = True
    commit()  # from here on nobody can restore it
    for column in _BY_REALM:
        _remove(column, realm_id)
    for parent, columns in _BY_PARENT:
        _remove_with_parts(parent, columns, realm_id)
    realm = _deleted(name)
    keys = trail.public_keys(name)
    for removal in (
        delete(SigningKey).where(SigningKey.realm_id == realm_id),
        delete(RevokedToken).where(RevokedToken.realm_id == realm_id),
        delete(RecallCause).where(RecallCause.realm_id == realm_id),
        delete(RecallClock).where(RecallClock.realm_id == realm_id),
        delete(MailMessage).where(MailMessage.realm == name),
        delete(ActivityCount).where(ActivityCount.realm == name),
    ):
        db.session.execute(removal)
    audit.record(Tag.REALM_PURGE, name, f"realm:{name}", uid=realm.uid)
    db.session.add(PurgedRealm(name=name, uid=realm.uid, public_keys=keys))
    db.session.delete(realm)
    realms.announce_realm(realm)
    commit()


def _deleted(name: str) -> Realm:
    realm = realms.lock_realm(name) or realms.get_realm(name)
    if realm.state is not RealmState.DELETED:
        sentence = "{Realm} is {state}: only a deleted {what} can be purged."
        raise ConflictError(Sentence(sentence, realm=name, state=Term(realm.state.value), what=Sentence("{realm}")))
    allow_seconds(db.session.connection(), 60)
    return realm


def _remove(column: InstrumentedAttribute[int], realm_id: int) -> None:
    table = column.class_
    key = table.id
    while ids := db.session.scalars(select(key).where(column == realm_id).limit(PIECE)).all():
        db.session.execute(delete(table).where(key.in_(ids)))
        commit()
    db.session.rollback()


def _remove_with_parts(
    table: type[Keyset | Application | TrustedIssuer | Group | User | Role | Project],
    columns: tuple[InstrumentedAttribute[int], ...],
    realm_id: int,
) -> None:
    while ids := db.session.scalars(select(table.id).where(table.realm_id == realm_id).limit(PIECE)).all():
        for column in columns:
            db.session.execute(delete(column.class_).where(column.in_(ids)))
        db.session.execute(delete(table).where(table.id.in_(ids)))
        commit()
    db.session.rollback()
