"""Who sees and makes tokens with which applications register themselves."""

from idp import registrations
from idp.callers import DeniedError
from idp.errors import Sentence
from idp.registrations import RegistrationToken, RegistrationTokenSheet
from idp.rules import applications
from idp.rules.authority import Authority
from idp.rules.delegation import owns_realm, refuse_admitted


def check_reading(authority: Authority) -> None:
    """See that the caller may see the registration tokens of the realm, without their values.

    :raises DeniedError: they may not.
    """
    authority.require(applications.READ)


def can_read(authority: Authority) -> bool:
    """Tell whether the caller may see the registration tokens of the realm."""
    return authority.can(applications.READ)


def can_change(authority: Authority) -> bool:
    """Tell whether the caller may make and revoke registration tokens."""
    return owns_realm(authority)


def check_changing(authority: Authority) -> None:
    """See that the caller may make and revoke registration tokens: they let strangers have people sign in to what they run.

    :raises DeniedError: the caller is no administrator of the realm, or only for a while.
    """
    refuse_admitted(authority)
    if not can_change(authority):
        raise DeniedError(Sentence("Only an administrator of the {realm} can manage registration tokens."))


def create(authority: Authority, sheet: RegistrationTokenSheet) -> tuple[RegistrationToken, str]:
    """Make a registration token, whose value is returned and shown now or never; see `registrations.create_token`.

    :raises DeniedError: the caller may not.
    """
    check_changing(authority)
    return registrations.create_token(authority.realm, sheet)


def visible(authority: Authority, uid: str) -> RegistrationToken:
    """Return a registration token.

    :raises DeniedError: the caller may not see it.
    :raises NotFoundError: there is none.
    """
    check_reading(authority)
    return registrations.get_token(authority.realm, uid)


def revoke(authority: Authority, uid: str) -> RegistrationToken:
    """End a registration token; see `registrations.revoke_token`.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none.
    """
    check_changing(authority)
    row = registrations.get_token(authority.realm, uid)
    registrations.revoke_token(authority.realm, row)
    return row
