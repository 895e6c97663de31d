"""Whatever stands in the headers of a proof and of a certificate, the answer is never a 500; and what registers itself may bind."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.app import close_app, create_app
from idp.jose import InvalidProofError, check_proof
from idp.settings import Settings
from tests.bound.proving import TOKEN_URL, Prover, b64
from tests.factories import Factory, ask
from tests.sign_in.conftest import DONE
from tests.sign_in.test_registration import made, register, registration_token

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PROVER = Prover()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def refused(proof: str) -> None:
    with pytest.raises(InvalidProofError):
        check_proof(proof, method="POST", url=TOKEN_URL, now=1_234_567_890)


@QUICK
@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    refused(text)


@QUICK
@given(st.sampled_from(["typ", "alg", "jwk", "kid", "crit", "jku"]), ANYTHING)
def test_any_header_is_refused_or_harmless(name: str, value: Any) -> None:
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk} | {name: value}
    refused(f"{b64(json.dumps(head).encode())}.{b64(b'{}')}.{b64(b'x' * 64)}")


@QUICK
@given(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "alg", "use"]), ANYTHING)
def test_any_key_is_refused_or_harmless(name: str, value: Any) -> None:
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.jwk | {name: value}}
    refused(f"{b64(json.dumps(head).encode())}.{b64(b'{}')}.{b64(b'x' * 64)}")


@QUICK
@given(st.sampled_from(["htm", "htu", "iat", "jti", "nonce", "nbf", "exp"]), ANYTHING)
def test_any_claim_is_refused(name: str, value: Any) -> None:
    refused(PROVER.proof(**{name: value}))


@pytest.fixture
def behind(settings: Settings) -> Any:
    app = create_app(
        settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",), "client_certificate_header": "Client-Cert"})
    )
    yield app
    close_app(app)


@pytest.mark.parametrize(
    "header", ["\xff", ":\xff:", "%FF%FF", "-----BEGIN CERTIFICATE-----%00", 'Cert="%"', "=" * 100, ":" * 100, "A" * 101, "%"]
)
def test_any_certificate_is_none(behind: Flask, header: str) -> None:
    made_ = Factory(behind).application(tls_client_certificate_bound_access_tokens=True)
    form = {"grant_type": "client_credentials", **made_.form}
    answer = ask(behind.test_client(), "token", form, environ_overrides={"HTTP_CLIENT_CERT": header})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/v1/applications/\u00e4\u20ac", "/v1/%FF", "/v1/applications/%2e%2e", "/v1//applications"])
def test_any_path_can_be_proved_for(client: FlaskClient, make: Factory, path: str) -> None:
    bot = make.application(roles=("administrator",), audience=["http://localhost:8080/auth/realms/acme"])
    form = {"grant_type": "client_credentials", **bot.form}
    token = ask(client, "token", form, headers=PROVER.headers()).json["access_token"]
    answer = client.get(path, headers=PROVER.headers("GET", f"http://localhost:8080{path}", token=token))
    assert answer.status_code in {401, 404, 308}, answer.text


def test_application_registers_itself_with_bound_tokens(client: FlaskClient, make: Factory) -> None:
    token = registration_token(make)
    answer = made(register(client, token, dpop_bound_access_tokens=True, redirect_uris=[DONE]))
    assert (answer["dpop_bound_access_tokens"], answer["tls_client_certificate_bound_access_tokens"]) == (True, False)
    name, secret = answer["client_id"], answer["client_secret"]
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": name, "client_secret": secret}
    make.forget()
    without = ask(client, "token", form)
    assert without.json["error"] in {"invalid_dpop_proof", "unauthorized_client"}
    code = form | {"grant_type": "authorization_code", "code": "x"}
    assert ask(client, "token", code).json["error"] == "invalid_dpop_proof"
    assert ask(client, "token", code, headers=PROVER.headers()).json["error"] == "invalid_grant"
