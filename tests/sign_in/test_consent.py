"""Consent: asked for, remembered for each application, and taken back (R119)."""

import json

import pytest
from click.testing import CliRunner
from flask import Flask

from idp.cli import main
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, session_of
from tests.sign_in.conftest import DONE, ORIGIN, Browser, told


@pytest.fixture
def asking(app: Flask, make: Factory, ann: str) -> Browser:
    """An application that people are asked about, and ann's browser."""
    made = make.application("quiz", kind="web", redirect_uris=[DONE], roles=(), consent=True, display_name="Quiz <b>Night</b>")
    return Browser(app, made)


@pytest.mark.spec("R119", "T96")
def test_person_is_asked_once_for_each_scope(asking: Browser) -> None:
    page = asking.sign_in(asking.ask(scope="openid email"))
    assert page.status_code == 200
    for said in ("Quiz &lt;b&gt;Night&lt;/b&gt;", "ann@example.test", "Your email address", "https://app.example/done"):
        assert said in page.text
    assert "Your name" not in page.text
    assert "code" in told(asking.send(page, decision="agree"))
    assert "code" in told(asking.ask(scope="openid email")), "remembered"
    assert "code" in told(asking.ask(scope="openid"))
    more = asking.ask(scope="openid email profile")
    assert "Your name" in more.text
    assert told(asking.ask(scope="openid email profile", prompt="none"))["error"] == "consent_required"
    assert "code" in told(asking.send(more, decision="agree"))
    assert "code" in told(asking.ask(scope="openid profile"))
    assert "Allow" in asking.ask(scope="openid", claims='{"userinfo": {"groups": null}}').text, (
        "by name it is asked for all the same"
    )


@pytest.mark.spec("R72")
def test_prompt_consent_asks_again(asking: Browser, web: Browser) -> None:
    told(asking.send(asking.sign_in(asking.ask()), decision="agree"))
    assert "Allow" in asking.ask(prompt="consent").text
    web.client = asking.client
    assert "Allow" in web.ask(prompt="consent").text, "also about one that people are not asked about otherwise"


@pytest.mark.parametrize("decision", ["refuse", "", "other"])
def test_refusal_is_told_to_the_application(asking: Browser, decision: str) -> None:
    page = asking.sign_in(asking.ask())
    answer = told(asking.send(page, decision=decision))
    assert (answer["error"], answer["state"]) == ("access_denied", "a state")
    assert asking.ask().status_code == 200, "and nothing was remembered"


@pytest.mark.spec("R119", "R70", "T70")
def test_consent_is_taken_back_in_one_click(asking: Browser, web: Browser) -> None:
    answer = told(asking.send(asking.sign_in(asking.ask(scope="openid email")), decision="agree"))
    tokens = asking.redeem(answer["code"]).json
    surfer = Surfer(asking.app)
    surfer.client = asking.client
    surfer.open("/console/my/applications")
    assert "Quiz" in surfer.text
    assert "email" in surfer.text
    surfer.send("Disconnect Quiz <b>Night</b>")
    assert "Disconnected" in surfer.text
    assert "No connected applications" in surfer.text
    assert asking.userinfo(tokens["access_token"]).status_code == 401
    assert asking.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert "Allow" in asking.ask(scope="openid").text


def test_administrator_disconnects_a_person(asking: Browser, make: Factory, ann: str) -> None:
    make.user("root@example.test", roles=("administrator",))
    tokens = asking.redeem(told(asking.send(asking.sign_in(asking.ask()), decision="agree"))["code"]).json
    surfer = Surfer(asking.app)
    surfer.open("/console/sign-in").send("Sign in", {"name": "root@example.test", "organisation": "acme", "password": PASSWORD})
    surfer.open(f"/console/realms/acme/users/{ann}")
    surfer.send("Disconnect Quiz <b>Night</b>")
    assert asking.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert "Quiz" not in surfer.open(f"/console/realms/acme/users/{ann}").text


@pytest.mark.spec("T48", "T89", "T92")
def test_consent_cannot_be_sent_by_another_browser_or_without_a_session(asking: Browser, make: Factory) -> None:
    page = asking.sign_in(asking.ask())
    form = asking.form_of(page)
    make.user("bob@example.test")
    other = Browser(asking.app, asking.made)
    other.sign_in(other.ask(), name="bob@example.test")
    for browser in (other, Browser(asking.app, asking.made)):
        answer = browser.client.post(form.action, data=dict(form.values) | {"decision": "agree"}, headers={"Origin": ORIGIN})
        assert (answer.status_code, "Location" in answer.headers) == (403, False)
    foreign = asking.client.post(
        form.action, data=dict(form.values) | {"decision": "agree"}, headers={"Origin": "https://evil.example"}
    )
    assert foreign.status_code == 403


