"""Who may see, make and change which keysets and leases."""

from collections.abc import Sequence
from dataclasses import replace

from idp import access, keysets
from idp.access import Project
from idp.applications import KnownApplication
from idp.callers.models import Caller, DeniedError
from idp.callers.people_rules import readable_projects
from idp.errors import NotFoundError
from idp.keysets import LEASE, Keyset, KeysetWish, Lease
from idp.realms import Realm
from idp.users import KnownUser
from idp.written import one_line

READ, WRITE = "keysets:read", "keysets:write"


def visible_keyset(caller: Caller, realm: Realm, named: str) -> Keyset:
    """Return a keyset that the caller may see, by uid, or by name where only one of those has it; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    seen = [keyset for keyset in keysets.find_keysets(realm, named) if sees_keyset(caller, realm, keyset)]
    if len(seen) != 1:
        raise NotFoundError("There is no keyset with this uid, nor exactly one with this name (not found).")
    return seen[0]


def sees_keyset(caller: Caller, realm: Realm, keyset: Keyset) -> bool:
    """Tell whether the caller may see a keyset: by a role on the realm, or on a project that it is for."""
    places = ("", *(project.name for project in keyset.projects))
    return any(caller.may(permission, realm=realm.name, project=place) for permission in (READ, LEASE) for place in places)


def writable_keyset(caller: Caller, realm: Realm, named: str) -> Keyset:
    """Return a keyset that the caller may change and delete.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and not change it.
    """
    keyset = visible_keyset(caller, realm, named)
    check_projects(caller, realm, keyset.projects)
    return keyset


def check_projects(caller: Caller, realm: Realm, projects: Sequence[Project]) -> None:
    """See that the caller may decide over keysets for exactly these projects; none for the whole realm.

    :raises DeniedError: not over all of them.
    """
    if may_write(caller, realm, projects):
        return
    if projects:
        # not which: the caller may not see all of them
        raise DeniedError(f"This call needs the permission {WRITE} on every project that the keyset is for, or on the realm.")
    caller.require(WRITE, realm=realm.name)


def may_write(caller: Caller, realm: Realm, projects: Sequence[Project]) -> bool:
    """Tell whether the caller may decide over keysets for exactly these projects; none for the whole realm."""
    places = [project.name for project in projects]
    everywhere = caller.may(WRITE, realm=realm.name)
    return everywhere or (bool(places) and all(caller.may(WRITE, realm=realm.name, project=each) for each in places))


def projects_to_write(caller: Caller, realm: Realm, named: Sequence[str]) -> list[Project]:
    """Return projects, by uid or name, for which the caller may decide over keysets; any other is not there (T73).

    :raises NotFoundError: one of them is none.
    :raises DeniedError: the caller may decide over no keyset at all.
    """
    if not caller.may_somewhere(WRITE, realm=realm.name):
        caller.require(WRITE, realm=realm.name)
    found = []
    for each in named:
        project = access.find_project(realm, each)
        if project is None or not caller.may(WRITE, realm=realm.name, project=project.name):
            raise NotFoundError(f"There is no project {one_line(each)[:80]!r} on which the caller can manage keysets.")
        found.append(project)
    return found


def make_keyset(caller: Caller, realm: Realm, category: str, entity: str, wish: KeysetWish) -> Keyset:
    """Make a keyset, which is assigned to the user who makes it unless it says otherwise; see `keysets.create_keyset`.

    :raises DeniedError: the caller may not, for these projects.
    """
    check_projects(caller, realm, wish.projects or ())
    _check_default(caller, realm, wish)
    if wish.user_id is None and isinstance(caller.subject, KnownUser) and caller.realm.name == realm.name:
        wish = replace(wish, user_id=caller.subject.id)
    return keysets.create_keyset(realm, category, entity, wish)


def change_keyset(caller: Caller, realm: Realm, keyset: Keyset, wish: KeysetWish) -> None:
    """Change a keyset; see `keysets.update_keyset` for the errors.

    :raises DeniedError: the caller may not change it, or not to be for these projects.
    """
    check_projects(caller, realm, keyset.projects)
    if wish.projects is not None:
        check_projects(caller, realm, wish.projects)
    if wish.is_default not in {None, keyset.is_default}:
        _check_default(caller, realm, wish)
    keysets.update_keyset(realm, keyset, wish)


def _check_default(caller: Caller, realm: Realm, wish: KeysetWish) -> None:
    """See that who makes a keyset the default one may change the one that was: that may be for any project."""
    if wish.is_default:
        caller.require(WRITE, realm=realm.name)


def listed_projects(caller: Caller, realm: Realm) -> list[str] | None:
    """Return the names of the only projects whose keysets the caller may list; None for all, and those of the realm itself.

    :raises DeniedError: there is none.
    """
    if caller.may(READ, realm=realm.name) or caller.may(LEASE, realm=realm.name):
        return None
    if not caller.may_somewhere(READ, realm=realm.name) and not caller.may_somewhere(LEASE, realm=realm.name):
        caller.require(READ, realm=realm.name)
    found: set[str] = set()
    for permission in (READ, LEASE):
        if caller.may_somewhere(permission, realm=realm.name):
            found.update(readable_projects(caller, realm, permission) or ())
    return sorted(found)


def borrower(caller: Caller) -> KnownApplication:
    """Return the application that calls.

    :raises DeniedError: somebody else does.
    """
    if not isinstance(caller.subject, KnownApplication):
        raise DeniedError("Only applications can lease keysets. People can view keysets, but never their values.")
    return caller.subject


def is_own_lease(caller: Caller, lease: Lease) -> bool:
    """Tell whether a lease is the calling application's."""
    return lease.application_uid == caller.subject.uid


def visible_lease(caller: Caller, realm: Realm, uid: str) -> Lease:
    """Return a lease that the caller may see: their own, or one of a keyset that they may read.

    :raises NotFoundError: there is none that the caller may see.
    """
    lease = keysets.find_lease(realm, uid)
    if lease is None or not (is_own_lease(caller, lease) or _may_on_keyset(caller, realm, lease, READ)):
        raise NotFoundError("There is no lease with this uid (not found).")
    return lease


def endable_lease(caller: Caller, realm: Realm, uid: str) -> Lease:
    """Return a lease that the caller may end.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and not end it.
    """
    lease = visible_lease(caller, realm, uid)
    if not is_own_lease(caller, lease) and not _may_on_keyset(caller, realm, lease, WRITE):
        caller.require(WRITE, realm=realm.name)
    return lease


def _may_on_keyset(caller: Caller, realm: Realm, lease: Lease, permission: str) -> bool:
    if caller.may(permission, realm=realm.name):
        return True
    keyset = keysets.find_keyset_by_uid(realm, lease.keyset_uid)
    return keyset is not None and any(
        caller.may(permission, realm=realm.name, project=project.name) for project in keyset.projects
    )
