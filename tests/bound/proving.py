"""A client with a key of its own, which makes proofs as RFC 9449 has them, and such as it has not."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

from idp import clock

TOKEN_URL = "http://localhost:8080/auth/realms/acme/protocol/openid-connect/token"
ALGORITHMS = ["ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA", "Ed25519", "HS256"]


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class _Anything(jws.JWSRegistry):
    """What signs whatever stands in a header."""

    max_header_length = 100_000

    def check_header(self, header: Any) -> None:
        """Take it."""


@dataclass
class Prover:
    """A key, and proofs that are made with it."""

    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    alg: str = "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        return {name: value for name, value in self.key.as_dict(private=False).items() if name not in {"kid", "use", "alg"}}

    @property
    def jkt(self) -> str:
        """The thumbprint of the key."""
        found: str = self.key.thumbprint()
        return found

    def proof(
        self,
        method: str = "POST",
        url: str = TOKEN_URL,
        *,
        token: str = "",
        header: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        key: Any = None,
        **claims: Any,
    ) -> str:
        """Make a proof, with other members of its header and other claims where they are given."""
        said = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": int(clock.now().timestamp())}
        said |= ({"ath": b64(hashlib.sha256(token.encode()).digest())} if token else {}) | claims
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk} | (header or {})
        for name in without:
            said.pop(name, None)
            head.pop(name, None)
        return jws.serialize_compact(head, json.dumps(said).encode(), key or self.key, registry=_Anything(algorithms=ALGORITHMS))

    def headers(self, method: str = "POST", url: str = TOKEN_URL, *, token: str = "", **changes: Any) -> dict[str, str]:
        """Return the headers of a request: the proof, and the token if there is one."""
        shown = {"Authorization": f"DPoP {token}"} if token else {}
        return shown | {"DPoP": self.proof(method, url, token=token, **changes)}
