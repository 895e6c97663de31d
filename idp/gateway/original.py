"""The request that a proxy asks about: its method and path, from where only the proxy can have written them.

Headers are no such place by themselves. The HTTP server below makes one name of `X-Forwarded-Uri` and `X_Forwarded_Uri`,
so where a proxy passes headers with underscores on, a client could overwrite what the proxy has set. The URL of the check
cannot be overwritten; headers count only where the URL says so, for the proxies that cannot write one.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from idp.errors import IdpError, Kind
from idp.protected_apis import path_of
from idp.web.body import Environ

_IN_QUERY = re.compile(r"method=([A-Za-z]{1,20})&uri=(/.*|%2[Ff].*)", re.DOTALL)
_BY_HEADERS = "headers=forwarded"


class UnclearRequestError(IdpError):
    """It cannot be told what the proxy asks about."""

    kind = Kind.DENIED


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """What a client has asked the proxy for."""

    method: str
    path: str
    """Without the query, as it was sent."""


def original_request(environ: Environ, rest: str) -> OriginalRequest:
    """Return the request that a check is about.

    :param rest: what follows the API's name in the path of the check, with its slash; empty for nothing.
    :raises UnclearRequestError: it is not told, or told in two ways.
    """
    query: str = environ.get("QUERY_STRING", "")
    if rest:
        # Envoy: the check has the method of the request, and its path behind a prefix
        return OriginalRequest(environ["REQUEST_METHOD"], rest)
    if match := _IN_QUERY.fullmatch(query):
        # nginx, and Caddy, which escapes it: `uri` comes last, and whatever it holds is part of it
        uri = match[2] if match[2].startswith("/") else unquote(match[2])
        return OriginalRequest(match[1].upper(), path_of(uri))
    if query == _BY_HEADERS:
        # Traefik, which cannot do otherwise; docs/gateway.md says which headers it must drop
        method, uri = environ.get("HTTP_X_FORWARDED_METHOD", ""), environ.get("HTTP_X_FORWARDED_URI", "")
        if method.isalpha() and method.isascii() and uri.startswith("/") and not re.search(r",\s*/", uri):
            return OriginalRequest(method.upper(), path_of(uri))
    raise UnclearRequestError(
        "The proxy does not say what it asks about. Add ?method=<method>&uri=<path and query> to the URL of the check, in this "
        "order, or ?headers=forwarded if it sends X-Forwarded-Method and X-Forwarded-Uri."
    )
