"""Key pairs are made before a transaction begins, whoever makes, rotates or revokes keys: nobody waits for a slow one."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from idp import keys, realms, setup
from idp.app import close_app, create_app
from idp.cli import main
from idp.db import commit, db
from idp.keys import pairs
from idp.settings import Settings
from tests.compat.test_rafay import sent_code
from tests.conftest import FrozenClock
from tests.console.surfing import Surfer
from tests.factories import Factory, session_of
from tests.serving import PROJECT

SLOW = {"password": "a long and unusual one"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The algorithms of the pairs that were made, each while no transaction was open in its thread."""
    generate = pairs.generate
    found: list[str] = []
    within: list[str] = []

    def watched(algorithm: str) -> pairs.KeyPair:
        (within if db.session().in_transaction() else found).append(algorithm)
        return generate(algorithm)

    pairs._ready.clear()
    monkeypatch.setattr(pairs, "generate", watched)
    yield found
    assert within == [], "a transaction was open meanwhile"
    assert "RS256" in found, "no key pair was made at all"


def kid_of(app: Flask, algorithm: str = "RS256") -> str:
    with app.app_context():
        return next(key.uid for key in keys.list_keys(realms.get_realm("acme")) if key.algorithm == algorithm)


def operator_of(app: Flask) -> dict[str, str]:
    Factory(app).user("root@example.test", realm="master", roles=("administrator",))
    return session_of(app.test_client(), "root@example.test", org="master")


def surfing_operator(app: Flask) -> Surfer:
    operator_of(app)
    return Surfer(app).sign_in("root@example.test", "master")


def by_api(app: Flask) -> None:
    operator, client = operator_of(app), app.test_client()
    assert client.post("/v1/realms", json={"metadata": {"name": "globex"}}, headers=operator).status_code == 201


def rotate_by_api(app: Flask) -> None:
    Factory(app).user(roles=("administrator",))
    client = app.test_client()
    rotated = client.post("/v1/signingKeys", json={"spec": {"algorithm": "RS256"}}, headers=session_of(client))
    assert rotated.status_code == 201


def revoke_by_api(app: Flask) -> None:
    Factory(app).user(roles=("administrator",))
    client = app.test_client()
    url = f"/v1/signingKeys/{kid_of(app)}/revoke"
    assert client.post(url, json={"reason": "leaked"}, headers=session_of(client)).status_code == 204


def by_rafays_contract(app: Flask) -> None:
    operator = operator_of(app)
    assert app.test_client().post("/auth/v1/organizations/", json={"name": "Globex"}, headers=operator).status_code == 201


def by_page(app: Flask) -> None:
    surfer = surfing_operator(app).open("/console/organisations/new").send("Create", {"name": "globex"})
    assert surfer.status == 200
    assert "globex" in surfer.url


def rotate_by_page(app: Flask) -> None:
    surfer = surfing_operator(app).open("/console/realms/acme/signing-keys/RS256/rotate").send("Rotate")
    assert surfer.url == "/console/realms/acme/signing-keys"


def revoke_by_page(app: Flask) -> None:
    surfer = surfing_operator(app).open(f"/console/realms/acme/signing-keys/{kid_of(app)}/revoke")
    assert surfer.send("Revoke", {"reason": "leaked", "typed": "revoke"}).url == "/console/realms/acme/signing-keys"


def sign_up(app: Flask, **password: str) -> str:
    body = {"orgName": "globex", "emailId": "boss@globex.test", **password}
    assert app.test_client().post("/v1/auth/signup", json=body).status_code == 201
    return sent_code(app, "sign-up")


def verify_by_api(app: Flask) -> None:
    assert app.test_client().patch(f"/v1/auth/signup/{sign_up(app)}/verify", json=SLOW).status_code == 200


def verify_by_page(app: Flask) -> None:
    surfer = Surfer(app).open(f"/console/sign-up/{sign_up(app)}").send("Create my organisation", SLOW)
    assert surfer.status == 200


