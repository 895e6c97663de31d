"""Trusted issuers and rules in the console: made, shown, explained, and what a new application is offered."""

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import applications, federation
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.realms import Realm
from tests.console.surfing import Surfer
from tests.factories import Factory, ask, assertion_form, claims_of, key_pair, set_application
from tests.federation.issuing import Issuer, github

BASE = "/console/realms/acme"
LINES = "repository_id=4711\nref=refs/heads/*"


@pytest.fixture
def hub() -> Issuer:
    return github()


@pytest.fixture
def surfer(app: Flask, make: Factory) -> Surfer:
    make.user(roles=("administrator",))
    return Surfer(app).sign_in()


def trust(surfer: Surfer, hub: Issuer) -> None:
    surfer.open(f"{BASE}/new-issuer")
    surfer.send("Create", {"name": "hub", "preset": "github", "key_source": "uploaded", "jwks": json.dumps(hub.jwks)})
    assert "Created." in surfer.text, surfer.text


def token(client: FlaskClient, hub: Issuer, **claims: str) -> tuple[int, str]:
    answer = ask(client, "token", assertion_form(hub.sign(**claims), grant_type="client_credentials"))
    return answer.status_code, claims_of(answer.json["access_token"])["client_id"] if answer.status_code == 200 else ""


def test_an_issuer_and_a_rule_are_made_and_admit_a_program(
    surfer: Surfer, client: FlaskClient, make: Factory, hub: Issuer
) -> None:
    make.application("deployer")
    trust(surfer, hub)
    for part in ("https://token.actions.githubusercontent.com", "1 uploaded key", "GitHub Actions", "ready"):
        assert part in surfer.text
    surfer.open(f"{BASE}/new-federation-rule?application=deployer")
    surfer.send("Create", {"name": "deploy", "lines": "ref=refs/heads/main"})
    assert "A rule needs a line with an exact id (repository_id, repository_owner_id)" in surfer.text
    surfer.send("Create", {"lines": LINES})
    assert "Created." in surfer.text, surfer.text
    assert token(client, hub) == (200, "deployer")
    assert token(client, hub, ref="refs/heads/a/b")[0] == 401
    for url, shown in ((f"{BASE}/issuers", "hub"), (f"{BASE}/federation-rules", "repository_id=4711")):
        assert shown in surfer.open(url).text
    assert "repository_id=4711" in surfer.open(f"{BASE}/applications/deployer?tab=credentials").text
    surfer.open(f"{BASE}/issuers/hub/delete")
    assert "1 rule is about it. Delete it first." in surfer.text
    surfer.open(f"{BASE}/federation-rules/deploy/delete").send("Delete", {"typed": "deploy"})
    surfer.open(f"{BASE}/issuers/hub/delete").send("Delete", {"typed": "hub"})
    assert "No trusted issuers" in surfer.text
    assert token(client, hub)[0] == 401


def test_a_new_application_is_offered_the_word_of_an_issuer_first(
    surfer: Surfer, client: FlaskClient, make: Factory, hub: Issuer
) -> None:
    trust(surfer, hub)
    surfer.open(f"{BASE}/new-application")
    chosen = dict(surfer.form("Create").values)
    assert (chosen["credential"], chosen["issuer"]) == ("federation", "hub")
    surfer.send("Create", {"name": "deployer", "lines": LINES})
    assert "Created." in surfer.text, surfer.text
    assert token(client, hub) == (200, "deployer")

    def secrets(realm: object) -> int:
        return len(applications.list_secrets(applications.get_application(realm, "deployer")))  # type: ignore[arg-type]

    assert make.do(secrets) == 0
    surfer.open(f"{BASE}/applications/deployer")
    assert "by a trusted issuer, with 1 rule" in surfer.text
    assert "cannot fetch tokens" not in surfer.text


def test_where_no_issuer_is_trusted_a_key_pair_is_offered_first(surfer: Surfer, make: Factory) -> None:
    surfer.open(f"{BASE}/new-application")
    assert dict(surfer.form("Create").values)["credential"] == "key"
    offered = re.findall(r'<option[^>]* value="(federation|key|secret)"', surfer.text)
    assert offered == ["federation", "key", "secret"]
    surfer.send("Create", {"name": "signer", "jwks": json.dumps(key_pair()[1])})
    assert "private_key_jwt, with 1 public key" in surfer.open(f"{BASE}/applications/signer").text
    native = {"name": "tool", "kind": "native", "redirect_uris": "http://127.0.0.1/done"}
    surfer.open(f"{BASE}/new-application").send("Create", native)
    assert "Created." in surfer.text, "it keeps nothing, and so proves nothing"
    assert make.do(_secrets_of_all) == 0


