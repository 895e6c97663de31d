"""Who sees which grants, and who gives and takes which roles."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from idp import access, clock
from idp.access import Grant, GrantState, Holder, Role
from idp.callers import DeniedError
from idp.db import db
from idp.errors import ConflictError, NotFoundError, Sentence
from idp.realms import Realm
from idp.rules.authority import Authority

READ, WRITE = "grants:read", "grants:write"


def listed(authority: Authority) -> list[str] | None:
    """Return the names of the only projects whose grants the caller may list; None for all, and those on the realm.

    :raises DeniedError: there is none.
    """
    return authority.projects_with(READ)


def check_listing(authority: Authority, project: str) -> None:
    """See that the caller may list the grants on a project, or on the realm where it is empty.

    :raises DeniedError: they may not.
    """
    authority.require(READ, project)


def sees(authority: Authority, grant: Grant) -> bool:
    """Tell whether the caller may see a grant: by a role on the realm, or on the project that it is on."""
    return authority.can(READ, grant.project.name if grant.project else "")


def sees_all(authority: Authority, project: str = "") -> bool:
    """Tell whether the caller may see every grant on the realm, or on a project."""
    return authority.can(READ, project)


def visible_of(authority: Authority, holder: Holder) -> list[Grant]:
    """Return what somebody holds, as far as the caller may see it."""
    return [grant for grant in access.list_grants(authority.realm, holder=holder) if sees(authority, grant)]


def visible(authority: Authority, uid: str) -> Grant:
    """Return a grant that the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    grant = db.session.scalar(access.grant_listing(authority.realm, uid=uid).query)
    if not isinstance(grant, Grant) or not sees(authority, grant):
        raise NotFoundError("There is no grant with this uid (not found).")
    return grant


def check_giving_somewhere(authority: Authority) -> None:
    """See that the caller may give some role somewhere.

    :raises DeniedError: they may not.
    """
    authority.require_somewhere(WRITE)


def can_give(authority: Authority, role: Role, project: str = "") -> bool:
    """Tell whether the caller could give a role now, on a project, or anywhere where it is empty."""
    places = {project} if project else {"", *(each.project for each in authority.held)}
    return any(access.may_grant(authority.held, role.permissions, place) for place in places)


def is_last_to_give(authority: Authority, holder: Holder, role: str) -> bool:
    """Tell whether nobody else could give roles in the realm, were this role taken from somebody."""
    if WRITE not in access.get_role(authority.realm, role).permissions:
        return False
    givers = access.page_of_grants(authority.realm, permitting=WRITE, on_realm=True, state="live", limit=20)
    return all((each.holder_kind, each.holder_id) == (holder.kind.value, holder.id) for each in givers)


def check_giving(authority: Authority, project: str) -> None:
    """See that the caller may give some role on a project, or on the realm where it is empty.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE, project)


def create(authority: Authority, holder: Holder, role: str, *, project: str = "", until: datetime | None = None) -> Grant:
    """Give somebody a role that they do not hold there yet; see `give`.

    :raises ConflictError: they hold it.
    """
    realm = authority.realm
    if access.find_grant(realm, holder, role, project=project or None) is not None:
        raise ConflictError("This role is held there already. PATCH the grant to change its end.")
    give(authority, holder, role, project=project, until=until)
    db.session.flush()
    grant = access.find_grant(realm, holder, role, project=project or None)
    if grant is None:
        raise NotFoundError("The grant is gone.")
    return grant


def set_roles(authority: Authority, holder: Holder, roles: Sequence[str], *, project: str = "") -> None:
    """Let somebody hold exactly these roles on the realm, or on a project: give what is missing, take what is too much.

    What is given ends when the giver could not give it any more.

    :raises DeniedError: the caller may not give or take one of them.
    :raises NotFoundError: there is no such role or project.
    """
    authority.require(WRITE, project)
    wanted = {access.get_role(authority.realm, role).name for role in roles}
    now = clock.now()
    held = {
        grant.role.name
        for grant in access.list_grants(authority.realm, holder=holder)
        if (grant.project.name if grant.project else "") == project and grant.state(now) is GrantState.LIVE
    }
    for role in sorted(wanted ^ held):
        if role in wanted:
            give(authority, holder, role, project=project)
        else:
            take(authority, holder, role, project=project)


def give(authority: Authority, holder: Holder, role: str, *, project: str = "", until: datetime | None = None) -> datetime | None:
    """Give somebody a role on the realm, or on a project, or give it another end.

    :param until: its end; None for none. It ends no later than the giver could give it.
    :returns: when it ends.
    :raises DeniedError: the caller may not give it, or it is held for longer than that.
    :raises NotFoundError: there is no such role or project.
    """
    end = _check_grant(authority, role, project)
    _check_held(authority.realm, holder, role, project, end)
    latest = None if math.isinf(end) else datetime.fromtimestamp(end, UTC)
    ends = min((time for time in (until, latest) if time is not None), default=None)
    access.grant_role(authority.realm, holder, role, project=project or None, until=ends)
    return ends


def take(authority: Authority, holder: Holder, role: str, *, project: str = "") -> None:
    """Take a role from somebody.

    :raises DeniedError: the caller could not give it either, or not for so long.
    :raises NotFoundError: there is no such role or project, or it is not held.
    """
    check_taking(authority, holder, role, project=project)
    access.remove_grant(authority.realm, holder, role, project=project or None)


def check_taking(authority: Authority, holder: Holder, role: str, *, project: str = "") -> None:
    """See whether the caller may take a role from somebody.

    :raises DeniedError: the caller could not give it either, or not for so long.
    :raises NotFoundError: there is no such role or project.
    """
    _check_held(authority.realm, holder, role, project, _check_grant(authority, role, project))


def _check_grant(authority: Authority, role: str, project: str) -> float:
    """Return until when the caller may give or take a role (seconds since 1970).

    :raises DeniedError: not now.
    """
    authority.require(WRITE, project)
    permissions = access.get_role(authority.realm, role).permissions
    end = access.granting_until(authority.held, permissions, project)
    if not end:
        where = (
            Sentence("project {project}", project=project) if project else Sentence("{realm} {name}", name=authority.realm.name)
        )
        sentence = "The caller cannot assign or remove role {role!r} on {where}: it permits more than the caller can do there."
        raise DeniedError(Sentence(sentence, role=role, where=where))
    return end


def _check_held(realm: Realm, holder: Holder, role: str, project: str, end: float) -> None:
    """See that what is held already is held for no longer than the caller could give it.

    Otherwise somebody whose own role ends could shorten another's until it is no more than their own, and then manage them.

    :raises DeniedError: it is held for longer.
    """
    grant = access.find_grant(realm, holder, role, project=project or None)
    if grant is not None and (grant.until.timestamp() if grant.until is not None else math.inf) > end:
        raise DeniedError(
            f"{holder.name!r} holds role {role!r} for longer than the caller could assign it: the caller cannot change that."
        )
