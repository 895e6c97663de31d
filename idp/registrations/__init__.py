"""Applications that register themselves: the tokens for that, and what has become of them."""

from idp.registrations.models import Registration, RegistrationToken, TokenState
from idp.registrations.service import (
    ABANDONED_AFTER,
    BadTokenError,
    OwnMaster,
    Registered,
    RegistrationOffError,
    create_token,
    end_all,
    find_registered,
    find_token,
    get_token,
    register,
    remove,
    remove_abandoned,
    replace,
    revoke_token,
    token_listing,
)
from idp.registrations.sheet import RegistrationTokenSheet

__all__ = [
    "ABANDONED_AFTER",
    "BadTokenError",
    "OwnMaster",
    "Registered",
    "Registration",
    "RegistrationOffError",
    "RegistrationToken",
    "RegistrationTokenSheet",
    "TokenState",
    "create_token",
    "end_all",
    "find_registered",
    "find_token",
    "get_token",
    "register",
    "remove",
    "remove_abandoned",
    "replace",
    "revoke_token",
    "token_listing",
]
