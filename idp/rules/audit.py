"""Who reads which audit trail."""

from idp import access
from idp.callers import DeniedError
from idp.errors import Sentence
from idp.realms import MASTER
from idp.rules.authority import Authority, permission_missing

READ = "audit:read"


def check_reading(authority: Authority) -> None:
    """See that the caller may read the trail of the realm.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def can_read(authority: Authority) -> bool:
    """Tell whether the caller may read the trail of the realm."""
    return authority.can(READ)


def check_reading_any(authority: Authority) -> None:
    """See that the caller may read the trail of any realm, of one that is gone too, and of the server.

    :raises DeniedError: they may not.
    """
    if not authority.is_operator:
        raise DeniedError(Sentence("This trail is for operators, who belong to {realm}.", realm=MASTER))
    if not access.may(authority.caller.held_roles, READ):
        raise permission_missing(READ, MASTER)
