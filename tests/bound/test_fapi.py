"""The profile FAPI 2.0: what the modules of its two certification plans ask of a provider, under their names."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.errors import InvalidValueError
from tests.bound.proving import TOKEN_URL, Prover
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, assertion, claims_of, key_pair, set_application, set_realm
from tests.sign_in.conftest import DONE, Browser, told
from tests.sign_in.test_pushed import go

ISSUER = "http://localhost:8080/auth/realms/acme"
PUSH_URL = TOKEN_URL.replace("/token", "/ext/par/request")
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY, KEYS = key_pair("ES256")


def shown(client_id: str, *, key: Any = None, alg: str = "ES256", audience: Any = ISSUER, **claims: Any) -> dict[str, str]:
    """Return an assertion as parameters of a form."""
    return {"client_assertion_type": TYPE, "client_assertion": assertion(key or KEY, client_id, audience, alg=alg, **claims)}


@pytest.fixture
def bot(make: Factory) -> Made:
    return make.application(secret=False, jwks=KEYS, profile="fapi2")


def fetch(client: FlaskClient, credentials: dict[str, str], prover: Prover | None, **changes: Any) -> TestResponse:
    headers = prover.headers(**changes) if prover else {}
    return ask(client, "token", {"grant_type": "client_credentials", "scope": "openid", **credentials}, headers=headers)


@pytest.mark.spec("R14", "R96", "R104")
def test_client_credentials_happy_flow(client: FlaskClient, bot: Made, prover: Prover) -> None:
    answer = fetch(client, shown(bot.client_id), prover)
    assert (answer.status_code, answer.json["token_type"]) == (200, "DPoP"), answer.text
    for token in (answer.json["access_token"], answer.json["id_token"]):
        from idp.jose import read_unverified

        assert read_unverified(token).header["alg"] == "ES256", "not RS256, the realm's own"


def test_discovery_has_what_the_profile_needs(client: FlaskClient) -> None:
    found = client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert {"PS256", "ES256", "EdDSA"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert {"PS256", "ES256", "EdDSA"} <= set(found["dpop_signing_alg_values_supported"])
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["response_types_supported"] == ["code"]


REFUSED: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "audience is an array": lambda name, _n: shown(name, audience=[ISSUER]),
    "audience is an array of two": lambda name, _n: shown(name, audience=[ISSUER, TOKEN_URL]),
    "audience is the token endpoint": lambda name, _n: shown(name, audience=TOKEN_URL),
    "audience is the endpoint for pushed requests": lambda name, _n: shown(name, audience=PUSH_URL),
    "audience is wrong": lambda name, _n: shown(name, audience="https://evil.example"),
    "audience is missing": lambda name, _n: shown(name, audience=None),
    "expired five minutes ago": lambda name, now: shown(name, iat=now - 420, exp=now - 300),
    "nbf in more than a minute": lambda name, now: shown(name, nbf=now + 75),
    "iat in more than a minute": lambda name, now: shown(name, iat=now + 75),
    "no sub": lambda name, _n: shown(name, sub=None),
    "no iss": lambda name, _n: shown(name, iss=None),
    "no exp": lambda name, _n: shown(name, exp=None),
    "no jti": lambda name, _n: shown(name, jti=None),
    "another client_id": lambda name, _n: shown(name) | {"client_id": "other"},
    "of another key": lambda name, _n: shown(name, key=key_pair("ES256")[0]),
    "no assertion": lambda name, _n: {"client_id": name},
    "nothing": lambda _name, _n: {},
}


@pytest.mark.spec("R96", "R97")
@pytest.mark.parametrize("case", REFUSED)
def test_client_assertion_is_refused(
    client: FlaskClient, bot: Made, prover: Prover, frozen_clock: FrozenClock, case: str
) -> None:
    answer = fetch(client, REFUSED[case](bot.client_id, int(frozen_clock.now().timestamp())), prover)
    assert (answer.status_code, answer.json["error"]) in {(401, "invalid_client"), (400, "invalid_request")}, answer.text


@pytest.mark.parametrize("claims", [{"nbf": 8}, {"iat": 8}, {"iat": 8, "nbf": 8}])
def test_nbf_and_iat_of_eight_seconds_ahead_are_accepted(
    client: FlaskClient, bot: Made, prover: Prover, frozen_clock: FrozenClock, claims: dict[str, int]
) -> None:
    now = int(frozen_clock.now().timestamp())
    later = {name: now + seconds for name, seconds in claims.items()}
    assert fetch(client, shown(bot.client_id, **later), prover).status_code == 200


@pytest.mark.parametrize(("algorithm", "status"), [("PS256", 200), ("EdDSA", 200), ("RS256", 401), ("ES384", 401)])
def test_assertion_is_signed_as_the_profile_says(
    client: FlaskClient, make: Factory, prover: Prover, algorithm: str, status: int
) -> None:
    key, keys = key_pair(algorithm)
    made = make.application("signer", secret=False, jwks=keys, profile="fapi2")
    assert fetch(client, shown(made.client_id, key=key, alg=algorithm), prover).status_code == status


def test_assertion_works_once(client: FlaskClient, bot: Made, prover: Prover) -> None:
    credentials = shown(bot.client_id)
    assert fetch(client, credentials, prover).status_code == 200
    assert fetch(client, credentials, prover).status_code == 401


def test_holder_of_key_is_required(client: FlaskClient, bot: Made) -> None:
    answer = fetch(client, shown(bot.client_id), None)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_secret_is_no_credential_of_the_profile(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made = make.application("old", jwks=KEYS, profile="fapi2")
    answer = fetch(client, made.form, prover)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert fetch(client, shown("old"), prover).status_code == 200


def test_proof_is_signed_as_the_profile_says(client: FlaskClient, bot: Made) -> None:
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048)
    answer = fetch(client, shown(bot.client_id), Prover(key, "RS256"))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_dpop_proof")
    assert fetch(client, shown(bot.client_id), Prover(key, "PS256")).status_code == 200


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP"])
def test_case_of_the_token_type_does_not_matter(client: FlaskClient, bot: Made, prover: Prover, scheme: str) -> None:
    token = fetch(client, shown(bot.client_id), prover).json["access_token"]
    url = TOKEN_URL.replace("/token", "/userinfo")
    headers = prover.headers("GET", url, token=token) | {"Authorization": f"{scheme} {token}"}
    assert client.get(url.removeprefix("http://localhost:8080"), headers=headers).status_code == 200


def test_realm_can_have_the_profile_for_all(client: FlaskClient, make: Factory, prover: Prover) -> None:
    made, free = make.application(jwks=KEYS), make.application("free", profile="plain")
    assert fetch(client, made.form, None).status_code == 200
    make.do(lambda realm: set_realm(realm, profile="fapi2"))
    assert fetch(client, made.form, None).status_code == 401
    assert fetch(client, shown(made.client_id), None).status_code == 400
    assert fetch(client, shown(made.client_id), prover).status_code == 200
    assert fetch(client, free.form, None).status_code == 200, "one that has another of its own"


def test_public_application_has_no_key_to_show(make: Factory) -> None:
    with pytest.raises(InvalidValueError, match="fapi2"):
        make.application("spa", kind="browser", redirect_uris=[DONE], profile="fapi2", secret=False)


def test_public_application_gets_nothing_in_a_realm_with_the_profile(spa: Browser, make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, profile="fapi2"))
    answer = spa.app.test_client().post(f"{spa.base}ext/par/request", data={"client_id": "spa"} | spa.parameters())
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


class Fapi(Browser):
    """A browser whose application follows the profile."""

    prover: Prover

    def post(self, endpoint: str, form: dict[str, Any], *, prover: Prover | None = None, **credentials: Any) -> TestResponse:
        """Have the application ask an endpoint, with an assertion."""
        data = {name: value for name, value in (shown(self.made.client_id, **credentials) | form).items() if value is not None}
        headers = prover.headers(url=f"http://localhost:8080{self.base}{endpoint}") if prover else {}
        return self.app.test_client().post(f"{self.base}{endpoint}", data=data, headers=headers)

    def pushed(self, prover: Prover | None = None, **changes: Any) -> TestResponse:
        """Push a request."""
        return self.post("ext/par/request", self.parameters(**changes), prover=prover)

    def code(self, prover: Prover | None = None, **changes: Any) -> str:
        """Go all the way to a code."""
        answer = self.pushed(prover, **changes)
        assert answer.status_code == 201, answer.text
        page = go(self, answer.json["request_uri"])
        return told(self.sign_in(page) if page.status_code == 200 else page)["code"]

    def tokens_for(self, code: str, prover: Prover | None, **changes: Any) -> TestResponse:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": self.verifier}
        return self.post("token", form | changes, prover=prover)


@pytest.fixture
def bank(app: Flask, make: Factory) -> Fapi:
    make.user(roles=("viewer",))
    return Fapi(
        app, make.application("bank", kind="web", redirect_uris=[DONE], roles=(), secret=False, jwks=KEYS, profile="fapi2")
    )


@pytest.mark.spec("R102", "R103", "R105")
def test_security_profile_happy_flow(bank: Fapi, prover: Prover) -> None:
    answer = bank.pushed()
    assert answer.json["expires_in"] < 600
    page = go(bank, answer.json["request_uri"])
    said = told(bank.sign_in(page))
    assert (said["iss"], said["state"]) == (ISSUER, "a state")
    tokens = bank.tokens_for(said["code"], prover)
    assert (tokens.status_code, tokens.json["token_type"]) == (200, "DPoP"), tokens.text
    assert claims_of(tokens.json["id_token"])["aud"] == "bank"


@pytest.mark.spec("R103")
def test_request_that_was_not_pushed_is_refused(bank: Fapi) -> None:
    assert told(bank.ask())["error"] == "invalid_request"


PUSHED_WRONG: dict[str, dict[str, Any]] = {
    "PKCE is missing": {"code_challenge": None, "code_challenge_method": None},
    "PKCE is plain": {"code_challenge_method": "plain"},
    "PKCE without a method": {"code_challenge_method": None},
    "response_type token": {"response_type": "token"},
    "response_type id_token": {"response_type": "id_token"},
    "response_type code id_token": {"response_type": "code id_token"},
    "response_type none": {"response_type": "none"},
    "response_type missing": {"response_type": None},
    "redirect_uri not registered": {"redirect_uri": "https://evil.example/"},
    "redirect_uri missing": {"redirect_uri": None, "scope": "roles"},
    "request_uri inside": {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
    "a request object": {"request": "a.b.c"},
}


@pytest.mark.spec("R102")
@pytest.mark.parametrize("case", PUSHED_WRONG)
def test_pushed_request_is_refused(bank: Fapi, case: str) -> None:
    answer = bank.pushed(**PUSHED_WRONG[case])
    assert answer.status_code == 400, answer.text
    assert answer.json["error"] in {"invalid_request", "unsupported_response_type", "request_not_supported"}


@pytest.mark.parametrize("audience", [[ISSUER], TOKEN_URL, PUSH_URL, [PUSH_URL, ISSUER]])
def test_assertion_of_a_pushed_request_names_the_issuer_alone(bank: Fapi, audience: Any) -> None:
    answer = bank.post("ext/par/request", bank.parameters(), audience=audience)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_requests_are_pushed_by_post_only(bank: Fapi) -> None:
    assert bank.app.test_client().get(f"{bank.base}ext/par/request", query_string=bank.parameters()).status_code == 405


@pytest.mark.spec("R102")
def test_request_uri_is_of_one_use_one_client_and_a_short_time(
    bank: Fapi, make: Factory, prover: Prover, frozen_clock: FrozenClock
) -> None:
    request_uri = bank.pushed().json["request_uri"]
    make.application("shop", kind="web", redirect_uris=[DONE], roles=(), secret=False, jwks=KEYS, profile="fapi2")
    assert go(bank, request_uri, client_id="shop").status_code == 400
    page = go(bank, request_uri)
    assert "code" in told(bank.sign_in(page))
    assert go(bank, request_uri).status_code == 400
    late = bank.pushed()
    frozen_clock.advance(seconds=late.json["expires_in"])
    assert go(bank, late.json["request_uri"]).status_code == 400


@pytest.mark.spec("R19")
def test_code_works_once_and_for_a_minute(bank: Fapi, prover: Prover, frozen_clock: FrozenClock) -> None:
    code = bank.code()
    tokens = bank.tokens_for(code, prover)
    assert tokens.status_code == 200
    assert bank.tokens_for(code, prover).json["error"] == "invalid_grant"
    url = TOKEN_URL.replace("/token", "/userinfo")
    token = tokens.json["access_token"]
    headers = prover.headers("GET", url, token=token)
    bank.app.extensions["realmgate"].feed.expire()
    assert bank.app.test_client().get(f"{bank.base}userinfo", headers=headers).status_code == 401, "what it gave has ended"
    late = bank.code()
    frozen_clock.advance(seconds=60)
    assert bank.tokens_for(late, prover).json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes", [{"code_verifier": "x" * 43}, {"code_verifier": None}, {"redirect_uri": "https://evil.example/"}]
)
def test_code_with_something_wrong_beside_it_is_refused(bank: Fapi, prover: Prover, changes: dict[str, Any]) -> None:
    answer = bank.tokens_for(bank.code(), prover, **changes)
    assert answer.status_code == 400
    assert answer.json["error"] in {"invalid_grant", "invalid_request"}


def test_code_of_another_client_is_refused(bank: Fapi, make: Factory, prover: Prover) -> None:
    code = bank.code()
    made = make.application("shop", kind="web", redirect_uris=[DONE], roles=(), secret=False, jwks=KEYS, profile="fapi2")
    other = Fapi(bank.app, made, verifier=bank.verifier)
    assert other.tokens_for(code, prover).json["error"] == "invalid_grant"


@pytest.mark.spec("R105")
def test_mismatched_key_is_refused(bank: Fapi, prover: Prover) -> None:
    by_parameter = bank.code(dpop_jkt=prover.jkt)
    assert bank.tokens_for(by_parameter, Prover()).json["error"] == "invalid_grant"
    by_proof = bank.code(prover)
    assert bank.tokens_for(by_proof, Prover()).json["error"] == "invalid_grant"
    assert bank.tokens_for(by_proof, prover).status_code == 200
    assert bank.pushed(prover, dpop_jkt=Prover().jkt).json["error"] == "invalid_dpop_proof"


def test_tokens_without_a_proof_are_refused_and_cost_no_code(bank: Fapi, prover: Prover) -> None:
    code = bank.code()
    assert bank.tokens_for(code, None).json["error"] == "invalid_request"
    assert bank.tokens_for(code, prover).status_code == 200


def test_long_nonce_and_state_come_back_whole(bank: Fapi, prover: Prover) -> None:
    nonce, state = secrets.token_hex(32), secrets.token_urlsafe(384)
    answer = bank.pushed(nonce=nonce, state=state)
    said = told(bank.sign_in(go(bank, answer.json["request_uri"])))
    assert said["state"] == state
    assert claims_of(bank.tokens_for(said["code"], prover).json["id_token"])["nonce"] == nonce


def test_person_who_refuses_is_told_to_the_client(bank: Fapi, make: Factory) -> None:
    make.change(lambda realm, application: set_application(realm, application, consent=True), "bank")
    page = bank.sign_in(go(bank, bank.pushed().json["request_uri"]))
    assert told(bank.send(page, decision="refuse"))["error"] == "access_denied"


def test_refresh_is_for_the_same_client_only(bank: Fapi, make: Factory, prover: Prover) -> None:
    token = bank.tokens_for(bank.code(), prover).json["refresh_token"]
    made = make.application("shop", kind="web", redirect_uris=[DONE], roles=(), secret=False, jwks=KEYS, profile="fapi2")
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert Fapi(bank.app, made).post("token", form, prover=prover).json["error"] == "invalid_grant"
    assert bank.post("token", form, prover=prover).json["token_type"] == "DPoP"
