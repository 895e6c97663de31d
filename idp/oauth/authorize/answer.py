"""What is sent to the client by way of the browser: a code or an error, with `state` and `iss` (RFC 6749 §4.1.2, RFC 9207)."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from idp.oauth.authorize.codes import make_code
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import ProtocolError
from idp.sessions import BrowserSession


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and where it goes."""

    redirect_uri: str
    response_mode: str
    parameters: dict[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """The URL that carries it in its query (RFC 6749 §4.1.2: what that had before, stays)."""
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(self.parameters)}"


def code_answer(request: AuthorizationRequest, session: BrowserSession) -> Answer:
    """Return the answer with a code."""
    return _answer(request, {"code": make_code(request, session)})


def error_answer(request: AuthorizationRequest, error: ProtocolError) -> Answer:
    """Return the answer that tells the client of an error (RFC 6749 §4.1.2.1)."""
    return _answer(request, {"error": error.error, "error_description": error.description})


def _answer(request: AuthorizationRequest, parameters: dict[str, str]) -> Answer:
    assert request.redirect_uri  # nobody is sent anywhere else (R2)
    state = {"state": request.state} if request.state and "state" not in request.unverified.repeated else {}
    return Answer(request.redirect_uri, request.response_mode, {**parameters, **state, "iss": request.realm.issuer})
