"""Leases: an application is lent a keyset for a while, gets its values once, and leaves an entry in the audit trail.

A lease ends with the grant, the application or the keyset in the very transaction that ends those, and with its time.
"""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, String, and_, bindparam, cast, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy import text as sql
from sqlalchemy.orm import aliased

from idp import access, audit, clock, feed
from idp.access import Grant, HeldRole, HolderKind, Role
from idp.applications import Application, KnownApplication
from idp.audit import AuditEvent, Tag
from idp.db import UtcDateTime, db, storage_errors
from idp.errors import IdpError, InvalidMembersError, NotFoundError, StorageUnavailableError
from idp.keysets.known import KnownKeyset, known_keyset
from idp.keysets.models import Keyset, KeysetProject, KeysetVersion, Lease
from idp.keysets.together import WriteTogether
from idp.paging import Listing
from idp.realms import KnownRealm, Realm
from idp.telemetry import count

LEASE = "keysets:lease"
"""The permission to be lent keysets."""

LONGEST_REASON = 500
KEEP = timedelta(days=90)
"""How long leases that are over are listed."""

MOST_TRIES = 20
"""How often it is tried to lend a keyset that others replace meanwhile."""

PIECE = 1_000
"""Rows of one transaction of the tidying."""


class _Outcome(Enum):
    """What became of a lease that was to be stored."""

    TAKEN = "taken"
    CHANGED = "changed"
    """The keyset is not what it was: it has another version, or is gone."""
    REFUSED = "refused"


_Entry = tuple[dict[str, Any], dict[str, Any]]
"""A lease and its audit entry, as columns."""


class NotLentError(IdpError):
    """The application is lent nothing at all: it has no permission for that."""

    def __init__(self) -> None:
        super().__init__(
            f"To be lent keysets takes a role with the permission {LEASE}, on the realm or on a project that the keyset is for. "
            "An administrator can grant one."
        )


@dataclass(frozen=True)
class TakenLease:
    """A lease that was taken, with the values that it is for. They are given out this once."""

    uid: str
    keyset: KnownKeyset
    expires_at: datetime
    values: dict[str, str] = field(repr=False)


