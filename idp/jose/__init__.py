"""Reading signed JWTs and public keys, for the server and for `idp.verifier` in other APIs: one piece of code to attack.

It needs joserfc and the standard library, and knows nothing of the server.
"""

from idp.jose.dpop import (
    PROOF_ALGORITHMS,
    InvalidProofError,
    Proof,
    check_proof,
    escaped_path,
    hash_of,
    normalised,
    thumbprint_of,
)
from idp.jose.kinds import ID_TOKEN_SHOWN, Kind, kind_of, types_of, unverified_kind
from idp.jose.reader import (
    MAX_TOKEN,
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
    "MAX_TOKEN",
    "PROOF_ALGORITHMS",
    "SHORTEST_RSA",
    "InvalidProofError",
    "InvalidTokenError",
    "Key",
    "Kind",
    "OpenedToken",
    "Proof",
    "check_proof",
    "check_times",
    "escaped_path",
    "has_audience",
    "hash_of",
    "import_key",
    "kind_of",
    "normalised",
    "open_token",
    "read_unverified",
    "thumbprint_of",
    "types_of",
    "unverified_kind",
    "weakness_of_rsa",
]
