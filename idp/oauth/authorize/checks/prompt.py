"""The parameter prompt."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

PROMPTS = ("none", "login", "consent", "select_account")
"""What can be asked for; discovery is made from this."""


def prompt(request: AuthorizationRequest) -> None:
    """See which pages are asked for, if none may be shown at all (OpenID Connect Core §3.1.2.1; R70, R71)."""
    asked = frozenset(request.text("prompt").split())
    if not asked.issubset(PROMPTS):
        raise InvalidRequestError("prompt takes none, login, consent and select_account.")
    if "none" in asked and len(asked) > 1:
        raise InvalidRequestError("prompt=none goes with no other value.")
    request.prompts = asked
