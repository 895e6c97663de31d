"""Leasing: an application leases a keyset for a limited time, gets its values once, and leaves an entry in the audit trail."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Integer, bindparam, exists, func, insert, literal, select
from sqlalchemy import text as sql
from sqlalchemy.orm import aliased

from idp import access, audit, clock
from idp.access import HeldRole
from idp.applications import KnownApplication
from idp.audit import AuditEvent, Tag
from idp.db import db, storage_errors
from idp.errors import IdpError, InvalidMembersError, Kind, NotFoundError, Sentence, StorageUnavailableError
from idp.keysets.group_commit import GroupCommit
from idp.keysets.known import KnownKeyset, known_keysets
from idp.keysets.models import Keyset, Lease
from idp.keysets.permits import LEASE, lent_until, permitting, working
from idp.realms import KnownRealm
from idp.telemetry import count
from idp.written import is_written

LONGEST_REASON = 500

MOST_TRIES = 20
"""How often it is tried to lend a keyset that others replace meanwhile."""


class TooManyLeasesError(IdpError):
    """The application holds the maximum number of leases."""

    kind, retry_after = Kind.TOO_MANY, 1
    code = "TooManyLeases"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"This application holds {most} live leases, which is the limit. Return those that are no longer needed "
            "(DELETE /v1/leases/<uid>), or ask for them for a shorter time."
        )


class NotLentError(IdpError):
    """The application cannot lease anything: it has no permission for that."""

    kind = Kind.DENIED

    def __init__(self) -> None:
        sentence = (
            "Leasing keysets requires a role with the permission {permission}, on the {realm} or on a project that the "
            "keyset is for. An administrator can grant one."
        )
        super().__init__(Sentence(sentence, permission=LEASE))


@dataclass(frozen=True)
class TakenLease:
    """A lease that was taken, with the values that it is for. They are given out this once."""

    uid: str
    keyset: KnownKeyset
    expires_at: datetime
    values: dict[str, str] = field(repr=False)


class _Outcome(Enum):
    """What became of a lease that was to be stored."""

    TAKEN = "taken"
    CHANGED = "changed"
    """The keyset is not what it was: it has other values, is for other projects, or is gone."""
    FULL = "full"
    """The application holds too many."""
    REFUSED = "refused"


_Entry = tuple[dict[str, Any], dict[str, Any]]
"""A lease and its audit entry, as columns."""


def take_lease(
    realm: KnownRealm,
    application: KnownApplication,
    held_roles: Sequence[HeldRole],
    address: str,
    named: str,
    reason: str,
    seconds: int | None,
) -> TakenLease:
    """Lease a keyset to an application, and commit that with its audit entry.

    What is in memory finds the keyset and opens it; whether it may be lent at this moment, the statement that stores the lease
    decides, in one with that.

    :param held_roles: what the application's credential carries of its roles.
    :param named: uid of the keyset, or its name where only one has it.
    :param reason: what it is needed for, for the audit trail.
    :param seconds: how long; None for as long as the keyset allows. It ends no later than the grant.
    :raises NotLentError: the application cannot lease anything.
    :raises NotFoundError: there is no keyset that it may lease.
    :raises InvalidMembersError: the reason or the time has no usable value.
    :raises KeysetDamagedError: the values cannot be decrypted.
    :raises TooManyLeasesError: the application holds the maximum number of leases.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON or not is_written(reason):
        raise InvalidMembersError([("reason", f"Say in one line of 1 to {LONGEST_REASON} characters what it is needed for")])
    if not any(access.may(held_roles, LEASE, project) for project in {"", *(each.project for each in held_roles)}):
        raise NotLentError
    for _ in range(MOST_TRIES):
        taken = _try_to_take(realm, application, held_roles, address, named, reason, seconds)
        if taken is not None:
            count("realmgate_leases_taken", 1)
            return taken
        realm.runtime.feed.confirm_now()  # what was in memory has just changed
    raise StorageUnavailableError("The keyset keeps being changed. Try again in a few seconds.")


