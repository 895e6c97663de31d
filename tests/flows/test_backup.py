"""The drill: a database is backed up while it is written, and restored elsewhere; and what must not pass for a good backup."""

import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from idp import backup, scratch
from idp.backup import postgresql
from idp.settings import Settings
from tests.cli.test_commands import Run, run  # noqa: F401 (a fixture)
from tests.flows.test_people import call, make_person, session_token
from tests.serving import PATIENCE, Server, send, wait_until


@pytest.fixture
def tools(postgres: Any) -> str:
    """A PATH on which the programs of the tests' PostgreSQL come first."""
    return f"{postgres.bin_path}:{os.environ['PATH']}"


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Server, Server, list[str]]:
    """A server, another one with an empty database, to which a backup is restored, and where backups are tried."""
    pushed = tmp_path / "pushed.jsonl"
    settings = {"IDP_AUDIT_SEAL_SECONDS": "0.1", "IDP_AUDIT_PUSH_FILE": str(pushed), "IDP_AUDIT_PUSH_SECONDS": "0"}
    if request.param == "sqlite":
        first = Server(tmp_path / "first", settings=settings)
        return first, Server(tmp_path / "second", port=first.port), []
    url, postgres = request.getfixturevalue("database_url"), request.getfixturevalue("postgres")
    path = {"PATH": request.getfixturevalue("tools")}
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.psql(f"CREATE DATABASE {name}_restored ENCODING 'UTF8' TEMPLATE template0;")
    elsewhere = path | {"IDP_DATABASE_URL": postgres.get_uri(database=f"{name}_restored")}
    first = Server(tmp_path / "first", settings=settings | path | {"IDP_DATABASE_URL": url})
    return first, Server(tmp_path / "second", port=first.port, settings=elsewhere), ["--scratch", postgres.get_uri()]


@contextmanager
def writing(server: Server, bot: dict[str, str]) -> Iterator[list[int]]:
    """Have tokens issued and revoked all the time, one after the other; return how that was answered."""
    statuses: list[int] = []
    over = threading.Event()

    def write() -> None:
        form = {"client_id": bot["client_id"], "client_secret": bot["client_secret"]}
        while not over.wait(0.02):
            token = server.token(bot)
            statuses.append(token.status)
            statuses.append(send(server.endpoint("revoke"), form | {"token": token.json["access_token"]}).status)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        wait_until(lambda: len(statuses) > 6, "the first writes")
        yield statuses
    finally:
        over.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize("places", ["sqlite", "postgresql"], indirect=True)
