"""Who sees and ends which sessions."""

from idp import sessions
from idp.callers import CredentialKind, DeniedError
from idp.errors import NotFoundError, Sentence
from idp.rules import users
from idp.rules.authority import Authority
from idp.sessions import UserSession
from idp.users import KnownUser, User

READ, WRITE = "sessions:read", "sessions:write"


def check_listing(authority: Authority, uid: str) -> None:
    """See that the caller may list the sessions of a user, or of the whole realm where it is empty.

    :raises DeniedError: they may not.
    """
    if not authority.is_self(uid):
        authority.require(READ)


def sees_all(authority: Authority) -> bool:
    """Tell whether the caller may see the sessions of everybody."""
    return authority.can(READ)


def visible(authority: Authority, uid: str) -> UserSession:
    """Return a session that the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    return _found(authority, uid, READ)


def endable(authority: Authority, uid: str) -> UserSession:
    """Return a session that the caller may end; one of others that they may not is not there.

    :raises NotFoundError: there is none.
    :raises DeniedError: it is their own, and they have not signed in.
    """
    row = _found(authority, uid, WRITE)
    if is_own(authority, row):
        _check_signed_in(authority)
    return row


def user_to_sign_out(authority: Authority, uid: str) -> User:
    """Return a user whose sessions the caller may end, all at once.

    :raises DeniedError: they may not.
    """
    if authority.is_self(uid):
        _check_signed_in(authority)
    else:
        authority.require(WRITE)
    return users.visible(authority, uid)


def is_own(authority: Authority, row: UserSession) -> bool:
    """Tell whether a session is the caller's own."""
    subject = authority.caller.subject
    return authority.is_home and isinstance(subject, KnownUser) and row.user_id == subject.id


def _found(authority: Authority, uid: str, permission: str) -> UserSession:
    row = sessions.get_session(authority.realm, uid)
    if not is_own(authority, row) and not authority.can(permission):
        raise NotFoundError(Sentence("{Realm} has no session {uid!r}.", realm=authority.realm.name, uid=uid[:80]))
    return row


def _check_signed_in(authority: Authority) -> None:
    if authority.caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own sessions are ended after signing in, not by a key or another token.")
