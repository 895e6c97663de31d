"""The parameter claims."""

import json
from typing import Any

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError
from idp.tokens import ACR, SCOPED_CLAIMS


def claims(request: AuthorizationRequest) -> None:
    """See which claims are asked for by name, as far as the application may ask for their scope (OpenID Connect Core §5.5).

    What is unknown is left out, also if it is essential (§5.5.1). Only an essential `acr` that nobody can have is refused
    (§5.5.1.1), and a `sub` says who is meant.
    """
    text = request.text("claims")
    if not text:
        return
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError("claims is not JSON.") from None
    id_token, userinfo = _member(asked, "id_token"), _member(asked, "userinfo")
    request.named_in_id_token, request.named_in_userinfo = _named(request, id_token), _named(request, userinfo)
    _check_values(request, id_token)


def _member(asked: Any, name: str) -> dict[str, Any]:
    member = (asked.get(name) or {}) if isinstance(asked, dict) else None
    if not isinstance(member, dict):
        raise InvalidRequestError("claims takes an object with the members id_token and userinfo, objects too.")
    return member


def _named(request: AuthorizationRequest, asked: dict[str, Any]) -> frozenset[str]:
    allowed = request.application.scopes
    return frozenset(name for name in asked if name in SCOPED_CLAIMS and (not allowed or SCOPED_CLAIMS[name] in allowed))


def _check_values(request: AuthorizationRequest, id_token: dict[str, Any]) -> None:
    acr, sub = id_token.get("acr"), id_token.get("sub")
    if isinstance(acr, dict) and acr.get("essential") is True:
        wanted = acr.get("values", [acr["value"]] if "value" in acr else [ACR])
        if not isinstance(wanted, list) or ACR not in wanted:
            raise InvalidRequestError(f"No sign-in here has the acr that is asked for. There is {ACR}.")
    if isinstance(sub, dict) and isinstance(sub.get("value"), str):
        if request.hinted_subject not in {"", sub["value"]}:
            raise InvalidRequestError("claims and id_token_hint name two different people.")
        request.hinted_subject = sub["value"]
