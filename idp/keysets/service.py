"""Keysets: created, listed, updated, given new values, deleted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import selectinload

from idp import access, audit, clock, feed
from idp.access import Project
from idp.db import db, holds, is_meant
from idp.errors import ConflictError, InvalidMembersError, NotFoundError
from idp.keysets.kinds import FIXED, key_types
from idp.keysets.leases import end_leases_of, review_leases
from idp.keysets.models import Keyset, KeysetKey, KeysetProject, KeysetVersion, Lease
from idp.keysets.sealing import seal_values
from idp.keysets.sheet import KeysetSheet
from idp.keysets.ssh import fingerprint
from idp.paging import Listing
from idp.realms import Realm, lock_realm

MOST_VERSIONS = 100
"""Versions of a keyset that are listed: the last ones."""

LONGEST_VALUE = 16_384
"""Characters of a value."""

Values = Sequence[tuple[str, str]]
"""Types of keys with their values, as they are sent: a type may wrongly come twice."""


class DuplicateKeysetError(ConflictError):
    """The realm already has a keyset of this name, category and entity."""


def create_keyset(
    realm: Realm, category: str, entity: str, sheet: KeysetSheet, values: Values, *, user_id: int | None = None
) -> Keyset:
    """Store a keyset.

    :param sheet: with a name.
    :param values: one for each key of the entity.
    :param user_id: whom it is assigned to.
    :raises DuplicateKeysetError: there is one of this name, category and entity.
    :raises InvalidMembersError: the values are not those that the entity takes. They are not repeated.
    :raises NotFoundError: it is for a project that the realm does not have.
    """
    lock_realm(realm.name)
    marks = _check_values(category, entity, values)
    keyset = Keyset(realm_id=realm.id, name="", category=category, entity=entity, version=0, sealed_data_key="", user_id=user_id)
    _set(realm, keyset, sheet, sheet.model_dump())
    db.session.add(keyset)
    db.session.flush()
    _store(realm, keyset, values, marks)
    audit.record(
        audit.Tag.KEYSET_CREATE,
        realm.name,
        target_of(keyset),
        uid=keyset.uid,
        category=category,
        entity=entity,
        projects=sheet.projects,
    )
    publish_keyset(realm, keyset)
    return keyset


def update_keyset(
    realm: Realm, keyset: Keyset, sheet: KeysetSheet, values: Values | None = None, *, user_id: int | None = None
) -> None:
    """Update a keyset. With values, it gets a new version; see `create_keyset` for the errors.

    :param user_id: whom it is assigned to from now on; None for whom it was.
    """
    lock_realm(realm.name)
    publish_keyset(realm, keyset)  # under its old name too
    changed = sheet.differing(keyset)
    _set(realm, keyset, sheet, changed)
    if user_id not in {None, keyset.user_id}:
        keyset.user_id = changed["user_id"] = user_id
    db.session.flush()
    if changed:
        keyset.updated_at = clock.now()
        audit.record(audit.Tag.KEYSET_UPDATE, realm.name, target_of(keyset), uid=keyset.uid, **changed)
    publish_keyset(realm, keyset)
    if "projects" in changed:
        review_leases(realm.name, Lease.keyset_id == keyset.id)
    if values is not None:
        replace_values(realm, keyset, values)


def replace_values(realm: Realm, keyset: Keyset, values: Values) -> int:
    """Replace the values of a keyset, and return the number of the new version.

    The old values are removed from the database. Active leases still have them: they show which version they hold.

    :raises InvalidMembersError: a key is missing or of another type, or a value is not usable.
    """
    lock_realm(realm.name)  # whoever takes a lease or replaces the values too waits, or has been served
    db.session.refresh(keyset, ["version"])
    marks = _check_values(keyset.category, keyset.entity, values)
    superseded = update(KeysetVersion).where(KeysetVersion.keyset_id == keyset.id, KeysetVersion.superseded_at.is_(None))
    db.session.execute(superseded.values(superseded_at=clock.now()))
    db.session.execute(delete(KeysetKey).where(KeysetKey.keyset_id == keyset.id))
    _store(realm, keyset, values, marks)
    keyset.updated_at = clock.now()
    audit.record(audit.Tag.KEYSET_REPLACE, realm.name, target_of(keyset), uid=keyset.uid, version=keyset.version)
    publish_keyset(realm, keyset)
    return keyset.version


def delete_keyset(realm: Realm, keyset: Keyset) -> None:
    """Delete a keyset with its keys. Its leases end."""
    lock_realm(realm.name)
    end_leases_of(realm, keyset)
    for table in (KeysetKey, KeysetVersion, KeysetProject):
        db.session.execute(delete(table).where(table.keyset_id == keyset.id))
    db.session.execute(delete(Keyset).where(Keyset.id == keyset.id))
    audit.record(audit.Tag.KEYSET_DELETE, realm.name, target_of(keyset), uid=keyset.uid)
    publish_keyset(realm, keyset)


def find_keysets(realm: Realm, named: str) -> Sequence[Keyset]:
    """Return the keyset of this uid, or those of this name: a name is one of its category and entity only."""
    meant = select(Keyset).where(Keyset.realm_id == realm.id, is_meant(Keyset, named))
    return db.session.scalars(meant.order_by(Keyset.id)).all()


def find_keyset_by_uid(realm: Realm, uid: str) -> Keyset | None:
    """Return a keyset by uid, or None."""
    return db.session.scalar(select(Keyset).where(Keyset.realm_id == realm.id, Keyset.uid == uid))


def get_keyset_by_number(realm: Realm, number: int) -> Keyset:
    """Return a keyset by its row number.

    :raises NotFoundError: there is none.
    """
    # no row has a number beyond the column's range, and PostgreSQL refuses to compare with one
    found = db.session.get(Keyset, number) if 0 < number < 2**31 else None
    if found is None or found.realm_id != realm.id:
        raise NotFoundError("There is no such keyset (not found).")
    return found


def keyset_listing(
    realm: Realm,
    *,
    containing: str = "",
    category: str = "",
    entity: str = "",
    project: str = "",
    projects: Sequence[str] | None = None,
    default: bool | None = None,
) -> Listing:
    """Return keysets as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param project: only those that are for this project by name.
    :param projects: only those that are for one of these projects; None for all, and those of the whole realm.
    :param default: only those that are, or are not, the default.
    """
    query = select(Keyset).where(Keyset.realm_id == realm.id)
    if containing:
        query = query.where(or_(holds(Keyset.name, containing), holds(Keyset.description, containing)))
    if category:
        query = query.where(Keyset.category == category)
    if entity:
        query = query.where(Keyset.entity == entity)
    if default is not None:
        query = query.where(Keyset.is_default == default)
    for names in ([project] if project else None, projects):
        if names is not None:
            on = select(KeysetProject.keyset_id).join(Project, Project.id == KeysetProject.project_id)
            query = query.where(Keyset.id.in_(on.where(Project.realm_id == realm.id, Project.name.in_(names))))
    query = query.options(selectinload(Keyset.keys).defer(KeysetKey.sealed_value), selectinload(Keyset.projects))
    return Listing(query, Keyset.id, {"name": Keyset.name})


def list_versions(keyset: Keyset) -> Sequence[KeysetVersion]:
    """Return the versions of a keyset, the newest first: at most the last hundred."""
    query = select(KeysetVersion).where(KeysetVersion.keyset_id == keyset.id)
    return db.session.scalars(query.order_by(KeysetVersion.number.desc()).limit(MOST_VERSIONS)).all()


def target_of(keyset: Keyset) -> str:
    """Return what the audit trail calls a keyset."""
    return f"keyset:{keyset.name}"


def publish_keyset(realm: Realm, keyset: Keyset) -> None:
    """Tell every worker that what it knows of a keyset is out of date."""
    feed.publish("keyset", f"{realm.name}/{keyset.uid}")
    feed.publish("keyset-name", f"{realm.name}/{keyset.name}")


def _set(realm: Realm, keyset: Keyset, sheet: KeysetSheet, changed: Mapping[str, Any]) -> None:
    """Set the fields of a sheet that change."""
    for name in changed:
        if name == "name":
            _refuse_taken(realm, keyset, sheet.name)
        if name == "is_default" and sheet.is_default:
            _unset_default(realm, keyset)
        setattr(keyset, name, _projects(realm, sheet.projects) if name == "projects" else changed[name])


def _projects(realm: Realm, names: Sequence[str]) -> list[Project]:
    return sorted((access.get_project(realm, name) for name in names), key=lambda project: project.id)


def _unset_default(realm: Realm, keyset: Keyset) -> None:
    """Have no other keyset of the category and entity be the default one."""
    others = select(Keyset).where(
        Keyset.realm_id == realm.id, Keyset.category == keyset.category, Keyset.entity == keyset.entity, Keyset.is_default
    )
    with db.session.no_autoflush:
        for other in db.session.scalars(others).all():
            if other is not keyset:
                other.is_default, other.updated_at = False, clock.now()
                audit.record(audit.Tag.KEYSET_UPDATE, realm.name, target_of(other), uid=other.uid, is_default=False)
                publish_keyset(realm, other)


def _refuse_taken(realm: Realm, keyset: Keyset, name: str) -> None:
    """See that no keyset of the category and entity has a name.

    :raises DuplicateKeysetError: one has it.
    """
    same = select(Keyset.id).where(
        Keyset.realm_id == realm.id, Keyset.category == keyset.category, Keyset.entity == keyset.entity, Keyset.name == name
    )
    with db.session.no_autoflush:
        if db.session.scalar(same) is not None:
            kind = f"{keyset.category} {keyset.entity}".strip()
            raise DuplicateKeysetError(f"There is a keyset {name!r} of {kind} already. Choose another name.")


def _check_values(category: str, entity: str, values: Values) -> dict[str, str]:
    """Return the fingerprint of each key, empty for most, if the values are those that the entity takes."""
    wanted = key_types(category, entity)
    given = [each for each, _ in values]
    kind = entity or category
    if sorted(given) != sorted(wanted):
        raise InvalidMembersError([("keys", f"A keyset of {kind} has exactly these keys, each once: {', '.join(wanted)}")])
    marks = {}
    for each, value in values:
        if not value or len(value) > LONGEST_VALUE or "\0" in value:
            raise InvalidMembersError([("keys", f"The value of {each} must have 1 to {LONGEST_VALUE} characters, and no NUL")])
        fixed = FIXED.get((entity, each))
        if fixed is not None and value != fixed:
            raise InvalidMembersError([("keys", f"The value of {each} must be {fixed}")])
        try:
            marks[each] = fingerprint(value) if category == "user_ssh" else ""
        except ValueError as error:
            raise InvalidMembersError([("keys", str(error))]) from None
    return marks


def _store(realm: Realm, keyset: Keyset, values: Values, marks: dict[str, str]) -> None:
    """Store values as the next version."""
    latest = db.session.scalar(select(func.max(KeysetVersion.number)).where(KeysetVersion.keyset_id == keyset.id))
    keyset.version = max(latest or 0, keyset.version) + 1
    order = list(key_types(keyset.category, keyset.entity))
    in_order: Iterable[tuple[str, str]] = sorted(values, key=lambda each: order.index(each[0]))
    keyset.sealed_data_key, sealed = seal_values(realm.uid, keyset.uid, keyset.version, in_order)
    db.session.add(KeysetVersion(keyset_id=keyset.id, number=keyset.version, created_by=audit.current_actor().name))
    for key_type, value in sealed:
        db.session.add(KeysetKey(keyset_id=keyset.id, key_type=key_type, fingerprint=marks[key_type], sealed_value=value))
    db.session.flush()
    db.session.expire(keyset, ["keys"])


def keysets_of(project: Project) -> int:
    """Return how many keysets are for a project."""
    return db.session.scalar(select(func.count()).where(KeysetProject.project_id == project.id)) or 0


def _refuse_deletion(project: Project) -> None:
    """Keep a project that keysets are for: without it they would be for the whole realm.

    :raises ConflictError: there are some.
    """
    number = keysets_of(project)
    if number:
        raise ConflictError(f"Project {project.name!r} is in use: {number} keysets are for it. Change or delete those first.")


access.before_deleting_project(_refuse_deletion)
