"""The life of organisations that takes several domains: signing up, approval with its mails, the purge after deletion."""

from idp.organisations.models import SignUp
from idp.organisations.purge import purge_due_realms, purge_realm
from idp.organisations.sign_up import (
    SignUpClosedError,
    SignUpMode,
    SignUpWish,
    approve,
    find_sign_up,
    forget_old_sign_ups,
    sign_up,
    verify_sign_up,
)

__all__ = [
    "SignUp",
    "SignUpClosedError",
    "SignUpMode",
    "SignUpWish",
    "approve",
    "find_sign_up",
    "forget_old_sign_ups",
    "purge_due_realms",
    "purge_realm",
    "sign_up",
    "verify_sign_up",
]
