"""Codes and the proof that goes with them: once, in time, by who has asked (T45 to T50, T62)."""

import base64
import logging

import pytest
from flask import Flask

from idp import applications
from idp.applications import ApplicationSheet
from tests.conftest import FrozenClock
from tests.factories import Factory, set_application
from tests.sign_in.conftest import DONE, Browser, challenge_of, told

INVALID = (400, "invalid_grant")


@pytest.mark.spec("R3", "R5", "T46", "AUTHLIB-3")
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "x"},
        {"code_challenge": "=" * 43},
        {"code_challenge": "a" * 44},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_request_without_a_right_challenge_is_refused_whoever_asks(
    kind: str, request: pytest.FixtureRequest, changes: dict[str, str]
) -> None:
    browser: Browser = request.getfixturevalue(kind)
    assert told(browser.ask(**changes))["error"] == "invalid_request"


@pytest.mark.spec("R4", "R6", "T45", "AUTHLIB-3")
@pytest.mark.parametrize("verifier", [None, "x", "a" * 43, "short" * 5, "é" * 43, "a" * 200])
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_wrong_or_missing_verifier_is_refused_and_burns_nothing(
    kind: str, request: pytest.FixtureRequest, verifier: str | None
) -> None:
    browser: Browser = request.getfixturevalue(kind)
    code = browser.signed_in()["code"]
    answer = browser.redeem(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json["error"] in {"invalid_grant", "invalid_request"}
    assert browser.redeem(code).status_code == 200


def test_challenge_itself_is_no_verifier(web: Browser) -> None:
    code = web.signed_in()["code"]
    answer = web.redeem(code, code_verifier=challenge_of(web.verifier))
    assert (answer.status_code, answer.json["error"]) == INVALID


@pytest.mark.spec("R36", "R37")
@pytest.mark.parametrize("uri", [None, "https://app.example/other", "https://app.example/done/", "https://evil.example/"])
def test_redirect_uri_must_be_that_of_the_request(web: Browser, uri: str | None) -> None:
    code = web.signed_in()["code"]
    answer = web.redeem(code, redirect_uri=uri)
    assert (answer.status_code, answer.json["error"]) == INVALID
    assert web.redeem(code).status_code == 200


@pytest.mark.spec("R38", "R118")
def test_code_lives_for_a_minute(web: Browser, frozen_clock: FrozenClock) -> None:
    early, late = web.signed_in()["code"], told(web.ask())["code"]
    frozen_clock.advance(seconds=59)
    assert web.redeem(early).status_code == 200
    frozen_clock.advance(seconds=1)
    answer = web.redeem(late)
    assert (answer.status_code, answer.json["error"]) == INVALID


def test_code_used_again_after_its_time_ends_what_it_gave(web: Browser, frozen_clock: FrozenClock) -> None:
    code = web.signed_in()["code"]
    tokens = web.redeem(code).json
    frozen_clock.advance(minutes=5)
    assert web.introspect(tokens["access_token"])["active"]
    assert web.redeem(code).status_code == 400
    assert web.introspect(tokens["access_token"]) == {"active": False}


@pytest.mark.spec("R36", "T47")
def test_code_of_another_application_is_refused_and_burnt(app: Flask, web: Browser, make: Factory) -> None:
    other = Browser(app, make.application("other", kind="web", redirect_uris=[DONE], roles=()), verifier=web.verifier)
    code = web.signed_in()["code"]
    answer = other.redeem(code)
    assert (answer.status_code, answer.json["error"]) == INVALID
    assert web.redeem(code).json["error"] == "invalid_grant"
    used = told(web.ask())["code"]
    tokens = web.redeem(used).json
    assert other.redeem(used).json["error"] == "invalid_grant"
    assert web.introspect(tokens["access_token"]) == {"active": False}


@pytest.mark.spec("T47", "T73")
def test_code_of_another_realm_is_unknown(app: Flask, web: Browser, make: Factory) -> None:
    make.realm("other")
    made = make.application("shop", realm="other", kind="web", redirect_uris=[DONE], roles=())
    other = Browser(app, made, realm="other", verifier=web.verifier)
    code = web.signed_in()["code"]
    assert other.redeem(code).json["error"] == "invalid_grant"
    assert web.redeem(code).status_code == 200


@pytest.mark.spec("R44", "T50")
def test_code_says_nothing_and_is_never_the_same(web: Browser) -> None:
    web.signed_in()
    codes = {told(web.ask(nonce="the same"))["code"] for _ in range(20)}
    assert len(codes) == 20
    for code in codes:
        raw = base64.urlsafe_b64decode(code.rpartition(".")[2] + "===")
        for said in (b"ann", b"shop", b"the same", b"app.example"):
            assert said not in raw


@pytest.mark.spec("T71")
def test_altered_codes_are_unknown(web: Browser) -> None:
    code = web.signed_in()["code"]
    for altered in (
        code[:-1],
        code[1:],
        code + "A",
        code.swapcase(),
        code[:-1] + ("A" if code[-1] != "A" else "B"),
        "",
        " " + code,
        "x" * 20_000,
    ):
        answer = web.redeem(altered or None)
        assert answer.status_code == 400, altered
        assert answer.json["error"] in {"invalid_grant", "invalid_request"}
    assert web.redeem(code).status_code == 200


@pytest.mark.spec("R28", "AUTHLIB-4")
def test_nothing_is_taken_from_the_url(web: Browser) -> None:
    code = web.signed_in()["code"]
    form = {"grant_type": "authorization_code", "code_verifier": web.verifier, "redirect_uri": DONE, **web.made.form}
    answer = web.client.post(f"{web.base}token?code={code}", data=form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.spec("R36", "T52")
def test_grants_that_an_application_may_not_use_are_refused(web: Browser, spa: Browser, make: Factory) -> None:
    answer = web.post_token(grant_type="client_credentials")
    assert (answer.status_code, answer.json["error"]) == (400, "unauthorized_client")
    assert spa.post_token(grant_type="client_credentials").status_code == 401, "it cannot show who it is"
    code = web.signed_in()["code"]
    make.change(lambda realm, row: set_application(realm, row, grant_types=["client_credentials"]), "shop")
    assert web.redeem(code).json["error"] == "unauthorized_client"


def test_without_the_refresh_grant_there_is_no_refresh_token(web: Browser, make: Factory) -> None:
    make.change(lambda realm, row: set_application(realm, row, grant_types=["authorization_code"]), "shop")
    tokens = web.tokens()
    assert "refresh_token" not in tokens
    assert web.introspect(tokens["access_token"])["active"]


@pytest.mark.spec("T69")
@pytest.mark.parametrize("what", ["user disabled", "password changed", "signed out", "application disabled", "session ended"])
def test_code_is_worth_nothing_after(web: Browser, make: Factory, what: str) -> None:
    from idp import authorizations, sessions, users
    from tests.factories import password_hash, set_user

    code = web.signed_in()["code"]
    acts = {
        "user disabled": lambda realm: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=False),
        "password changed": lambda realm: users.set_password(
            realm, users.get_user(realm, "ann@example.test"), password_hash(), audit_tag()
        ),
        "signed out": lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")),
        "application disabled": lambda realm: set_application(realm, applications.get_application(realm, "shop"), enabled=False),
        "session ended": lambda realm: sessions.end_session(realm, sessions.list_sessions(realm)[0][0]),
    }
    make.do(acts[what])
    answer = web.redeem(code)
    assert answer.status_code in {400, 401}
    assert answer.json["error"] in {"invalid_grant", "invalid_client"}
    assert make.do(lambda _: authorizations.list_connections(1)) == []


def audit_tag():  # type: ignore[no-untyped-def]
    from idp import audit

    return audit.Tag.PASSWORD_CHANGE


@pytest.mark.spec("AUTHLIB-6", "T107")
def test_no_token_and_no_secret_is_in_a_log_at_debug(web: Browser, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        tokens = web.tokens()
        again = web.refresh(tokens["refresh_token"]).json
    for secret in (*tokens.values(), *again.values(), web.made.secret):
        if isinstance(secret, str) and len(secret) > 20:
            assert secret not in caplog.text


@pytest.mark.spec("R29", "AUTHLIB-10")
def test_two_client_credentials_are_refused_for_codes_too(web: Browser) -> None:
    from tests.factories import basic

    code = web.signed_in()["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": web.verifier}
    wrong = form | {"client_id": "shop", "client_secret": "wrong"}
    answer = web.client.post(f"{web.base}token", data=wrong, headers={"Authorization": basic("shop", web.made.secret)})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert web.redeem(code).status_code == 200


@pytest.mark.spec("R48", "R120")
def test_confidential_client_that_only_names_itself_gets_nothing(web: Browser) -> None:
    code = web.signed_in()["code"]
    answer = web.redeem(code, client_secret=None)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_application_sheet_default_is_a_machine() -> None:
    assert ApplicationSheet().kind == "machine"
