"""Devices (RFC 8628): a code on one screen, a person at another."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import FrozenClock
from tests.factories import Factory, set_application
from tests.sign_in.conftest import ORIGIN, Browser

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def tv(app: Flask, make: Factory, ann: str) -> Browser:
    """A television, and ann's browser."""
    made = make.application("tv", kind="native", roles=(), secret=False, display_name="Big Screen")
    return Browser(app, made, public=True)


def begin(tv: Browser, **form: str) -> dict[str, Any]:
    answer = tv.app.test_client().post(f"{tv.base}auth/device", data={"client_id": "tv", "scope": "openid email"} | form)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def poll(tv: Browser, device: dict[str, Any]) -> TestResponse:
    return tv.post_token(grant_type=GRANT, device_code=device["device_code"])


def enter(tv: Browser, code: str) -> TestResponse:
    return tv.client.post("/device", data={"user_code": code}, headers={"Origin": ORIGIN})


def test_person_connects_a_device(tv: Browser, ann: str) -> None:
    device = begin(tv)
    assert device["verification_uri"] == "http://localhost:8080/device"
    assert device["verification_uri_complete"] == f"http://localhost:8080/device?user_code={device['user_code']}"
    letters = device["user_code"].replace("-", "")
    assert len(letters) == 8
    assert set(letters) <= set("BCDFGHJKLMNPQRSTVWXZ")
    assert poll(tv, device).json["error"] == "authorization_pending"
    page = enter(tv, device["user_code"].lower().replace("-", " "))
    question = tv.sign_in(page)
    for said in ("Big Screen", device["user_code"], "ann@example.test", "Your email address"):
        assert said in question.text
    done = tv.send(question, decision="agree")
    assert "Device connected" in done.text
    tokens = poll(tv, device)
    assert tokens.status_code == 200, tokens.text
    claims = tv.open(tokens.json["id_token"]).claims
    assert (claims["sub"], claims["aud"]) == (ann, "tv")
    assert "sid" not in claims, "it is not of the browser's session"
    assert tv.userinfo(tokens.json["access_token"]).json["email"] == "ann@example.test"
    assert tv.refresh(tokens.json["refresh_token"]).status_code == 200


@pytest.mark.spec("T51")
def test_link_with_the_code_decides_nothing(tv: Browser) -> None:
    device = begin(tv)
    page = tv.client.get(f"/device?user_code={device['user_code']}")
    assert f'value="{device["user_code"]}"' in page.text
    assert poll(tv, device).json["error"] == "authorization_pending"
    tv.sign_in(tv.send(page))
    again = tv.send(tv.client.get(f"/device?user_code={device['user_code']}"))
    assert "Allow this device?" in again.text, "asked, also of somebody who has signed in"


def test_refusal_is_told_and_final(tv: Browser) -> None:
    device = begin(tv)
    done = tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="refuse")
    assert "Device refused" in done.text
    for _ in range(2):
        answer = poll(tv, device)
        assert (answer.status_code, answer.json["error"]) == (400, "access_denied")
    assert enter(tv, device["user_code"]).status_code == 400


def test_device_that_asks_too_often_is_slowed_down(tv: Browser, frozen_clock: FrozenClock) -> None:
    device = begin(tv)
    assert device["interval"] == 5
    assert poll(tv, device).json["error"] == "authorization_pending"
    assert poll(tv, device).json["error"] == "slow_down"
    frozen_clock.advance(seconds=6)
    assert poll(tv, device).json["error"] == "slow_down", "now it is ten seconds"
    frozen_clock.advance(seconds=15)
    assert poll(tv, device).json["error"] == "authorization_pending"


def test_codes_expire(tv: Browser, frozen_clock: FrozenClock) -> None:
    device = begin(tv)
    frozen_clock.advance(seconds=device["expires_in"])
    assert poll(tv, device).json["error"] == "expired_token"
    assert enter(tv, device["user_code"]).status_code == 400


@pytest.mark.spec("T49", "T54")
def test_device_code_works_once_and_used_again_ends_what_it_gave(tv: Browser) -> None:
    device = begin(tv)
    tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="agree")
    tokens = poll(tv, device).json
    again = poll(tv, device)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert tv.userinfo(tokens["access_token"]).status_code == 401
    assert tv.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


@pytest.mark.spec("T47", "T49")
def test_no_code_is_another_kind_of_code(tv: Browser, web: Browser) -> None:
    device = begin(tv)
    code = web.signed_in()["code"]
    refresh = web.redeem(code).json["refresh_token"]
    for wrong in (code, refresh, device["user_code"], "x"):
        assert tv.post_token(grant_type=GRANT, device_code=wrong).json["error"] == "invalid_grant"
    for wrong in (device["device_code"], refresh, device["user_code"]):
        assert web.redeem(wrong).json["error"] == "invalid_grant"
    for wrong in (device["device_code"], code, device["user_code"]):
        assert web.refresh(wrong).json["error"] == "invalid_grant"


@pytest.mark.spec("T47")
def test_device_code_of_another_application_is_unknown(app: Flask, tv: Browser, make: Factory) -> None:
    other = Browser(app, make.application("other", kind="native", roles=(), secret=False), public=True)
    device = begin(tv)
    tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="agree")
    assert poll(other, device).json["error"] == "invalid_grant"
    assert poll(tv, device).status_code == 200


def test_wrong_codes_are_counted(tv: Browser, app: Flask) -> None:
    statuses = [enter(tv, "BBBB-BBBB").status_code for _ in range(120)]
    assert statuses[0] == 400
    assert statuses[-1] == 429


def test_application_that_may_not_is_told(web: Browser, tv: Browser, make: Factory) -> None:
    answer = web.client.post(f"{web.base}auth/device", data=web.made.form)
    assert (answer.status_code, answer.json["error"]) == (400, "unauthorized_client")
    unknown = web.client.post(f"{web.base}auth/device", data={"client_id": "nobody"})
    assert (unknown.status_code, unknown.json["error"]) == (401, "invalid_client")
    scope = web.client.post(f"{web.base}auth/device", data={"client_id": "tv", "scope": "nothing"})
    assert (scope.status_code, scope.json["error"]) == (400, "invalid_scope")
    device = begin(tv)
    make.change(lambda realm, row: set_application(realm, row, enabled=False), "tv")
    assert enter(tv, device["user_code"]).status_code == 400


@pytest.mark.spec("T48", "T100")
def test_decision_is_of_the_browser_that_was_asked(tv: Browser, make: Factory) -> None:
    device = begin(tv)
    question = tv.sign_in(enter(tv, device["user_code"]))
    form = tv.form_of(question)
    stranger = Browser(tv.app, tv.made)
    sent = dict(form.values) | {"decision": "agree"}
    assert stranger.client.post(form.action, data=sent, headers={"Origin": ORIGIN}).status_code == 403
    assert tv.client.post(form.action, data=sent, headers={"Origin": "https://evil.example"}).status_code == 403
    assert poll(tv, device).json["error"] == "authorization_pending"


def test_signing_out_of_the_browser_leaves_the_device(tv: Browser) -> None:
    device = begin(tv)
    tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="agree")
    tokens = poll(tv, device).json
    tv.send(tv.client.get(f"{tv.base}logout"))
    assert tv.refresh(tokens["refresh_token"]).status_code == 200
