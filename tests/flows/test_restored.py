"""A backup is put back: what was ended since does not come to life again unseen."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.flows.test_people import call, make_person, session_token
from tests.serving import Server, send, wait_until


@pytest.fixture
def backed_up(tmp_path: Path) -> tuple[Server, Path]:
    """A running server, and a backup of its database, after which things were revoked."""
    pushed = tmp_path / "pushed.jsonl"
    settings = {"IDP_AUDIT_SEAL_SECONDS": "0.1", "IDP_AUDIT_PUSH_FILE": str(pushed), "IDP_AUDIT_PUSH_SECONDS": "0"}
    return Server(tmp_path / "data", settings=settings), pushed


def test_restored_backup_revives_nothing_that_could_be_ended_and_names_the_rest(
    backed_up: tuple[Server, Path], tmp_path: Path
) -> None:
    server, pushed = backed_up
    server.start()
    try:
        bot = server.create_application("bot", "--role", "viewer")
        make_person(server, "ann@example.test")
        session = session_token(server, "ann@example.test")
        token = server.token(bot).json["access_token"]
        key = call(server, "POST", "/v1/apiKeys", {}, {"Authorization": f"Bearer {session}"}).json
        backup = tmp_path / "backup.db"
        with closing(sqlite3.connect(server.data_dir / "realmgate.db")) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        assert call(server, "DELETE", f"/v1/apiKeys/{key['uid']}", None, {"Authorization": f"Bearer {session}"}).status in {
            200,
            204,
        }
        form = {"client_id": "bot", "client_secret": bot["client_secret"]}
        assert send(server.endpoint("revoke"), form | {"token": token}).status == 200
        server.idp("sessions", "end", "--realm", "acme", "--user", "ann@example.test")
        wait_until(lambda: " 0 not sealed" in server.idp("audit", "verify", "--realm", "acme"), "the sealing")
        tail = tmp_path / "tail.jsonl"
        server.idp("audit", "export", "--realm", "acme", "--output", str(tail))
        assert tail.stat().st_mode & 0o777 == 0o600
        kids = {each["kid"] for each in send(server.endpoint("certs")).json["keys"]}
    finally:
        server.stop()
    shutil.copy(backup, server.data_dir / "realmgate.db")
    for name in ("realmgate.db-wal", "realmgate.db-shm"):
        (server.data_dir / name).unlink(missing_ok=True)
    options = ("--checkpoints", str(pushed), "--tail", str(tail), "--rotate-keys", "--yes", "--json")
    report = json.loads(server.idp("restored", *options))
    assert report["sessions_ended"] >= 1
    assert report["events_lost"]["acme"] > 0
    assert any(act["tag"] == "user:api-key:delete" for act in report["acts_since"])
    assert any(each["kind"] == "api-key" and each["owner"] == "ann@example.test" for each in report["doubtful"])
    assert any(each["kind"] == "secret" and each["owner"] == "bot" for each in report["doubtful"])
    server.start()
    try:
        assert call(server, "GET", "/v1/users/info", None, {"Authorization": f"Bearer {session}"}).status == 401
        answer = send(server.endpoint("token/introspect"), form | {"token": token})
        assert answer.json == {"active": False}

        def is_fresh_token_active() -> bool:
            fresh = server.token(bot).json["access_token"]
            return send(server.endpoint("token/introspect"), form | {"token": fresh}).json["active"] is True

        wait_until(is_fresh_token_active, "a token of a second after the restoring")
        assert not kids & {each["kid"] for each in send(server.endpoint("certs")).json["keys"]}
    finally:
        server.stop()


def test_it_asks_first_and_does_nothing_unless_the_answer_is_yes(backed_up: tuple[Server, Path]) -> None:
    server, _ = backed_up
    server.idp("setup")
    server.idp("restored", status=1)
    with closing(sqlite3.connect(server.data_dir / "realmgate.db")) as connection:
        assert connection.execute("SELECT count(*) FROM realm WHERE tokens_from IS NOT NULL").fetchone()[0] == 0
