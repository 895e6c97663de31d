"""What an explanation says is what happens, by the API, in the console and by the command; and it changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from idp import federation, realms, runtime
from idp.federation import explaining
from idp.realms import Realm
from tests.cli.test_commands import Run, run  # noqa: F401 (a fixture)
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, session_of, set_application, set_realm
from tests.federation.issuing import Issuer, github
from tests.federation.test_admission import APP, ask_with, rule, trust

Explain = Callable[..., dict[str, Any]]


@pytest.fixture
def hub() -> Issuer:
    return github()


@pytest.fixture
def deployer(make: Factory, hub: Issuer) -> Made:
    made = make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP, name="deploy")
    return made


@pytest.fixture
def explain(client: FlaskClient, make: Factory) -> Explain:
    """Have an assertion explained by the API."""
    make.user(roles=("administrator",))
    headers = session_of(client)

    def ask_for(assertion: str, **sent: str) -> dict[str, Any]:
        answer = client.post("/v1/federation/explain", json={"assertion": assertion, **sent}, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    return ask_for


def change_application(make: Factory, **fields: Any) -> None:
    make.change(lambda realm, row: set_application(realm, row, **fields), "deployer")


def change_rule(make: Factory, name: str = "deploy", **fields: Any) -> None:
    def change(realm: Realm) -> None:
        row = federation.get_rule(realm, name)
        sheet = federation.FederationRuleSheet.of(row).changed(fields)
        federation.update_rule(realm, row, sheet, frozen=None)

    make.do(change)


def change_issuer(make: Factory, **fields: Any) -> None:
    def change(realm: Realm) -> None:
        row = federation.get_issuer(realm, "hub")
        federation.update_issuer(realm, row, federation.TrustedIssuerSheet.of(row).changed(fields))

    make.do(change)


def trust_anew(make: Factory, client: FlaskClient, hub: Issuer, token: str) -> None:
    """Delete an issuer whose assertion was used, and trust it again."""
    assert ask_with(client, token).status_code == 200
    make.do(lambda realm: federation.delete_rule(realm, federation.get_rule(realm, "deploy")))
    make.do(lambda realm: federation.delete_issuer(realm, federation.get_issuer(realm, "hub")))
    trust(make, hub)
    rule(make, "deployer", APP, name="deploy")


SITUATIONS: dict[str, tuple[Callable[[Factory, FlaskClient, Issuer, str], object], str]] = {
    "nothing is in the way": (lambda *_: None, ""),
    "the application is disabled": (lambda make, *_: change_application(make, enabled=False), "'deployer' is disabled"),
    "the application follows fapi2": (lambda make, *_: change_application(make, profile="fapi2"), "follows fapi2"),
    "the realm follows fapi2": (lambda make, *_: make.do(lambda realm: set_realm(realm, profile="fapi2")), "follows fapi2"),
    "it was used": (lambda make, client, hub, token: ask_with(client, token), "has already been used"),
    "it was used, and the issuer deleted since": (trust_anew, "has already been used"),
    "it was used where it counts again": (
        lambda make, client, hub, token: (change_issuer(make, replay="reuse"), ask_with(client, token)),
        "",
    ),
    "the rule is disabled": (lambda make, *_: change_rule(make, enabled=False), "No rule matches."),
    "the rule is deleted": (
        lambda make, *_: make.do(lambda realm: federation.delete_rule(realm, federation.get_rule(realm, "deploy"))),
        "No rule matches.",
    ),
    "the rule only records": (lambda make, *_: change_rule(make, mode="audit"), "No rule matches."),
    "the issuer is disabled": (lambda make, *_: change_issuer(make, enabled=False), "The issuer is disabled."),
    "another application has a rule, too": (
        lambda make, *_: (make.application("tester"), rule(make, "tester", {"repository_id": "4711"})),
        "Rules of several applications match",
    ),
}


@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_explanation_says_what_happens(
    client: FlaskClient, make: Factory, explain: Explain, hub: Issuer, situation: str
) -> None:
    """The same reason, too, and however often it is asked for."""
    arrange, reason = SITUATIONS[situation]
    token = hub.sign()
    arrange(make, client, hub, token)
    for _ in range(2):
        found = explain(token)
        assert (found["admitted"], found["application"]) == (not reason, "" if reason else "deployer")
        assert reason in found["problem"]
    if reason:
        assert make.do(lambda realm: refusal(realm, token)) == found["problem"]
    assert ask_with(client, token).status_code == (401 if reason else 200)


def refusal(realm: Realm, token: str) -> str:
    """Return why an assertion is refused when it is shown."""
    known = realms.known_realm(runtime.current(), realm.name)
    assert known is not None
    with pytest.raises(federation.AssertionRefusedError) as caught:
        federation.admit(known, token)
    return str(caught.value)


@pytest.mark.usefixtures("deployer")
def test_where_a_realm_is_disabled_nobody_is_admitted(
    client: FlaskClient, make: Factory, run: Run, hub: Issuer, file: Path
) -> None:
    token = hub.sign()
    file.write_text(token)
    make.do(lambda realm: set_realm(realm, enabled=False))
    assert ask_with(client, token).status_code == 403
    assert "Refused: Realm 'acme' is disabled." in run("federation", "explain", "--realm", "acme", str(file), status=1)


@pytest.mark.usefixtures("deployer")
def test_an_application_that_gets_no_tokens_for_itself_is_admitted_with_a_caveat(
    client: FlaskClient, make: Factory, explain: Explain, hub: Issuer
) -> None:
    assert explain(hub.sign())["caveat"] == ""
    change_application(make, kind="web", redirect_uris=["https://app.example/cb"])
    found = explain(hub.sign())
    assert (found["admitted"], found["problem"]) == (True, "")
    assert found["caveat"] == "The application 'deployer' may not get tokens for itself: its grants lack client_credentials."
    assert ask_with(client, hub.sign()).json["error"] == "unauthorized_client"


def add_rules(make: Factory, count: int, **fields: Any) -> None:
    """Add rules that come before others by name, and pin something else."""

    def add(realm: Realm) -> None:
        for number in range(count):
            line = [{"claim": "repository_id", "value": f"9{number:04}"}]
            sheet = {"issuer": "hub", "application": "deployer", "lines": line} | fields
            federation.create_rule(realm, f"a{number:04}", federation.FederationRuleSheet.read(sheet), frozen=None)

    make.do(add)


@pytest.mark.usefixtures("deployer")
def test_a_rule_is_seen_behind_however_many_others(client: FlaskClient, make: Factory, explain: Explain, hub: Issuer) -> None:
    add_rules(make, explaining.MOST_EXPLAINED + 1)
    token = hub.sign()
    found = explain(token)
    assert (found["admitted"], found["application"], found["rule"]) == (True, "deployer", "deploy")
    assert [each["name"] for each in found["rules"]][:3] == ["deploy", "a0000", "a0001"]
    assert (len(found["rules"]), found["rulesLeftOut"]) == (explaining.MOST_EXPLAINED, 2)
    assert ask_with(client, token).status_code == 200
    change_rule(make, enabled=False)
    found = explain(hub.sign())
    assert (found["problem"], found["rules"][0]["name"]) == ("No rule matches.", "deploy")
    assert (found["rules"][0]["matches"], found["rules"][0]["enabled"]) == (True, False)


@pytest.mark.usefixtures("deployer")
def test_a_verdict_costs_as_much_with_many_rules_as_with_one(app: Flask, make: Factory, explain: Explain, hub: Issuer) -> None:
    from idp.db import db

    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def about_rules() -> list[str]:
        make.forget()
        statements.clear()
        explain(hub.sign())
        return [each for each in statements if "FROM federation_rule" in each]

    few = about_rules()
    add_rules(make, 50)
    assert about_rules() == few
    assert len([each for each in few if "federation_rule.pin = " in each]) == 1, "by the claim that rules pin"


@pytest.mark.usefixtures("deployer")
def test_what_does_not_count_is_called_so(
    client: FlaskClient, app: Flask, make: Factory, run: Run, hub: Issuer, file: Path
) -> None:
    """Rules that are disabled and rules that only record are told apart from those that admit."""
    rule(make, "deployer", {"repository_id": "4711"}, name="former", enabled=False)
    rule(make, "deployer", {"repository_id": "4711", "environment": "staging"}, name="strict", mode="audit")
    rule(make, "deployer", {"repository_id": "1"}, name="elsewhere", enabled=False)
    token = hub.sign()
    file.write_text(token)
    make.forget()
    said = run("federation", "explain", "--realm", "acme", str(file))
    assert [each for each in said.splitlines() if each.startswith("Rule")] == [
        "Rule deploy for deployer (mode enforce): matches",
        "Rule strict for deployer (mode audit): does not match",
        "Rule former for deployer (mode enforce, disabled): matches",
        "Rule elsewhere for deployer (mode enforce, disabled): does not match",
    ]
    as_json = json.loads(run("federation", "explain", "--realm", "acme", "--json", str(file)))
    assert [(each["name"], each["mode"], each["enabled"]) for each in as_json["rules"]][1:3] == [
        ("strict", "audit", True),
        ("former", "enforce", False),
    ]
    assert (as_json["rules_left_out"], as_json["caveat"]) == (0, "")
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    surfer.open("/console/realms/acme/explain").send("Explain", {"assertion": token})
    for part in ("It is admitted as deployer, by the rule deploy.", "records only", "disabled", "former", "elsewhere"):
        assert part in surfer.text, part


@pytest.mark.usefixtures("deployer")
def test_it_is_said_that_there_are_more_rules(
    app: Flask, make: Factory, run: Run, hub: Issuer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rules(make, 5)
    monkeypatch.setattr(explaining, "MOST_EXPLAINED", 2)
    file.write_text(hub.sign())
    make.forget()
    more = "Rules of this issuer that are not shown: 4. Those of them that can match were looked at, too."
    assert more in run("federation", "explain", "--realm", "acme", str(file))
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    surfer.open("/console/realms/acme/explain").send("Explain", {"assertion": file.read_text()})
    assert more in surfer.text


@pytest.mark.usefixtures("deployer")
def test_the_console_warns_of_what_the_application_cannot_have(app: Flask, make: Factory, hub: Issuer) -> None:
    change_application(make, kind="web", redirect_uris=["https://app.example/cb"])
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    surfer.open("/console/realms/acme/explain").send("Explain", {"assertion": hub.sign()})
    assert "may not get tokens for itself" in surfer.text


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for an assertion, and the server's name as its audience has it."""
    monkeypatch.setenv("IDP_PUBLIC_URL", "http://localhost:8080")
    return tmp_path / "token"
