"""The life of organisations that takes several domains: signing up, approval with its mails, the purge after deletion."""

from idp.organisations.models import SignUp
from idp.organisations.purge import purge_due_realms, purge_realm
from idp.organisations.restored import Credential, RestoreReport, acts_since, end_what_was_restored, list_doubtful
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
    "Credential",
    "RestoreReport",
    "SignUp",
    "SignUpClosedError",
    "SignUpMode",
    "SignUpWish",
    "acts_since",
    "approve",
    "end_what_was_restored",
    "find_sign_up",
    "forget_old_sign_ups",
    "list_doubtful",
    "purge_due_realms",
    "purge_realm",
    "sign_up",
    "verify_sign_up",
]
