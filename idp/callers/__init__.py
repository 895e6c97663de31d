"""Who calls, by whatever credential, and what they may do."""

from idp.callers.authenticate import (
    CredentialError,
    authenticate_key,
    authenticate_token,
    identify_again,
    introspect,
    realm_of_token,
)
from idp.callers.key_rules import (
    KeyWish,
    check_change,
    held_by,
    make_key,
    may_exceed_limits,
    own_holder,
    readable_key,
    rotate_key,
    set_key_active,
    writable_key,
)
from idp.callers.models import Caller, CredentialKind, DeniedError
from idp.callers.people_rules import manageable_user, set_roles, visible_user

__all__ = [
    "Caller",
    "CredentialError",
    "CredentialKind",
    "DeniedError",
    "KeyWish",
    "authenticate_key",
    "authenticate_token",
    "check_change",
    "held_by",
    "identify_again",
    "introspect",
    "make_key",
    "manageable_user",
    "may_exceed_limits",
    "own_holder",
    "readable_key",
    "realm_of_token",
    "rotate_key",
    "set_key_active",
    "set_roles",
    "visible_user",
    "writable_key",
]
