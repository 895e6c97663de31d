"""Grants: given, listed, changed, removed, and read for a token."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, delete, false, func, or_, select
from sqlalchemy.orm import Session, selectinload

from idp import audit, clock
from idp.access.held import HeldRole
from idp.access.models import Grant, HolderKind, Project, Role
from idp.access.projects import get_project
from idp.access.roles import get_role
from idp.db import AfterColon, db
from idp.errors import InvalidValueError, NotFoundError, Sentence
from idp.paging import Listing
from idp.realms import Realm, publish_application, publish_user


@dataclass(frozen=True)
class Holder:
    """Who holds a role."""

    kind: HolderKind
    id: int
    name: str
    key: str
    """What its memory in the workers goes by: an application's name, a user's uid."""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"

    @property
    def number(self) -> str:
        """What tells it from all others in the field `holder` of a list of grants."""
        return f"{self.kind.value}:{self.id}"


def publish_holder(realm: Realm, holder: Holder) -> None:
    """Tell every worker that what a holder holds has changed; a group's members hold it too."""
    if holder.kind is HolderKind.APPLICATION:
        publish_application(realm.name, holder.key)
    else:
        publish_user(realm.name, "*" if holder.kind is HolderKind.GROUP else holder.key)


def grant_role(
    realm: Realm,
    holder: Holder,
    role: str,
    *,
    project: str | None = None,
    until: datetime | None = None,
    past_ok: bool = False,
) -> Grant:
    """Assign a role on the realm or on one project; change the end date if it is already assigned.

    :param until: end of the grant, in the future; None for no end.
    :param past_ok: accept an end that has passed, for realm files that keep ended grants.
    :raises NotFoundError: the realm has no such role or project.
    :raises InvalidValueError: the end date has passed.
    """
    held_role = get_role(realm, role)
    on_project = get_project(realm, project) if project is not None else None
    if until is not None and until <= clock.now() and not past_ok:
        raise InvalidValueError(
            f"The grant would end on {until:%Y-%m-%d %H:%M} UTC, which has passed. Use a later date.", field="until"
        )
    grant = db.session.scalar(_held(holder, held_role, on_project))
    detail: dict[str, Any] = {"role": role, "project": project, "until": until and until.isoformat(timespec="seconds")}
    if grant is None:
        grant = Grant(
            realm_id=realm.id,
            holder_kind=holder.kind.value,
            holder_id=holder.id,
            holder_name=holder.name,
            role=held_role,
            project=on_project,
            until=until,
            granted_by=audit.current_actor().name,
        )
        db.session.add(grant)
        audit.record(audit.Tag.GRANT_CREATE, realm.name, str(holder), **detail)
    elif grant.until != until:
        grant.until = until
        audit.record(audit.Tag.GRANT_UPDATE, realm.name, str(holder), **detail)
    publish_holder(realm, holder)
    return grant


def find_grant(realm: Realm, holder: Holder, role: str, *, project: str | None = None) -> Grant | None:
    """Return the grant by which somebody holds a role on the realm or on one project, or None."""
    on_project = get_project(realm, project) if project is not None else None
    return db.session.scalar(_held(holder, get_role(realm, role), on_project))


def find_grant_by_number(realm: Realm, number: int) -> Grant | None:
    """Return a grant by row number, for contracts with numeric ids; None if there is none."""
    found = db.session.get(Grant, number) if 0 < number < 2**31 else None
    return found if found is not None and found.realm_id == realm.id else None


def remove_grant(realm: Realm, holder: Holder, role: str, *, project: str | None = None) -> None:
    """Remove a role from its holder.

    :raises NotFoundError: it is not assigned.
    """
    held_role = get_role(realm, role)
    on_project = get_project(realm, project) if project is not None else None
    grant = db.session.scalar(_held(holder, held_role, on_project))
    if grant is None:
        where = Sentence("project {project!r}", project=project) if project else Sentence("the {realm}")
        sentence = Sentence("{name!r} does not hold role {role!r} on {where}.", name=holder.name, role=role, where=where)
        raise NotFoundError(sentence).leading_to("list grants", realm=realm.name)
    db.session.delete(grant)
    audit.record(audit.Tag.GRANT_DELETE, realm.name, str(holder), role=role, project=project)
    publish_holder(realm, holder)


