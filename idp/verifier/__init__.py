"""For APIs that accept Realmgate's tokens: check one against the realm's key set. Needs joserfc only, not the server.

    from idp.verifier import Verifier

    verifier = Verifier("https://id.example.com/auth/realms/acme", audience="https://api.example.com")
    identity = verifier.verify(token)          # or InvalidTokenError, KeySetUnavailableError
    identity.has_role("researcher", project="vision")

`idp.verifier.flask.require_token` protects a Flask view, `idp.verifier.asgi.BearerMiddleware` an ASGI application. With a
`ProtectedResource`, both tell clients where tokens are to be had (RFC 9728).
"""

from idp.jose import InvalidTokenError
from idp.verifier.bearer import RefusalError, bearer_token, require_roles
from idp.verifier.introspection import Introspection
from idp.verifier.keyset import KeySetStaleError, KeySetUnavailableError
from idp.verifier.resource import ProtectedResource
from idp.verifier.verifier import Identity, Verifier

__all__ = [
    "Identity",
    "Introspection",
    "InvalidTokenError",
    "KeySetStaleError",
    "KeySetUnavailableError",
    "ProtectedResource",
    "RefusalError",
    "Verifier",
    "bearer_token",
    "require_roles",
]
