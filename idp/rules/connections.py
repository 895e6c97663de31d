"""Who sees and ends which sign-ins of people to applications: as with their sessions."""

from idp.rules import sessions, users
from idp.rules.authority import Authority
from idp.users import User


def sees_all(authority: Authority) -> bool:
    """Tell whether the caller may see the sign-ins of everybody."""
    return sessions.sees_all(authority)


def owner(authority: Authority, uid: str) -> User:
    """Return a user whose sign-ins to applications the caller may see.

    :raises DeniedError: they are somebody else's, and the caller may not.
    :raises NotFoundError: there is no such user.
    """
    sessions.check_listing(authority, uid)
    return users.visible(authority, uid)


def disconnectable(authority: Authority, uid: str) -> User:
    """Return a user whose sign-ins to applications the caller may end.

    :raises DeniedError: they may not.
    :raises NotFoundError: there is no such user.
    """
    return sessions.user_to_sign_out(authority, uid)
