"""Who holds a role, by the names that the world knows them by."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from idp import applications, users
from idp.access import Grant, Holder, HolderKind
from idp.applications import Application
from idp.db import db, is_uid
from idp.errors import NotFoundError, Sentence, Term
from idp.realms import Realm
from idp.users import Group, User

_TABLES: dict[str, type[Application | User | Group]] = {
    HolderKind.APPLICATION.value: Application,
    HolderKind.USER.value: User,
    HolderKind.GROUP.value: Group,
}


_KEPT = "_realmgate_holder"
"""What a grant keeps whoever holds it under, once that is read."""


def find_holder(realm: Realm, kind: HolderKind, named: str) -> Holder:
    """Return who can hold roles, by uid or name.

    :raises NotFoundError: there is none.
    """
    match kind:
        case HolderKind.APPLICATION:
            application = applications.find_application(realm, named)
            holder = applications.holder_of(application) if application is not None else None
        case HolderKind.USER:
            user = users.find_user(realm, named)
            holder = users.holder_of(user) if user is not None else None
        case HolderKind.GROUP:
            group = users.find_group(realm, named)
            holder = users.group_holder(group) if group is not None else None
    if holder is None:
        raise NotFoundError(Sentence("There is no {kind} with this uid or name (not found).", kind=Term(kind.value)))
    return holder


def holders_named(realm: Realm, named: Collection[str], kinds: Collection[HolderKind] = tuple(HolderKind)) -> list[Holder]:
    """Return all of these kinds whose uid or name is one of these; who is not there is left out."""
    uids = {each.lower() for each in named if is_uid(each)}
    names = {each for each in named if not is_uid(each)}
    names |= {users.canonical(each) for each in names}
    found: list[Holder] = []
    for kind in kinds:
        table: Any = _TABLES[kind.value]
        rows = db.session.scalars(
            select(table).where(table.realm_id == realm.id, or_(table.uid.in_(uids), table.name.in_(names))).order_by(table.id)
        )
        found += [_holder_of(row) for row in rows]
    return found


def _holder_of(row: Application | User | Group) -> Holder:
    match row:
        case Application():
            return applications.holder_of(row)
        case User():
            return users.holder_of(row)
    return users.group_holder(row)


def holder_of_grant(realm: Realm, grant: Grant) -> Holder:
    """Return who holds a role by a grant."""
    return find_holder(realm, HolderKind(grant.holder_kind), uid_of_holder(grant))


def uid_of_holder(grant: Grant) -> str:
    """Return the uid of who holds a role by a grant; empty when they are gone."""
    row = _holder_row(grant)
    return row.uid if row is not None else ""


def address_of_holder(grant: Grant) -> str:
    """Return what addresses who holds a role by a grant: the name, or the uid where that would be taken for another's."""
    return uid_of_holder(grant) if is_uid(grant.holder_name) else grant.holder_name


def _holder_row(grant: Grant) -> Application | User | Group | None:
    row = vars(grant).get(_KEPT) or db.session.get(_TABLES[grant.holder_kind], grant.holder_id)
    return row if isinstance(row, Application | User | Group) else None


def last_use_of_holder(grant: Grant) -> datetime | None:
    """Return when an application last got a token, or a user last signed in; None for groups, and when they never did."""
    match row := _holder_row(grant):
        case Application():
            return row.last_used_at
        case User():
            return row.last_sign_in_at
    return None


def read_holders(grants: Collection[Grant]) -> None:
    """Read all who hold roles by these grants in one statement for each kind, so that `uid_of_holder` asks no more.

    Each grant keeps who holds it: the session forgets rows that nobody else knows.
    """
    ids: dict[str, set[int]] = {kind: set() for kind in _TABLES}
    for grant in grants:
        ids[grant.holder_kind].add(grant.holder_id)
    found: dict[tuple[str, int], Any] = {}
    for kind, table in _TABLES.items():
        if ids[kind]:
            rows: Iterable[Any] = db.session.scalars(select(table).where(table.id.in_(ids[kind])))
            found |= {(kind, row.id): row for row in rows}
    for grant in grants:
        vars(grant)[_KEPT] = found.get((grant.holder_kind, grant.holder_id))
