"""`idp keysets`, `idp leases` and `idp master-key`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import text

from idp.cli import main, master_key
from idp.db import commit, db
from idp.settings import Settings
from tests.factories import Factory
from tests.keysets.lending import AWS_VALUES, borrower, take, token_of

Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr(master_key, "SETTLE", 0)
    monkeypatch.setattr(master_key, "SETTLE_RETIRED", 0)

    def run(*arguments: str, status: int = 0, answer: str = "") -> str:
        result = CliRunner().invoke(main, arguments, input=answer)
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.stdout if status == 0 else result.output

    return run


@pytest.fixture
def keyset(run: Run, tmp_path: Path) -> str:
    """A keyset of project vision, made by the command."""
    secret = tmp_path / "secret.txt"
    secret.write_text(AWS_VALUES["pvt"] + "\n")
    options = ["--realm", "acme", "--project", "vision", "--key", f"pvt={secret}"]
    output = run("keysets", "create", *options, "provider", "aws", "prod aws", answer=AWS_VALUES["pub"] + "\n")
    assert "canary" not in output
    return str(re.search(r"[0-9a-f-]{36}", output)[0])  # type: ignore[index]


def test_a_keyset_is_made_listed_lent_and_replaced(
    run: Run, keyset: str, client: FlaskClient, make: Factory, tmp_path: Path
) -> None:
    (shown,) = json.loads(run("keysets", "list", "--realm", "acme", "--json"))
    assert (shown["uid"], shown["projects"], shown["version"]) == (keyset, ["vision"], 1)
    assert "prod aws" in run("keysets", "list", "--realm", "acme")
    bot = token_of(client, borrower(make))
    taken = take(client, bot, "prod aws").json
    assert taken["values"] == AWS_VALUES
    (lease,) = json.loads(run("leases", "list", "--realm", "acme", "--json"))
    assert (lease["uid"], lease["application"], lease["state"]) == (taken["uid"], "deployer", "live")
    run("keysets", "update", "--realm", "acme", "--description", "for builds", "--max-lease", "60", "--default", "prod aws")
    (shown,) = json.loads(run("keysets", "list", "--realm", "acme", "--json"))
    assert (shown["description"], shown["max_lease_seconds"], shown["is_default"]) == ("for builds", 60, True)
    refused = run("keysets", "update", "--realm", "acme", "--max-lease", "0", "prod aws", status=1)
    assert "Error: --max-lease: 0 is out of range: use 1 to" in refused
    assert shown["projects"] == ["vision"]
    for name in ("pub", "pvt"):
        (tmp_path / name).write_text(f"new {name}")
    options = ["--realm", "acme", "--key", f"pub={tmp_path / 'pub'}", "--key", f"pvt={tmp_path / 'pvt'}"]
    assert "version 2" in run("keysets", "replace", *options, "prod aws")
    versions = json.loads(run("keysets", "versions", "--realm", "acme", "--json", keyset))
    assert [(each["version"], each["live_leases"]) for each in versions] == [(2, 0), (1, 1)]
    assert "Ended" in run("leases", "end", "--realm", "acme", "--reason", "replaced", lease["uid"])
    assert "had already ended" in run("leases", "end", "--realm", "acme", lease["uid"])
    run("keysets", "update", "--realm", "acme", "--name", "renamed", "--whole-organisation", "prod aws")
    assert json.loads(run("keysets", "list", "--realm", "acme", "--name", "renamed", "--json"))[0]["projects"] == []
    run("keysets", "update", "--realm", "acme", "--name", "prod aws", "--project", "vision", "renamed")
    assert run("leases", "list", "--realm", "acme").strip() == "There are no active leases."
    (over,) = json.loads(run("leases", "list", "--realm", "acme", "--all", "--json"))
    assert (over["state"], over["end_reason"]) == ("ended", "replaced")
    assert "not leased since" in run("keysets", "versions", "--realm", "acme", keyset).lower()
    run("keysets", "delete", "--realm", "acme", "--yes", keyset)
    assert json.loads(run("keysets", "list", "--realm", "acme", "--json")) == []


def test_refusals_say_what_to_do(run: Run, keyset: str, tmp_path: Path) -> None:
    assert "exactly these keys" in run(
        "keysets", "create", "--realm", "acme", "--key", f"bogus={__file__}", "provider", "do", "x", status=1, answer="token\n"
    )
    assert "cannot be read" in run("keysets", "replace", "--realm", "acme", "--key", f"pub={tmp_path / 'none'}", keyset, status=1)
    assert "idp keysets list" in run("keysets", "versions", "--realm", "acme", "none", status=1)
    assert "provider" in run("keysets", "kinds")
    both = ["--project", "vision", "--whole-organisation"]
    assert "not both" in run("keysets", "update", "--realm", "acme", *both, keyset, status=1)
    assert json.loads(run("keysets", "list", "--realm", "acme", "--json", "--category", "storage")) == []


def test_check_and_doctor_name_the_damaged_one(run: Run, keyset: str, make: Factory) -> None:
    assert "Keysets checked: 1. None is damaged." in run("keysets", "check")
    with make.app.app_context():
        db.session.execute(text("UPDATE keyset_key SET sealed_value = x'00' WHERE key_type = 'pvt'"))
        commit()
    assert f"prod aws ({keyset}) of realm acme" in run("keysets", "check", status=1)
    assert f"prod aws ({keyset}) of realm acme" in run("doctor", status=1)


def test_rotating_the_master_key_shows_its_progress_and_can_be_repeated(run: Run, keyset: str, client: FlaskClient) -> None:
    def listed() -> list[Any]:
        return [(each["id"], each["current"], each["values"]) for each in json.loads(run("master-key", "list", "--json"))]

    ((old, _, values),) = listed()
    output = run("master-key", "rotate")
    new = listed()[0][0]
    assert f"Done: {values} values re-encrypted" in output
    assert f"idp master-key retire {old}" in output
    assert listed() == [(new, True, values), (old, False, 0)]
    assert "current one" in run("master-key", "retire", new, status=1)
    run("master-key", "retire", old)
    assert listed() == [(new, True, values)]
    assert "Added master key" in run("master-key", "add")
    added = listed()[1][0]
    assert json.loads(run("master-key", "rotate", "--to", added, "--json"))["current"] == added
    assert "holds no key" in run("master-key", "rotate", "--to", "none", status=1)
    tags = [event["tag"] for event in json.loads(run("audit", "list", "--json", "--tag", "admin:master-key"))]
    assert tags.count("admin:master-key:rotate") == 2


def test_an_interrupted_rotation_is_finished_before_there_is_another_key(
    run: Run, keyset: str, make: Factory, settings: Settings
) -> None:
    from idp import runtime, vault

    with make.app.app_context():
        vault.promote_master_key(vault.add_master_key())
        current = runtime.current().master_keys.current
        next(vault.rewrap())
    output = run("master-key", "rotate")
    assert "interrupted rotation is finished" in output
    shown = json.loads(run("master-key", "list", "--json"))
    assert [(each["id"] == current, each["values"] > 0) for each in shown] == [(True, True), (False, False)]
