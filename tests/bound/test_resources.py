"""Bound tokens where they are used: UserInfo, the API, other systems' contracts, the gateway (RFC 9449 §7)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.app import close_app, create_app
from idp.settings import Settings
from tests.bound.proving import TOKEN_URL, Prover
from tests.factories import Factory, Made, ask, claims_of, session_of, set_api

ISSUER = "http://localhost:8080/auth/realms/acme"
ALGS = 'algs="ES256 ES384'


@pytest.fixture
def bot(make: Factory) -> Made:
    return make.application(roles=("administrator",), audience=[ISSUER])


def token_for(client: FlaskClient, made: Made, prover: Prover | None, **parameters: str) -> str:
    form = {"grant_type": "client_credentials", "scope": "openid", **made.form, **parameters}
    answer = ask(client, "token", form, headers=prover.headers() if prover else {})
    assert answer.status_code == 200, answer.text
    token: str = answer.json["access_token"]
    return token


def get(client: FlaskClient, path: str, headers: Any) -> TestResponse:
    return client.get(path, headers=headers)


WHERE = ["/auth/realms/acme/protocol/openid-connect/userinfo", "/v1/applications"]


def url(path: str) -> str:
    return f"http://localhost:8080{path}"


@pytest.mark.spec("R104", "R105")
@pytest.mark.parametrize("path", WHERE)
def test_bound_token_works_with_a_proof_of_its_key(client: FlaskClient, bot: Made, prover: Prover, path: str) -> None:
    token = token_for(client, bot, prover)
    headers = prover.headers("GET", url(path), token=token)
    assert get(client, path, headers).status_code == 200, get(client, path, headers).text
    again = get(client, path, headers)
    assert again.status_code == 401, "the proof was used"


WRONG: dict[str, Callable[[Prover, str, str], dict[str, str]]] = {
    "as Bearer": lambda _p, _u, token: {"Authorization": f"Bearer {token}"},
    "as Bearer with a proof": lambda p, u, token: p.headers("GET", u, token=token) | {"Authorization": f"Bearer {token}"},
    "without a scheme": lambda _p, _u, token: {"Authorization": token},
    "without a proof": lambda _p, _u, token: {"Authorization": f"DPoP {token}"},
    "with a proof of another key": lambda _p, u, token: Prover().headers("GET", u, token=token),
    "with a proof for another token": lambda p, u, token: p.headers("GET", u, token=token, ath="x"),
    "with a proof for no token": lambda p, u, token: p.headers("GET", u, token=token, without=("ath",)),
    "with a proof for another method": lambda p, u, token: p.headers("POST", u, token=token),
    "with a proof for another place": lambda p, _u, token: p.headers("GET", TOKEN_URL, token=token),
    "with two proofs": lambda p, u, token: {
        "Authorization": f"DPoP {token}",
        "DPoP": f"{p.proof('GET', u, token=token)},{p.proof('GET', u, token=token)}",
    },
}


@pytest.mark.spec("R105")
@pytest.mark.parametrize("path", WHERE)
@pytest.mark.parametrize("case", WRONG)
def test_bound_token_is_refused(client: FlaskClient, bot: Made, prover: Prover, path: str, case: str) -> None:
    token = token_for(client, bot, prover)
    answer = get(client, path, WRONG[case](prover, url(path), token))
    assert answer.status_code == 401, answer.text
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('DPoP error="invalid_'), challenge
    assert ALGS in challenge


@pytest.mark.parametrize("path", WHERE)
def test_token_that_is_not_bound_is_no_dpop_token(client: FlaskClient, bot: Made, prover: Prover, path: str) -> None:
    token = token_for(client, bot, None)
    assert get(client, path, {"Authorization": f"Bearer {token}"}).status_code == 200
    answer = get(client, path, prover.headers("GET", url(path), token=token))
    assert (answer.status_code, answer.headers["WWW-Authenticate"].partition(" ")[0]) == (401, "DPoP")


@pytest.mark.parametrize("path", WHERE)
def test_application_that_demands_nonces_needs_one_here_too(
    client: FlaskClient, make: Factory, prover: Prover, path: str
) -> None:
    made = make.application(roles=("administrator",), audience=[ISSUER], dpop_nonces=True)
    form = {"grant_type": "client_credentials", "scope": "openid", **made.form}
    nonce = ask(client, "token", form, headers=prover.headers()).headers["DPoP-Nonce"]
    token = ask(client, "token", form, headers=prover.headers(nonce=nonce)).json["access_token"]
    first = get(client, path, prover.headers("GET", url(path), token=token))
    assert (first.status_code, first.headers["DPoP-Nonce"]) == (401, nonce)
    assert 'error="use_dpop_nonce"' in first.headers["WWW-Authenticate"]
    assert get(client, path, prover.headers("GET", url(path), token=token, nonce=nonce)).status_code == 200


def test_change_by_the_api_looks_at_the_proof_once(client: FlaskClient, bot: Made, prover: Prover) -> None:
    token, path = token_for(client, bot, prover), "/v1/applications"
    headers = prover.headers("POST", url(path), token=token)
    answer = client.post(path, json={"metadata": {"name": "second"}}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert client.post(path, json={"metadata": {"name": "third"}}, headers=headers).status_code == 401


def test_session_token_is_no_dpop_token(client: FlaskClient, make: Factory, prover: Prover) -> None:
    make.user(roles=("viewer",))
    session = session_of(client)["Authorization"]
    answer = get(client, "/v1/applications", prover.headers("GET", url("/v1/applications"), token=session))
    assert answer.status_code == 401


def exchange(client: FlaskClient, actor: Made, token: str, prover: Prover | None) -> TestResponse:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "resource": "https://api.example",
    }
    return ask(client, "token", form | actor.form, headers=prover.headers() if prover else {})


@pytest.mark.spec("R105")
def test_exchange_of_a_bound_token_needs_its_key(client: FlaskClient, make: Factory, prover: Prover) -> None:
    actor = make.application("actor", audience=["https://api.example"], resources=["https://mine.example"])
    caller = make.application("caller", audience=["https://mine.example"])
    token = token_for(client, caller, prover)
    for wrong in (None, Prover()):
        answer = exchange(client, actor, token, wrong)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request"), answer.text
    good = exchange(client, actor, token, prover)
    assert (good.status_code, good.json["token_type"]) == (200, "DPoP"), good.text
    assert claims_of(good.json["access_token"])["cnf"] == {"jkt": prover.jkt}


def test_exchange_may_bind_what_was_not_bound(client: FlaskClient, make: Factory, prover: Prover) -> None:
    actor = make.application("actor", audience=["https://api.example"], resources=["https://mine.example"])
    token = token_for(client, make.application("caller", audience=["https://mine.example"]), None)
    assert exchange(client, actor, token, None).json["token_type"] == "Bearer"
    assert claims_of(exchange(client, actor, token, prover).json["access_token"])["cnf"] == {"jkt": prover.jkt}


API = "https://telemetry.example"


@pytest.fixture
def behind(settings: Settings) -> Iterator[FlaskClient]:
    """A client that is a trusted proxy."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    rules = [{"methods": ["GET"], "path": "/jobs", "roles": ["researcher"]}]
    Factory(app).do(lambda realm: set_api(realm, "metrics", audience=API, rules=rules))
    Factory(app).do(lambda realm: set_api(realm, "named", audience="metrics", rules=rules))
    yield app.test_client(use_cookies=False)
    close_app(app)


