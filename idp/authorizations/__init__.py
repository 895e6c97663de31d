"""What people let applications do for them: the sign-in to an application, its refresh tokens, and the consent behind it."""

from idp.authorizations import notices
from idp.authorizations.connections import Connection, list_connections
from idp.authorizations.consents import agree, forget_consents, has_agreed, take_back
from idp.authorizations.devices import (
    INTERVAL,
    add_device,
    asks_too_often,
    decide,
    find_device,
    find_waiting,
    forget_devices,
    read_user_code,
    shown_user_code,
)
from idp.authorizations.devices import LIFETIME as DEVICE_LIFETIME
from idp.authorizations.known import KnownAuthorization, known_authorization, read_authorization
from idp.authorizations.models import Authorization, Consent, DeviceRequest, LogoutNotice, PushedRequest
from idp.authorizations.pushed import LIFETIME as PUSHED_LIFETIME
from idp.authorizations.pushed import PREFIX as PUSHED
from idp.authorizations.pushed import find_pushed, forget_pushed, push, take_up
from idp.authorizations.service import (
    Beginning,
    Begun,
    End,
    Refreshed,
    RefusedError,
    begin,
    burn,
    end,
    end_of_code,
    end_of_pair,
    end_of_session,
    find_active,
    find_refreshed,
    forget_old,
    get,
    move,
    rotate,
)

__all__ = [
    "DEVICE_LIFETIME",
    "INTERVAL",
    "PUSHED",
    "PUSHED_LIFETIME",
    "Authorization",
    "Beginning",
    "Begun",
    "Connection",
    "Consent",
    "DeviceRequest",
    "End",
    "KnownAuthorization",
    "LogoutNotice",
    "PushedRequest",
    "Refreshed",
    "RefusedError",
    "add_device",
    "agree",
    "asks_too_often",
    "begin",
    "burn",
    "decide",
    "end",
    "end_of_code",
    "end_of_pair",
    "end_of_session",
    "find_active",
    "find_device",
    "find_pushed",
    "find_refreshed",
    "find_waiting",
    "forget_consents",
    "forget_devices",
    "forget_old",
    "forget_pushed",
    "get",
    "has_agreed",
    "known_authorization",
    "list_connections",
    "move",
    "notices",
    "push",
    "read_authorization",
    "read_user_code",
    "rotate",
    "shown_user_code",
    "take_back",
    "take_up",
]
