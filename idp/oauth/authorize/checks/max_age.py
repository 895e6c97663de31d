"""The parameter max_age."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError


def max_age(request: AuthorizationRequest) -> None:
    """See how long ago the person may have signed in, in seconds (OpenID Connect Core §3.1.2.1)."""
    asked = request.text("max_age")
    if not asked:
        return
    if not (asked.isascii() and asked.isdigit()) or len(asked) > 10:
        raise InvalidRequestError("max_age takes a number of seconds.")
    request.max_age = int(asked)