def by_chores(app: Flask) -> None:
    with app.app_context():
        for realm in realms.list_realms():
            for key in keys.list_keys(realm):
                key.active_from -= timedelta(days=90)
        commit()
        setup.rotate_keys_and_tidy()
        assert sum(len(keys.list_keys(realm)) for realm in realms.list_realms()) == 8


WAYS = (
    by_api,
    rotate_by_api,
    revoke_by_api,
    by_rafays_contract,
    by_page,
    rotate_by_page,
    revoke_by_page,
    verify_by_api,
    verify_by_page,
    by_chores,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_transaction_is_open_while_a_server_makes_a_key_pair(
    settings: Settings, made: list[str], way: Callable[[Flask], None]
) -> None:
    app = create_app(settings.model_copy(update={"sign_up": "open"}))
    way(app)
    close_app(app)


COMMANDS = {
    "realms create": ["realms", "create", "globex"],
    "realms apply": ["realms", "apply", "FILE"],
    "keys rotate": ["keys", "rotate", "--realm", "acme"],
    "keys revoke": ["keys", "revoke", "--realm", "acme", "--reason", "leaked", "--yes", "KID"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_transaction_is_open_while_a_command_makes_a_key_pair(
    app: Flask, settings: Settings, made: list[str], command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "globex.toml"
    file.write_text('[realm]\nname = "globex"\n')
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))
    given = [{"FILE": str(file), "KID": kid_of(app)}.get(each, each) for each in command]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output


def test_no_transaction_is_open_while_a_start_makes_key_pairs(tmp_path: Path, made: list[str]) -> None:
    app, report = setup.set_up(Settings.load(data_dir=tmp_path / "data", realms_dir=PROJECT / "realms"))
    close_app(app)
    assert report.created_realms == ["acme"]
    assert sorted(made) == ["ES256", "ES256", "RS256", "RS256"], "those that are needed, and no more"


def test_pair_that_was_made_in_vain_serves_the_next(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Factory(app)
    make.user(roles=("viewer",))
    pairs._ready.clear()
    client = app.test_client()
    viewer = session_of(client)
    count: list[str] = []
    generate = pairs.generate
    monkeypatch.setattr(pairs, "generate", lambda algorithm: count.append(algorithm) or generate(algorithm))
    for _ in range(5):
        assert client.post("/v1/signingKeys", json={"spec": {"algorithm": "RS256"}}, headers=viewer).status_code == 403
    assert sorted(count) == ["ES256", "RS256"]
    with app.app_context():
        new = keys.rotate_key(realms.get_realm("acme"), "RS256")
        commit()
        again = keys.rotate_key(realms.get_realm("master"), "RS256")
        commit()
        assert new.public_jwk["n"] != again.public_jwk["n"]
    assert sorted(count) == ["ES256", "RS256", "RS256"]


def test_copy_of_a_process_does_not_use_the_pairs_of_the_first() -> None:
    script = """
import os
from idp.keys import pairs
pairs.prepare()
count = lambda: sum(map(len, pairs._ready.pairs.values()))
if os.fork() == 0:
    print("copy", count(), flush=True)
    os._exit(0)
os.wait()
print("first", count())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["copy 0", "first 2", ""]


def test_due_rotation_that_another_worker_has_begun_stops_no_other(app: Flask, frozen_clock: FrozenClock) -> None:
    with app.app_context():
        frozen_clock.advance(days=90)
        found = keys.service._due_keys()
        keys.rotate_key(realms.get_realm("acme"), "RS256")
        commit()
        patched = pytest.MonkeyPatch()
        patched.setattr(keys.service, "_due_keys", lambda: found)
        keys.rotate_due_keys()
        commit()
        patched.undo()
        assert sum(len(keys.list_keys(realm)) for realm in realms.list_realms()) == 8