def test_drill(places: tuple[Server, Server, list[str]], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first, second, scratch_place = places
    shelf, tail = tmp_path / "backups", tmp_path / "tail.jsonl"
    first.start()
    try:
        bot = first.create_application("bot", "--role", "viewer")
        make_person(first, "ann@example.test")
        bearer = {"Authorization": f"Bearer {session_token(first, 'ann@example.test')}"}
        key = call(first, "POST", "/v1/apiKeys", {}, bearer).json
        token = first.token(bot).json["access_token"]
        with writing(first, bot) as statuses:
            before = len(statuses)
            made = json.loads(first.idp("backup", str(shelf), "--json"))
            assert len(statuses) > before, "the backup kept writers waiting"
        assert set(statuses) == {200}
        assert call(first, "DELETE", f"/v1/apiKeys/{key['uid']}", None, bearer).status in {200, 204}
        there = {each["realm"]: each["total"] for each in made["manifest"]["mark"]["trails"]}["acme"]
        wait_until(lambda: _pushed(first) > there, "the push of a checkpoint that the backup lacks")
        first.idp("audit", "export", "--realm", "acme", "--output", str(tail))
        assert "A server is running" in first.idp("restore", str(shelf), "--yes", status=1)
    finally:
        first.stop()

    path = Path(made["path"])
    assert {each.name: each.stat().st_mode & 0o777 for each in (path, *path.iterdir())} == {
        path.name: 0o700,
        "manifest.json": 0o600,
        made["manifest"]["files"][0]["name"]: 0o600,
    }
    assert [each.name for each in shelf.iterdir()] == [path.name]
    assert len(made["manifest"]["mark"]["trails"]) >= 2
    _find_no_secret(path, first, bot, key, second.environment["PATH"])

    master_key = first.data_dir / "master.key"
    report = json.loads(first.idp("restore", str(shelf), "--check", *scratch_place, "--json"))
    assert (report["sound"], report["problems"], report["rows"]) == (True, [], made["manifest"]["mark"]["rows"])
    assert report["decrypted"] > 0
    _find_flipped_byte(first, path, scratch_place, tmp_path / "damaged")

    second.data_dir.mkdir(mode=0o700)
    assert "master key file" in second.idp("restore", str(shelf), "--yes", status=1)
    shutil.copy(master_key, second.data_dir)
    evidence = ("--tail", str(tail), "--checkpoints", first.settings["IDP_AUDIT_PUSH_FILE"])
    restored = json.loads(second.idp("restore", str(shelf), *evidence, "--yes", "--json"))
    assert restored["seconds"]["total"] < 60
    assert [each["whole"] for each in restored["trails"]] == [True] * len(restored["trails"])
    since = restored["since"]
    assert since["events_lost"]["acme"] > 0
    assert any(act["tag"] == "user:api-key:delete" for act in since["acts_since"]), since
    assert any(each["kind"] == "api-key" and each["owner"] == "ann@example.test" for each in since["doubtful"])
    again = second.idp("restore", str(shelf), "--yes", status=1)
    assert "holds a database" in again or "holds tables" in again
    second.start()
    try:
        keys = KeySet.import_key_set(send(second.endpoint("certs")).json)
        assert jwt.decode(token, keys, algorithms=["RS256", "ES256"]).claims["azp"] == "bot"
        assert call(second, "GET", "/v1/users/info", None, bearer).status == 401
        assert second.token(bot).status == 200
        assert call(second, "POST", "/v1/auth/exchange", headers={"apiKey": key["apiKey"]}).status == 200
        assert "BROKEN" not in second.idp("audit", "verify")
    finally:
        second.stop()


def _pushed(server: Server) -> int:
    """Return how many events of the trail the newest checkpoint is of that was pushed off the box."""
    lines = map(json.loads, Path(server.settings["IDP_AUDIT_PUSH_FILE"]).read_text().splitlines())
    return max((line["total"] for line in lines if line["realm"] == "acme"), default=0)


def _find_no_secret(path: Path, server: Server, bot: dict[str, str], key: dict[str, str], tools: str) -> None:
    """See that nothing in a backup is a secret in plain, also where it is compressed."""
    line = (server.data_dir / "master.key").read_text().strip()
    master = base64.b64decode(line.partition(":")[2])
    secrets = [text.encode() for text in (bot["client_secret"], key["apiKey"], line.partition(":")[2], master.hex())] + [master]
    found = [each.read_bytes() for each in path.iterdir()]
    if (dump := path / postgresql.FILE).exists():
        program = shutil.which("pg_restore", path=tools)
        assert program is not None
        found.append(subprocess.run([program, "--file=-", str(dump)], capture_output=True, check=True).stdout)
        assert b"audit_event" in found[-1]
    assert [secret for secret in secrets for data in found if secret in data] == []


def _find_flipped_byte(server: Server, path: Path, scratch_place: list[str], damaged: Path) -> None:
    shutil.copytree(path, damaged)
    (file,) = (each for each in damaged.iterdir() if each.name != "manifest.json")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    said = server.idp("restore", str(damaged), "--check", *scratch_place, status=1, both=True)
    assert f"{file.name} is damaged or was changed" in said


@pytest.mark.parametrize("name", ["manifest.json", "realmgate.sqlite"])
def test_flipped_byte_is_found(settings: Settings, tmp_path: Path, run: Run, name: str) -> None:
    file = backup.take_backup(settings, tmp_path / "backups", lambda step: None).path / name
    data = bytearray(file.read_bytes())
    data[data.index(b'"version": "') + 12 if name == "manifest.json" else len(data) // 2] ^= 1
    file.write_bytes(data)
    said = run("restore", str(file.parent), "--check", status=1)
    assert ("The manifest is damaged or was changed" if name == "manifest.json" else f"{name} is damaged or was changed") in said
    assert "cannot be relied on" in said
    assert settings.sqlite_path is not None
    settings.sqlite_path.unlink()
    assert "Nothing was restored" in run("restore", str(file.parent), "--yes", status=1)
    assert not settings.sqlite_path.exists()


def test_wrong_master_key_is_found(settings: Settings, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = backup.take_backup(settings, tmp_path / "backups", lambda step: None).path
    name = settings.master_key_file.read_text().partition(":")[0]
    wrong = tmp_path / "wrong.key"
    monkeypatch.setenv("IDP_MASTER_KEY_FILE", str(wrong))
    assert "cannot be read" in run("restore", str(path), "--check", status=1)
    for said, sentence in ((name, "another key of this name"), ("otherkey", "which is not in the master key file")):
        wrong.write_text(f"{said}:{base64.b64encode(bytes(32)).decode()}\n")
        wrong.chmod(0o600)
        report = run("restore", str(path), "--check", status=1)
        assert sentence in report
        assert "nothing was decrypted" in report


def test_restored_content_is_verified_and_not_only_its_checksum(settings: Settings, tmp_path: Path, run: Run) -> None:
    """Whoever holds the master key may have written the manifest; the chain and what is sealed show what else was changed."""
    run("master-key", "list")
    made = backup.take_backup(settings, tmp_path / "backups", lambda step: None)
    file = made.path / "realmgate.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM change")
        database.execute("UPDATE pepper SET sealed = substr(sealed, 1, length(sealed) - 4) || 'AAAA'")
    _write_again(settings, made.path)
    said = run("restore", str(made.path), "--check", status=1)
    assert "Table change has 0 rows" in said
    assert "does not decrypt: pepper" in said


def _write_again(settings: Settings, path: Path) -> None:
    """Write a manifest that fits the files, as only the holder of the master key can."""
    from idp.backup import manifest
    from idp.master_keys import load_master_keys

    old = manifest.read_manifest(path)
    (path / manifest.FILE).unlink()
    files = tuple(manifest.describe_file(path / each.name, lambda step: None) for each in old.files)
    new = old.model_copy(update={"files": files}).signed(load_master_keys(settings.master_key_file))
    manifest.write_manifest(path, new)


def test_oldest_complete_backups_of_the_same_database_are_removed(settings: Settings, tmp_path: Path, run: Run) -> None:
    shelf = tmp_path / "backups"
    made = Path(json.loads(run("backup", str(shelf), "--json"))["path"])
    older = [f"realmgate-2026010{day}T000000Z" for day in (1, 2, 3)]
    for name in older:
        shutil.copytree(made, shelf / name)
    foreign = shelf / "realmgate-20250101T000000Z"
    shutil.copytree(made, foreign)
    (foreign / "manifest.json").write_text(
        (foreign / "manifest.json").read_text().replace('"installation": "', '"installation": "x')
    )
    (shelf / "realmgate-20240101T000000Z").mkdir()  # not complete
    for name in ("long-killed", "at-work"):
        (shelf / f".realmgate-unfinished-{name}").mkdir()
    os.utime(shelf / ".realmgate-unfinished-long-killed", (0, 0))
    (shelf / "notes.txt").touch()
    shutil.move(made, shelf / "realmgate-20260104T000000Z")
    report = json.loads(run("backup", str(shelf), "--keep", "3", "--json"))
    assert [Path(path).name for path in report["removed"]] == older[:2]
    assert {path.name for path in shelf.iterdir()} == {
        ".realmgate-unfinished-at-work", "notes.txt", "realmgate-20240101T000000Z", foreign.name, older[2], "realmgate-20260104T000000Z",
        Path(report["path"]).name,
    }  # fmt: skip # a list of words


def test_backup_is_kept_apart_and_over_nothing(settings: Settings, tmp_path: Path, run: Run) -> None:
    assert "is in the data folder" in run("backup", str(settings.data_dir / "backups"), status=1)
    assert "holds the master key" in run("backup", str(settings.data_dir.parent), status=1)
    said = run("backup", str(tmp_path / "backups"))
    assert str(settings.master_key_file) in said
    assert "The master key is not in it" in said
    (made,) = (tmp_path / "backups").iterdir()
    assert "is a backup" in run("backup", str(made), status=1)
    assert "no complete backup" not in run("restore", str(made), "--check")
    assert "none in it" in run("restore", str(tmp_path), "--check", status=1)


def test_backup_that_is_interrupted_leaves_nothing(
    settings: Settings, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [signal.SIGTERM, signal.SIGINT]

    def stop(*_: object) -> None:
        os.kill(os.getpid(), signals.pop())

    monkeypatch.setattr("idp.backup.take.write_manifest", stop)
    while signals:
        assert "nothing was left behind" in run("backup", str(tmp_path / "backups"), status=1)
        assert list((tmp_path / "backups").iterdir()) == []


def test_other_schema_is_left_to_the_version_that_has_it(settings: Settings, tmp_path: Path, run: Run) -> None:
    made = backup.take_backup(settings, tmp_path / "backups", lambda step: None).path
    text = (made / "manifest.json").read_text()
    (made / "manifest.json").write_text(text.replace('"schema": "00', '"schema": "99'))
    assert "Restore it with the version that created it" in run("restore", str(made), "--check", status=1)
    (made / "manifest.json").write_text(text.replace('"format": 1', '"format": 2'))
    assert "a later version of Realmgate (0.1.0)" in run("restore", str(made), "--check", status=1)
    assert settings.sqlite_path is not None
    with closing(sqlite3.connect(settings.sqlite_path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    assert "Back it up with the version of Realmgate that serves it" in run("backup", str(tmp_path / "backups"), status=1)


def test_copy_of_sqlite_is_of_one_moment(settings: Settings, tmp_path: Path) -> None:
    """Another process that writes at each step neither gets into the copy nor has it begin again."""
    from idp.backup import sqlite

    assert settings.sqlite_path is not None
    with closing(sqlite3.connect(settings.sqlite_path)) as database:
        database.execute("CREATE TABLE filling (value BLOB)")
        database.executemany("INSERT INTO filling VALUES (zeroblob(4000))", [()] * 6_000)
        database.commit()
        steps = 0

        def write(step: backup.Step) -> None:
            nonlocal steps
            steps += 1
            assert steps < 50, "it begins again and again"
            database.execute("INSERT INTO filling VALUES (1)")
            database.commit()

        sqlite.dump(settings.sqlite_path, tmp_path / "copy", write)
    assert steps >= 3
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT count(*) FROM filling").fetchone() == (6_000,)
    assert not list(tmp_path.glob("copy-*"))


def test_password_of_the_database_is_in_no_argument(tools: str, postgres: Any, tmp_path: Path, database_url: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    real = shutil.which("pg_dump", path=tools)
    (folder / "pg_dump").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {real} "$@"\n')
    (folder / "pg_dump").chmod(0o755)
    url = database_url.replace("postgres:@", "postgres:canary-of-a-password@")
    assert "canary" in url
    server = Server(tmp_path / "data", settings={"IDP_DATABASE_URL": url, "PATH": f"{folder}:{tools}"})
    server.idp("setup")
    said = server.idp("backup", str(tmp_path / "backups"), both=True)
    assert "--snapshot=" in (tmp_path / "arguments").read_text()
    assert "canary" not in (tmp_path / "arguments").read_text() + said
    (folder / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    said = server.idp("backup", str(tmp_path / "backups"), status=1)
    assert "older than the server" in said
    assert "apt-get install postgresql-client-" in said
    assert "pg_dump is not installed" in server.idp("backup", str(tmp_path / "backups"), status=1, PATH=str(tmp_path))
    (folder / "pg_dump").write_text(
        "#!/bin/sh\n[ $1 = --version ] && exec " + str(real) + " --version\necho 'it broke' >&2; exit 1\n"
    )
    assert "pg_dump has failed: it broke" in server.idp("backup", str(tmp_path / "backups"), status=1)
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_folder_of_a_restore_is_no_running_server(tmp_path: Path) -> None:
    with scratch.held_folder(tmp_path, ".realmgate-check-"):
        assert not scratch.is_server_running(tmp_path)
