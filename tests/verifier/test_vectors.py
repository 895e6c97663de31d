"""The vectors that the verifiers in Python, TypeScript and Go share: clients/vectors/tokens.json."""

import json
from typing import Any

import pytest

from idp.verifier import Identity, InvalidTokenError, KeySetUnavailableError, Verifier
from tests.vectors.verifier.file import PATH, text

FILE = json.loads(PATH.read_text())

CAUSES = {
    "The token is longer than ": "malformed",
    "The token is not a signed JWT.": "malformed",
    "The token has no signature.": "malformed",
    "The token's header has members that are not supported.": "header",
    "The token's kid is not a usable text.": "header",
    "The token's algorithm is not accepted here.": "algorithm",
    "The token is not of the type expected here.": "type",
    "The token is not of the kind expected here.": "type",
    "This is an ID token; send access_token": "type",
    "The token's signature does not match any key that is accepted here.": "signature",
    "The token was issued by another issuer.": "issuer",
    "The token has expired. ": "expired",
    "The token is not valid yet. ": "early",
    "The token is meant for another API.": "audience",
    "The token's exp is ": "claims",
    "The token's nbf is ": "claims",
    "The token's iat is ": "claims",
    "The token's claims do not have the expected form.": "claims",
    "The token is bound to a key: ": "bound",
    "The token is bound to a certificate ": "bound",
    "The token is bound to something ": "bound",
}
"""What the vectors call a cause, by how the sentence of the refusal begins."""


def cause_of(error: InvalidTokenError) -> str:
    """Return what the vectors call the cause of a refusal."""
    (cause,) = {cause for sentence, cause in CAUSES.items() if str(error).startswith(sentence)}
    return cause


def token_of(parts: str | list[Any]) -> str:
    """Return a token, which may be written as parts, some of them repeated."""
    if isinstance(parts, str):
        return parts
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts)


def as_json(identity: Identity) -> dict[str, Any]:
    """Return who calls as the vectors say it."""
    return {
        "subject": identity.subject,
        "client_id": identity.client_id,
        "roles": sorted(identity.roles),
        "projects": {name: sorted(roles) for name, roles in identity.projects.items()},
    }


def verdict_on(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what becomes of a vector's token."""
    settings = FILE["settings"] | vector["settings"]
    verifier = Verifier(**settings, clock=lambda: vector["time"])
    issuer, key_set = settings["issuer"], FILE["key_sets"][vector["keys"]]
    served = {
        f"{issuer}/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/certs"},
        f"{issuer}/certs": key_set,
    }

    def get(url: str) -> tuple[Any, float]:
        if not isinstance(served[url], dict):
            raise ValueError(f"{url} did not answer a JSON object")
        return served[url], 300

    monkeypatch.setattr(verifier._key_set, "_get", get)
    try:
        return {"accepted": as_json(verifier.verify(token_of(vector["token"])))}
    except InvalidTokenError as error:
        return {"refused": cause_of(error)}
    except KeySetUnavailableError:
        return {"refused": "keys"}


@pytest.mark.parametrize("vector", FILE["vectors"], ids=[vector["name"] for vector in FILE["vectors"]])
def test_verdict_is_the_one_of_the_vector(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict_on(vector, monkeypatch) == vector["expect"]


def test_file_is_what_the_generator_makes() -> None:
    assert PATH.read_text() == text(), "run python -m tests.vectors.verifier"


def test_there_are_enough_of_them() -> None:
    assert len(FILE["vectors"]) >= 150
    assert {verdict for vector in FILE["vectors"] for verdict in vector["expect"].get("refused", "accepted").split()} == {
        "accepted",
        "keys",
        *CAUSES.values(),
    }
