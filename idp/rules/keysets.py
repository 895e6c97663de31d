"""Who may see, make and change which keysets and leases."""

from collections.abc import Collection, Sequence

from idp import access, keysets
from idp.applications import KnownApplication
from idp.callers import Caller, DeniedError
from idp.errors import NotFoundError, Sentence
from idp.keysets import LEASE, Keyset, KeysetSheet, Lease, Values
from idp.rules.authority import Authority
from idp.users import KnownUser
from idp.written import one_line

READ, WRITE = "keysets:read", "keysets:write"


def visible(authority: Authority, named: str) -> Keyset:
    """Return a keyset that the caller may see, by uid, or by name where only one of those has it; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    seen = [keyset for keyset in keysets.find_keysets(authority.realm, named) if sees(authority, keyset)]
    if len(seen) != 1:
        raise NotFoundError("There is no keyset with this uid, nor exactly one with this name (not found).")
    return seen[0]


def sees(authority: Authority, keyset: Keyset) -> bool:
    """Tell whether the caller may see a keyset: by a role on the realm, or on a project that it is for."""
    places = ("", *_places(keyset))
    return any(authority.can(permission, project=place) for permission in (READ, LEASE) for place in places)


def writable(authority: Authority, named: str) -> Keyset:
    """Return a keyset that the caller may change and delete.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and not change it.
    """
    keyset = visible(authority, named)
    check_projects(authority, _places(keyset))
    return keyset


def check_projects(authority: Authority, projects: Collection[str]) -> None:
    """See that the caller may decide over keysets for exactly these projects, by name; none for the whole realm.

    :raises DeniedError: not over all of them.
    """
    if can_write(authority, projects):
        return
    if projects:
        # not which: the caller may not see all of them
        sentence = "This call needs the permission {permission} on every project that the keyset is for, or on the {realm}."
        raise DeniedError(Sentence(sentence, permission=WRITE))
    authority.require(WRITE)


def can_change(authority: Authority, keyset: Keyset) -> bool:
    """Tell whether the caller may change and delete a keyset."""
    return can_write(authority, _places(keyset))


def can_write(authority: Authority, projects: Collection[str] = ()) -> bool:
    """Tell whether the caller may decide over keysets for exactly these projects, by name; none for the whole realm."""
    return authority.can(WRITE) or (bool(projects) and all(authority.can(WRITE, project=each) for each in projects))


def check_writing_somewhere(authority: Authority) -> None:
    """See that the caller may make some keyset: for the realm, or for a project.

    :raises DeniedError: they may not.
    """
    authority.require_somewhere(WRITE)


def names_to_write(authority: Authority) -> list[str]:
    """Return the names of the projects for which the caller may decide over keysets."""
    return [each.name for each in access.list_projects(authority.realm) if authority.can(WRITE, each.name)]


def projects_to_write(authority: Authority, named: Sequence[str]) -> list[str]:
    """Return the names of projects, by uid or name, for which the caller may decide over keysets; others are not there (T73).

    :raises NotFoundError: one of them is none.
    :raises DeniedError: the caller may decide over no keyset at all.
    """
    check_writing_somewhere(authority)
    found = []
    for each in named:
        project = access.find_project(authority.realm, each)
        if project is None or not authority.can(WRITE, project=project.name):
            raise NotFoundError(f"There is no project {one_line(each)[:80]!r} on which the caller can manage keysets.")
        found.append(project.name)
    return found


def create(
    authority: Authority, category: str, entity: str, sheet: KeysetSheet, values: Values, *, user_id: int | None = None
) -> Keyset:
    """Make a keyset, which is assigned to the user who makes it unless it says otherwise; see `keysets.create_keyset`.

    :raises DeniedError: the caller may not, for these projects.
    """
    check_projects(authority, sheet.projects)
    if sheet.is_default:
        _check_default(authority)
    if user_id is None and isinstance(authority.caller.subject, KnownUser) and authority.is_home:
        user_id = authority.caller.subject.id
    return keysets.create_keyset(authority.realm, category, entity, sheet, values, user_id=user_id)


def update(
    authority: Authority, keyset: Keyset, sheet: KeysetSheet, values: Values | None = None, *, user_id: int | None = None
) -> None:
    """Change a keyset; see `keysets.update_keyset` for the errors.

    :raises DeniedError: the caller may not change it, or not to be for these projects.
    """
    check_projects(authority, _places(keyset))
    check_projects(authority, sheet.projects)
    if sheet.is_default and not keyset.is_default:
        _check_default(authority)
    keysets.update_keyset(authority.realm, keyset, sheet, values, user_id=user_id)


def _check_default(authority: Authority) -> None:
    """See that who makes a keyset the default one may change the one that was: that may be for any project."""
    authority.require(WRITE)


def _places(keyset: Keyset) -> list[str]:
    return [project.name for project in keyset.projects]


def sees_any(authority: Authority) -> bool:
    """Tell whether the caller may see keysets, on the realm or on a project."""
    return any(authority.can_somewhere(permission) for permission in (READ, LEASE))


def listed(authority: Authority) -> list[str] | None:
    """Return the names of the only projects whose keysets the caller may list; None for all, and those of the realm itself.

    :raises DeniedError: there is none.
    """
    if authority.can(READ) or authority.can(LEASE):
        return None
    if not authority.can_somewhere(READ) and not authority.can_somewhere(LEASE):
        authority.require(READ)
    found: set[str] = set()
    for permission in (READ, LEASE):
        if authority.can_somewhere(permission):
            found.update(authority.projects_with(permission) or ())
    return sorted(found)


def sees_leases(authority: Authority, keyset: Keyset) -> bool:
    """Tell whether the caller may see who is lent a keyset."""
    return any(authority.can(READ, place) for place in ("", *_places(keyset)))


def listed_with_leases(authority: Authority) -> list[str] | None:
    """Return the names of the only projects whose keysets' leases the caller may list; None for all.

    :raises DeniedError: there is none.
    """
    return authority.projects_with(READ)


def listed_leases(authority: Authority) -> tuple[str, list[str] | None]:
    """Return whose leases the caller may list, by uid, and of which projects' keysets; empty, and None, for all.

    :raises DeniedError: the caller may list none, and has none.
    """
    if authority.can_somewhere(READ):
        return "", authority.projects_with(READ)
    if isinstance(authority.caller.subject, KnownApplication):
        return authority.caller.subject.uid, None
    authority.require(READ)
    return "", []


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


def visible_lease(authority: Authority, uid: str) -> Lease:
    """Return a lease that the caller may see: their own, or one of a keyset that they may read.

    :raises NotFoundError: there is none that the caller may see.
    """
    lease = keysets.find_lease(authority.realm, uid)
    if lease is None or not (is_own_lease(authority.caller, lease) or _can_on_keyset(authority, lease, READ)):
        raise NotFoundError("There is no lease with this uid (not found).")
    return lease


def endable_lease(authority: Authority, uid: str) -> Lease:
    """Return a lease that the caller may end.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and not end it.
    """
    lease = visible_lease(authority, uid)
    if not is_own_lease(authority.caller, lease) and not _can_on_keyset(authority, lease, WRITE):
        authority.require(WRITE)
    return lease


def _can_on_keyset(authority: Authority, lease: Lease, permission: str) -> bool:
    if authority.can(permission):
        return True
    keyset = keysets.find_keyset_by_uid(authority.realm, lease.keyset_uid)
    return keyset is not None and any(authority.can(permission, project=each) for each in _places(keyset))
