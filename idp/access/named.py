"""What roles and projects have in common: a name in their realm, by which they are created, found, and listed."""

from typing import TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from idp import audit
from idp.access.models import Grant, Project, Role
from idp.db import AfterColon, db, holds, is_meant
from idp.errors import ConflictError, NotFoundError, Sentence, Term
from idp.paging import Listing
from idp.realms import Realm, check_name

Named = TypeVar("Named", Role, Project)


def create_named(kind: type[Named], tag: audit.Tag, realm: Realm, name: str, text: str) -> Named:
    """Create a role or a project.

    :param text: its description.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: name or description cannot be used.
    """
    noun = kind.__tablename__
    check_name(f"a {noun}", name)
    if db.session.scalar(select(kind.id).where(kind.realm_id == realm.id, kind.name == name)) is not None:
        sentence = Sentence("{Realm} already has a {noun} {name!r}.", realm=realm.name, noun=Term(noun), name=name)
        raise ConflictError(sentence, field="name")
    row = kind(realm_id=realm.id, name=name, description=text, created_by=audit.current_actor().name)
    db.session.add(row)
    db.session.flush()
    audit.record(tag, realm.name, f"{noun}:{name}", uid=row.uid)
    return row


def get_named(kind: type[Named], realm: Realm, name: str) -> Named:
    """Return a role or a project by name.

    :raises NotFoundError: there is none of this name.
    """
    row = db.session.scalar(select(kind).where(kind.realm_id == realm.id, kind.name == name))
    if row is None:
        raise not_found(kind, realm, name)
    return row


def find_meant(kind: type[Named], realm: Realm, named: str) -> Named | None:
    """Return the role or project that is given by its uid or its name, or None."""
    return db.session.scalar(select(kind).where(kind.realm_id == realm.id, is_meant(kind, named)))


def find_by_uid(kind: type[Named], realm: Realm, uid: str) -> Named | None:
    """Return a role or a project by uid, or None."""
    return db.session.scalar(select(kind).where(kind.realm_id == realm.id, kind.uid == uid))


def find_by_number(kind: type[Named], realm: Realm, number: int) -> Named | None:
    """Return a role or a project by its row number, for contracts with numeric ids; None if there is none."""
    found = db.session.get(kind, number) if 0 < number < 2**31 else None
    return found if found is not None and found.realm_id == realm.id else None


def not_found(kind: type[Named], realm: Realm, named: str) -> NotFoundError:
    """Return the error for a name that nothing of this kind has."""
    noun = kind.__tablename__
    sentence = Sentence("{Realm} has no {noun} {name!r}.", realm=realm.name, noun=Term(noun), name=named[:80])
    return NotFoundError(sentence).leading_to(f"list {noun}s", realm=realm.name)


def listing_of(kind: type[Named], query: Select[Named], containing: str, *searched: InstrumentedAttribute[str]) -> Listing:
    """Return roles or projects as a list in pages.

    :param containing: only those whose name, description, or one of the columns `searched` contains this, ignoring case.
    """
    if containing:
        query = query.where(or_(*(holds(column, containing) for column in (kind.name, kind.description, *searched))))
    fields = {
        "name": kind.name,
        "uid": kind.uid,
        "created": kind.created_at,
        "updated": func.coalesce(kind.updated_at, kind.created_at),
        "maker": AfterColon(kind.created_by),
    }
    return Listing(query, kind.id, {"name": kind.name}, fields=fields)


def refuse_if_held(condition: ColumnElement[bool], what: str) -> None:
    """See that no grant fulfils a condition.

    :raises ConflictError: one does.
    """
    holders = db.session.scalars(select(Grant.holder_name).where(condition).distinct().order_by(Grant.holder_name).limit(3)).all()
    if holders:
        count = db.session.scalar(select(func.count()).select_from(Grant).where(condition))
        raise ConflictError(
            f"{what} is in use, by {count} of the grants (of {', '.join(holders)} …): remove them first."
        ).leading_to("remove grants")
