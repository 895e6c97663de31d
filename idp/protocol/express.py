"""The way of token requests, introspection and UserInfo past Flask's routing and request context: a fifth of an ES256 answer.

Everything else of the endpoints is the same for whoever calls them; see docs/benchmarks.md for what this is worth.
"""

import re
from collections.abc import Callable

from idp.protocol.cross_origin import answer
from idp.protocol.introspect import introspect
from idp.protocol.token import token
from idp.protocol.userinfo import userinfo
from idp.web.body import Environ
from idp.web.express import AnyAnswer

_PATH = re.compile(r"/auth/realms/([^/]+)/protocol/openid-connect/(token|token/introspect|userinfo)")

_ANSWERS: dict[tuple[str, str], Callable[[str, Environ], AnyAnswer]] = {
    ("POST", "token"): token,
    ("POST", "token/introspect"): introspect,
    ("GET", "userinfo"): userinfo,
    ("POST", "userinfo"): userinfo,
}


def answer_at_once(environ: Environ) -> AnyAnswer | None:
    """Return the answer to a request for or about a token, or for UserInfo; None for any other request."""
    match = _PATH.fullmatch(environ["PATH_INFO"])
    view = _ANSWERS.get((environ["REQUEST_METHOD"], match[2])) if match is not None else None
    if match is None or view is None:
        return None
    realm = match[1]
    return answer(environ, realm, lambda: view(realm, environ))
