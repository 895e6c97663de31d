"""Reading signed JWTs and public keys, for the server and for `idp.verifier` in other APIs: one piece of code to attack.

It needs joserfc and the standard library, and knows nothing of the server.
"""

from idp.jose.kinds import ID_TOKEN_SHOWN, Kind, kind_of, types_of, unverified_kind
from idp.jose.reader import (
    InvalidTokenError,
    Key,
    OpenedToken,
    check_times,
    has_audience,
    import_key,
    open_token,
    read_unverified,
)
from idp.jose.weak_keys import SHORTEST_RSA, weakness_of_rsa

__all__ = [
    "ID_TOKEN_SHOWN",
    "SHORTEST_RSA",
    "InvalidTokenError",
    "Key",
    "Kind",
    "OpenedToken",
    "check_times",
    "has_audience",
    "import_key",
    "kind_of",
    "open_token",
    "read_unverified",
    "types_of",
    "unverified_kind",
    "weakness_of_rsa",
]
