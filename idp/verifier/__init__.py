"""For APIs that accept Realmgate's tokens: check one against the realm's key set. Needs joserfc only, not the server.

    from idp.verifier import Verifier

    verifier = Verifier("https://id.example.com/auth/realms/acme", audience="https://api.example.com")
    identity = verifier.verify(token)          # or InvalidTokenError, KeySetUnavailableError
    identity.has_role("researcher", project="vision")

With `recall=Recall(issuer)` it also refuses, within seconds, what the issuer has taken back (docs/recall.md).

`idp.verifier.flask.require_token` protects a Flask view, `idp.verifier.asgi.BearerMiddleware` an ASGI application,
`idp.verifier.fastapi.RequireToken` a path of FastAPI. With a
`ProtectedResource`, both tell clients where tokens are to be had (RFC 9728).
"""

from idp.jose import InvalidTokenError
from idp.verifier.bearer import RefusalError, bearer_token, require_roles
from idp.verifier.introspection import Introspection
from idp.verifier.keyset import KeySetStaleError, KeySetUnavailableError
from idp.verifier.possession import UnprovenTokenError
from idp.verifier.recall import Recall, RecallUnavailableError
from idp.verifier.resource import ProtectedResource
from idp.verifier.verifier import Identity, Verifier

__all__ = [
    "Identity",
    "Introspection",
    "InvalidTokenError",
    "KeySetStaleError",
    "KeySetUnavailableError",
    "ProtectedResource",
    "Recall",
    "RecallUnavailableError",
    "RefusalError",
    "UnprovenTokenError",
    "Verifier",
    "bearer_token",
    "require_roles",
]
