"""Tokens as callers send them, and as nobody should."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.serving import Server


@dataclass(frozen=True)
class Kind:
    """What the header of an access token says."""

    algorithm: str
    typ: str

    def __str__(self) -> str:
        return f"{self.typ}, {self.algorithm}"

    def create_application(self, server: Server, name: str, *options: str) -> dict[str, str]:
        """Make an application that gets such tokens, whose name ends in the kind."""
        ending = f"{self.algorithm}-{self.typ}".lower().replace("+", "-")
        return server.create_application(f"{name}-{ending}", "--algorithm", self.algorithm, "--token-type", self.typ, *options)


each_kind = pytest.mark.parametrize("kind", [Kind(alg, typ) for alg in ("RS256", "ES256") for typ in ("at+jwt", "JWT")], ids=str)


def access_token(server: Server, application: Mapping[str, str], realm: str = "acme") -> str:
    """Return an access token of an application."""
    token: str = server.token(application, realm).json["access_token"]
    return token


def id_token(server: Server, application: Mapping[str, str]) -> str:
    """Return an ID token of an application; its audience is the client_id."""
    token: str = server.token(application, scope="openid").json["id_token"]
    return token


def tampered(token: str) -> str:
    """Return a token whose signature has one other character, in its middle, where every bit counts."""
    head, _, signature = token.rpartition(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head}.{signature[:middle]}{other}{signature[middle + 1 :]}"


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def revoke_key(server: Server, realm: str, algorithm: str = "RS256") -> None:
    """Revoke the key that a realm signs with."""
    keys = json.loads(server.idp("keys", "list", "--realm", realm, "--json"))
    (kid,) = (key["kid"] for key in keys if key["algorithm"] == algorithm)
    server.idp("keys", "revoke", "--realm", realm, kid, "--reason", "leaked", "--yes")