def remove_all_grants(holder: Holder) -> None:
    """Remove all grants of a holder that is deleted."""
    db.session.execute(delete(Grant).where(Grant.holder_kind == holder.kind.value, Grant.holder_id == holder.id))


def list_grants(realm: Realm, *, holder: Holder | None = None, project: str | None = None) -> Sequence[Grant]:
    """Return grants by holder, project and role: all of the realm, of one holder, or on one project."""
    query = held_listing(realm, holder=holder, project=project).query
    return db.session.scalars(query.order_by(Grant.holder_name, Project.name.is_not(None), Project.name, Role.name)).all()


def held_listing(realm: Realm, *, holder: Holder | None = None, project: str | None = None) -> Listing:
    """Return grants as a list in pages, also by `holder`: all of the realm, of one holder, or on one project."""
    query = (
        select(Grant)
        # each has a role: a database leaves out what it need not look at, and may do so with outer joins alone
        .outerjoin(Role, Role.id == Grant.role_id)
        .outerjoin(Project, Project.id == Grant.project_id)
        .where(Grant.realm_id == realm.id)
        .options(selectinload(Grant.role), selectinload(Grant.project))
    )
    if holder is not None:
        query = query.where(Grant.holder_kind == holder.kind.value, Grant.holder_id == holder.id)
    if project is not None:
        query = query.where(Grant.project_id == get_project(realm, project).id)
    return Listing(query, Grant.id, {"holder": Grant.holder_name})


def grants_of_each(realm: Realm, kind: HolderKind, holder_ids: Collection[int]) -> Sequence[Grant]:
    """Return what several holders of one kind hold, by the row numbers of the holders; see `list_grants` for the order."""
    query = held_listing(realm).query.where(Grant.holder_kind == kind.value, Grant.holder_id.in_(holder_ids))
    query = query.order_by(Grant.holder_id, Project.name.is_not(None), Project.name, Role.name)
    return db.session.scalars(query).all()


def page_of_grants(realm: Realm, *, after: int = 0, limit: int = 50, **filters: Any) -> Sequence[Grant]:
    """Return grants in the order in which they were assigned.

    :param after: only those with a larger row number, for the next page.
    :param filters: see `grant_listing`.
    """
    query = grant_listing(realm, **filters).query
    return db.session.scalars(query.where(Grant.id > after).order_by(Grant.id).limit(limit)).all()


def grant_listing(
    realm: Realm,
    *,
    holder: str = "",
    role: str = "",
    project: str = "",
    state: str = "",
    projects: Sequence[str] | None = None,
    permitting: str = "",
    on_realm: bool = False,
    reaching: str = "",
    roles: Sequence[str] | None = None,
    uid: str = "",
    holders: Sequence[Holder] | None = None,
) -> Listing:
    """Return grants as a list in pages.

    :param holder: only of holders whose name, or kind and name, contains this.
    :param role: only of this role.
    :param project: only on this project.
    :param state: only those that are `live`, have `ended`, or are `ending` within 30 days.
    :param projects: only on these projects; None for all, and the whole realm.
    :param permitting: only of roles that permit this.
    :param on_realm: only those on the whole realm.
    :param reaching: only those that count on this project: on it, or on the whole realm.
    :param roles: only of these roles; None for all.
    :param uid: only this one.
    :param holders: only of these; None for all.
    """
    query = (
        select(Grant)
        # each has a role: a database leaves out what it need not look at, and may do so with outer joins alone
        .outerjoin(Role, Role.id == Grant.role_id)
        .outerjoin(Project, Project.id == Grant.project_id)
        .where(Grant.realm_id == realm.id)
        .options(selectinload(Grant.role), selectinload(Grant.project))
    )
    if holder:
        kind, colon, name = holder.partition(":")
        query = query.where(Grant.holder_name.contains(name if colon else holder, autoescape=True))
        query = query.where(Grant.holder_kind == kind) if colon else query
    if permitting:
        query = query.where(cast(Role.permissions, String).contains(f'"{permitting}"', autoescape=True))
    conditions: list[tuple[object, Any]] = [
        (role, Role.name == role),
        (project, Project.name == project),
        (projects is not None, Project.name.in_(projects or ())),
        (on_realm, Grant.project_id.is_(None)),
        (reaching, or_(Grant.project_id.is_(None), Project.name == reaching)),
        (roles is not None, Role.name.in_(roles or ())),
        (uid, Grant.uid == uid),
        (holders is not None, _is_held_by(holders or ())),
    ]
    now = clock.now()
    match state:
        case "live":
            query = query.where(or_(Grant.until.is_(None), Grant.until > now))
        case "ended":
            query = query.where(Grant.until <= now)
        case "ending":
            query = query.where(Grant.until > now, Grant.until <= now + clock.SOON)
    query = query.where(*(condition for asked, condition in conditions if asked))
    return Listing(query, Grant.id, {"holder": Grant.holder_name}, fields=_fields(realm, now))


