"""The realistic data that others test and measure with: the same each time, of every kind and in every state."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from idp import clock, realms
from idp.access import Grant
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.applications import Application, ApplicationSecret
from idp.audit import AuditEvent
from idp.db import db
from idp.settings import Settings
from idp.users import User
from tests import seed
from tests.conftest import copy_template
from tests.serving import PROJECT

SIZES = seed.Sizes(applications=150, users=60, keys=120, events=3_000)


def filled(template: Path, folder: Path, number: int) -> dict[str, Any]:
    """Return what is made with a seed."""
    copy_template(template, folder)
    app = create_app(Settings.load(data_dir=folder, realms_dir=PROJECT / "realms"))
    with app.app_context():
        seed.fill(realms.get_realm("acme"), SIZES, seed=number)
        now = clock.now()
        found: dict[str, Any] = {
            "applications": [(row.name, row.uid, row.description) for row in db.session.scalars(select(Application))][3:],
            "users": [(row.name, row.first_name) for row in db.session.scalars(select(User))][3:],
            "secrets": Counter(row.state(now).value for row in db.session.scalars(select(ApplicationSecret))),
            "keys": Counter(row.status(now).value for row in db.session.scalars(select(ApiKey))),
            "grants": Counter(row.state(now).value for row in db.session.scalars(select(Grant))),
            "events": Counter(db.session.scalars(select(AuditEvent.tag))),
        }
    close_app(app)
    return found


def test_the_same_seed_makes_the_same_data_of_every_kind(template: Path, tmp_path: Path) -> None:
    one, again, other = (filled(template, tmp_path / f"data{place}", number) for place, number in enumerate((1, 1, 2)))
    assert one == again
    assert one["applications"] != other["applications"]
    assert len(one["applications"]) == SIZES.applications
    names = [name for name, _, _ in one["applications"]]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) == seed.LONGEST_NAME
    assert max(len(description) for _, _, description in one["applications"]) > 400
    assert one["secrets"].keys() == {"live", "expired", "retired"}
    assert one["keys"].keys() == {"active", "inactive", "expired", "revoked"}
    assert one["grants"].keys() == {"live", "ended"}
    assert one["events"]["client:token:issue"] > SIZES.events / 2
    assert len(one["events"]) > 10


def seed_by_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        [sys.executable, "-m", "tests.seed", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=PROJECT,
        check=False,
    )


@pytest.mark.parametrize("expected", ["--applications N", "--events 1000000", "idp serve", "postgresql://"])
def test_the_command_says_how_it_is_used(expected: str) -> None:
    assert expected in seed_by_command("--help").stdout


def test_the_command_fills_a_folder_once(tmp_path: Path) -> None:
    small = [f"--{name}=5" for name in ("applications", "users", "keys", "events", "groups", "projects", "roles")]
    first = seed_by_command(str(tmp_path / "data"), *small)
    assert first.returncode == 0, first.stderr
    assert seed.ADMINISTRATOR in first.stdout
    assert "5 applications" in first.stderr
    again = seed_by_command(str(tmp_path / "data"), *small)
    assert (again.returncode, "has been filled already" in again.stderr) == (1, True)
    assert seed_by_command(str(tmp_path / "data"), *small, "--realm=second").returncode == 0
