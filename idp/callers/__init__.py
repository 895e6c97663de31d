"""Who calls, by whatever credential, and what they may do."""

from idp.callers.access_rules import change_role, check_role, make_role, manageable_group, put_into_group, take_out_of_group
from idp.callers.application_rules import ApplicationWish, change_application, make_application, manageable_application
from idp.callers.authenticate import (
    CredentialError,
    authenticate_browser,
    authenticate_key,
    authenticate_token,
    identify_again,
    identify_browser_again,
    introspect,
    realm_of_token,
)
from idp.callers.first_start import ADMINISTRATOR, FirstSecretError, redeem_first_secret
from idp.callers.holders import find_holder, holder_of_grant, last_use_of_holder, read_holders, uid_of_holder
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
from idp.callers.people_rules import give_role, manageable_user, readable_projects, set_roles, take_role, visible_user

__all__ = [
    "ADMINISTRATOR",
    "ApplicationWish",
    "Caller",
    "CredentialError",
    "CredentialKind",
    "DeniedError",
    "FirstSecretError",
    "KeyWish",
    "authenticate_browser",
    "authenticate_key",
    "authenticate_token",
    "change_application",
    "change_role",
    "check_change",
    "check_role",
    "find_holder",
    "give_role",
    "held_by",
    "holder_of_grant",
    "identify_again",
    "identify_browser_again",
    "introspect",
    "last_use_of_holder",
    "make_application",
    "make_key",
    "make_role",
    "manageable_application",
    "manageable_group",
    "manageable_user",
    "may_exceed_limits",
    "own_holder",
    "put_into_group",
    "read_holders",
    "readable_key",
    "readable_projects",
    "realm_of_token",
    "redeem_first_secret",
    "rotate_key",
    "set_key_active",
    "set_roles",
    "take_out_of_group",
    "take_role",
    "uid_of_holder",
    "visible_user",
    "writable_key",
]
