"""What people's codes and refresh tokens are bound to (RFC 9449 §5 and §10)."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.bound.proving import TOKEN_URL, Prover
from tests.factories import Factory, claims_of
from tests.sign_in.conftest import DONE, Browser, told
from tests.sign_in.test_pushed import go

PUSH_URL = TOKEN_URL.replace("/token", "/ext/par/request")


def post(browser: Browser, endpoint: str, form: dict[str, Any], headers: Any) -> TestResponse:
    shown = {"client_id": browser.made.client_id} if browser.public else browser.made.form
    return browser.app.test_client().post(f"{browser.base}{endpoint}", data=shown | form, headers=headers)


def redeem(browser: Browser, code: str, prover: Prover | None) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": browser.verifier}
    return post(browser, "token", form, prover.headers() if prover else {})


def refresh(browser: Browser, token: str, prover: Prover | None) -> TestResponse:
    return post(browser, "token", {"grant_type": "refresh_token", "refresh_token": token}, prover.headers() if prover else {})


def pushed(browser: Browser, headers: Any, **changes: Any) -> TestResponse:
    return post(browser, "ext/par/request", browser.parameters(**changes), headers)


def code_of(browser: Browser, answer: TestResponse) -> str:
    assert answer.status_code == 201, answer.text
    return told(browser.sign_in(go(browser, answer.json["request_uri"])))["code"]


@pytest.mark.spec("R105")
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_code_gives_tokens_that_are_bound(kind: str, request: pytest.FixtureRequest, prover: Prover) -> None:
    browser: Browser = request.getfixturevalue(kind)
    answer = redeem(browser, browser.signed_in()["code"], prover)
    assert (answer.status_code, answer.json["token_type"]) == (200, "DPoP")
    assert claims_of(answer.json["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert "cnf" not in claims_of(answer.json["id_token"])


@pytest.mark.spec("R10", "R105")
def test_refresh_token_of_a_public_application_keeps_its_key(spa: Browser, prover: Prover) -> None:
    first = redeem(spa, spa.signed_in()["code"], prover).json["refresh_token"]
    for wrong in (None, Prover()):
        answer = refresh(spa, first, wrong)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    second = refresh(spa, first, prover)
    assert second.status_code == 200, "a thief without the key has not used it up"
    assert claims_of(second.json["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert refresh(spa, second.json["refresh_token"], None).status_code == 400, "nor is the next one free of it"


@pytest.mark.spec("R105")
def test_application_with_a_secret_may_change_its_key(web: Browser, prover: Prover) -> None:
    other = Prover()
    first = redeem(web, web.signed_in()["code"], prover).json["refresh_token"]
    second = refresh(web, first, other)
    assert claims_of(second.json["access_token"])["cnf"] == {"jkt": other.jkt}
    third = refresh(web, second.json["refresh_token"], None)
    assert (third.status_code, third.json["token_type"]) == (200, "Bearer")


@pytest.mark.spec("R105")
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_code_for_a_key_is_of_use_to_nobody_else(kind: str, request: pytest.FixtureRequest, prover: Prover) -> None:
    browser: Browser = request.getfixturevalue(kind)
    code = browser.signed_in(dpop_jkt=prover.jkt)["code"]
    for wrong in (None, Prover()):
        answer = redeem(browser, code, wrong)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert redeem(browser, code, prover).status_code == 200, "it is still there for who has the key"


@pytest.mark.parametrize("wrong", ["short", "x" * 44, "a/b" + "c" * 40])
def test_thumbprint_that_is_none_is_refused(web: Browser, wrong: str) -> None:
    assert told(web.ask(dpop_jkt=wrong))["error"] == "invalid_request"


@pytest.mark.spec("R105")
def test_pushed_request_binds_the_code(web: Browser, prover: Prover) -> None:
    by_header = code_of(web, pushed(web, prover.headers(url=PUSH_URL)))
    assert redeem(web, by_header, Prover()).json["error"] == "invalid_grant"
    assert redeem(web, by_header, prover).status_code == 200


def test_pushed_request_says_the_same_twice_or_is_refused(web: Browser, prover: Prover) -> None:
    assert pushed(web, prover.headers(url=PUSH_URL), dpop_jkt=prover.jkt).status_code == 201
    mismatched = pushed(web, prover.headers(url=PUSH_URL), dpop_jkt=Prover().jkt)
    assert (mismatched.status_code, mismatched.json["error"]) == (400, "invalid_dpop_proof")
    elsewhere = pushed(web, prover.headers())
    assert (elsewhere.status_code, elsewhere.json["error"]) == (400, "invalid_dpop_proof")


def test_pushed_request_needs_no_proof(make: Factory, web: Browser) -> None:
    from tests.factories import set_application

    make.change(lambda realm, application: set_application(realm, application, dpop_bound_access_tokens=True), "web")
    code = code_of(web, pushed(web, {}))
    assert redeem(web, code, None).json["error"] == "invalid_dpop_proof"
    assert redeem(web, code, Prover()).status_code == 200


def test_introspection_tells_what_a_token_is_bound_to(web: Browser, prover: Prover) -> None:
    tokens = redeem(web, web.signed_in()["code"], prover).json
    told_of = web.introspect(tokens["access_token"])
    assert (told_of["active"], told_of["token_type"], told_of["cnf"]) == (True, "DPoP", {"jkt": prover.jkt})
