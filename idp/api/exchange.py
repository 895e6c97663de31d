"""`POST /v1/auth/exchange`: the key in the `apiKey` header for a session token, past Flask like the token endpoint."""

from urllib.parse import parse_qs

from flask import Response, request
from pydantic import Field
from typing_extensions import TypedDict

from idp import apikeys, clock, runtime
from idp.api.errors import answer_error
from idp.api.requests import public
from idp.api.schemas import Query
from idp.audit import Tag
from idp.errors import InvalidValueError
from idp.web.address import client_address
from idp.web.answers import NO_STORE, answer, write_with_tokens
from idp.web.body import Environ
from idp.web.credentials import Shown, read_credentials
from idp.web.express import Answer, AnyAnswer

PATH = "/v1/auth/exchange"
_HEADERS = [("Content-Type", "application/json"), *NO_STORE.items()]


def exchange(environ: Environ) -> "ExchangedShown":
    """Exchange a key; `scope=project:<name>` in the query narrows the token to projects."""
    process = runtime.current()
    process.feed.confirm()
    credentials = read_credentials(environ)
    if credentials.shown is not Shown.KEY:
        raise InvalidValueError("Send the API key in the header apiKey.")
    scope = _scope(environ.get("QUERY_STRING", ""))
    address = client_address(environ, process.settings.trusted_proxies)
    checked = apikeys.check_key(process, credentials.value, address, Tag.API_KEY_EXCHANGE)
    token = apikeys.exchange_key(checked, scope=scope)
    expires = clock.timestamp() + token.expires_in
    return {"Authorization": token.token, "isMfa": False, "expiresIn": token.expires_in, "expiresAt": expires}


def _scope(query: str) -> str:
    try:
        return " ".join(parse_qs(query, max_num_fields=20).get("scope", ())) if query else ""
    except ValueError:
        raise InvalidValueError("The query has more than 20 parameters. Use only scope.") from None


def answer_exchange(environ: Environ) -> AnyAnswer | None:
    """Return the answer to an exchange; None for any other request."""
    if environ["PATH_INFO"] != PATH:
        return None
    try:
        return Answer(write_with_tokens(exchange(environ), "Authorization"), [*_HEADERS])
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered)
        return answer_error(error)


class ScopeQuery(Query):
    """What a token is narrowed to."""

    scope: str = Field(default="", max_length=4_000)
    """`project:<name>`, several after a space each."""


class ExchangedShown(TypedDict):
    """A session token for a key."""

    Authorization: str
    isMfa: bool
    expiresIn: int
    expiresAt: int


@public(answers=ExchangedShown)
def exchange_key(query: ScopeQuery) -> Response:  # noqa: ARG001 (`exchange` reads it itself)
    """Exchange an API key, sent in the header `apiKey`, for a 15-minute session token."""
    return answer(exchange(request.environ))
