"""Trusted issuers and rules by the API and by commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, applications
from tests.cli.test_commands import Run, run  # noqa: F401 (a fixture)
from tests.factories import Factory, ask, assertion_form, claims_of, key_pair, session_of
from tests.federation.issuing import Issuer, github
from tests.federation.test_admission import ask_with, rule, trust

LINES = [{"claim": "repository_id", "value": "4711"}, {"claim": "ref", "value": "refs/heads/*"}]


@pytest.fixture
def hub() -> Issuer:
    return github()


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user(roles=("administrator",))
    return session_of(client)


def issuer_of(hub: Issuer, **spec: Any) -> dict[str, Any]:
    said = {"preset": "github", "keySource": "uploaded", "jwks": hub.jwks}
    return {"metadata": {"name": "hub"}, "spec": said | spec}


def rule_of(name: str = "deploy", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"issuer": "hub", "application": "deployer", "lines": LINES} | spec}


def test_the_life_of_an_issuer_and_a_rule_by_the_api(
    client: FlaskClient, make: Factory, admin: dict[str, str], hub: Issuer
) -> None:
    made = client.post("/v1/applications", json={"metadata": {"name": "deployer"}, "spec": {"withSecret": False}}, headers=admin)
    assert (made.status_code, made.json["clientSecret"]) == (201, "")
    assert client.post("/v1/federation/issuers", json=issuer_of(hub), headers=admin).status_code == 201
    again = client.post("/v1/federation/issuers", json=issuer_of(hub), headers=admin)
    assert again.status_code == 409
    weak = client.post("/v1/federation/rules", json=rule_of(lines=LINES[1:]), headers=admin)
    assert weak.status_code == 400
    assert "others can register a name again" in weak.json["message"]
    assert client.post("/v1/federation/rules", json=rule_of(), headers=admin).status_code == 201
    assert ask_with(client, hub.sign()).status_code == 200
    shown = client.get("/v1/federation/issuers/hub", headers=admin).json
    assert (shown["spec"]["issuer"], shown["status"]["state"], shown["status"]["rules"]) == (hub.url, "ready", 1)
    assert shown["status"]["audiences"][0] == "http://localhost:8080/auth/realms/acme"
    listed = client.get("/v1/federation/rules?application=deployer", headers=admin).json
    assert [each["metadata"]["name"] for each in listed["items"]] == ["deploy"]
    assert client.delete("/v1/federation/issuers/hub", headers=admin).status_code == 409
    moved = {"spec": {"issuer": "https://other.example"}}
    assert client.patch("/v1/federation/issuers/hub", json=moved, headers=admin).status_code == 409, "ids mean another there"
    change = {"spec": {"lines": [{"claim": "repository_id", "value": "1"}]}}
    assert client.patch("/v1/federation/rules/deploy", json=change, headers=admin).status_code == 204
    assert ask_with(client, hub.sign()).status_code == 401
    assert client.delete("/v1/federation/rules/deploy", headers=admin).status_code == 204
    assert client.delete("/v1/federation/issuers/hub", headers=admin).status_code == 204
    assert client.get("/v1/federation/issuers", headers=admin).json["items"] == []


def test_an_explanation_tells_each_line_and_uses_nothing_up(
    client: FlaskClient, make: Factory, admin: dict[str, str], hub: Issuer
) -> None:
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", {"repository_id": "4711", "ref": "refs/heads/main"}, name="deploy")
    assertion = hub.sign(ref="refs/tags/v1")
    found = client.post("/v1/federation/explain", json={"assertion": assertion}, headers=admin).json
    assert (found["admitted"], found["problem"], found["issuer"]) == (False, "No rule matches.", "hub")
    assert [(each["claim"], each["holds"], each["found"]) for each in found["rules"][0]["lines"]] == [
        ("repository_id", True, ["4711"]),
        ("ref", False, ["refs/tags/v1"]),
    ]
    good = hub.sign()
    for _ in range(2):
        found = client.post("/v1/federation/explain", json={"assertion": good}, headers=admin).json
        assert (found["admitted"], found["application"], found["rule"]) == (True, "deployer", "deploy")
    assert ask_with(client, good).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "editor", "auditor", "project-administrator", "app-maker"])
def test_who_does_not_own_the_realm_decides_not_whose_word_counts(
    client: FlaskClient, make: Factory, admin: dict[str, str], hub: Issuer, role: str
) -> None:
    permissions = ["applications:read", "applications:write", "realm:read", "users:read", "users:write"]
    make.do(lambda realm: access.create_role(realm, "app-maker", access.RoleSheet.read({"permissions": permissions})))
    make.user("mallory@example.test", roles=(role,))
    mallory = session_of(client, "mallory@example.test")
    trust(make, hub)
    for method, path, body in (
        ("POST", "issuers", issuer_of(hub) | {"metadata": {"name": "mine"}}),
        ("PATCH", "issuers/hub", {"spec": {"jwks": Issuer().jwks}}),
        ("DELETE", "issuers/hub", None),
        ("POST", "people", {"spec": {"issuer": "hub", "subject": "x", "user": "ann@example.test"}}),
    ):
        answer = client.open(f"/v1/federation/{path}", method=method, json=body, headers=mallory)
        assert answer.status_code == 403, (method, path, answer.text)


def test_a_rule_gives_nobody_more_than_who_made_it_may_give(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    """Who makes a rule can act as the application by it: as with a secret, what it is given later by others is not in it."""
    permissions = ["applications:read", "applications:write", "realm:read"]
    make.do(lambda realm: access.create_role(realm, "app-maker", access.RoleSheet.read({"permissions": permissions})))
    make.user("mallory@example.test", roles=("app-maker",))
    mallory = session_of(client, "mallory@example.test")
    trust(make, hub)
    make.application("boss", roles=("administrator",))
    assert client.post("/v1/federation/rules", json=rule_of(application="boss"), headers=mallory).status_code == 403
    make.application("deployer", roles=())
    assert client.post("/v1/federation/rules", json=rule_of(), headers=mallory).status_code == 201
    make.do(
        lambda realm: access.grant_role(realm, applications.holder_of(applications.get_application(realm, "deployer")), "editor")
    )
    claims = claims_of(ask_with(client, hub.sign()).json["access_token"])
    assert claims["realm_access"] == {"roles": []}


def test_a_program_that_was_admitted_decides_not_who_else_is(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    """Only people, and programs with a credential of their own, decide whose word counts."""
    issuer = "http://localhost:8080/auth/realms/acme"
    make.application("deployer", roles=("administrator",), audience=[issuer])
    trust(make, hub)
    rule(make, "deployer", {"repository_id": "4711"})
    token = ask(client, "token", assertion_form(hub.sign(), grant_type="client_credentials")).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/federation/issuers", headers=bearer).status_code == 200
    other = issuer_of(hub, preset="oidc", issuer="https://evil.example") | {"metadata": {"name": "evil"}}
    assert client.post("/v1/federation/issuers", json=other, headers=bearer).status_code == 403
    assert client.post("/v1/federation/rules", json=rule_of("more"), headers=bearer).status_code == 403
    assert client.delete("/v1/federation/rules/deployer-rule", headers=bearer).status_code == 403
    # nor does it make a credential, with which it could, and which would outlive the word of the issuer
    for method, path, body in (
        ("POST", "applications/deployer/secrets", {"metadata": {"name": "mine"}}),
        ("POST", "applications", {"metadata": {"name": "other"}}),
        ("POST", "applications", {"metadata": {"name": "other"}, "spec": {"withSecret": False, "jwks": key_pair()[1]}}),
        ("PATCH", "applications/deployer", {"spec": {"jwks": key_pair()[1]}}),
        ("PATCH", "applications/deployer", {"spec": {"jwksUri": "https://evil.example/keys"}}),
        ("POST", "apiKeys", {"metadata": {"name": "mine"}}),
        ("POST", "users", {"spec": {"emailId": "eve@example.test"}}),
        ("POST", "registrationTokens", {}),
    ):
        answer = client.open(f"/v1/{path}", method=method, json=body, headers=bearer)
        assert answer.status_code == 403, (method, path, answer.text)
    made = client.post("/v1/applications", json={"metadata": {"name": "bare"}, "spec": {"withSecret": False}}, headers=bearer)
    assert made.status_code == 201, "one without a credential is no way around"


def test_the_life_of_an_issuer_and_a_rule_by_commands(
    run: Run,
    client: FlaskClient,
    make: Factory,
    hub: Issuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDP_PUBLIC_URL", "http://localhost:8080")
    keys, token = tmp_path / "keys.json", tmp_path / "token"
    keys.write_text(json.dumps(hub.jwks))
    assert "github" in run("federation", "presets")
    assert "idp federation rules create --application deployer" in run(
        "applications", "create", "--realm", "acme", "--no-secret", "deployer"
    )
    made = ("federation", "issuers", "create", "--realm", "acme", "--preset", "github")
    run(*made, "--key-source", "uploaded", "--jwks", str(keys), "hub")
    create = ("federation", "rules", "create", "--realm", "acme", "--issuer", "hub", "--application", "deployer")
    refused = run(*create, "--line", "ref=refs/heads/main", "deploy", status=1)
    assert "repository_id" in refused
    run(*create, "--line", "repository_id=4711", "--line", "ref=refs/heads/*", "deploy")
    make.forget()
    assert ask_with(client, hub.sign()).status_code == 200
    token.write_text(hub.sign(ref="refs/tags/v1"))
    explained = run("federation", "explain", "--realm", "acme", str(token), status=1)
    assert "FAIL  ref = 'refs/heads/*': the assertion says 'refs/tags/v1'" in explained
    token.write_text(hub.sign())
    assert "Admitted as deployer, by rule deploy." in run("federation", "explain", "--realm", "acme", str(token))
    listed = json.loads(run("federation", "rules", "list", "--realm", "acme", "--json"))
    assert (listed[0]["name"], listed[0]["lines"]) == ("deploy", LINES)
    assert json.loads(run("federation", "issuers", "list", "--realm", "acme", "--json"))[0]["state"] == "ready"
    assert "Delete them first" in run("federation", "issuers", "delete", "--realm", "acme", "--yes", "hub", status=1)
    run("federation", "rules", "update", "--realm", "acme", "--mode", "audit", "deploy")
    run("federation", "rules", "delete", "--realm", "acme", "--yes", "deploy")
    run("federation", "issuers", "delete", "--realm", "acme", "--yes", "hub")
    assert "No issuer is trusted." in run("federation", "issuers", "list", "--realm", "acme")
