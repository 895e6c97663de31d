"""What is set for a tenant, as far as it is about identity."""

from flask import Response

from idp import realms
from idp.api.answers import answer
from idp.callers import Caller
from idp.compat.runai.answers import Shape
from idp.errors import NotFoundError

_SETTINGS: dict[str, Shape] = {
    "autoRedirectSSO": {"enabled": False, "idpAlias": None},
    "browserSessionTimeout": {"idleTimeout": None},
    "logoutRedirectUri": {"uri": None},
}
"""None of these can be set here."""


def list_providers(caller: Caller) -> Response:  # noqa: ARG001
    """Say that nobody signs in by another identity provider here."""
    return answer([])


def get_settings(caller: Caller) -> Response:
    """Show what is set about security."""
    realm = realms.get_realm(caller.realm.name)
    caller.require("realm:read")
    return answer(_SETTINGS | {"sessionMaxHours": realm.session_hours, "accessKeyMaxHours": realm.api_key_hours})


def get_setting(caller: Caller, key: str) -> Response:
    """Show one setting."""
    caller.require("realm:read")
    if key not in _SETTINGS:
        raise NotFoundError(f"There is no such setting (not found). There are {', '.join(_SETTINGS)}.")
    return answer(_SETTINGS[key])
