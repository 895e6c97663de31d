"""Leases that were taken: ended, listed, looked at when something changes, forgotten.

A lease ends with the grant, the application or the keyset in the very transaction that ends those, and with its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from idp import access, audit, clock, feed
from idp.audit import Tag
from idp.db import UtcDateTime, commit, db
from idp.keysets.models import Keyset, KeysetProject, KeysetVersion, Lease
from idp.keysets.permits import last_end, permitting, working
from idp.paging import Listing
from idp.realms import Realm, check_text
from idp.stuck import allow_seconds

MANY = 1_000
"""Leases from which on ending them may take longer than other statements."""

KEEP = timedelta(days=90)
"""How long leases that are over are listed."""

PIECE, MOST_PIECES = 1_000, 50
"""Rows of one transaction of the tidying, and transactions of one."""


def end_lease(realm: Realm, lease: Lease, reason: str) -> bool:
    """End a lease manually. One statement decides: of several at once, one ends it and is recorded.

    :returns: whether it was live until now.
    """
    reason = check_text("reason", reason, 500) or "ended manually"
    ended = update(Lease).where(Lease.id == lease.id, _live(clock.now()))
    values = {"ended_at": clock.now(), "end_reason": reason, "ended_by": audit.current_actor().name}
    if db.session.execute(ended.values(values).returning(Lease.id)).first() is None:
        return False
    db.session.refresh(lease)
    actor = audit.current_actor().name
    tag = Tag.LEASE_GIVE_BACK if actor == f"application:{lease.client_id}" else Tag.LEASE_END
    audit.record(tag, realm.name, f"keyset:{lease.keyset_name}", uid=lease.uid, application=lease.client_id, reason=reason)
    return True


def end_leases_of(realm: Realm, keyset: Keyset) -> int:
    """End all leases of a keyset that is deleted; return how many."""
    of_keyset = Lease.keyset_id == keyset.id
    return _end(realm.name, of_keyset, "the keyset was deleted") if _allow_time_for(realm.name, of_keyset) else 0


def review_leases(realm: str, *conditions: ColumnElement[bool]) -> int:
    """End leases whose application may no longer lease their keyset, and shorten those that would outlive its grant.

    :param conditions: which leases are looked at.
    :returns: how many ended.
    """
    now = clock.now()
    if db.engine.dialect.name == "postgresql":
        # a lease that is being taken is there to be seen after this, or is taken after what is changed here
        db.session.execute(select(Realm.id).where(Realm.name == realm).with_for_update(key_share=True))
    if not _allow_time_for(realm, *conditions):
        return 0
    ended = _end(
        realm,
        and_(
            *conditions,
            ~and_(working(Lease.application_id, Lease.realm_id), permitting(Lease.application_id, Lease.keyset_id, now)),
        ),
        "the application is disabled or gone or lost its grant, or the keyset is for other projects now",
    )
    too_long = ~permitting(Lease.application_id, Lease.keyset_id, Lease.expires_at)
    shorten = update(Lease).where(_of(realm), _live(now), *conditions, too_long)
    shorten = shorten.values(expires_at=last_end(Lease.application_id, Lease.keyset_id))
    db.session.execute(shorten.execution_options(synchronize_session=False))
    return ended


def _allow_time_for(realm: str, *which: ColumnElement[bool]) -> bool:
    """Let the statements that follow take their time where there are many live leases; return whether there are any at all."""
    some = select(Lease.id).where(_of(realm), _live(clock.now()), *which).limit(MANY).subquery()
    number = db.session.scalar(select(func.count()).select_from(some)) or 0
    if number == MANY:
        allow_seconds(db.session.connection(), 60)
    return number > 0


def _end(realm: str, which: ColumnElement[bool], reason: str) -> int:
    """End live leases, and record how many of each application's keysets that were."""
    now = clock.now()
    end = update(Lease).where(_of(realm), _live(now), which).values(ended_at=now, end_reason=reason, ended_by="system")
    ended = db.session.execute(
        end.returning(Lease.client_id, Lease.keyset_uid, Lease.keyset_name).execution_options(synchronize_session=False)
    ).all()
    number: dict[tuple[str, str, str], int] = {}
    for client_id, uid, name in ended:
        number[client_id, uid, name] = number.get((client_id, uid, name), 0) + 1
    for (client_id, uid, name), leases in number.items():
        audit.record(Tag.LEASE_DIE, realm, f"keyset:{name}", keyset=uid, application=client_id, leases=leases, reason=reason)
    return len(ended)


def _of(realm: str) -> ColumnElement[bool]:
    return Lease.realm_id == select(Realm.id).where(Realm.name == realm).scalar_subquery()


def _live(now: datetime) -> ColumnElement[bool]:
    return and_(Lease.ended_at.is_(None), Lease.expires_at > now)


def _review_published(keys: Sequence[str]) -> None:
    """Look at the leases of applications that were changed, or whose grants were."""
    by_realm: dict[str, set[str]] = {}
    for key in keys:
        realm, _, client_id = key.partition("/")
        by_realm.setdefault(realm, set()).add(client_id)
    for realm, names in by_realm.items():
        review_leases(realm, *([] if "*" in names else [Lease.client_id.in_(sorted(names))]))