def check(client: FlaskClient, headers: Any, *, api: str = "metrics", uri: str = "/jobs/7?full=yes") -> TestResponse:
    asked = {"QUERY_STRING": f"method=GET&uri={uri}"}
    return client.get(f"/gateway/check/acme/{api}", headers=headers, environ_overrides=asked)


@pytest.mark.spec("R104", "R105")
def test_gateway_checks_the_proof_for_the_url_of_the_api(behind: FlaskClient, prover: Prover) -> None:
    made = Factory(behind.application).application(audience=[API])
    token = token_for(behind, made, prover)
    good = prover.headers("GET", f"{API}/jobs/7?full=yes", token=token)
    answer = check(behind, good)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Authorization"].startswith("Bearer ")
    assert "cnf" not in claims_of(answer.headers["Authorization"].removeprefix("Bearer "))
    assert check(behind, good).status_code == 401, "the proof was used"
    wrong = [
        {"Authorization": f"Bearer {token}"},
        prover.headers("GET", f"{API}/jobs/8", token=token),
        prover.headers("GET", "https://evil.example/jobs/7", token=token),
        prover.headers("POST", f"{API}/jobs/7", token=token),
        prover.headers("GET", "http://localhost:8080/gateway/check/acme/metrics", token=token),
    ]
    for headers in wrong:
        answer = check(behind, headers)
        assert answer.status_code == 401, headers
        assert answer.headers["WWW-Authenticate"].startswith("DPoP error="), headers


def test_gateway_takes_no_proof_for_an_api_without_a_url(behind: FlaskClient, prover: Prover) -> None:
    token = token_for(behind, Factory(behind.application).application(audience=["metrics"]), prover)
    for named in ("metrics/jobs/7", "://metrics/jobs/7", "https:///jobs/7", "https://metrics/jobs/7"):
        assert check(behind, prover.headers("GET", named, token=token), api="named").status_code == 401
