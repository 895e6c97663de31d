"""Issuers of the world, as far as tests need them: they sign what those sign."""

import time
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

REALM_ISSUER = "http://localhost:8080/auth/realms/acme"


@dataclass
class Issuer:
    """An issuer with a key of its own."""

    url: str = "https://token.actions.githubusercontent.com"
    kid: str = "k1"
    claims: dict[str, Any] = field(default_factory=dict)
    """What all its assertions say."""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048))
    algorithm: str = "RS256"

    @property
    def jwks(self) -> dict[str, Any]:
        """Its key set."""
        return {"keys": [self.key.as_dict(private=False) | {"kid": self.kid, "use": "sig", "alg": self.algorithm}]}

    def sign(self, *, header: dict[str, Any] | None = None, without: tuple[str, ...] = (), **claims: Any) -> str:
        """Sign an assertion for the realm, with other claims where they are given."""
        now = int(time.time())
        said = {"iss": self.url, "aud": REALM_ISSUER, "iat": now, "nbf": now, "exp": now + 300, "jti": f"j{time.monotonic_ns()}"}
        said |= self.claims | claims
        for name in without:
            del said[name]
        head = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"} | (header or {})
        return jwt.encode(head, said, self.key, algorithms=[self.algorithm])


def github(**claims: Any) -> Issuer:
    """Return GitHub Actions, running a workflow of acme/app."""
    return Issuer(
        claims={
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/app",
            "repository_id": "4711",
            "repository_owner": "acme",
            "repository_owner_id": "42",
            "ref": "refs/heads/main",
            "environment": "production",
        }
        | claims
    )


def kubernetes(**claims: Any) -> Issuer:
    """Return a cluster, as a pod of its namespace `ci` has its token mounted."""
    return Issuer(
        url="https://kubernetes.default.svc.cluster.local",
        key=ECKey.generate_key("P-256"),
        algorithm="ES256",
        claims={
            "sub": "system:serviceaccount:ci:builder",
            "aud": [REALM_ISSUER],
            "kubernetes.io": {
                "namespace": "ci",
                "node": {"name": "node-1", "uid": "b5d0c3f6-0000-4000-8000-000000000001"},
                "pod": {"name": "builder-0", "uid": "b5d0c3f6-0000-4000-8000-000000000002"},
                "serviceaccount": {"name": "builder", "uid": "b5d0c3f6-0000-4000-8000-000000000003"},
            },
        }
        | claims,
    )
