"""Every field that can be set of a realm and of an application goes in and out at each edge, and to another server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from idp import realms
from idp.api.applications import ApplicationSpecShown
from idp.api.realms import RealmSpecShown
from idp.app import close_app, create_app
from idp.cli import main
from idp.settings import Settings
from tests.conftest import copy_template
from tests.console.surfing import Surfer
from tests.factories import Factory, key_pair, session_of

APPLICATION: dict[str, Any] = {
    "enabled": False,
    "audience": ["https://api.example"],
    "resources": ["https://res.example"],
    "signingAlgorithm": "ES256",
    "accessTokenType": "JWT",
    "webOrigins": ["https://app.example"],
    "jwks": key_pair()[1],
    "ratePerSecond": 7,
}
REALM: dict[str, Any] = {
    "displayName": "Other",
    "signingAlgorithm": "ES256",
    "accessTokenType": "JWT",
    "keyRotationDays": 7,
    "auditDays": 31,
    "sessionHours": 3,
    "apiKeyHours": 5,
    "personalTokenLimit": 9,
    "personalTokenSeconds": 600,
    "personalTokenChoice": True,
}
_CALLED = {"resources": "resource", "audience": "audience", "webOrigins": "web-origin", "signingAlgorithm": "algorithm"}
_CALLED |= {"accessTokenType": "token-type", "ratePerSecond": "rate"}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def shown_by_the_command(name: str, value: Any) -> tuple[str, Any]:
    return ("private_key_jwt", True) if name == "jwks" else (snake(name), value)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def run(*arguments: str, data_dir: Path = settings.data_dir) -> str:
        monkeypatch.setenv("IDP_DATA_DIR", str(data_dir))
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user(roles=("administrator",))
    return session_of(client)


def test_tables_here_know_every_field() -> None:
    assert APPLICATION.keys() == {field.alias for field in ApplicationSpecShown.model_fields.values()}
    assert REALM.keys() == {field.alias for field in RealmSpecShown.model_fields.values()}


def set_all(client: FlaskClient, admin: dict[str, str]) -> None:
    assert client.post("/v1/applications", json={"metadata": {"name": "full"}}, headers=admin).status_code == 201
    for url, spec in (("/v1/applications/full", APPLICATION), ("/v1/realms/acme", REALM)):
        answer = client.patch(url, json={"spec": spec}, headers=admin)
        assert answer.status_code == 204, answer.text
        assert client.get(url, headers=admin).json["spec"] == spec


def test_commands_show_what_the_api_has_set(client: FlaskClient, admin: dict[str, str], run: Callable[..., str]) -> None:
    set_all(client, admin)
    for command, spec in (
        (("applications", "show", "--realm", "acme", "full"), APPLICATION),
        (("realms", "show", "acme"), REALM),
    ):
        shown = json.loads(run(*command, "--json"))
        expected = dict(shown_by_the_command(name, value) for name, value in spec.items())
        assert {name: shown.get(name) for name in expected} == expected


def test_console_shows_what_the_api_has_set_and_loses_nothing(client: FlaskClient, admin: dict[str, str]) -> None:
    set_all(client, admin)
    surfer = Surfer(client.application).sign_in()
    for page, url, spec in (
        ("applications/full", "/v1/applications/full", {"enabled", "jwks"}),
        ("settings", "/v1/realms/acme", set()),
    ):
        surfer.open(f"/console/realms/acme/{page}")
        fields = (APPLICATION if "full" in page else REALM).keys() - spec
        assert {snake(name) for name in fields} <= dict(surfer.form("Save").values).keys()
        before = client.get(url, headers=admin).json["spec"]
        surfer.send("Save", {})
        assert client.get(url, headers=admin).json["spec"] == before


def test_export_carries_everything_to_an_empty_server(
    client: FlaskClient, admin: dict[str, str], run: Callable[..., str], template: Path, tmp_path: Path, settings: Settings
) -> None:
    set_all(client, admin)
    exported = run("realms", "export", "acme")
    other, file = tmp_path / "other", tmp_path / "acme.toml"
    copy_template(template, other)
    file.write_text(exported)
    run("realms", "apply", "--yes", str(file), data_dir=other)
    assert "Realm acme matches" in run("realms", "plan", str(file), data_dir=other)
    app = create_app(settings.model_copy(update={"data_dir": other}))
    try:
        Factory(app).user("zoe@example.test", roles=("administrator",))
        there, zoe = app.test_client(), session_of(app.test_client(), "zoe@example.test")
        assert there.get("/v1/applications/full", headers=zoe).json["spec"] == APPLICATION
        assert there.get("/v1/realms/acme", headers=zoe).json["spec"] == REALM
    finally:
        close_app(app)


def test_commands_set_and_empty_every_field(
    client: FlaskClient, admin: dict[str, str], make: Factory, run: Callable[..., str], tmp_path: Path
) -> None:
    make.application("full", description="old")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(APPLICATION["jwks"]))
    options = ["--jwks", str(keys), "--description", "new"]
    for name, option in _CALLED.items():
        value = APPLICATION[name]
        options += [f"--{option}", *value] if isinstance(value, list) else [f"--{option}", str(value)]
    run("applications", "update", "--realm", "acme", "full", *options)
    make.forget()
    full = client.get("/v1/applications/full", headers=admin).json
    assert full["spec"] == APPLICATION | {"enabled": True}
    assert full["metadata"]["annotations"]["description"] == "new"
    empty = [word for option in (*_CALLED.values(), "jwks", "description") for word in ("--empty", option)]
    run("applications", "update", "--realm", "acme", "full", *empty)
    make.forget()
    spec = client.get("/v1/applications/full", headers=admin).json["spec"]
    assert spec == {name: [] if isinstance(value, list) else None for name, value in APPLICATION.items()} | {"enabled": True}
    words = [f"--{snake(name).replace('_', '-')}" for name in REALM]
    words = [{"--signing-algorithm": "--algorithm", "--access-token-type": "--token-type"}.get(word, word) for word in words]
    given = [[word] if value is True else [word, str(value)] for word, value in zip(words, REALM.values(), strict=True)]
    run("realms", "update", "acme", *[word for pair in given for word in pair])
    make.forget()
    assert client.get("/v1/realms/acme", headers=admin).json["spec"] == REALM
    assert make.do(lambda realm: realms.get_realm(realm.name).session_hours) == 3
