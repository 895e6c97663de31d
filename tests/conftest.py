"""Fixtures: a fresh database for each test, copied from one that was set up once; and the served program."""

import contextlib
import gc
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import argon2
import pytest
from _pytest.nodeid import NodeId
from flask import Flask
from flask.testing import FlaskClient

from idp import clock, setup
from idp.app import close_app, create_app
from idp.realms import Realm, get_realm
from idp.settings import Settings
from idp.users import passwords
from tests.compiling import remember_statements
from tests.described import check_answers
from tests.factories import Factory
from tests.routing import remember_rules
from tests.serving import PROJECT, Server


def pytest_configure() -> None:
    """Keep the machine's file of settings out of what is made once for many tests, and make applications quickly."""
    os.environ["IDP_CONFIG"] = os.devnull
    remember_rules()
    remember_statements()
    passwords.HASHER = QUICK_HASHER


QUICK_HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""What hashes passwords in the tests' own processes; servers that they start hash as ever, see `slow_hasher` for the rest."""

HASHER = passwords.HASHER
"""What hashes passwords elsewhere."""


def pytest_collection_finish() -> None:
    """Have the collector of garbage look at what is new only, and more rarely: there are 100 MB of modules and tests by now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture
def slow_hasher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as the served program does."""
    monkeypatch.setattr(passwords, "HASHER", HASHER)


LONGEST = (
    "flows/",
    "browser/",
    "docs/",
    "cli/test_people",
    "audit/test_trail_attacks",
    "server/test_in_pods",
    "test_setup",
    "test_text_files",
)
"""Files whose tests start servers and commands one after the other. They are begun with, so that no worker is left with one of
them at the end while the others have nothing to do."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Give each test an id of its own: of those that share one, pytest-xdist runs a single one, and says nothing.

    Schemathesis names the operation in a test's name, and leaves it out of the id. Once they are in order, the files that take
    longest come first.

    :raises pytest.UsageError: two share one still.
    """
    ids: set[str] = set()
    for item in items:
        if not item.nodeid.endswith(item.name) and item.parent is not None:
            item._id = NodeId.parse(f"{item.parent.nodeid}::{item.name}")
        if item.nodeid in ids:
            raise pytest.UsageError(f"Two tests are called {item.nodeid}: only one of them would run.")
        ids.add(item.nodeid)
    yield
    items.sort(key=lambda item: not item.nodeid.removeprefix("tests/").startswith(LONGEST))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("IDP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("IDP_CONFIG", os.devnull)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with realms master and acme, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    app, _ = setup.set_up(Settings.load(data_dir=folder, realms_dir=PROJECT / "realms"))
    close_app(app)
    return folder


def copy_template(template: Path, data_dir: Path) -> None:
    """Copy the template, with keys and events that are a minute old: nothing depends on how long the tests have been running."""
    shutil.copytree(template, data_dir)
    begin = (clock.this_second() - timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with contextlib.closing(sqlite3.connect(data_dir / "realmgate.db")) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("UPDATE signing_key SET created_at = ?, active_from = ?", (begin, begin))
        kept = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_event'"
        ).fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit_event SET at = ?", (begin,))
        for _, sql in kept:
            connection.execute(sql)


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    data_dir = tmp_path / "data"
    copy_template(template, data_dir)
    return Settings.load(
        data_dir=data_dir,
        realms_dir=PROJECT / "realms",
        public_url="http://localhost:8080",
        rate_api=0,  # a test calls as often as it likes; tests/api/test_limits.py has the limits
        rate_password_reset=0,
        rate_failures=1_000_000,
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    check_answers(app)
    yield app
    close_app(app)


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def realm(context: Flask) -> Realm:
    return get_realm("acme")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make(app: Flask) -> Factory:
    return Factory(app)


class FrozenClock:
    """The time of day, as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self._now)
        monkeypatch.setattr(clock, "timestamp", lambda: int(self._now.timestamp()))

    def now(self):  # type: ignore[no-untyped-def]
        return self._now

    def advance(self, **delta: float) -> None:
        self._now += timedelta(**delta)


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    return FrozenClock(monkeypatch)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The served program with one worker, shared by the tests that do not stop it."""
    server = Server(tmp_path_factory.mktemp("served"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, not started yet."""
    server = Server(tmp_path / "data")
    yield server
    server.stop()