def take_lease(
    realm: KnownRealm, application: KnownApplication, held_roles: Sequence[HeldRole], address: str, named: str, reason: str,
    seconds: int | None,
) -> TakenLease:  # fmt: skip
    """Lend a keyset to an application, and commit that with its audit entry.

    What is in memory finds the keyset and opens it; whether it may be lent at this moment, the statement that stores the lease
    decides, in one with that.

    :param held_roles: what the application's credential carries of its roles.
    :param named: uid of the keyset, or its name where only one has it.
    :param reason: what it is needed for, for the audit trail.
    :param seconds: how long; None for as long as the keyset allows. It ends no later than the grant.
    :raises NotLentError: the application may be lent nothing.
    :raises NotFoundError: there is no keyset that it may be lent.
    :raises InvalidMembersError: the reason or the time has no usable value.
    :raises KeysetDamagedError: the values do not open.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise InvalidMembersError([("reason", f"Say in one line of 1 to {LONGEST_REASON} characters what it is needed for")])
    if not any(access.may(held_roles, LEASE, project) for project in {"", *(each.project for each in held_roles)}):
        raise NotLentError
    for _ in range(MOST_TRIES):
        taken = _try_to_take(realm, application, held_roles, address, named, reason, seconds)
        if taken is not None:
            count("realmgate_leases_taken", 1)
            return taken
        realm.runtime.feed.expire()  # what was in memory has just changed
        realm.runtime.feed.confirm()
    raise StorageUnavailableError("The keyset is being changed over and over. Try again in a few seconds.")


def _try_to_take(
    realm: KnownRealm, application: KnownApplication, held_roles: Sequence[HeldRole], address: str, named: str, reason: str,
    seconds: int | None,
) -> TakenLease | None:  # fmt: skip
    keyset = known_keyset(realm, named)
    until = _lent_until(held_roles, keyset) if keyset is not None else 0
    if keyset is None or not until:
        raise _not_found()
    if seconds is not None and not 1 <= seconds <= keyset.max_lease_seconds:
        raise InvalidMembersError([("seconds", f"This keyset is lent for 1 to {keyset.max_lease_seconds} seconds")])
    now = clock.now()
    asked = now + timedelta(seconds=keyset.max_lease_seconds if seconds is None else seconds)
    expires_at = asked if math.isinf(until) else min(asked, datetime.fromtimestamp(until, UTC))
    values = keyset.open(realm)
    lease_uid = str(uuid.uuid4())
    row = {
        "uid": lease_uid, "created_at": now, "realm_id": realm.id, "keyset_id": keyset.id, "keyset_uid": keyset.uid,
        "keyset_name": keyset.name, "version": keyset.version, "application_id": application.id,
        "application_uid": application.uid, "client_id": application.client_id, "reason": reason, "address": address,
        "expires_at": expires_at,
    }  # fmt: skip
    match _store(realm, row):
        case _Outcome.TAKEN:
            return TakenLease(lease_uid, keyset, expires_at, values)
        case _Outcome.CHANGED:
            return None
    raise _not_found()


def _store(realm: KnownRealm, row: dict[str, Any]) -> "_Outcome":
    """Store a lease with its audit entry, if the keyset may be lent at this moment."""
    event = audit.event_values(
        row["created_at"], realm.name, Tag.LEASE_TAKE, f"application:{row['client_id']}", f"keyset:{row['keyset_name']}",
        row["address"], "success", uid=row["uid"], keyset=row["keyset_uid"], version=row["version"], reason=row["reason"],
        expires=row["expires_at"].isoformat(timespec="seconds"),
    )  # fmt: skip
    # SQLite has one writer; on PostgreSQL, realms do not wait for each other
    lines: dict[int, WriteTogether[_Entry, _Outcome]] = realm.runtime.extensions.setdefault("leases", {})
    line = lines.setdefault(0 if db.engine.dialect.name == "sqlite" else realm.id, WriteTogether(_write))
    return line.write((row, event))


def _write(entries: Sequence[_Entry]) -> list[_Outcome]:
    """Store leases, of one realm or of several, with their audit entries, in one transaction; tell which may be."""
    outcomes = []
    with storage_errors(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # whoever changes grants or applications holds this lock alone: then or later, not in between
            connection.execute(_HOLD_REALM, {"realm_id": entries[0][0]["realm_id"]})
        for row, event in entries:
            if connection.execute(_TAKE, row).first() is not None:
                connection.execute(_RECORD, event)
                outcomes.append(_Outcome.TAKEN)
            else:
                is_current = connection.execute(_IS_CURRENT, row).first() is not None
                outcomes.append(_Outcome.REFUSED if is_current else _Outcome.CHANGED)
    return outcomes


def _lent_until(held: Sequence[HeldRole], keyset: KnownKeyset) -> float:
    """Return until when roles permit being lent a keyset (seconds since 1970); 0 if they do not, infinite without an end."""
    now = clock.timestamp()
    ends = [
        each.until
        for each in held
        if now < each.until and LEASE in each.permissions and (not each.project or each.project in keyset.projects)
    ]
    return max(ends, default=0)


def _not_found() -> NotFoundError:
    return NotFoundError("There is no keyset with this uid, or alone with this name, that the caller may be lent (not found).")


def _permitting(application_id: Any, keyset_id: Any, until: Any) -> ColumnElement[bool]:
    """Return the condition that an application holds, until some time at least, a role by which it may be lent a keyset."""
    grant, role, on = aliased(Grant), aliased(Role), aliased(KeysetProject)
    return exists(
        select(literal(1))
        .select_from(grant)
        .join(role, role.id == grant.role_id)
        .where(
            grant.holder_kind == HolderKind.APPLICATION.value,
            grant.holder_id == application_id,
            or_(grant.until.is_(None), grant.until >= until),
            or_(
                grant.project_id.is_(None),
                grant.project_id.in_(select(on.project_id).where(on.keyset_id == keyset_id)),
            ),
            cast(role.permissions, String).contains(f'"{LEASE}"'),
        )
    )


def _enabled(application_id: Any, realm_id: Any) -> ColumnElement[bool]:
    """Return the condition that an application is there and works."""
    return exists(
        select(literal(1))
        .select_from(Application)
        .join(Realm, Realm.id == Application.realm_id)
        .where(Application.id == application_id, Application.realm_id == realm_id, Application.enabled, Realm.enabled)
    )


_COLUMNS = (
    "uid", "created_at", "realm_id", "keyset_id", "keyset_uid", "keyset_name", "version", "application_id", "application_uid",
    "client_id", "reason", "address", "expires_at",
)  # fmt: skip
_GIVEN = {name: bindparam(name, type_=Lease.__table__.c[name].type) for name in _COLUMNS}
_HOLD_REALM = sql("SELECT 1 FROM realm WHERE id = :realm_id FOR SHARE")
_RECORD = insert(AuditEvent)
_IS_CURRENT = select(literal(1)).select_from(Keyset).where(Keyset.id == _GIVEN["keyset_id"], Keyset.version == _GIVEN["version"])
_TAKE = (
    insert(Lease)
    .from_select(
        [*_COLUMNS, "end_reason", "ended_by"],
        select(*_GIVEN.values(), literal(""), literal("")).where(
            exists(_IS_CURRENT),
            _enabled(_GIVEN["application_id"], _GIVEN["realm_id"]),
            _permitting(_GIVEN["application_id"], _GIVEN["keyset_id"], _GIVEN["expires_at"]),
        ),
    )
    .returning(Lease.id)
)


def end_lease(realm: Realm, lease: Lease, reason: str) -> bool:
    """End a lease by hand. One statement decides: of several at once, one ends it and is recorded.

    :returns: whether it was live until now.
    """
    reason = reason or "by hand"
    ended = update(Lease).where(Lease.id == lease.id, _live(clock.now()))
    values = {"ended_at": clock.now(), "end_reason": reason, "ended_by": audit.current_actor().name}
    if db.session.execute(ended.values(values).returning(Lease.id)).first() is None:
        return False
    db.session.refresh(lease)
    audit.record(
        Tag.LEASE_END, realm.name, f"application:{lease.client_id}", uid=lease.uid, keyset=lease.keyset_name, reason=reason
    )
    return True


def end_leases_of(realm: Realm, keyset: Keyset) -> int:
    """End all leases of a keyset that is deleted; return how many."""
    return _end(realm.name, Lease.keyset_id == keyset.id, "the keyset was deleted")


def review_leases(realm: str, *conditions: ColumnElement[bool]) -> int:
    """End leases whose application may not be lent their keyset any more, and shorten those that would outlive its grant.

    :param conditions: which leases are looked at.
    :returns: how many ended.
    """
    now = clock.now()
    if db.engine.dialect.name == "postgresql":
        # a lease that is being taken is there to be seen after this, or is taken after what is changed here
        db.session.execute(select(Realm.id).where(Realm.name == realm).with_for_update(key_share=True))
    ended = _end(
        realm,
        and_(
            *conditions,
            ~and_(_enabled(Lease.application_id, Lease.realm_id), _permitting(Lease.application_id, Lease.keyset_id, now)),
        ),
        "the application is disabled or gone, or lost its grant",
    )
    too_long = ~_permitting(Lease.application_id, Lease.keyset_id, Lease.expires_at)
    shorten = update(Lease).where(_of(realm), _live(now), *conditions, too_long).values(expires_at=_last_end())
    db.session.execute(shorten.execution_options(synchronize_session=False))
    return ended


def _last_end() -> Any:
    """Return the subquery of when the last grant ends by which a lease's application may be lent its keyset."""
    grant, role, on = aliased(Grant), aliased(Role), aliased(KeysetProject)
    projects = select(on.project_id).where(on.keyset_id == Lease.keyset_id)
    return (
        select(func.max(grant.until))
        .join(role, role.id == grant.role_id)
        .where(
            grant.holder_kind == HolderKind.APPLICATION.value,
            grant.holder_id == Lease.application_id,
            or_(grant.project_id.is_(None), grant.project_id.in_(projects)),
            cast(role.permissions, String).contains(f'"{LEASE}"'),
        )
        .scalar_subquery()
    )


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
        audit.record(Tag.LEASE_DIE, realm, f"application:{client_id}", keyset=name, keyset_uid=uid, leases=leases, reason=reason)
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
    realm: Realm, *, keyset: Keyset | None = None, client_id: str = "", state: str = "", version: int | None = None,
    projects: Sequence[str] | None = None, application_uid: str = "",
) -> Listing:  # fmt: skip
    """Return leases as a list in pages, the newest of the last 90 days and all that live.

    :param client_id: only of the application of this name.
    :param state: only those that are `live`, or `over`.
    :param projects: only of keysets for one of these projects; None for all.
    :param application_uid: only of this application.
    """
    query = select(Lease).where(Lease.realm_id == realm.id)
    now = clock.now()
    if keyset is not None:
        query = query.where(Lease.keyset_id == keyset.id)
    if version is not None:
        query = query.where(Lease.version == version)
    if client_id:
        query = query.where(Lease.client_id == client_id)
    if application_uid:
        query = query.where(Lease.application_uid == application_uid)
    if state:
        query = query.where(_live(now) if state == "live" else ~_live(now))
    if projects is not None:
        on = select(KeysetProject.keyset_id).join(access.Project, access.Project.id == KeysetProject.project_id)
        query = query.where(Lease.keyset_id.in_(on.where(access.Project.realm_id == realm.id, access.Project.name.in_(projects))))
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
    """Note when leases that ran out were over, and forget those that were over long ago. Piece by piece; commits nothing."""
    now = clock.now()
    ran_out = select(Lease.id).where(Lease.ended_at.is_(None), Lease.expires_at <= now).limit(PIECE)
    db.session.execute(
        update(Lease).where(Lease.id.in_(ran_out)).values(ended_at=Lease.expires_at)
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    old = db.session.execute(
        select(Lease.id, Lease.keyset_id, Lease.version, Lease.ended_at).where(Lease.ended_at < now - KEEP).limit(PIECE)
    ).all()
    for row in old:  # a version that nobody holds says since when also after its leases are forgotten
        db.session.execute(
            update(KeysetVersion)
            .where(
                KeysetVersion.keyset_id == row.keyset_id,
                KeysetVersion.number == row.version,
                or_(KeysetVersion.free_since.is_(None), KeysetVersion.free_since < row.ended_at),
            )
            .values(free_since=row.ended_at)
            .execution_options(synchronize_session=False)
        )
    db.session.execute(delete(Lease).where(Lease.id.in_([row.id for row in old])))