def _secrets_of_all(realm: Realm) -> int:
    made = [applications.get_application(realm, name) for name in ("signer", "tool")]
    return sum(len(applications.list_secrets(each)) for each in made)


def test_what_a_new_application_proves_itself_by_has_to_be_there(surfer: Surfer, hub: Issuer) -> None:
    trust(surfer, hub)
    for sent, problem in (
        ({"credential": "federation", "issuer": ""}, "Choose the trusted issuer that vouches for it."),
        ({"credential": "key"}, "Give its public keys or their URL, or choose another way to prove who it is."),
        ({"credential": "secret", "jwks": json.dumps(key_pair()[1])}, "Public keys are given where a key pair is chosen."),
        ({"credential": "secret", "lines": LINES}, "Lines are given where a trusted issuer vouches for it."),
        ({"credential": "federation", "lines": "no equals sign"}, "is no claim and value with = between them."),
    ):
        surfer.open(f"{BASE}/new-application").send("Create", {"name": "bot"} | sent)
        assert problem in surfer.text, sent
    surfer.open(f"{BASE}/new-application")
    surfer.send("Create", {"name": "signer", "credential": "key", "jwks": json.dumps(key_pair()[1])})
    assert "private_key_jwt, with 1 public key" in surfer.open(f"{BASE}/applications/signer").text


def test_an_assertion_is_explained_line_by_line(surfer: Surfer, client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer")
    trust(surfer, hub)
    surfer.open(f"{BASE}/new-federation-rule?application=deployer").send("Create", {"name": "deploy", "lines": LINES})
    assertion = hub.sign(ref="refs/tags/v1")
    surfer.open(f"{BASE}/explain").send("Explain", {"assertion": assertion})
    for part in ("refused", "No rule matches.", "refs/tags/v1", "refs/heads/*", "fails", "holds"):
        assert part in surfer.text, part
    good = hub.sign()
    surfer.open(f"{BASE}/explain").send("Explain", {"assertion": good})
    assert "It is admitted as deployer, by the rule deploy." in surfer.text
    assert ask(client, "token", assertion_form(good, grant_type="client_credentials")).status_code == 200, "it is not used up"


LAST = "It is the last one: without it, the application cannot fetch tokens."
NONE_LEFT = "This application has nothing to prove itself by, so it cannot fetch tokens."


def test_a_secret_beside_a_rule_is_not_the_last_way_in(surfer: Surfer, client: FlaskClient, make: Factory, hub: Issuer) -> None:
    """But beside one that is disabled, only records, or is of an issuer that is disabled, it is."""

    def asked() -> str:
        return surfer.open(f"{BASE}/applications/deployer/secrets/main/retire").text

    def change(kind: str, **fields: object) -> None:
        def act(realm: Realm) -> None:
            if kind == "rule":
                rule = federation.get_rule(realm, "deploy")
                federation.update_rule(realm, rule, FederationRuleSheet.of(rule).changed(fields), frozen=None)
            else:
                issuer = federation.get_issuer(realm, "hub")
                federation.update_issuer(realm, issuer, TrustedIssuerSheet.of(issuer).changed(fields))

        make.do(act)

    make.application("deployer")
    assert LAST in asked()
    trust(surfer, hub)
    surfer.open(f"{BASE}/new-federation-rule?application=deployer").send("Create", {"name": "deploy", "lines": LINES})
    assert LAST not in asked()
    for kind, off, on in (
        ("rule", {"enabled": False}, {"enabled": True}),
        ("rule", {"mode": "audit"}, {"mode": "enforce"}),
        ("issuer", {"enabled": False}, {"enabled": True}),
    ):
        change(kind, **off)
        assert LAST in asked(), off
        change(kind, **on)
        assert LAST not in asked(), on
    surfer.send("Retire")
    assert "Retired." in surfer.text
    assert token(client, hub) == (200, "deployer")
    assert NONE_LEFT not in surfer.open(f"{BASE}/applications/deployer").text
    change("rule", enabled=False)
    assert NONE_LEFT in surfer.open(f"{BASE}/applications/deployer").text, "of rules, one that is disabled is no way in"


def test_a_secret_beside_a_key_is_not_the_last_way_in(surfer: Surfer, make: Factory) -> None:
    make.application("signer")
    make.change(lambda realm, row: set_application(realm, row, jwks=key_pair()[1]), "signer")
    assert LAST not in surfer.open(f"{BASE}/applications/signer/secrets/main/retire").text