def _fields(realm: Realm, now: datetime) -> dict[str, Any]:
    """Return what grants can be narrowed and put in order by. The place of one on the whole realm is the realm."""
    return {
        "holder": Grant.holder_kind.concat(":").concat(cast(Grant.holder_id, String)),
        "holder-name": Grant.holder_name,
        "holder-kind": Grant.holder_kind,
        "role": Role.name,
        "role-number": Role.id,
        "place": case((Grant.project_id.is_(None), "realm"), else_="project"),
        "place-uid": func.coalesce(Project.uid, realm.uid),
        "place-name": func.coalesce(Project.name, realm.name),
        "number": Grant.id,
        "created": Grant.created_at,
        "updated": func.coalesce(Grant.updated_at, Grant.created_at),
        "maker": AfterColon(Grant.granted_by),
        "state": case((Grant.until <= now, "ended"), else_="live"),
    }


def _is_held_by(holders: Sequence[Holder]) -> ColumnElement[bool]:
    ids = {kind: [holder.id for holder in holders if holder.kind is kind] for kind in HolderKind}
    return or_(*(and_(Grant.holder_kind == kind.value, Grant.holder_id.in_(of_kind)) for kind, of_kind in ids.items()))


def holders_on(realm: Realm, projects: Collection[str], kind: HolderKind) -> Select[int]:
    """Return the row numbers of all who hold a role on one of these projects, as a subquery."""
    # by their numbers: told a name, a database cannot tell how few hold anything there, and may look at all holders one by one
    meant = db.session.scalars(select(Project.id).where(Project.realm_id == realm.id, Project.name.in_(projects))).all()
    return select(Grant.holder_id).where(Grant.project_id.in_(meant), Grant.holder_kind == kind.value)


def holders_of(realm: Realm, role: str, kind: HolderKind) -> Select[int]:
    """Return the row numbers of all who hold a role on the realm themselves, as a subquery; of none if there is no such role."""
    # by its number: told a name, a database cannot tell that nearly all hold the role, and sorts all of them for a page
    meant = db.session.scalar(select(Role.id).where(Role.realm_id == realm.id, Role.name == role))
    now_held = or_(Grant.until.is_(None), Grant.until > clock.now())
    held = Grant.role_id == meant if meant is not None else false()
    return select(Grant.holder_id).where(held, Grant.project_id.is_(None), now_held, Grant.holder_kind == kind.value)


def read_held_roles(session: Session, kind: HolderKind, holder_id: int, group_ids: Sequence[int] = ()) -> list[HeldRole]:
    """Read what a holder holds itself and through its groups, ended grants included, in one statement.

    What is held in several ways is held until the last of them ends.
    """
    is_holder = and_(Grant.holder_kind == kind.value, Grant.holder_id == holder_id)
    if group_ids:
        is_holder |= and_(Grant.holder_kind == HolderKind.GROUP.value, Grant.holder_id.in_(group_ids))
    rows = session.execute(
        select(Role.name, Role.permissions, Project.uid, Project.name, Grant.until)
        .join(Role, Role.id == Grant.role_id)
        .outerjoin(Project, Project.id == Grant.project_id)
        .where(is_holder)
        .order_by(Project.name, Role.name)
    ).all()
    held: dict[tuple[str, str], HeldRole] = {}
    for role, permissions, uid, project, until in rows:
        ends = until.timestamp() if until else float("inf")
        other = held.get((project or "", role))
        if other is None or other.until < ends:
            held[project or "", role] = HeldRole(role, uid or "", project or "", ends, frozenset(permissions))
    return list(held.values())


def _held(holder: Holder, role: Role, project: Project | None) -> Select[Grant]:
    return select(Grant).where(
        Grant.holder_kind == holder.kind.value,
        Grant.holder_id == holder.id,
        Grant.role_id == role.id,
        Grant.project_id == project.id if project else Grant.project_id.is_(None),
    )
