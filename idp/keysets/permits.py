"""Whether an application may lease a keyset: by roles that are in memory, and as a condition on rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from idp import clock
from idp.access import Grant, HeldRole, HolderKind, Role
from idp.applications import Application
from idp.keysets.models import KeysetProject
from idp.realms import Realm

LEASE = "keysets:lease"
"""The permission to lease keysets."""


def lent_until(held: Sequence[HeldRole], projects: Sequence[str]) -> float:
    """Return until when roles permit leasing a keyset that is for some projects, or for the realm.

    :returns: seconds since 1970; 0 if they do not permit it, infinite without an end.
    """
    now = clock.now().timestamp()  # not in whole seconds: a grant that has just ended permits nothing
    ends = [
        each.until
        for each in held
        if now < each.until and LEASE in each.permissions and (not each.project or each.project in projects)
    ]
    return max(ends, default=0)


def permitting(application_id: Any, keyset_id: Any, until: Any) -> ColumnElement[bool]:
    """Return the condition that an application holds, until some time at least, a role by which it may lease a keyset."""
    grant = aliased(Grant)
    lasting = or_(grant.until.is_(None), grant.until >= until)
    return exists(_permitting_grants(grant, application_id, keyset_id).where(lasting))


def last_end(application_id: Any, keyset_id: Any) -> Any:
    """Return the subquery of when the last grant ends by which an application may lease a keyset, if all of them end."""
    grant = aliased(Grant)
    return _permitting_grants(grant, application_id, keyset_id).with_only_columns(func.max(grant.until)).scalar_subquery()


def _permitting_grants(grant: Any, application_id: Any, keyset_id: Any) -> Select[int]:
    role, on = aliased(Role), aliased(KeysetProject)
    return (
        select(literal(1))
        .select_from(grant)
        .join(role, role.id == grant.role_id)
        .where(
            grant.holder_kind == HolderKind.APPLICATION.value,
            grant.holder_id == application_id,
            or_(grant.project_id.is_(None), grant.project_id.in_(select(on.project_id).where(on.keyset_id == keyset_id))),
            cast(role.permissions, String).contains(f'"{LEASE}"'),
        )
    )


def working(application_id: Any, realm_id: Any) -> ColumnElement[bool]:
    """Return the condition that an application is there and works."""
    return exists(
        select(literal(1))
        .select_from(Application)
        .join(Realm, Realm.id == Application.realm_id)
        .where(Application.id == application_id, Application.realm_id == realm_id, Application.enabled, Realm.enabled)
    )
