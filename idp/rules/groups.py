"""Who sees and changes which groups. Nobody lends by one what they could not give."""

from idp import access, clock, users
from idp.access import GrantState, Role
from idp.callers import DeniedError
from idp.errors import NotFoundError
from idp.rules.authority import Authority
from idp.rules.delegation import covers
from idp.rules.users import READ, WRITE
from idp.rules.users import manageable as manageable_user
from idp.users import Group, User


def check_listing(authority: Authority) -> None:
    """See that the caller may list groups.

    :raises DeniedError: they may not.
    """
    authority.require_somewhere(READ)


def sees(authority: Authority) -> bool:
    """Tell whether the caller may see groups."""
    return authority.can_somewhere(READ)


def check_creating(authority: Authority) -> None:
    """See that the caller may make groups.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def visible(authority: Authority, named: str) -> Group:
    """Return a group that the caller may see, by uid or name; any other is not there (T73).

    :raises NotFoundError: there is none.
    """
    group = users.find_group(authority.realm, named)
    if group is None or not sees(authority):
        raise NotFoundError("There is no group with this uid or name (not found).").leading_to(
            "list groups", realm=authority.realm.name
        )
    return group


def manageable(authority: Authority, group: Group) -> Group:
    """Return a group that the caller may change and delete.

    :raises DeniedError: the caller may not, or it holds what the caller could not give.
    """
    authority.require(WRITE)
    if not covers(authority, users.group_holder(group)):
        raise DeniedError("This group holds roles that the caller could not assign: only a caller who could can change it.")
    return group


def strong_roles(authority: Authority, group: Group) -> list[Role]:
    """Return the strong roles that a new member of a group would come to hold; none if the caller could add nobody."""
    holder = users.group_holder(group)
    if not authority.can(WRITE) or not covers(authority, holder):
        return []
    held = [each for each in access.list_grants(authority.realm, holder=holder) if each.state(clock.now()) is GrantState.LIVE]
    return [each.role for each in held if access.is_strong(each.role.permissions, each.project.name if each.project else "")]


def add_member(authority: Authority, group: Group, uid: str) -> User:
    """Put a user into a group, who then holds what it holds.

    :raises DeniedError: the caller could not give that, or not manage this user.
    """
    user = manageable_user(authority, uid)
    manageable(authority, group)
    users.add_member(authority.realm, group, user)
    return user


def remove_member(authority: Authority, group: Group, uid: str) -> User:
    """Take a user out of a group; see `add_member`."""
    user = manageable_user(authority, uid)
    manageable(authority, group)
    users.remove_member(authority.realm, group, user)
    return user
