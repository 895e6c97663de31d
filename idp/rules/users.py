"""Who sees and manages which people. Nobody manages somebody who may do more than they may themselves."""

from idp import runtime, users
from idp.callers import DeniedError
from idp.errors import NotFoundError
from idp.rules.authority import Authority
from idp.rules.delegation import covers, frozen_for, refuse_admitted
from idp.users import User, UserKind, UserSheet

READ, WRITE = "users:read", "users:write"


def check_listing(authority: Authority) -> None:
    """See that the caller may list people: who gives roles on a project must be able to see to whom.

    :raises DeniedError: they may not.
    """
    authority.require_somewhere(READ)


def check_creating(authority: Authority) -> None:
    """See that the caller may add people.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)
    refuse_admitted(authority)


def check_key_hours(authority: Authority, hours: int | None, before: int | None = None) -> None:
    """See that the caller may let somebody's own keys live for so many hours: it is a longer life of keys that is given.

    :raises DeniedError: they may not.
    """
    if hours != before:
        authority.require("api-keys:write")


def visible(authority: Authority, uid: str) -> User:
    """Return a user whom the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    user = users.find_user_by_uid(authority.realm, uid)
    is_self = user is not None and authority.is_self(user.uid)
    if user is None or not (is_self or authority.can_somewhere(READ)):
        raise NotFoundError("There is no user with this uid (not found).").leading_to("list users", realm=authority.realm.name)
    return user


def manageable(authority: Authority, uid: str) -> User:
    """Return a user whom the caller may invite, change, disable or delete.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not.
    """
    authority.require(WRITE)
    refuse_admitted(authority)
    user = visible(authority, uid)
    if not covers(authority, users.holder_of(user)):
        raise DeniedError(
            "This user has permissions that the caller does not have: only a caller with all of them can manage the user."
        )
    return user


def can_hand_over(authority: Authority, user: User) -> bool:
    """Tell whether the caller may pass an invitation on themselves: on a server that sends no mail, to whom they may manage."""
    is_open = user.kind == UserKind.PERSON.value and user.enabled and not user.password_hash
    return (
        is_open and not runtime.current().settings.smtp_host and authority.can(WRITE) and covers(authority, users.holder_of(user))
    )


def hand_over_invitation(authority: Authority, uid: str) -> str:
    """Make an invitation that the caller passes on themselves, and return its one-time code.

    A server that sends mail keeps codes from everybody but whom they are for (R107).

    :raises NotFoundError: there is no such user.
    :raises DeniedError: the caller may not invite them, or the server sends mail.
    :raises ConflictError: the user needs no invitation.
    """
    user = manageable(authority, uid)
    if runtime.current().settings.smtp_host:
        raise DeniedError("This server sends invitations by email, and shows them to nobody else.")
    return users.hand_over_invitation(authority.realm, user)


def update(authority: Authority, uid: str, sheet: UserSheet) -> User:
    """Change a user whom the caller may manage to what a sheet says.

    Whoever chooses where somebody's one-time codes go could come to act as them: so the address is limited as a key is that is
    made for somebody else.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not.
    """
    user = manageable(authority, uid)
    check_key_hours(authority, sheet.api_key_hours, user.api_key_hours)
    before = user.email
    users.update_user(authority.realm, user, sheet)
    if user.email != before:
        users.limit_address(user, limited=frozen_for(authority, users.holder_of(user)) is not None)
    return user
