"""Proofs at the token endpoint (RFC 9449 §4.3 and §5): what is accepted, and every way in which one is not."""

import json
import secrets
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from werkzeug.test import TestResponse

from idp.proofs import UsedProof
from idp.setup import rotate_keys_and_tidy
from tests.bound.proving import TOKEN_URL, Prover, b64
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, claims_of, set_application


def ask_bound(client: FlaskClient, made: Made, headers: Any, **parameters: str) -> TestResponse:
    return ask(client, "token", {"grant_type": "client_credentials", **made.form, **parameters}, headers=headers)


@pytest.mark.spec("R104", "R105")
def test_token_is_bound_to_the_key_of_the_proof(client: FlaskClient, make: Factory, prover: Prover) -> None:
    answer = ask_bound(client, make.application(), prover.headers(), scope="openid")
    assert (answer.status_code, answer.json["token_type"]) == (200, "DPoP")
    assert claims_of(answer.json["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert "cnf" not in claims_of(answer.json["id_token"])
    assert "DPoP-Nonce" not in answer.headers


def test_without_a_proof_nothing_changes(client: FlaskClient, make: Factory) -> None:
    answer = ask_bound(client, make.application(), {})
    assert (answer.json["token_type"], "cnf" in claims_of(answer.json["access_token"])) == ("Bearer", False)


KEYS = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "PS256": lambda: RSAKey.generate_key(2048),
    "RS256": lambda: RSAKey.generate_key(2048),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_advertised_kind_of_key_works(client: FlaskClient, make: Factory, algorithm: str) -> None:
    advertised = client.get("/auth/realms/acme/.well-known/openid-configuration").json["dpop_signing_alg_values_supported"]
    prover = Prover(KEYS[algorithm](), algorithm)
    answer = ask_bound(client, make.application(), prover.headers())
    assert algorithm in advertised
    assert claims_of(answer.json["access_token"])["cnf"] == {"jkt": prover.jkt}


GOOD: dict[str, Callable[[Prover, int], dict[str, Any]]] = {
    "scheme and host in capitals": lambda _p, _n: {"url": TOKEN_URL.replace("http://localhost", "HTTP://LOCALHOST")},
    "query and fragment": lambda _p, _n: {"url": f"{TOKEN_URL}?a=b#c"},
    "an escape that is not needed": lambda _p, _n: {"url": TOKEN_URL.replace("acme", "%61cme")},
    "dots in the path": lambda _p, _n: {"url": TOKEN_URL.replace("/acme", "/./other/../acme")},
    "ten seconds ago": lambda _p, now: {"iat": now - 10},
    "in ten seconds": lambda _p, now: {"iat": now + 10},
    "a fraction of a second": lambda _p, now: {"iat": now - 0.25},
    "nbf and exp": lambda _p, now: {"nbf": now, "exp": now + 300},
    "claims nobody knows": lambda _p, _n: {"purpose": "none", "aud": ["x"]},
    "typ in capitals": lambda _p, _n: {"header": {"typ": "DPoP+JWT"}},
    "a jwk that says more": lambda p, _n: {"header": {"jwk": p.jwk | {"kid": "k", "use": "sig", "alg": "ES256"}}},
    "an ath without a token": lambda _p, _n: {"ath": "anything"},
}


@pytest.mark.spec("R104")
@pytest.mark.parametrize("case", GOOD)
def test_proof_is_accepted(client: FlaskClient, make: Factory, prover: Prover, frozen_clock: FrozenClock, case: str) -> None:
    now = int(frozen_clock.now().timestamp())
    answer = ask_bound(client, make.application(), prover.headers(**GOOD[case](prover, now)))
    assert answer.status_code == 200, answer.text


def altered(proof: str, part: int) -> str:
    """Return a proof with one letter of a part altered."""
    parts = proof.split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    return ".".join(parts)


def unsigned(prover: Prover) -> str:
    """Return a proof that nobody has signed."""
    head, body, _ = prover.proof().split(".")
    head = b64(json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": prover.jwk}).encode())
    return f"{head}.{body}."


def of_short_key() -> str:
    """Return a proof of a key that is too short."""
    with warnings.catch_warnings(action="ignore"):
        return Prover(RSAKey.generate_key(1024), "RS256").proof()


OTHER = Prover()

BAD: dict[str, Callable[[Prover, int], str]] = {
    "empty": lambda _p, _n: "",
    "no JWT": lambda _p, _n: "proof",
    "two proofs": lambda p, _n: f"{p.proof()}, {p.proof()}",
    "two proofs without a space": lambda p, _n: f"{p.proof()},{p.proof()}",
    "longer than anything": lambda p, _n: p.proof(filling="x" * 20_000),
    "no typ": lambda p, _n: p.proof(without=("typ",)),
    "typ of a token": lambda p, _n: p.proof(header={"typ": "JWT"}),
    "typ that is no text": lambda p, _n: p.proof(header={"typ": 7}),
    "no algorithm": lambda p, _n: unsigned(p),
    "symmetric": lambda _p, _n: Prover(OctKey.generate_key(256), "HS256").proof(header={"jwk": OTHER.jwk}),
    "secret as the key": lambda _p, _n: Prover(OctKey.import_key("x" * 32), "HS256").proof(
        header={"jwk": {"kty": "oct", "k": "eA"}}
    ),
    "no jwk": lambda p, _n: p.proof(without=("jwk",)),
    "jwk that is no object": lambda p, _n: p.proof(header={"jwk": "key"}),
    "jwk without a kind": lambda p, _n: p.proof(header={"jwk": {"x": "y"}}),
    "jwk that is half a key": lambda p, _n: p.proof(header={"jwk": {"kty": "EC", "crv": "P-256", "x": p.jwk["x"]}}),
    "jwk that is no point": lambda p, _n: p.proof(header={"jwk": p.jwk | {"y": b64(b"\1" * 32)}}),
    "private key": lambda p, _n: p.proof(header={"jwk": p.key.as_dict(private=True)}),
    "one private member": lambda p, _n: p.proof(header={"jwk": p.jwk | {"d": "AAAA"}}),
    "key of another curve": lambda p, _n: p.proof(header={"jwk": Prover(ECKey.generate_key("P-384")).jwk}),
    "key of another algorithm": lambda p, _n: p.proof(header={"jwk": p.jwk | {"alg": "ES384"}}),
    "key for encryption": lambda p, _n: p.proof(header={"jwk": p.jwk | {"use": "enc"}}),
    "short RSA key": lambda _p, _n: of_short_key(),
    "somebody else's key": lambda p, _n: p.proof(header={"jwk": OTHER.jwk}),
    "signed by somebody else": lambda p, _n: p.proof(key=OTHER.key),
    "signature altered": lambda p, _n: altered(p.proof(), 2),
    "claims altered": lambda p, _n: altered(p.proof(), 1),
    "a jku": lambda p, _n: p.proof(header={"jku": "https://evil.example/keys"}),
    "crit": lambda p, _n: p.proof(header={"crit": ["exp"], "exp": 1}),
    "no htm": lambda p, _n: p.proof(without=("htm",)),
    "another method": lambda p, _n: p.proof("GET"),
    "method in small letters": lambda p, _n: p.proof("post"),
    "no htu": lambda p, _n: p.proof(without=("htu",)),
    "htu that is no text": lambda p, _n: p.proof(htu=[TOKEN_URL]),
    "htu that is no URL": lambda p, _n: p.proof(htu="token"),
    "another endpoint": lambda p, _n: p.proof(url=TOKEN_URL.replace("/token", "/userinfo")),
    "another realm": lambda p, _n: p.proof(url=TOKEN_URL.replace("acme", "other")),
    "another host": lambda p, _n: p.proof(url=TOKEN_URL.replace("localhost", "evil.example")),
    "another scheme": lambda p, _n: p.proof(url=TOKEN_URL.replace("http:", "https:")),
    "another port": lambda p, _n: p.proof(url=TOKEN_URL.replace("8080", "8081")),
    "path in capitals": lambda p, _n: p.proof(url=TOKEN_URL.replace("token", "TOKEN")),
    "a slash at the end": lambda p, _n: p.proof(url=f"{TOKEN_URL}/"),
    "no iat": lambda p, _n: p.proof(without=("iat",)),
    "iat that is a text": lambda p, now: p.proof(iat=str(now)),
    "iat that is true": lambda p, _n: p.proof(iat=True),
    "iat too long ago": lambda p, now: p.proof(iat=now - 61),
    "iat in a minute": lambda p, now: p.proof(iat=now + 60),
    "iat in milliseconds": lambda p, now: p.proof(iat=now * 1000),
    "expired": lambda p, now: p.proof(exp=now - 60),
    "not valid yet": lambda p, now: p.proof(nbf=now + 120),
    "no jti": lambda p, _n: p.proof(without=("jti",)),
    "empty jti": lambda p, _n: p.proof(jti=""),
    "jti that is no text": lambda p, _n: p.proof(jti=7),
    "jti without end": lambda p, _n: p.proof(jti="x" * 256),
    "empty nonce": lambda p, _n: p.proof(nonce=""),
    "nonce that is no text": lambda p, _n: p.proof(nonce=7),
}


@pytest.mark.spec("R104")
@pytest.mark.parametrize("case", BAD)
def test_proof_is_refused(client: FlaskClient, make: Factory, prover: Prover, frozen_clock: FrozenClock, case: str) -> None:
    proof = BAD[case](prover, int(frozen_clock.now().timestamp()))
    answer = ask_bound(client, make.application(), {"DPoP": proof})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_dpop_proof"), answer.text
    assert len(answer.json["error_description"]) > 20


@pytest.mark.spec("R104")
def test_proof_works_once(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made, headers = make.application(), prover.headers()
    assert ask_bound(client, made, headers).status_code == 200
    again = ask_bound(client, made, headers)
    assert (again.status_code, again.json["error"]) == (400, "invalid_dpop_proof")
    assert "used before" in again.json["error_description"]


def test_the_same_jti_of_another_key_is_another_proof(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made, jti = make.application(), secrets.token_hex(8)
    for each in (prover, OTHER):
        assert ask_bound(client, made, each.headers(jti=jti)).status_code == 200


def test_who_fails_to_authenticate_uses_no_proof_up(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made, headers = make.application(), prover.headers()
    form = {"grant_type": "client_credentials", "client_id": made.client_id, "client_secret": "wrong"}
    assert ask(client, "token", form, headers=headers).status_code == 401
    assert ask_bound(client, made, headers).status_code == 200


def test_used_proofs_are_forgotten_once_they_are_too_old(
    client: FlaskClient, make: Factory, prover: Prover, frozen_clock: FrozenClock
) -> None:
    from idp.db import db

    made = make.application()
    ask_bound(client, made, prover.headers())
    for seconds, left in ((119, 1), (2, 0)):
        frozen_clock.advance(seconds=seconds)
        with make.app.app_context():
            rotate_keys_and_tidy()
            assert db.session.query(UsedProof).count() == left


@pytest.mark.spec("R105")
def test_application_that_must_bind_gets_nothing_without_a_proof(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made = make.application(dpop_bound_access_tokens=True)
    answer = ask_bound(client, made, {})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_dpop_proof")
    assert ask_bound(client, made, prover.headers()).json["token_type"] == "DPoP"


@pytest.mark.spec("R104")
def test_nonce_is_demanded_where_the_application_says_so(
    client: FlaskClient, make: Factory, prover: Prover, frozen_clock: FrozenClock
) -> None:
    made = make.application(dpop_nonces=True)
    answer = ask_bound(client, made, prover.headers())
    assert (answer.status_code, answer.json["error"]) == (400, "use_dpop_nonce")
    nonce = answer.headers["DPoP-Nonce"]
    good = ask_bound(client, made, prover.headers(nonce=nonce))
    assert (good.status_code, good.headers["DPoP-Nonce"]) == (200, nonce)
    frozen_clock.advance(seconds=120)
    later = ask_bound(client, made, prover.headers(nonce=nonce))
    assert later.status_code == 200, "the one of the window before still works"
    assert later.headers["DPoP-Nonce"] != nonce, "and the answer has the next one"
    frozen_clock.advance(seconds=240)
    old = ask_bound(client, made, prover.headers(nonce=nonce))
    assert (old.status_code, old.json["error"]) == (400, "use_dpop_nonce")


def test_nonce_that_is_sent_unasked_must_be_right(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made = make.application()
    answer = ask_bound(client, made, prover.headers(nonce="made-up"))
    assert (answer.status_code, answer.json["error"]) == (400, "use_dpop_nonce")
    assert ask_bound(client, made, prover.headers(nonce=answer.headers["DPoP-Nonce"])).status_code == 200


def test_nonce_of_another_realm_is_none_of_this(client: FlaskClient, make: Factory, prover: Prover) -> None:
    make.realm("other")
    theirs = make.application("their-bot", realm="other", roles=(), dpop_nonces=True)
    url = TOKEN_URL.replace("acme", "other")
    form = {"grant_type": "client_credentials", **theirs.form}
    nonce = ask(client, "token", form, realm="other", headers=prover.headers(url=url)).headers["DPoP-Nonce"]
    answer = ask_bound(client, make.application(), prover.headers(nonce=nonce))
    assert answer.json["error"] == "use_dpop_nonce"


def test_page_of_the_application_may_read_the_nonce(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made = make.application(dpop_nonces=True, web_origins=["https://app.example"])
    answer = ask_bound(client, made, prover.headers() | {"Origin": "https://app.example"})
    assert "DPoP-Nonce" in answer.headers["Access-Control-Expose-Headers"]
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/auth/realms/acme/protocol/openid-connect/token", headers=asked)
    assert "DPoP" in preflight.headers["Access-Control-Allow-Headers"]


def test_setting_takes_effect_at_once(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    assert ask_bound(client, made, {}).status_code == 200
    make.change(lambda realm, application: set_application(realm, application, dpop_bound_access_tokens=True))
    assert ask_bound(client, made, {}).status_code == 400
