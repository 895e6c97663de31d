"""An issuer that signs whatever it is told to: for tokens that Realmgate never issues, or not yet."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

HOUR = 3600


@dataclass(frozen=True)
class Issuer:
    """An issuer with one RSA key."""

    base: str
    key: RSAKey

    @property
    def url(self) -> str:
        """Return the issuer of its realm acme."""
        return f"{self.base}/auth/realms/acme"

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return what it serves, by path."""
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/certs", "id_token_signing_alg_values_supported": ["RS256"]}
        keys = {"keys": [self.key.as_dict(private=False, kid="k", use="sig", alg="RS256")]}
        return {"/auth/realms/acme/.well-known/openid-configuration": discovery, "/auth/realms/acme/certs": keys}

    def claims(self, audience: str, **changes: Any) -> dict[str, Any]:
        """Return the claims of an access token of a researcher, but for what is changed."""
        now = int(time.time())
        identity = {"iss": self.url, "sub": "a", "azp": "a", "client_id": "a", "preferred_username": "service-account-a"}
        held = {"realm_access": {"roles": ["researcher"]}, "projects": []}
        return identity | held | {"aud": audience, "typ": "Bearer", "iat": now, "exp": now + HOUR, "jti": "j"} | changes

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token with these claims."""
        return jwt.encode({"alg": "RS256", "kid": "k", "typ": "at+jwt"}, dict(claims), self.key)

    def wrong_tokens(self, audience: str) -> dict[str, str]:
        """Return tokens that nobody may take, by what is wrong with them."""
        now, good = int(time.time()), self.claims(audience)
        return {
            "expired": self.sign(good | {"exp": now - HOUR}),
            "not valid yet": self.sign(good | {"nbf": now + HOUR}),
            "of another issuer": self.sign(good | {"iss": f"{self.base}/auth/realms/other"}),
            "for nobody": self.sign({name: value for name, value in good.items() if name != "aud"}),
            "signed by a stranger": jwt.encode({"alg": "RS256", "kid": "k"}, good, RSAKey.generate_key(2048)),
            "not signed": f"{_part({'alg': 'none'})}.{_part(good)}.",
            "signed with the public key": self._signed_with_public_key(good),
        }

    def _signed_with_public_key(self, claims: Mapping[str, Any]) -> str:
        signed = f"{_part({'alg': 'HS256', 'kid': 'k'})}.{_part(claims)}"
        return f"{signed}.{_base64(hmac.digest(self.key.as_pem(private=False), signed.encode(), hashlib.sha256))}"


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def issuing(port: int = 0, public_url: str = "") -> Iterator[Issuer]:
    """Serve an issuer until the block ends.

    :param port: to listen on; one that is free by default.
    :param public_url: where it says that it is, behind a proxy.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer a document."""
            document = documents.get(self.path)
            self.send_response(404 if document is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        issuer = Issuer(public_url or f"http://127.0.0.1:{server.server_port}", RSAKey.generate_key(2048))
        documents = issuer.documents()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
