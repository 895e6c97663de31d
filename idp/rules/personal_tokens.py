"""Who sees, makes and deletes which personal tokens."""

from idp import personal_tokens
from idp.callers import CredentialKind, DeniedError
from idp.errors import NotFoundError
from idp.personal_tokens import PersonalToken
from idp.rules import users
from idp.rules.authority import Authority
from idp.users import KnownUser, User

READ, WRITE = "personal-tokens:read", "personal-tokens:write"


def check_listing(authority: Authority) -> None:
    """See that the caller may list everybody's personal tokens.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def sees_all(authority: Authority) -> bool:
    """Tell whether the caller may see everybody's personal tokens."""
    return authority.can(READ)


def deletable(authority: Authority, token_id: str) -> tuple[PersonalToken, User]:
    """Return a personal token that the caller may delete, with its owner; one that they may not even see is not there.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not delete it.
    """
    row, user = visible(authority, token_id)
    owner_to_change(authority, user.uid)
    return row, user


def owner_to_list(authority: Authority, uid: str) -> User:
    """Return a user whose personal tokens the caller may list.

    :raises DeniedError: they may not.
    """
    return _owner(authority, uid, READ)


def owner_to_change(authority: Authority, uid: str) -> User:
    """Return a user whose personal tokens the caller may delete.

    :raises DeniedError: they may not.
    """
    return _owner(authority, uid, WRITE)


def visible(authority: Authority, token_id: str) -> tuple[PersonalToken, User]:
    """Return a personal token that the caller may see, with its owner; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    found = personal_tokens.find_with_owner(authority.realm.id, token_id)
    if found is None or not (authority.is_self(found[1].uid) or authority.can(READ)):
        raise NotFoundError("There is no personal token with this uid (not found).")
    return found


def maker(authority: Authority) -> KnownUser:
    """Return the user who may make a personal token: oneself, after signing in.

    :raises DeniedError: it is not for oneself, or nobody has signed in.
    """
    if authority.caller.kind is not CredentialKind.SESSION or not authority.is_home:
        raise DeniedError("Personal tokens are made for oneself, after signing in.")
    return authority.caller.user


def _owner(authority: Authority, uid: str, permission: str) -> User:
    if not authority.is_self(uid):
        authority.require(permission)
    elif authority.caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own personal tokens are managed after signing in, or at /auth/v1/tokens.")
    return users.visible(authority, uid)
