"""The token endpoint's way past Flask's routing and request context, which cost a fifth of an ES256 answer.

Everything else of the endpoint is the same for whoever calls it; see docs/benchmarks.md for what this is worth.
"""

import re

from flask import Response

from idp.protocol.cross_origin import answer
from idp.protocol.token import token
from idp.web.body import Environ

_TOKEN_PATH = re.compile(r"/auth/realms/([^/]+)/protocol/openid-connect/token")


def answer_token_request(environ: Environ) -> Response | None:
    """Return the answer to a request for a token; None for any other request."""
    match = _TOKEN_PATH.fullmatch(environ["PATH_INFO"])
    if match is None:
        return None
    realm = match[1]
    return answer(environ, realm, lambda: token(realm, environ))
