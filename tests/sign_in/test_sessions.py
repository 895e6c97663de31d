"""The browser's session in a realm: one for all applications, bound to the browser, and never planted (T48, T89, T92, T100)."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import FrozenClock
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, set_application
from tests.sign_in.conftest import DONE, ORIGIN, Browser, told


def follow(browser: Browser, answer: TestResponse) -> TestResponse:
    """Follow a redirect to a page of the server itself."""
    assert answer.status_code == 303
    return browser.client.get(answer.headers["Location"].removeprefix(ORIGIN))


def test_one_sign_in_is_for_all_applications_and_the_console(app: Flask, web: Browser, spa: Browser) -> None:
    web.signed_in()
    spa.client = web.client
    assert "code" in told(spa.ask(prompt="none"))
    surfer = Surfer(app)
    surfer.client = web.client
    assert "Sign out" in surfer.open("/console/").text, "the console is one of them"


def test_console_sign_in_is_for_applications_too(app: Flask, web: Browser) -> None:
    surfer = Surfer(app)
    surfer.open("/console/sign-in").send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    web.client = surfer.client
    assert "code" in told(web.ask(prompt="none"))


def test_each_realm_has_a_session_of_its_own(app: Flask, web: Browser, make: Factory) -> None:
    make.realm("other")
    make.user("bob@example.test", realm="other")
    made = make.application("shop", realm="other", kind="web", redirect_uris=[DONE], roles=())
    other = Browser(app, made, realm="other", client=None)  # type: ignore[arg-type]
    web.signed_in()
    other.client = web.client
    assert told(other.ask(prompt="none"))["error"] == "login_required"
    assert "code" in told(other.sign_in(other.ask(), name="bob@example.test"))
    assert "code" in told(web.ask(prompt="none")), "the first is as it was"
    stranger = Browser(app, web.made)
    wrong = stranger.sign_in(stranger.ask(), name="bob@example.test")
    assert wrong.status_code == 401, "and nobody signs in to a realm that they are not of"


def test_console_asks_in_which_of_several_organisations_to_go_on(app: Flask, web: Browser, make: Factory) -> None:
    make.realm("other")
    make.user("bob@example.test", realm="other", roles=("administrator",))
    made = make.application("shop", realm="other", kind="web", redirect_uris=[DONE], roles=())
    other = Browser(app, made, realm="other", client=None)  # type: ignore[arg-type]
    web.signed_in()
    other.client = web.client
    assert "code" in told(other.sign_in(other.ask(), name="bob@example.test"))
    surfer = Surfer(app)
    surfer.client = web.client
    surfer.open("/console/my/sessions")
    assert surfer.url == "/console/choose"
    assert "Acme Research" in surfer.text
    assert "ann@example.test" in surfer.text
    surfer.send("other", {"organisation": "other"})
    assert surfer.url == "/console/my/sessions", "where one wanted to be"
    assert "Signed in to other" in surfer.text
    surfer.open("/console/choose").send("Acme Research", {"organisation": "acme"})
    assert "Signed in to Acme Research" in surfer.text
    assert "Switch organisation" in surfer.text
    surfer.open("/console/choose").send("other", {"organisation": "master"})
    assert surfer.url == "/console/choose", "nobody goes on where they have not signed in"
    stranger = Surfer(app)
    stranger.open("/console/choose")
    assert stranger.url == "/console/sign-in"
    forged = surfer.client.post("/console/choose", data={"organisation": "other"}, headers={"Origin": "https://evil.example"})
    assert forged.status_code == 403, "nor is anybody sent elsewhere by another page"


@pytest.mark.spec("R113", "T89")
def test_cookies_change_when_somebody_signs_in(web: Browser) -> None:
    page = web.ask()
    before = {cookie.key: cookie.value for cookie in web.client._cookies.values()}
    assert before.keys() == {"realmgate-visitor"}
    web.sign_in(page)
    after = {cookie.key: cookie.value for cookie in web.client._cookies.values()}
    assert "realmgate-visitor" not in after
    (name,) = after
    assert name.startswith("realmgate-session-")
    web.sign_in(web.ask(prompt="login"))
    assert web.client._cookies is not None
    assert {cookie.value for cookie in web.client._cookies.values() if cookie.key == name} != {after[name]}


@pytest.mark.spec("T48", "T89")
def test_page_of_one_browser_signs_nobody_in_at_another(web: Browser) -> None:
    """Login CSRF: whoever sends their own page to somebody else does not have them work in an account of theirs."""
    form = web.form_of(web.ask())
    victim = Browser(web.app, web.made)
    victim.ask()
    sent = dict(form.values) | {"name": "ann@example.test", "password": PASSWORD}
    answer = follow(victim, victim.client.post(form.action, data=sent, headers={"Origin": ORIGIN}))
    assert "Password" in answer.text, "a page of their own"
    foreign = web.client.post(form.action, data=sent, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert told(victim.ask(prompt="none"))["error"] == "login_required"


def test_two_tabs(web: Browser) -> None:
    first, second = web.ask(state="one"), web.ask(state="two")
    assert told(web.sign_in(first))["state"] == "one"
    again = web.sign_in(second, password="not looked at any more")
    assert told(follow(web, again))["state"] == "two"


def test_back_button_asks_again_and_harms_nothing(web: Browser) -> None:
    page = web.ask()
    code = told(web.sign_in(page))["code"]
    assert "code" in told(follow(web, web.sign_in(page)))
    assert web.redeem(code).status_code == 200


@pytest.mark.spec("R110", "T85")
def test_failures_look_alike_and_keep_the_name(web: Browser) -> None:
    known = web.sign_in(web.ask(), password="wrong password")
    unknown = web.sign_in(web.ask(), name="nobody@example.test", password="wrong password")
    assert known.status_code == unknown.status_code == 401
    assert 'value="ann@example.test"' in known.text
    assert 'role="alert"' in known.text
    assert "wrong password" not in known.text


@pytest.mark.spec("R109", "T81", "T82")
def test_failures_are_counted_with_all_others(web: Browser) -> None:
    statuses = [web.sign_in(web.ask(), password="wrong password").status_code for _ in range(12)]
    assert 429 in statuses
    surfer = Surfer(web.app)
    surfer.client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    surfer.open("/console/sign-in").send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    assert surfer.page.status_code == 429


def test_page_left_open_for_too_long_begins_anew(web: Browser, frozen_clock: FrozenClock) -> None:
    page = web.ask()
    frozen_clock.advance(minutes=61)
    again = follow(web, web.sign_in(page))
    assert "Password" in again.text
    assert "code" in told(web.sign_in(again))


def test_application_that_changed_meanwhile_is_checked_again(web: Browser, make: Factory) -> None:
    page = web.ask()
    make.change(lambda realm, row: set_application(realm, row, redirect_uris=["https://app.example/other"]), "shop")
    answer = web.sign_in(page)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_session_that_is_used_here_stays_alive(web: Browser, frozen_clock: FrozenClock) -> None:
    web.signed_in()
    for _ in range(4):
        frozen_clock.advance(minutes=10)
        assert "code" in told(web.ask(prompt="none"))
    frozen_clock.advance(minutes=16)
    assert told(web.ask(prompt="none"))["error"] == "login_required"


@pytest.mark.spec("R17", "R18", "R16", "R25", "R122", "T96")
def test_pages_are_small_strict_and_cannot_be_framed(web: Browser) -> None:
    pages = [
        web.ask(),
        web.ask(client_id="nobody"),
        web.client.get(f"{web.base}logout"),
        web.client.get("/device"),
        web.ask(prompt="login", response_mode="form_post", scope="nothing"),
    ]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in page.headers
        assert len(page.data) < 30_000
        assert "style=" not in page.text
        assert "onload" not in page.text
    style = web.client.get(pages[0].text.split('stylesheet" href="')[1].split('"')[0])
    assert len(style.data) + len(pages[0].data) < 30_000
    redirect = web.sign_in(pages[0])
    assert (redirect.status_code, redirect.headers["Referrer-Policy"]) == (303, "no-referrer")


@pytest.mark.spec("R25", "T98")
def test_no_page_of_another_origin_reads_the_authorization_endpoint(web: Browser, make: Factory) -> None:
    make.change(lambda realm, row: set_application(realm, row, web_origins=["https://app.example"]), "shop")
    for path in (f"{web.base}auth", f"{web.base}logout", "/device", "/sign-in/acme"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = web.client.open(path, method=method, headers={"Origin": "https://app.example"})
            assert "Access-Control-Allow-Origin" not in answer.headers, (method, path)


@pytest.mark.spec("T96")
@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus='x"])
def test_nothing_that_is_sent_becomes_markup(web: Browser, payload: str) -> None:
    pages = [
        web.ask(login_hint=payload),
        web.ask(client_id=payload),
        web.ask(redirect_uri=payload),
        web.client.get("/device", query_string={"user_code": payload}),
        web.ask(response_mode="form_post", state=payload, scope="nothing"),
        web.sign_in(web.ask(), name=payload),
    ]
    for page in pages:
        assert payload not in page.text
