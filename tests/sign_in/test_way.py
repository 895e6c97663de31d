"""The way of a person to an application and back, and what it then gets."""

import pytest

from tests.sign_in.conftest import Browser


@pytest.mark.parametrize("kind", ["web", "spa"])
def test_person_signs_in_and_the_application_gets_tokens(kind: str, request: pytest.FixtureRequest, ann: str) -> None:
    browser: Browser = request.getfixturevalue(kind)
    answer = browser.signed_in(nonce="n-1", scope="openid profile email")
    assert answer["state"] == "a state"
    assert answer["iss"] == "http://localhost:8080/auth/realms/acme"
    tokens = browser.redeem(answer["code"])
    assert tokens.status_code == 200, tokens.text
    assert tokens.headers["Cache-Control"] == "no-store"
    body = tokens.json
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert body["refresh_token"].startswith("idp_rt_")
    claims = browser.open(body["id_token"]).claims
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (ann, browser.made.client_id, "n-1")
    assert claims["email"] == "ann@example.test"
    access = browser.open(body["access_token"], "at+jwt").claims
    assert access["realm_access"] == {"roles": []}
    assert browser.userinfo(body["access_token"]).json["email"] == "ann@example.test"
