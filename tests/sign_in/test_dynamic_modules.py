"""What the modules of the OpenID Foundation's Dynamic plan ask of a provider, under their names."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import keys
from tests.conftest import FrozenClock
from tests.factories import BASE, Factory, Made, assertion, key_pair
from tests.sign_in.conftest import DONE, Browser, told
from tests.sign_in.test_registration import ISSUER, WEB, bearer, made, own, register, registration_token

TWO = ["https://app.example/one", "https://app.example/two"]


@pytest.fixture
def token(make: Factory) -> str:
    """A token with which 20 applications can be registered."""
    return registration_token(make)


def browser_of(app: Flask, answer: dict[str, Any]) -> Browser:
    return Browser(app, Made(answer["client_id"], answer.get("client_secret", ""), ""))


def signed_in(browser: Browser, **changes: Any) -> dict[str, Any]:
    """Sign in with consent, and return the tokens."""
    page = browser.sign_in(browser.ask(**changes))
    answer = browser.redeem(told(browser.send(page, decision="agree"))["code"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_registration_dynamic(app: Flask, client: FlaskClient, token: str, ann: str) -> None:
    tokens = signed_in(browser_of(app, made(register(client, token))))
    assert browser_of(app, {"client_id": ""}).open(tokens["id_token"]).claims["sub"] == ann


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_idtoken_signed_as_registered(app: Flask, client: FlaskClient, token: str, ann: str, algorithm: str) -> None:
    assert ann
    browser = browser_of(app, made(register(client, token, id_token_signed_response_alg=algorithm)))
    assert browser.open(signed_in(browser)["id_token"]).header["alg"] == algorithm


def test_userinfo_rs256(app: Flask, client: FlaskClient, token: str, ann: str) -> None:
    browser = browser_of(app, made(register(client, token, userinfo_signed_response_alg="RS256")))
    opened = browser.open(browser.userinfo(signed_in(browser)["access_token"]).text, typ="userinfo+jwt")
    assert (opened.header["alg"], opened.claims["sub"], opened.claims["iss"]) == ("RS256", ann, ISSUER)


def test_redirect_uri_query_ok(app: Flask, client: FlaskClient, token: str, ann: str) -> None:
    assert ann
    uri = "https://app.example/cb?foo=bar"
    browser = browser_of(app, made(register(client, token, redirect_uris=[uri])))
    page = browser.sign_in(browser.ask(redirect_uri=uri))
    sent = browser.send(page, decision="agree").headers["Location"]
    assert sent.startswith(f"{uri}&")
    assert sent.count("foo=bar") == 1


@pytest.mark.parametrize("uri", [f"{DONE}?foo=bar", f"{DONE}?", f"{DONE}/", DONE.upper()])
def test_redirect_uri_query_mismatch_and_added(app: Flask, client: FlaskClient, token: str, uri: str) -> None:
    browser = browser_of(app, made(register(client, token)))
    page = browser.ask(redirect_uri=uri)
    assert page.status_code == 400
    assert "Location" not in page.headers


def test_redirect_uri_missing_when_two_are_registered(app: Flask, client: FlaskClient, token: str) -> None:
    browser = browser_of(app, made(register(client, token, redirect_uris=TWO)))
    page = browser.ask(redirect_uri=None)
    assert page.status_code == 400
    assert "Location" not in page.headers


def test_redirect_uri_regfrag(client: FlaskClient, token: str) -> None:
    answer = register(client, token, redirect_uris=[f"{DONE}#fragment"])
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_redirect_uri")


def test_registration_policy_and_tos_uri(app: Flask, client: FlaskClient, token: str, ann: str) -> None:
    assert ann
    links = {"policy_uri": "https://app.example/privacy", "tos_uri": "https://app.example/terms"}
    answer = made(register(client, token, logo_uri="https://app.example/logo.png", **links))
    assert {name: answer[name] for name in links} == links
    assert "logo_uri" not in answer, "pictures of elsewhere are not shown"
    browser = browser_of(app, answer)
    page = browser.sign_in(browser.ask(ui_locales="de"))
    for link in links.values():
        assert f'<a href="{link}" rel="noreferrer">' in page.text
    assert "Datenschutzerklärung von A shop" in page.text
    assert "<img" not in page.text
    for bad in ("javascript:alert(1)", "http://app.example/privacy", 'https://app.example/"><script>'):
        refused = register(client, token, policy_uri=bad)
        assert refused.json["error"] == "invalid_client_metadata"
        assert "policy_uri" in refused.json["error_description"]


@pytest.mark.spec("T75", "T76")
@pytest.mark.parametrize(
    "said",
    [
        {"jwks_uri": "http://127.0.0.1:1/x", "token_endpoint_auth_method": "private_key_jwt"},
        {"sector_identifier_uri": "https://app.example/x"},
    ],
)
def test_registration_of_what_would_be_fetched_is_refused(client: FlaskClient, token: str, said: dict[str, str]) -> None:
    answer = register(client, token, **said)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")


@pytest.mark.spec("R62")
def test_server_rotates_keys(
    app: Flask, client: FlaskClient, make: Factory, token: str, ann: str, frozen_clock: FrozenClock
) -> None:
    assert ann
    browser = browser_of(app, made(register(client, token, id_token_signed_response_alg="RS256")))
    before = browser.open(signed_in(browser)["id_token"]).header["kid"]
    make.do(lambda realm: keys.rotate_key(realm, "RS256"))
    with app.app_context():
        frozen_clock.advance(seconds=keys.announcement().total_seconds() + 1)
        keys.rotate_due_keys()
    renewed = told(browser.sign_in(browser.ask(prompt="login")))
    after = browser.open(browser.redeem(renewed["code"]).json["id_token"]).header["kid"]
    published = {key["kid"] for key in client.get(f"{BASE.format(realm='acme')}certs").json["keys"]}
    assert after != before
    assert {before, after} <= published


def test_rotation_of_an_applications_own_keys(client: FlaskClient, token: str) -> None:
    (old, old_public), (new, new_public) = key_pair(), key_pair()
    method = {"token_endpoint_auth_method": "private_key_jwt"}
    answer = made(register(client, token, jwks=old_public, **method))
    name, (url, headers) = answer["client_id"], own(answer)

    def error(key: Any) -> str:
        asserted = {
            "grant_type": "authorization_code",
            "code": "x",
            "redirect_uri": DONE,
            "code_verifier": "v" * 43,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(key, name, ISSUER),
        }
        found: str = client.post(f"{BASE.format(realm='acme')}token", data=asserted).json["error"]
        return found

    assert (error(old), error(new)) == ("invalid_grant", "invalid_client"), "aud is the issuer"
    body = WEB | method | {"client_id": name, "jwks": new_public}
    assert client.put(url, json=body, headers=headers).status_code == 200
    assert (error(old), error(new)) == ("invalid_client", "invalid_grant")


@pytest.mark.parametrize(("name", "error"), [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")])
def test_request_objects_unsigned_and_rs256_are_refused(
    app: Flask, client: FlaskClient, token: str, name: str, error: str
) -> None:
    browser = browser_of(app, made(register(client, token)))
    value = "https://app.example/request.jwt" if name == "request_uri" else "eyJhbGciOiJub25lIn0.e30."
    assert told(browser.ask(**{name: value}))["error"] == error


def test_discovery_of_it_is_true(client: FlaskClient, token: str) -> None:
    assert token
    metadata = client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert metadata["registration_endpoint"] == f"{ISSUER}/clients-registrations/openid-connect"
    assert metadata["userinfo_signing_alg_values_supported"] == metadata["id_token_signing_alg_values_supported"]
    assert client.post(metadata["registration_endpoint"].removeprefix("http://localhost:8080"), json=WEB).status_code == 401
    assert (
        client.post(metadata["registration_endpoint"].removeprefix("http://localhost:8080"), json=WEB, headers=bearer(token))
        .json["client_id"]
        .startswith("app-")
    )
