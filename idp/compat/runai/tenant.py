"""What is set for a tenant, as far as it is about identity."""

from flask import Response

from idp import rules
from idp.compat.runai.answers import Shape
from idp.errors import NotFoundError
from idp.rules import Authority
from idp.web.answers import answer

_SETTINGS: dict[str, Shape] = {
    "autoRedirectSSO": {"enabled": False, "idpAlias": None},
    "browserSessionTimeout": {"idleTimeout": None},
    "logoutRedirectUri": {"uri": None},
}
"""None of these can be set here."""


def list_providers(authority: Authority) -> Response:  # noqa: ARG001 (every view of the contract takes it)
    """Say that nobody signs in by another identity provider here."""
    return answer([])


def get_settings(authority: Authority) -> Response:
    """Show what is set about security."""
    realm = authority.at_home.realm
    rules.realms.check_reading(authority.at_home)
    return answer(_SETTINGS | {"sessionMaxHours": realm.session_hours, "accessKeyMaxHours": realm.api_key_hours})


def get_setting(authority: Authority, key: str) -> Response:
    """Show one setting."""
    rules.realms.check_reading(authority.at_home)
    if key not in _SETTINGS:
        raise NotFoundError(f"There is no such setting (not found). There are {', '.join(_SETTINGS)}.")
    return answer(_SETTINGS[key])