@pytest.mark.spec("T53")
def test_nothing_that_a_form_carries_can_be_changed(asking: Browser) -> None:
    page = asking.sign_in(asking.ask())
    form = asking.form_of(page)
    assert [name for name, _ in form.values] == ["flow"]
    extra = {"redirect_uri": "https://evil.example/", "scope": "openid roles", "response_type": "token", "client_id": "x"}
    answer = told(
        asking.client.post(form.action, data=dict(form.values) | extra | {"decision": "agree"}, headers={"Origin": ORIGIN})
    )
    assert asking.redeem(answer["code"]).json["scope"] == "openid"
    flow = dict(form.values)["flow"]
    for altered in (flow[:-1], flow.swapcase(), "", "x" * 5000):
        answer_to = asking.client.post(form.action, data={"flow": altered, "decision": "agree"}, headers={"Origin": ORIGIN})
        assert answer_to.status_code == 403
    other_step = asking.client.post(
        "/sign-in/acme", data={"flow": flow, "name": "ann@example.test", "password": PASSWORD}, headers={"Origin": ORIGIN}
    )
    assert other_step.status_code == 403
    other_realm = asking.client.post(
        "/sign-in/master/consent", data={"flow": flow, "decision": "agree"}, headers={"Origin": ORIGIN}
    )
    assert other_realm.status_code == 403


def test_account_is_chosen(web: Browser, make: Factory) -> None:
    make.user("bob@example.test")
    web.signed_in()
    page = web.ask(prompt="select_account")
    assert "Continue as ann@example.test" in page.text
    assert "code" in told(web.send(page, account="this"))
    other = web.send(web.ask(prompt="select_account"), account="other")
    answer = told(web.sign_in(other, name="bob@example.test"))
    tokens = web.redeem(answer["code"]).json
    assert web.open(tokens["id_token"]).claims["sub"] != web.made.uid
    assert "bob@example.test" in web.ask(prompt="select_account").text
    assert "Password" in Browser(web.app, web.made).ask(prompt="select_account").text, "nobody is there to choose"


def test_connections_are_listed_and_ended_by_the_api(asking: Browser, make: Factory, ann: str) -> None:
    make.user("root@example.test", roles=("administrator",))
    make.user("eve@example.test")
    client = asking.app.test_client()
    own, root, eve = (session_of(client, f"{name}@example.test") for name in ("ann", "root", "eve"))
    url = f"/v1/users/{ann}/connectedApplications"
    assert client.get(url, headers=own).json == {"items": []}
    tokens = asking.redeem(told(asking.send(asking.sign_in(asking.ask(scope="openid email")), decision="agree"))["code"]).json
    for header in (own, root):
        (item,) = client.get(url, headers=header).json["items"]
        assert (item["metadata"]["name"], item["spec"]["scopes"]) == ("quiz", ["email", "openid"])
        assert item["spec"]["displayName"] == "Quiz <b>Night</b>"
        assert item["status"]["agreedAt"]
    assert client.get(url, headers=eve).status_code in {403, 404}
    assert client.delete(f"{url}/quiz", headers=eve).status_code in {403, 404}
    assert client.delete(f"{url}/nothing", headers=own).status_code == 404
    assert asking.userinfo(tokens["access_token"]).status_code == 200
    assert client.delete(f"{url}/{item['metadata']['uid']}", headers=own).status_code == 204
    assert asking.userinfo(tokens["access_token"]).status_code == 401
    assert client.get(url, headers=own).json == {"items": []}
    assert client.delete(f"{url}/quiz", headers=own).status_code == 404


def test_connections_are_listed_and_ended_by_the_command(
    asking: Browser, settings: Settings, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["users", *arguments, "--realm", "acme"])
        assert result.exit_code == 0, result.output
        return result.output

    assert "not signed in to any" in run("connections", ann)
    tokens = asking.redeem(told(asking.send(asking.sign_in(asking.ask()), decision="agree"))["code"]).json
    assert "quiz" in run("connections", "ann@example.test")
    assert json.loads(run("connections", ann, "--json"))[0]["scopes"] == ["openid"]
    assert "Disconnected quiz" in run("disconnect", ann, "quiz")
    assert asking.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert json.loads(run("connections", ann, "--json")) == []
