"""The life cycle of an organisation: requested, approved, deactivated, deleted, restored while that is possible."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Select, case, func, or_, select

from idp import audit, clock
from idp.db import db, holds, shared_now
from idp.errors import ConflictError, Sentence, Term
from idp.paging import Listing
from idp.realms.models import Realm, RealmState
from idp.realms.service import MASTER, announce_realm

GRACE = timedelta(days=30)
"""How long a deleted realm can be restored."""


def approve_realm(realm: Realm) -> None:
    """Approve a pending organisation.

    :raises ConflictError: it is not pending.
    """
    _expect(realm, RealmState.PENDING)
    realm.pending = False
    _set_enabled(realm, audit.Tag.REALM_APPROVE, enabled=True)


def deactivate_realm(realm: Realm) -> None:
    """Deactivate a realm: every worker refuses its credentials within a second; `activate_realm` undoes this.

    :raises ConflictError: it is not active, or belongs to the operators.
    """
    _not_master(realm, "deactivated")
    _expect(realm, RealmState.ACTIVE)
    _set_enabled(realm, audit.Tag.REALM_DEACTIVATE, enabled=False)


def activate_realm(realm: Realm) -> None:
    """Activate a realm again, with all its credentials.

    :raises ConflictError: it was not deactivated.
    """
    _expect(realm, RealmState.INACTIVE)
    _set_enabled(realm, audit.Tag.REALM_ACTIVATE, enabled=True)


def delete_realm(realm: Realm) -> None:
    """Delete a realm: it stops working immediately. For 30 days `restore_realm` can bring it back.

    :raises ConflictError: it is already deleted, or belongs to the operators.
    """
    _not_master(realm, "deleted")
    _expect(realm, RealmState.PENDING, RealmState.ACTIVE, RealmState.INACTIVE)
    realm.deleted_at = shared_now()
    _set_enabled(realm, audit.Tag.REALM_DELETE, enabled=False)


def restore_realm(realm: Realm) -> None:
    """Bring a deleted realm back, deactivated.

    :raises ConflictError: it is not deleted, or was deleted too long ago.
    """
    _expect(realm, RealmState.DELETED)
    if realm.purging:
        raise ConflictError(Sentence("{Realm} is being purged: it can no longer be restored.", realm=realm.name))
    if realm.deleted_at is not None and clock.now() > realm.deleted_at + GRACE:
        sentence = "{Realm} was deleted more than {days} days ago: it can no longer be restored."
        raise ConflictError(Sentence(sentence, realm=realm.name, days=GRACE.days))
    realm.deleted_at = None
    _set_enabled(realm, audit.Tag.REALM_RESTORE, enabled=False)


def page_of_realms(
    *, after: str = "", containing: str = "", state: RealmState | None = None, limit: int | None = 50
) -> Sequence[Realm]:
    """Return realms by name.

    :param after: only those whose name comes after this, for the next page.
    :param containing: only those whose name or display name contains this, ignoring case.
    :param state: only those in this state.
    """
    query = realm_listing(containing=containing, state=state).query
    return db.session.scalars(query.where(Realm.name > after).order_by(Realm.name).limit(limit)).all()


def realm_listing(*, containing: str = "", state: RealmState | None = None, uid: str = "", deleted: bool = True) -> Listing:
    """Return realms as a list in pages; see `page_of_realms` for the filters.

    :param uid: only this one.
    :param deleted: deleted ones, too.
    """
    query = select(Realm)
    if containing:
        query = query.where(or_(holds(Realm.name, containing), holds(Realm.display_name, containing)))
    if state is not None:
        query = _in_state(query, state)
    if uid:
        query = query.where(Realm.uid == uid)
    if not deleted:
        query = query.where(Realm.deleted_at.is_(None))
    return Listing(query, Realm.id, {"name": Realm.name})


def count_realms() -> dict[RealmState, int]:
    """Return how many realms there are in each state."""
    state = case(
        (Realm.deleted_at.is_not(None), RealmState.DELETED.value),
        (Realm.pending, RealmState.PENDING.value),
        (Realm.enabled, RealmState.ACTIVE.value),
        else_=RealmState.INACTIVE.value,
    )
    found = {RealmState(name): count for name, count in db.session.execute(select(state, func.count()).group_by(state))}
    return {state: found.get(state, 0) for state in RealmState}


def _in_state(query: Select[Realm], state: RealmState) -> Select[Realm]:
    if state is RealmState.DELETED:
        return query.where(Realm.deleted_at.is_not(None))
    query = query.where(Realm.deleted_at.is_(None), Realm.pending.is_(state is RealmState.PENDING))
    return query if state is RealmState.PENDING else query.where(Realm.enabled.is_(state is RealmState.ACTIVE))


def _set_enabled(realm: Realm, tag: audit.Tag, *, enabled: bool) -> None:
    realm.enabled = enabled
    realm.updated_at = clock.now()
    audit.record(tag, realm.name, f"realm:{realm.name}", uid=realm.uid)
    announce_realm(realm)


def _not_master(realm: Realm, done: str) -> None:
    if realm.name == MASTER:
        raise ConflictError(Sentence("{Realm} belongs to the operators and cannot be {done}.", realm=MASTER, done=Term(done)))


def _expect(realm: Realm, *states: RealmState) -> None:
    if realm.state not in states:
        raise ConflictError(
            Sentence("{Realm} is {state}: this is not possible in that state.", realm=realm.name, state=Term(realm.state.value))
        )
