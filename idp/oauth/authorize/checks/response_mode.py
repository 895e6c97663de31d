"""The parameter response_mode."""

from idp.applications import is_private
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

RESPONSE_MODES = ("query", "form_post")
"""How an answer can be carried; discovery is made from this. No fragment: it is where tokens used to be."""


def response_mode(request: AuthorizationRequest) -> None:
    """See how the answer is to be carried (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode)."""
    asked = request.text("response_mode") or "query"
    if asked not in RESPONSE_MODES or "response_mode" in request.unverified.repeated:
        raise InvalidRequestError("response_mode must be query or form_post.")
    if asked == "form_post" and is_private(request.redirect_uri):
        raise InvalidRequestError("response_mode=form_post takes a redirect_uri with http or https.")
    request.response_mode = asked
