"""Registration tokens are made, listed and revoked in the same way by the API, on the console's pages and by the command line."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from idp import access, clock
from idp.access import RoleSheet
from idp.cli import main
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.factories import Factory, session_of, set_realm

CALLS = "/v1/registrationTokens"
PAGE = "/console/realms/acme/registration-tokens"
REGISTER = "/auth/realms/acme/clients-registrations/openid-connect"


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    """The header of an administrator of a realm in which applications can register themselves."""
    make.user("admin@example.test", roles=("administrator",))
    make.do(lambda realm: set_realm(realm, registration=True))
    return session_of(client, "admin@example.test")


def status_of_registering(app: Flask, token: str) -> int:
    body = {"redirect_uris": ["https://app.example/done"]}
    return app.test_client().post(REGISTER, json=body, headers={"Authorization": f"Bearer {token}"}).status_code


def test_by_the_api(app: Flask, client: FlaskClient, admin: dict[str, str]) -> None:
    spec = {"description": "for the market", "kinds": ["web"], "scopes": ["openid"], "limit": 2}
    made = client.post(CALLS, json={"spec": spec}, headers=admin)
    assert made.status_code == 201, made.text
    uid, token = made.json["uid"], made.json["token"]
    assert status_of_registering(app, token) == 201
    shown = client.get(f"{CALLS}/{uid}", headers=admin).json
    assert {name: shown["spec"][name] for name in spec} == spec
    assert (shown["status"]["state"], shown["status"]["used"], shown["status"]["createdBy"]) == (
        "live",
        1,
        "user:admin@example.test",
    )
    assert token.startswith(shown["status"]["publicPart"])
    assert token not in json.dumps(shown)
    assert client.get(CALLS, headers=admin).json["items"] == [shown]
    assert client.delete(f"{CALLS}/{uid}", headers=admin).status_code == 204
    assert client.get(f"{CALLS}/{uid}", headers=admin).json["status"]["state"] == "revoked"
    assert client.delete(f"{CALLS}/{uid}", headers=admin).status_code == 409
    assert status_of_registering(app, token) == 401
    assert client.get(f"{CALLS}/unknown", headers=admin).status_code == 404


@pytest.mark.parametrize(
    "spec",
    [
        {"kinds": ["machine"]},
        {"kinds": []},
        {"scopes": []},
        {"scopes": ["nonsense"]},
        {"limit": 0},
        {"limit": 10_001},
        {"limit": "1"},
        {"expiry": (clock.now() - timedelta(days=1)).isoformat()},
        {"expiry": (clock.now() + timedelta(days=400)).isoformat()},
        {"typo": 1},
    ],
)
def test_what_is_no_registration_token(client: FlaskClient, admin: dict[str, str], spec: dict[str, Any]) -> None:
    assert client.post(CALLS, json={"spec": spec}, headers=admin).status_code == 400


def test_it_says_that_registration_is_off(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, registration=False))
    refused = client.post(CALLS, json={"spec": {}}, headers=admin)
    assert refused.status_code == 409
    assert "turn it on" in refused.json["message"]


def test_only_who_has_everything_makes_one(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    make.do(
        lambda realm: access.create_role(realm, "builder", RoleSheet(permissions=["applications:read", "applications:write"]))
    )
    make.user("eve@example.test", roles=("builder",))
    eve = session_of(client, "eve@example.test")
    assert client.get(CALLS, headers=eve).status_code == 200
    assert client.post(CALLS, json={"spec": {}}, headers=eve).status_code == 403
    uid = client.post(CALLS, json={"spec": {}}, headers=admin).json["uid"]
    assert client.delete(f"{CALLS}/{uid}", headers=eve).status_code == 403


def test_on_the_pages(app: Flask, admin: dict[str, str]) -> None:
    assert admin
    ann = Surfer(app).sign_in("admin@example.test")
    assert PAGE in ann.open("/console/realms/acme/applications").text
    ann.open(f"{PAGE}/new").send("Create", {"description": "for a partner", "kinds": ["browser"], "limit": "3"})
    token = ann.text.split('aria-label="the registration token">')[1].split("<")[0]
    assert token.startswith("idp_it_")
    listed = ann.open(PAGE).text
    assert "for a partner" in listed
    assert "0 of 3" in listed
    assert token not in listed
    revoke = listed.split('/revoke">')[0].rsplit('"', 1)[1] + "/revoke"
    ann.open(revoke).send("Revoke", {})
    assert "revoked" in ann.open(PAGE).text
    assert status_of_registering(app, token) == 401


def test_by_the_command(app: Flask, settings: Settings, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert admin
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["registration-tokens", *arguments, "--realm", "acme"])
        assert result.exit_code == status, result.output
        return result.output

    assert "no registration tokens" in run("list")
    made = json.loads(run("create", "--kinds", "web", "--limit", "2", "--description", "for the shop", "--json"))
    assert (made["state"], made["kinds"], made["limit"]) == ("live", ["web"], 2)
    assert status_of_registering(app, made["token"]) == 201
    assert "1 of 2" in run("list")
    (listed,) = json.loads(run("list", "--json"))
    assert (listed["uid"], listed["used"]) == (made["uid"], 1)
    assert "token" not in listed
    assert made["uid"] in run("revoke", made["uid"])
    assert "revoked before" in run("revoke", made["uid"], status=1)
    assert "idp_it_" in run("create")