def _try_to_take(
    realm: KnownRealm,
    application: KnownApplication,
    held_roles: Sequence[HeldRole],
    address: str,
    named: str,
    reason: str,
    seconds: int | None,
) -> TakenLease | None:
    lent = [(each, until) for each in known_keysets(realm, named) if (until := lent_until(held_roles, each.projects))]
    if len(lent) != 1:
        raise _not_found()
    keyset, until = lent[0]
    if seconds is not None and not 1 <= seconds <= keyset.max_lease_seconds:
        raise InvalidMembersError([("seconds", f"This keyset can be leased for 1 to {keyset.max_lease_seconds} seconds")])
    now = clock.now()
    asked = now + timedelta(seconds=keyset.max_lease_seconds if seconds is None else seconds)
    expires_at = asked if math.isinf(until) else min(asked, datetime.fromtimestamp(until, UTC))
    values = keyset.open(realm)
    lease_uid = str(uuid.uuid4())
    row = {
        "uid": lease_uid,
        "created_at": now,
        "realm_id": realm.id,
        "keyset_id": keyset.id,
        "keyset_uid": keyset.uid,
        "keyset_name": keyset.name,
        "version": keyset.version,
        "application_id": application.id,
        "application_uid": application.uid,
        "client_id": application.client_id,
        "reason": reason,
        "address": address,
        "expires_at": expires_at,
    }
    most = realm.runtime.settings.leases_per_application
    match _store(realm, row | {"as_of": keyset.updated_at, "most": most}):
        case _Outcome.TAKEN:
            return TakenLease(lease_uid, keyset, expires_at, values)
        case _Outcome.CHANGED:
            return None
        case _Outcome.FULL:
            raise TooManyLeasesError(most)
    raise _not_found()


def _store(realm: KnownRealm, row: dict[str, Any]) -> "_Outcome":
    """Store a lease with its audit entry, if the keyset may be lent at this moment."""
    event = audit.event_values(
        row["created_at"],
        realm.name,
        Tag.LEASE_TAKE,
        f"application:{row['client_id']}",
        f"keyset:{row['keyset_name']}",
        row["address"],
        "success",
        uid=row["uid"],
        keyset=row["keyset_uid"],
        version=row["version"],
        reason=row["reason"],
        expires=row["expires_at"].isoformat(timespec="seconds"),
    )
    # SQLite has one writer; on PostgreSQL, realms do not wait for each other
    lines: dict[int, GroupCommit[_Entry, _Outcome]] = realm.runtime.extensions.setdefault("leases", {})
    line = lines.setdefault(0 if db.engine.dialect.name == "sqlite" else realm.id, GroupCommit(_write))
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
            elif connection.execute(_IS_CURRENT, row).first() is None:
                outcomes.append(_Outcome.CHANGED)
            else:
                has_room = connection.execute(select(_HAS_ROOM), row).scalar_one()
                outcomes.append(_Outcome.REFUSED if has_room else _Outcome.FULL)
    return outcomes


def _not_found() -> NotFoundError:
    return NotFoundError(
        "There is no keyset with this uid, nor exactly one with this name, that the caller may lease (not found)."
    )


_COLUMNS = (
    "uid", "created_at", "realm_id", "keyset_id", "keyset_uid", "keyset_name", "version", "application_id", "application_uid",
    "client_id", "reason", "address", "expires_at",
)  # fmt: skip # a list of words
_GIVEN = {name: bindparam(name, type_=Lease.__table__.c[name].type) for name in _COLUMNS}
_HOLD_REALM = sql("SELECT 1 FROM realm WHERE id = :realm_id FOR SHARE")
_RECORD = insert(AuditEvent)
_AS_OF = bindparam("as_of", type_=Keyset.__table__.c.updated_at.type)
_IS_CURRENT = (
    select(literal(1))
    .select_from(Keyset)
    .where(Keyset.id == _GIVEN["keyset_id"], Keyset.version == _GIVEN["version"], Keyset.updated_at == _AS_OF)
)
_MOST = bindparam("most", type_=Integer())
_HELD = aliased(Lease)
_HAS_ROOM = (
    select(func.count())
    .select_from(
        select(literal(1))
        .select_from(_HELD)
        .where(
            _HELD.realm_id == _GIVEN["realm_id"],
            _HELD.client_id == _GIVEN["client_id"],
            _HELD.ended_at.is_(None),
            _HELD.expires_at > _GIVEN["created_at"],
        )
        .limit(_MOST)
        .subquery()
    )
    .scalar_subquery()
    < _MOST
)
"""That the application holds fewer leases than it may. It counts no further than that."""

_TAKE = (
    insert(Lease)
    .from_select(
        [*_COLUMNS, "end_reason", "ended_by"],
        select(*_GIVEN.values(), literal(""), literal("")).where(
            exists(_IS_CURRENT),
            _HAS_ROOM,
            working(_GIVEN["application_id"], _GIVEN["realm_id"]),
            permitting(_GIVEN["application_id"], _GIVEN["keyset_id"], _GIVEN["expires_at"]),
        ),
    )
    .returning(Lease.id)
)
