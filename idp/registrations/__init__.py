"""Applications that register themselves: the tokens for that, and what has become of them."""

from idp.registrations.models import Registration, RegistrationToken, TokenState
from idp.registrations.service import (
    ABANDONED_AFTER,
    BadTokenError,
    Registered,
    RegistrationOffError,
    create_token,
    find_registered,
    find_token,
    get_token,
    has_secret,
    register,
    remove_abandoned,
    revoke_token,
    token_listing,
)
from idp.registrations.sheet import RegistrationTokenSheet

__all__ = [
    "ABANDONED_AFTER",
    "BadTokenError",
    "Registered",
    "Registration",
    "RegistrationOffError",
    "RegistrationToken",
    "RegistrationTokenSheet",
    "TokenState",
    "create_token",
    "find_registered",
    "find_token",
    "get_token",
    "has_secret",
    "register",
    "remove_abandoned",
    "revoke_token",
    "token_listing",
]
