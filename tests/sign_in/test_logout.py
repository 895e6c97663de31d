"""Signing out at the request of an application: the modules of the RP-initiated logout plan, under their names (R82, T44)."""

import base64
import json

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.factories import Factory
from tests.sign_in.conftest import DONE, Browser, told

BYE = "https://app.example/bye"


@pytest.fixture
def web(app: Flask, make: Factory, ann: str) -> Browser:
    return Browser(app, make.application("shop", kind="web", redirect_uris=[DONE], post_logout_redirect_uris=[BYE], roles=()))


def ask(browser: Browser, **query: str) -> TestResponse:
    return browser.client.get(f"{browser.base}logout", query_string=query)


def is_out(browser: Browser) -> bool:
    return told(browser.ask(prompt="none")).get("error") == "login_required"


def test_discovery(web: Browser) -> None:
    document = web.client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert document["end_session_endpoint"] == "http://localhost:8080/auth/realms/acme/protocol/openid-connect/logout"


@pytest.mark.spec("R82", "T44")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rp_initiated_logout(web: Browser, method: str) -> None:
    hint = web.tokens()["id_token"]
    query = {"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "the state"}
    answer = ask(web, **query) if method == "GET" else web.client.post(f"{web.base}logout", data=query)
    assert told(answer, BYE) == {"state": "the state"}
    assert is_out(web)


@pytest.mark.spec("R74", "R82")
@pytest.mark.parametrize("is_long", [False, True])
def test_form_of_another_site_comes_without_cookies_and_leads_to_where_they_are(web: Browser, app: Flask, is_long: bool) -> None:
    """Or somebody would be told that they have signed out, who has not."""
    query = {"id_token_hint": web.tokens()["id_token"], "post_logout_redirect_uri": BYE, "state": "x" * (6_000 if is_long else 1)}
    elsewhere = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().post(f"{web.base}logout", data=query, headers=elsewhere)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (303, False)
    page = web.client.get(answer.headers["Location"].removeprefix("http://localhost:8080"))
    if is_long:
        assert "Sign out?" in page.text
        assert not is_out(web), "without the hint, the person is asked"
        return
    assert told(page, BYE) == {"state": "x"}
    assert is_out(web)


@pytest.mark.spec("R82", "T44")
@pytest.mark.parametrize(
    "uri", ["https://app.example/other", f"{BYE}?query=added", f"{BYE}/", "https://evil.example/", "javascript:alert(1)"]
)
def test_bad_post_logout_redirect_uri_and_query_added(web: Browser, uri: str) -> None:
    answer = ask(web, id_token_hint=web.tokens()["id_token"], post_logout_redirect_uri=uri, state="x")
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    assert is_out(web)


@pytest.mark.spec("R82", "T44", "T5")
@pytest.mark.parametrize("kind", ["none", "other signer", "access token", "nonsense", "another application's"])
def test_modified_or_bad_id_token_hint(web: Browser, app: Flask, make: Factory, kind: str) -> None:
    tokens = web.tokens()
    header, body, signature = tokens["id_token"].split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    hints = {
        "none": f"{unsigned}.{body}.",
        "other signer": f"{header}.{body}.{signature[::-1]}",
        "access token": tokens["access_token"],
        "nonsense": "nonsense",
        "another application's": tokens["id_token"],
    }
    more = {"client_id": make.application("other", kind="web").client_id} if kind == "another application's" else {}
    page = ask(web, id_token_hint=hints[kind], post_logout_redirect_uri=BYE, state="x", **more)
    assert (page.status_code, "Location" in page.headers) == (200, False)
    assert "Sign out?" in page.text, "asked, and nothing has happened"
    assert not is_out(web)
    done = web.send(page)
    assert (done.status_code, "Location" in done.headers) == (200, False), "nobody is sent on where the hint proves nothing"
    assert is_out(web)


@pytest.mark.spec("R82", "R121")
@pytest.mark.parametrize(
    "query",
    [{}, {"post_logout_redirect_uri": BYE}, {"state": "x"}, {"post_logout_redirect_uri": BYE, "state": "x", "client_id": "shop"}],
    ids=str,
)
def test_no_id_token_hint_no_params_only_state(web: Browser, query: dict[str, str]) -> None:
    web.tokens()
    page = ask(web, **query)
    assert "Sign out?" in page.text
    assert not is_out(web)
    done = web.send(page)
    assert (done.status_code, "Location" in done.headers) == (200, False)
    assert is_out(web)


def test_no_post_logout_redirect_uri(web: Browser) -> None:
    answer = ask(web, id_token_hint=web.tokens()["id_token"], state="x")
    assert "Signed out" in answer.text
    assert is_out(web)


def test_no_state(web: Browser) -> None:
    answer = ask(web, id_token_hint=web.tokens()["id_token"], post_logout_redirect_uri=BYE)
    assert answer.headers["Location"] == BYE


@pytest.mark.spec("R121")
def test_id_token_of_another_session_does_not_sign_this_one_out(web: Browser, make: Factory) -> None:
    old = web.tokens()["id_token"]
    ask(web, id_token_hint=old)
    web.tokens()
    page = ask(web, id_token_hint=old, post_logout_redirect_uri=BYE)
    assert "Sign out?" in page.text
    assert web.send(page).headers["Location"] == BYE, "it is registered, and the person has said so"


def test_who_is_not_there_is_sent_on_all_the_same(web: Browser) -> None:
    hint = web.tokens()["id_token"]
    answer = ask(Browser(web.app, web.made), id_token_hint=hint, post_logout_redirect_uri=BYE, state="x")
    assert told(answer, BYE) == {"state": "x"}


@pytest.mark.spec("T100")
def test_sign_out_form_of_another_browser_is_refused(web: Browser) -> None:
    web.tokens()
    form = web.form_of(ask(web))
    other = Browser(web.app, web.made)
    other.tokens()
    assert other.client.post(form.action, data=dict(form.values), headers={"Origin": "http://localhost:8080"}).status_code == 403
    assert web.client.post(form.action, data=dict(form.values), headers={"Origin": "https://evil.example"}).status_code == 403
    assert not is_out(web)
    assert not is_out(other)
