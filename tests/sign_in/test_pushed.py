"""Pushed authorization requests (RFC 9126)."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.setup import rotate_keys_and_tidy
from tests.conftest import FrozenClock
from tests.factories import Factory, set_application, set_realm
from tests.sign_in.conftest import DONE, Browser, told


def push(browser: Browser, **changes: Any) -> TestResponse:
    shown = {} if browser.public else browser.made.form
    return browser.app.test_client().post(f"{browser.base}ext/par/request", data=shown | browser.parameters(**changes))


def go(browser: Browser, request_uri: str, **changes: str) -> TestResponse:
    query = {"client_id": browser.made.client_id, "request_uri": request_uri} | changes
    return browser.client.get(f"{browser.base}auth", query_string=query)


@pytest.mark.spec("R102")
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_pushed_request_is_taken_up_once(kind: str, request: pytest.FixtureRequest) -> None:
    browser: Browser = request.getfixturevalue(kind)
    answer = push(browser)
    assert (answer.status_code, answer.json["expires_in"], answer.headers["Cache-Control"]) == (201, 90, "no-store")
    request_uri = answer.json["request_uri"]
    assert len(request_uri) > len("urn:ietf:params:oauth:request_uri:") + 40
    page = go(browser, request_uri, redirect_uri="https://evil.example/", state="other")
    assert go(browser, request_uri).status_code == 200, "a page may be loaded again"
    told_of = told(browser.sign_in(page))
    assert told_of["state"] == "a state"
    assert browser.redeem(told_of["code"]).status_code == 200
    again = go(browser, request_uri)
    assert (again.status_code, "Location" in again.headers) == (400, False)


@pytest.mark.spec("R102")
def test_of_two_pages_of_one_request_one_gets_a_code(web: Browser) -> None:
    request_uri = push(web).json["request_uri"]
    first, second = go(web, request_uri), go(web, request_uri)
    assert "code" in told(web.sign_in(first))
    answer = web.sign_in(second)
    assert web.client.get(answer.headers["Location"].removeprefix("http://localhost:8080")).status_code == 400


def test_somebody_may_take_their_time_to_sign_in(app: Flask, web: Browser, frozen_clock: FrozenClock) -> None:
    page = go(web, push(web).json["request_uri"])
    frozen_clock.advance(minutes=20)
    with app.app_context():
        rotate_keys_and_tidy()
    assert "code" in told(web.sign_in(page))


@pytest.mark.spec("R102")
def test_pushed_request_is_bound_to_its_client_and_time(
    app: Flask, web: Browser, make: Factory, frozen_clock: FrozenClock
) -> None:
    other = Browser(app, make.application("other", kind="web", redirect_uris=[DONE], roles=()))
    request_uri = push(web).json["request_uri"]
    assert go(other, request_uri).status_code == 400
    assert web.client.get(f"{web.base}auth", query_string={"request_uri": request_uri}).status_code == 400
    assert go(web, request_uri[:-1]).status_code == 400
    frozen_clock.advance(seconds=89)
    assert go(web, request_uri).status_code == 200
    frozen_clock.advance(seconds=1)
    assert go(web, request_uri).status_code == 400


@pytest.mark.spec("R102", "R3")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"request": "x"}, "request_not_supported"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "nothing"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"client_id": "other"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_at_once(web: Browser, changes: dict[str, str], error: str) -> None:
    if "client_id" in changes:
        from tests.factories import basic

        headers = {"Authorization": basic("shop", web.made.secret)}
        answer = web.client.post(f"{web.base}ext/par/request", data=web.parameters(**changes), headers=headers)
    else:
        answer = push(web, **changes)
    assert (answer.status_code, answer.json["error"], answer.mimetype) == (400, error, "application/json")


@pytest.mark.spec("R120")
def test_confidential_client_has_to_show_who_it_is(web: Browser) -> None:
    assert web.client.post(f"{web.base}ext/par/request", data=web.parameters()).status_code == 401
    assert web.client.get(f"{web.base}ext/par/request").status_code == 405
    machine = web.client.post(f"{web.base}ext/par/request?x=1", data=web.made.form | web.parameters())
    assert machine.status_code == 400


@pytest.mark.spec("R103")
@pytest.mark.parametrize("who", ["application", "realm"])
def test_it_can_be_required(web: Browser, make: Factory, who: str) -> None:
    if who == "realm":
        make.do(lambda realm: set_realm(realm, pushed_requests=True))
        document = web.client.get("/auth/realms/acme/.well-known/openid-configuration").json
        assert document["require_pushed_authorization_requests"] is True
    else:
        make.change(lambda realm, row: set_application(realm, row, pushed_requests=True), "shop")
    assert told(web.ask())["error"] == "invalid_request"
    assert "code" in told(web.sign_in(go(web, push(web).json["request_uri"])))


def test_what_was_pushed_is_checked_again(web: Browser, make: Factory) -> None:
    request_uri = push(web).json["request_uri"]
    make.change(lambda realm, row: set_application(realm, row, redirect_uris=["https://app.example/other"]), "shop")
    assert go(web, request_uri).status_code == 400