feed.react("application", _review_published)


# -- reading -----------------------------------------------------------------------------------------------------------


def find_lease(realm: Realm, uid: str) -> Lease | None:
    """Return a lease by uid, or None."""
    return db.session.scalar(select(Lease).where(Lease.realm_id == realm.id, Lease.uid == uid))


def lease_listing(
    realm: Realm,
    *,
    keyset: Keyset | None = None,
    keyset_uid: str = "",
    client_id: str = "",
    state: str = "",
    projects: Sequence[str] | None = None,
    application_uid: str = "",
    project: str = "",
) -> Listing:
    """Return leases as a list in pages, the newest of the last 90 days and all that live.

    :param keyset_uid: only of the keyset of this uid, which may be gone.
    :param client_id: only of the application of this name.
    :param state: only those that are `live`, or `over`.
    :param projects: only of keysets for one of these projects; None for all.
    :param application_uid: only of this application.
    :param project: only of keysets that are for this project by name.
    """
    query = select(Lease).where(Lease.realm_id == realm.id)
    now = clock.now()
    if keyset is not None:
        query = query.where(Lease.keyset_id == keyset.id)
    if keyset_uid:
        query = query.where(Lease.keyset_uid == keyset_uid)
    if client_id:
        query = query.where(Lease.client_id == client_id)
    if application_uid:
        query = query.where(Lease.application_uid == application_uid)
    if state:
        query = query.where(_live(now) if state == "live" else ~_live(now))
    for names in (projects, [project] if project else None):
        if names is not None:
            on = select(KeysetProject.keyset_id).join(access.Project, access.Project.id == KeysetProject.project_id)
            on = on.where(access.Project.realm_id == realm.id, access.Project.name.in_(names))
            query = query.where(Lease.keyset_id.in_(on))
    return Listing(query, Lease.id, {"expiresAt": Lease.expires_at})


@dataclass(frozen=True)
class Holding:
    """Who holds a version of a keyset."""

    live: int
    """Leases that run."""
    until: datetime | None
    """When the last of them ends at the latest."""
    free_since: datetime | None
    """For a version that was replaced and that nobody holds any more: since when."""


def holdings(keyset: Keyset, versions: Sequence[KeysetVersion]) -> dict[int, Holding]:
    """Return for each of some versions of a keyset who holds it."""
    now = clock.now()
    rows = db.session.execute(
        select(Lease.version, func.count(), func.max(Lease.expires_at))
        .where(Lease.keyset_id == keyset.id, _live(now))
        .group_by(Lease.version)
    ).all()
    live = {row[0]: (row[1], row[2]) for row in rows}
    over = select(Lease.version, func.max(func.coalesce(Lease.ended_at, Lease.expires_at), type_=UtcDateTime()))
    ends_of = db.session.execute(over.where(Lease.keyset_id == keyset.id, ~_live(now)).group_by(Lease.version)).all()
    last = {row[0]: row[1] for row in ends_of}
    found = {}
    for version in versions:
        number, until = live.get(version.number, (0, None))
        ends = [version.superseded_at, last.get(version.number), version.free_since]
        is_free = version.superseded_at is not None and not number
        found[version.number] = Holding(number, until, max((end for end in ends if end), default=None) if is_free else None)
    return found


def count_live(realm: Realm) -> int:
    """Return how many leases of a realm run."""
    return db.session.scalar(select(func.count()).where(Lease.realm_id == realm.id, _live(clock.now()))) or 0


# -- tidying -----------------------------------------------------------------------------------------------------------


def tidy_leases() -> None:
    """Note when leases that ran out were over, and forget those that were over long ago, piece by piece, each committed."""
    now = clock.now()
    for _ in range(MOST_PIECES):
        ran_out = select(Lease.id).where(Lease.ended_at.is_(None), Lease.expires_at <= now).limit(PIECE)
        noted = update(Lease).where(Lease.id.in_(ran_out)).values(ended_at=Lease.expires_at).returning(Lease.id)
        number = len(db.session.execute(noted.execution_options(synchronize_session=False)).all())
        number += _forget(now)
        commit()
        if not number:
            break


def _forget(now: datetime) -> int:
    """Forget leases that were over long ago. A version that nobody holds says since when also afterwards."""
    query = select(Lease.id, Lease.keyset_id, Lease.version, Lease.ended_at).where(Lease.ended_at < now - KEEP).limit(PIECE)
    old = db.session.execute(query).all()
    ends: dict[tuple[int, int], datetime] = {}
    for row in old:
        ends[row.keyset_id, row.version] = max(row.ended_at, ends.get((row.keyset_id, row.version), row.ended_at))
    for (keyset_id, version), end in sorted(ends.items()):
        is_later = or_(KeysetVersion.free_since.is_(None), KeysetVersion.free_since < end)
        freed = update(KeysetVersion).where(KeysetVersion.keyset_id == keyset_id, KeysetVersion.number == version, is_later)
        db.session.execute(freed.values(free_since=end).execution_options(synchronize_session=False))
    db.session.execute(delete(Lease).where(Lease.id.in_([row.id for row in old])))
    return len(old)
