"""The disk of the database is full: what each edge says, what goes on, and that it passes by itself."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text

from idp.db import db
from idp.errors import StorageFullError
from idp.management import health
from idp.telemetry import metrics
from tests.factories import Factory, ask, ask_token, session_of

SENTENCE = str(StorageFullError())


@contextlib.contextmanager
def full(app: Flask) -> Iterator[None]:
    """Have SQLite's file grow no further: what it answers then is what it answers on a full disk."""
    pages = [1]  # which it takes for as many as there are

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    with app.app_context():
        engine = db.engine
    event.listen(engine, "checkout", limit)
    yield
    pages[0] = 2**31
    with app.app_context():
        db.session.remove()


def test_each_edge_says_that_the_disk_is_full_and_verification_goes_on(
    client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user(roles=("administrator",))
    made, header = make.application(), session_of(client)
    token = ask_token(client, made).json["access_token"]
    big = {"metadata": {"name": "reports"}, "spec": {}}

    def is_active() -> bool:
        return bool(ask(client, "token/introspect", made.form | {"token": token}).json["active"])

    def create() -> Any:
        """Create projects until there is no more room in what the file has."""
        answers = (
            client.post("/v1/projects", headers=header, json={"metadata": {"name": f"project-{number}"}, "spec": big["spec"]})
            for number in range(200)
        )
        return next((answer for answer in answers if answer.status_code != 201), None)

    assert is_active()
    with full(make.app):
        refused = create()
        assert refused is not None
        assert (refused.status_code, refused.json["code"], refused.headers["Retry-After"]) == (503, "Unavailable", "5")
        assert refused.json["message"] == SENTENCE
        told = [ask(client, "revoke", made.form | {"token": ask_token(client, made).json["access_token"]}) for _ in range(30)][-1]
        assert (told.status_code, told.json["error"], told.headers["Retry-After"]) == (503, "temporarily_unavailable", "5")
        assert told.json["error_description"] == SENTENCE
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json["checks"]["database"]) == (503, "DOWN")
        for path in ("/protocol/openid-connect/certs", "/.well-known/openid-configuration", ""):
            assert client.get(f"/auth/realms/acme{path}").status_code == 200
        assert is_active()
        assert client.get("/v1/projects", headers=header).status_code == 200, "what is read is read"
    assert client.post("/v1/projects", headers=header, json=big).status_code == 201, "as soon as there is room"
    assert ask(client, "revoke", made.form | {"token": token}).status_code == 200
    assert not is_active()
    monkeypatch.setattr(health, "FULL_FOR", 0.0)  # the seconds for which a full disk is remembered
    make.app.extensions["realmgate"].extensions["write-proof"]._proved_at = float("-inf")
    assert client.get("/health/ready").status_code == 200


def test_full_disk_is_not_ready_while_the_one_row_that_proves_writing_fits(pg_make: Factory) -> None:
    """PostgreSQL writes the same row again where there is no room for another one."""
    client = pg_make.app.test_client()
    assert client.get("/health/ready").status_code == 200
    with pg_make.app.app_context(), pytest.raises(StorageFullError):
        from idp.db import storage_errors

        with storage_errors():
            db.session.execute(text("DO $$ BEGIN RAISE disk_full; END $$"))
    with pg_make.app.app_context():
        db.session.rollback()
    assert client.get("/health/ready").status_code == 503


def test_numbers_of_a_process_have_all_their_space_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with holes is no good: a process that writes to one that no space is left for is killed (SIGBUS)."""
    metrics._reserve(tmp_path)
    files = list(tmp_path.glob("*.db"))
    assert {file.name.rpartition("_")[0] for file in files} >= {"counter", "histogram", "gauge_mostrecent", "gauge_livesum"}
    assert {file.stat().st_blocks * 512 >= metrics.RESERVED for file in files} == {True}

    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", no_space)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(metrics, "_metrics", [])
    metrics.start_metrics()
    assert not metrics.is_measured()
    assert list(tmp_path.glob("*.db")) == [], "nothing that cannot be read"
