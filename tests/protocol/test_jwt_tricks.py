"""Every trick with a JWT at every place where one comes in: assertion, introspection, revocation, and the verifier.

The vectors are JSON: `jws_headers.json` holds header members that are put over those of a good token, which is then signed rightly
by the very key it names; `jws_shapes.json` holds ways of writing the segments of a good token.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_private_key
from flask.testing import FlaskClient

from idp import clock, keys, realms, vault
from tests.factories import Factory, Made, ask, ask_token, assertion_form, claims_of, compact, key_pair

VECTORS = Path(__file__).parents[1] / "vectors"
HEADERS = json.loads((VECTORS / "jws_headers.json").read_text())
SHAPES = json.loads((VECTORS / "jws_shapes.json").read_text())
ISSUER = "http://localhost:8080/auth/realms/acme"

Sign = Callable[[dict[str, Any], dict[str, Any]], str]


def signer_of(private_key: Any) -> Sign:
    """Return a function that signs any header and claims with ES256, whatever the header says."""

    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        unsigned = compact(header, claims, b"").rpartition(".")[0]
        r, s = decode_dss_signature(private_key.sign(unsigned.encode(), ec.ECDSA(hashes.SHA256())))
        return compact(header, claims, r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    return sign


@pytest.fixture
def made(make: Factory) -> Made:
    return make.application(signing_algorithm="ES256")


@pytest.fixture
def realm_signer(make: Factory) -> tuple[Sign, dict[str, Any]]:
    """The realm's own ES256 key, taken out of its seal, and the header of its access tokens."""
    with make.app.app_context():
        realm = realms.get_realm("acme")
        key = next(key for key in keys.list_keys(realm) if key.algorithm == "ES256")
        der = vault.unseal(key.sealed_private_key, context=f"signing key {key.uid} of realm {realm.uid}")
    return signer_of(load_der_private_key(der, None)), {"alg": "ES256", "kid": key.uid, "typ": "at+jwt"}


def introspected(client: FlaskClient, made: Made, token: str) -> Any:
    return ask(client, "token/introspect", {"token": token, **made.form})


def test_signing_by_hand_makes_good_tokens(client: FlaskClient, made: Made, realm_signer: Any) -> None:
    sign, header = realm_signer
    claims = claims_of(ask_token(client, made).json["access_token"])
    assert introspected(client, made, sign(header, claims)).json["active"] is True


@pytest.mark.spec("R88", "R89", "R94", "T1", "T5", "T6", "T7", "T18", "T19")
@pytest.mark.parametrize("vector", HEADERS, ids=[vector["name"] for vector in HEADERS])
def test_header_tricks_at_introspection_and_revocation(client: FlaskClient, made: Made, realm_signer: Any, vector: Any) -> None:
    sign, header = realm_signer
    good = ask_token(client, made).json["access_token"]
    trick = sign(header | vector["header"], claims_of(good))
    shown = introspected(client, made, trick)
    assert (shown.status_code, shown.json) == (200, {"active": False})
    assert ask(client, "revoke", {"token": trick, **made.form}).status_code == 200
    assert introspected(client, made, good).json["active"] is True


@pytest.mark.spec("R88", "R89", "R94", "T1", "T5", "T6", "T7", "T18", "T19")
@pytest.mark.parametrize("vector", HEADERS, ids=[vector["name"] for vector in HEADERS])
def test_header_tricks_in_assertions(client: FlaskClient, make: Factory, vector: Any) -> None:
    key, jwks = key_pair("ES256")
    make.application("jwt-bot", jwks=jwks, secret=False)
    sign = signer_of(key.private_key)
    header = {"alg": "ES256", "kid": "client-key"}
    claims = {"iss": "jwt-bot", "sub": "jwt-bot", "aud": ISSUER, "exp": clock.timestamp() + 60, "jti": "a"}
    answer = ask(client, "token", assertion_form(sign(header | vector["header"], claims)))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert ask(client, "token", assertion_form(sign(header, claims))).status_code == 200


@pytest.mark.spec("T16", "T17", "T20", "T71")
@pytest.mark.parametrize("vector", SHAPES, ids=[vector["name"] for vector in SHAPES])
def test_shapes_at_every_place(client: FlaskClient, make: Factory, made: Made, vector: Any) -> None:
    key, jwks = key_pair("ES256")
    make.application("jwt-bot", jwks=jwks, secret=False)
    claims = {"iss": "jwt-bot", "sub": "jwt-bot", "aud": ISSUER, "exp": clock.timestamp() + 60, "jti": "a"}
    good = ask_token(client, made).json["access_token"]

    def shaped(token: str) -> str:
        header, payload, signature = token.split(".")
        text: str = vector["token"].format(h=header, p=payload, s=signature)
        return text

    shown = introspected(client, made, shaped(good))
    if vector["token"]:
        assert (shown.status_code, shown.json) == (200, {"active": False})
    else:
        assert (shown.status_code, shown.json["error"]) == (400, "invalid_request")
    assert ask(client, "revoke", {"token": shaped(good) or "x", **made.form}).status_code == 200
    assert introspected(client, made, good).json["active"] is True
    assertion = shaped(signer_of(key.private_key)({"alg": "ES256", "kid": "client-key"}, claims))
    answer = ask(client, "token", assertion_form(assertion))
    assert answer.status_code == 401


@pytest.mark.spec("T13")
def test_every_character_of_a_token_matters(client: FlaskClient, made: Made) -> None:
    """Any one character changed makes it inactive, the last ones of each segment too, whose low bits are not used."""
    token: str = ask_token(client, made).json["access_token"]
    for position in range(0, len(token), 7):
        for other in ("A", "_"):
            if token[position] not in {other, "."}:
                changed = token[:position] + other + token[position + 1 :]
                assert introspected(client, made, changed).json == {"active": False}, position
    for position in (len(token) - 1, token.rindex(".") - 1, token.index(".") - 1):
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            if token[position] != other:
                changed = token[:position] + other + token[position + 1 :]
                assert introspected(client, made, changed).json == {"active": False}, (position, other)
