"""The hash chain: what is done to a trail behind the server's back is named, in the database and in an export."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from idp import audit, clock, keys, realms, trail
from idp.audit import AuditEvent, Tag
from idp.db import commit, db
from idp.settings import Settings
from idp.trail import AuditBatch, AuditSealing, Kind, Report
from tests.conftest import FrozenClock
from tests.serving import PATIENCE


def write(count: int, realm: str = "acme") -> None:
    for number in range(count):
        audit.record(Tag.ROLE_UPDATE, realm, f"role:r{number}", note="é\u2028" * (number % 3), number=number)
    commit()


@pytest.fixture
def sealed(context: Flask) -> list[int]:
    """Three batches of realm acme, and the numbers of their entries."""
    trail.seal_trail()
    for count in (4, 1, 5):
        write(count)
        write(2, "master")
        assert trail.seal_trail() == count + 2
    return [event.id for event in reversed(audit.list_events("acme", limit=10))]


def tamper(*statements: str, **values: Any) -> None:
    """Change the trail as somebody could who rules the database."""
    connection = db.session.connection()
    triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in triggers:
        connection.execute(text(f"DROP TRIGGER {name}"))
    for statement in statements:
        connection.execute(text(statement), values)
    commit()
    db.session.expire_all()


def first(report: Report) -> tuple[Kind, int | None]:
    assert report.problems, "nothing was found"
    return report.problems[0].kind, report.problems[0].entry


def test_untouched_trail_is_whole(sealed: list[int]) -> None:
    report = trail.verify_trail("acme")
    assert report.problems == []
    assert report.batches == report.signed > 3
    assert report.entries == len(audit.list_events("acme", limit=1000))
    write(2)
    assert trail.verify_trail("acme").unsealed == 2
    assert {"acme", "master"} <= set(trail.trail_names())
    assert all(trail.verify_trail(name).problems == [] for name in trail.trail_names())


FORGERIES: dict[str, tuple[list[str], Kind]] = {
    "text of an entry": (["UPDATE audit_event SET actor = 'user:eve' WHERE id = :third"], Kind.EDITED),
    "detail of an entry": (["""UPDATE audit_event SET detail = '{"number": 7}' WHERE id = :third"""], Kind.EDITED),
    "time of an entry": (["UPDATE audit_event SET at = '2020-01-01 00:00:00' WHERE id = :third"], Kind.EDITED),
    "realm of an entry": (["UPDATE audit_event SET realm = 'master' WHERE id = :third"], Kind.DELETED),
    "a deleted entry": (["DELETE FROM audit_event WHERE id = :third"], Kind.DELETED),
    "a deleted last entry": (["DELETE FROM audit_event WHERE id = :last"], Kind.DELETED),
    "two entries exchanged": (
        [
            "UPDATE audit_event SET target = 'x' || target WHERE id IN (:third, :fourth)",
            (
                "UPDATE audit_event SET target = 'role:r3', detail = (SELECT detail FROM audit_event WHERE id = :fourth), "
                "at = (SELECT at FROM audit_event WHERE id = :fourth) WHERE id = :third"
            ),
        ],
        Kind.REORDERED,
    ),
}


def test_entry_that_was_committed_late_is_no_forgery(sealed: list[int]) -> None:
    tamper(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'audit_event'",
        "INSERT INTO audit_event SELECT (SELECT max(id) + 1 FROM audit_event), at, realm, tag, 'user:late', target, address, outcome, detail "
        "FROM audit_event WHERE id = :third",
        third=sealed[2],
    )
    late = db.session.scalars(select(AuditEvent.id).where(AuditEvent.actor == "user:late")).one()
    db.session.get_one(AuditSealing, 1).next_event = late + 1
    commit()
    write(1)
    trail.seal_trail()  # as it is where a transaction has the number of the late one, and has not committed it yet
    db.session.get_one(AuditSealing, 1).gaps = [[late, clock.now().isoformat(), 2**40]]
    commit()
    report = trail.verify_trail("acme")
    assert (report.problems, report.unsealed) == ([], 1)
    trail.seal_trail()
    report = trail.verify_trail("acme")
    assert (report.problems, report.unsealed) == ([], 0)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_named_with_its_entry(sealed: list[int], name: str) -> None:
    statements, kind = FORGERIES[name]
    tamper(*statements, third=sealed[2], fourth=sealed[3], last=sealed[-1])
    assert first(trail.verify_trail("acme")) == (kind, sealed[-1] if "last" in name else sealed[2])
    others = [each for each in trail.trail_names() if each != "acme"]
    if name != "realm of an entry":
        assert all(not trail.verify_trail(each).problems for each in others), "the trails of others are whole"


def test_entry_that_was_slipped_in_among_sealed_ones_is_named(sealed: list[int]) -> None:
    tamper(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'audit_event'",
        "INSERT INTO audit_event SELECT (SELECT max(id) + 1 FROM audit_event), at, realm, tag, 'user:eve', target, address, outcome, detail "
        "FROM audit_event WHERE id = :third",
        third=sealed[2],
    )
    slipped = db.session.scalars(select(AuditEvent.id).where(AuditEvent.actor == "user:eve")).one()
    state = db.session.get_one(AuditSealing, 1)
    state.next_event = slipped + 1  # so that it is not sealed like any other
    commit()
    write(1)
    trail.seal_trail()
    assert first(trail.verify_trail("acme")) == (Kind.INSERTED, slipped)


def test_batch_that_was_removed_or_written_anew_is_named(sealed: list[int], context: Flask) -> None:
    numbers = db.session.scalars(select(AuditBatch.number).where(AuditBatch.realm == "acme").order_by(AuditBatch.id)).all()
    tamper("DELETE FROM audit_batch WHERE realm = 'acme' AND number = :number", number=numbers[-2])
    assert first(trail.verify_trail("acme"))[0] is Kind.BROKEN


def test_chain_written_anew_without_the_key_is_forged(sealed: list[int]) -> None:
    """Somebody who can do everything to the database, but cannot sign, has to leave checkpoints out or forge them."""
    from idp.trail.chain import Entry, first_head, follow, pack_ids

    tamper("UPDATE audit_event SET actor = 'user:eve' WHERE id = :third", third=sealed[2])
    head, total = first_head("acme"), 0
    for row in db.session.scalars(select(AuditBatch).where(AuditBatch.realm == "acme").order_by(AuditBatch.number)):
        ids = trail.unpack(row).ids
        events = [db.session.get_one(AuditEvent, number) for number in ids]
        digests = [Entry(*(getattr(event, name) for name in Entry._fields)).digest() for event in events]
        head, total = follow(head, digests), total + len(ids)
        row.event_ids, row.digests, row.head = pack_ids(ids), b"".join(digests), head.hex()
    commit()
    kind, entry = first(trail.verify_trail("acme"))
    assert (kind, entry) == (Kind.FORGED, sealed[0]), "the first entry of the first batch that was written anew"
    for row in db.session.scalars(select(AuditBatch).where(AuditBatch.realm == "acme")):
        row.checkpoint = ""
    commit()
    report = trail.verify_trail("acme")
    assert first(report)[0] is Kind.UNSIGNED, "that nothing is signed is no sign that nothing was done"
    assert report.signed == 0


@pytest.fixture
def pushed(sealed: list[int]) -> list[trail.Checkpoint]:
    """What was pushed off the box."""
    row = trail.newest_checkpoint("acme")
    assert row is not None
    return [trail.Checkpoint("acme", row.number, row.total, row.head)]


def test_end_that_was_cut_shows_by_a_checkpoint_kept_elsewhere(sealed: list[int], pushed: list[trail.Checkpoint]) -> None:
    assert trail.verify_trail("acme", outside=pushed).problems == []
    tamper(
        "DELETE FROM audit_event WHERE id > :fifth AND realm = 'acme'",
        "DELETE FROM audit_batch WHERE realm = 'acme' AND number = :number",
        fifth=sealed[4],
        number=pushed[0].number,
    )
    for outside in (pushed, []):
        problem = trail.verify_trail("acme", outside=outside).problems[0]
        assert problem.kind is Kind.TRUNCATED, "the mark shows it, too"
        assert f"after entry {sealed[4]}" in problem.text


def lines_of(realm: str = "acme") -> list[str]:
    return list(trail.export_trail(realm))


def at(lines: list[str], number: int) -> int:
    """Return the line that holds an entry."""
    return next(n for n, line in enumerate(lines) if json.loads(line).get("id") == number)


def edit(lines: list[str], number: int) -> list[str]:
    where = at(lines, number)
    return [*lines[:where], lines[where].replace("role:", "role:x"), *lines[where + 1 :]]


def swap(lines: list[str], number: int) -> list[str]:
    where = at(lines, number)
    return [*lines[:where], lines[where + 1], lines[where], *lines[where + 2 :]]


def insert(lines: list[str], number: int) -> list[str]:
    where = at(lines, number)
    made = json.loads(lines[where]) | {"id": 10**9}
    return [*lines[:where], json.dumps(made), *lines[where:]]


EXPORTS: dict[str, tuple[Callable[[list[str], int], list[str]], Kind, bool]] = {
    "edited": (edit, Kind.EDITED, True),
    "deleted": (lambda lines, number: [line for n, line in enumerate(lines) if n != at(lines, number)], Kind.DELETED, True),
    "reordered": (swap, Kind.REORDERED, False),
    "inserted": (insert, Kind.INSERTED, False),
    "cut": (lambda lines, _: lines[:-1], Kind.TRUNCATED, False),
    "cut in the middle": (lambda lines, number: lines[: at(lines, number)], Kind.DELETED, True),
    "batch removed": (
        lambda lines, number: [
            line for line in lines if not (json.loads(line)["kind"] == "batch" and number in json.loads(line)["ids"])
        ],
        Kind.INSERTED,
        False,
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_forged_export_is_named(sealed: list[int], name: str) -> None:
    lines = lines_of()
    assert trail.read_export(lines).problems == []
    forge, kind, names_entry = EXPORTS[name]
    problems = trail.read_export(forge(lines, sealed[2])).problems
    assert kind in {problem.kind for problem in problems}
    if names_entry:
        assert (problems[0].kind, problems[0].entry) == (kind, sealed[2])


def test_export_verifies_without_a_database_and_with_pinned_keys_only(
    sealed: list[int], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from idp.cli import main

    export, keys, empty = tmp_path / "acme.jsonl", tmp_path / "keys.json", tmp_path / "nowhere"
    export.write_text("".join(lines_of()))
    keys.write_text(json.dumps({"keys": trail.public_keys("acme")}))
    monkeypatch.setenv("IDP_DATA_DIR", str(empty))
    runner = CliRunner()
    result = runner.invoke(main, ["audit", "verify", "--export", str(export), "--keys", str(keys)])
    assert (result.exit_code, "acme: whole" in result.output) == (0, True)
    assert not empty.exists()
    keys.write_text(json.dumps({"keys": trail.public_keys("master")}))
    result = runner.invoke(main, ["audit", "verify", "--export", str(export), "--keys", str(keys), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.output)[0]["problems"][0]["kind"] == "forged"
    export.write_text("".join(edit(lines_of(), sealed[2])))
    result = runner.invoke(main, ["audit", "verify", "--export", str(export)])
    assert result.exit_code == 1
    assert f"edited: Entry {sealed[2]} is not what was sealed" in result.output
    export.write_text("nonsense\n")
    assert runner.invoke(main, ["audit", "verify", "--export", str(export)]).exit_code == 1


def replace_key() -> str:
    """Revoke the key that signs for acme's trail, and seal an entry with the next; return the old one's id."""
    acme = realms.get_realm("acme")
    signing = next(key for key in keys.list_keys(acme) if key.algorithm == "ES256" and key.revoked_at is None)
    keys.revoke_key(acme, signing.uid, "leaked")
    write(1)
    trail.seal_trail()
    return signing.uid


def test_batch_that_is_sealed_with_a_new_key_during_a_verification_is_no_finding(
    sealed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp.trail import stored

    read = stored.public_keys
    passed: list[str] = []

    def read_and_replace(realm: str) -> list[dict[str, Any]]:
        found = read(realm)
        if not passed:  # another worker, between the reading of the keys and that of the batches
            passed.append(replace_key())
        return found

    monkeypatch.setattr(stored, "public_keys", read_and_replace)
    assert trail.verify_trail("acme").problems == []
    assert len(passed) == 1
    report = trail.verify_trail("acme")
    assert report.problems == []
    assert report.unsealed == 0


def test_export_holds_the_keys_of_all_that_it_holds(sealed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.trail import export

    read = export.public_keys

    def read_and_replace(realm: str) -> list[dict[str, Any]]:
        found = read(realm)
        replace_key()
        return found

    monkeypatch.setattr(export, "public_keys", read_and_replace)
    report = trail.read_export(trail.export_part("acme").lines)
    assert report.problems == []
    assert report.entries > 10


def test_end_that_moves_on_while_it_is_looked_at_is_no_finding(sealed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.trail import stored

    read = stored.read_mark
    times: list[int] = []

    def read_and_seal(session: Any, realm: str) -> Any:
        found = read(session, realm)
        times.append(1)
        if len(times) == 1:
            write(1)
            trail.seal_trail()
        return found

    monkeypatch.setattr(stored, "read_mark", read_and_seal)
    assert trail.look_at_end("acme") == ""
    assert len(times) > 1


def test_two_sealers_at_once_seal_each_entry_once(sealed: list[int], context: Flask) -> None:
    write(200)
    barrier = threading.Barrier(4)
    counts: list[int] = []

    def run() -> None:
        with context.app_context():
            barrier.wait()
            counts.append(trail.seal_trail())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 200]
    assert trail.verify_trail("acme").problems == []


def test_database_refuses_to_change_a_batch(sealed: list[int]) -> None:
    from sqlalchemy.exc import IntegrityError

    for statement in ("UPDATE audit_batch SET head = ''", "DELETE FROM audit_batch"):
        with pytest.raises(IntegrityError, match="append-only"):
            db.session.execute(text(statement))
        db.session.rollback()


def test_checkpoint_is_no_token(sealed: list[int], context: Flask) -> None:
    row = trail.newest_checkpoint("acme")
    assert row is not None
    checkpoint = row.checkpoint
    db.session.rollback()
    client = context.test_client()
    assert client.get("/v1/users/info", headers={"Authorization": checkpoint}).status_code == 401
    from idp.jose import InvalidTokenError

    keys = trail.read_keys(trail.public_keys("acme"))
    db.session.rollback()
    from tests.factories import Factory, ask_token

    token = ask_token(client, Factory(context).application()).json["access_token"]
    with pytest.raises(InvalidTokenError):
        trail.read_checkpoint(token, keys)


def test_entries_of_before_the_upgrade_are_sealed_too(context: Flask) -> None:
    assert trail.count_unsealed() > 0
    trail.seal_trail()
    assert trail.count_unsealed() == 0
    assert trail.verify_trail("acme").entries > 0


def test_gap_is_kept_until_no_transaction_can_fill_it(
    context: Flask, monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock
) -> None:
    """As on PostgreSQL, where a number is given out before the commit: 101 can be there while 100 is still to come."""
    from idp.trail import sealing

    horizon = {"now": (50, 40)}
    monkeypatch.setattr(sealing, "_horizon", lambda _session: horizon["now"])
    trail.seal_trail()
    state = db.session.get_one(AuditSealing, 1)
    late = state.next_event
    values = audit.event_values(clock.now(), "acme", Tag.ROLE_UPDATE, "user:ann", "role:r", "local", "success")
    db.session.add(AuditEvent(id=late + 1, **values))
    commit()
    assert trail.seal_trail() == 1
    db.session.expire_all()
    assert [gap[0] for gap in db.session.get_one(AuditSealing, 1).gaps] == [late]
    frozen_clock.advance(hours=1)
    trail.seal_trail()
    db.session.expire_all()
    assert [gap[0] for gap in db.session.get_one(AuditSealing, 1).gaps] == [late], "a transaction is still open"
    db.session.add(AuditEvent(id=late, **values))
    commit()
    assert trail.seal_trail() == 1
    db.session.expire_all()
    assert db.session.get_one(AuditSealing, 1).gaps == []
    assert trail.verify_trail("acme").problems == []
    db.session.add(AuditEvent(id=late + 9, **values))
    commit()
    trail.seal_trail()
    horizon["now"] = (90, 80)
    frozen_clock.advance(hours=1)
    trail.seal_trail()
    db.session.expire_all()
    assert db.session.get_one(AuditSealing, 1).gaps == [], "numbers that nobody can use any more are forgotten"


@pytest.fixture
def listeners() -> Iterator[dict[str, Any]]:
    """A webhook that records what it gets and answers as told, and a syslog server on UDP."""
    import socket
    from http.server import BaseHTTPRequestHandler, HTTPServer

    found: dict[str, Any] = {"posts": [], "status": 204, "location": ""}

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found["posts"].append((self.path, body.decode().splitlines()))
            self.send_response(found["status"])
            if found["location"]:
                self.send_header("Location", found["location"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 (the name that the library calls)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.settimeout(10)
    found |= {"url": f"http://127.0.0.1:{server.server_port}", "udp": udp}
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
    udp.close()


@pytest.mark.spec("T75", "T77")
def test_checkpoints_are_pushed_off_the_box(sealed: list[int], context: Flask, tmp_path: Path, listeners: dict[str, Any]) -> None:
    from dataclasses import replace

    from idp import runtime

    path = tmp_path / "checkpoints.jsonl"
    process = runtime.current()
    places = {
        "audit_push_file": path,
        "audit_push_webhook": f"{listeners['url']}/hook?x=1",
        "audit_push_syslog": f"udp://127.0.0.1:{listeners['udp'].getsockname()[1]}",
        "audit_push_seconds": 0,
    }
    context.extensions["realmgate"] = replace(process, settings=process.settings.model_copy(update=places))
    listeners["status"] = 500
    trails = len(trail.trail_names())
    assert trail.push_checkpoints() == 2 * trails, "a webhook that fails keeps no other destination waiting"
    assert trail.push_checkpoints() == 0
    listeners["status"], listeners["location"] = 302, f"{listeners['url']}/elsewhere"
    assert trail.push_checkpoints() == 0
    assert {path for path, _ in listeners["posts"]} == {"/hook?x=1"}, "a redirect is not followed"
    listeners["status"] = 204
    assert trail.push_checkpoints() == trails
    write(1)
    trail.seal_trail()
    assert trail.push_checkpoints() == 3
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    newest = trail.newest_checkpoint("acme")
    assert newest is not None
    assert kept[-1] == {
        "realm": "acme",
        "number": newest.number,
        "total": newest.total,
        "head": newest.head,
        "checkpoint": newest.checkpoint,
    }
    assert listeners["posts"][-1][1] == [json.dumps(kept[-1])]
    message = listeners["udp"].recv(65_536).decode()
    assert message.startswith("<109>1 ")
    assert json.loads(message[message.index("{") :])["checkpoint"].count(".") == 2


def test_sealing_keeps_up_with_more_events_than_a_batch_holds(context: Flask) -> None:
    from idp.server.worker import _seal_and_push
    from idp.trail.sealing import BATCH

    write(BATCH * 2 + 5)
    _seal_and_push()
    assert trail.count_unsealed() == 0
    report = trail.verify_trail("acme")
    assert (report.problems, report.batches >= 3) == ([], True)


def test_worker_that_seals_in_between_raises_no_alarm(
    app: Flask, sealed: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = trail.sealing._horizon

    def seal_elsewhere() -> None:
        with app.app_context():
            assert trail.seal_trail() > 0

    def be_overtaken(session: Any) -> tuple[int, int]:
        monkeypatch.setattr(trail.sealing, "_horizon", look)
        other = threading.Thread(target=seal_elsewhere)
        other.start()
        other.join(PATIENCE)
        return look(session)

    write(3)
    monkeypatch.setattr(trail.sealing, "_horizon", be_overtaken)
    assert trail.seal_trail() == 0, "the other was first"
    assert not [record for record in caplog.records if "is not as it was sealed" in record.message]
    assert trail.verify_trail("acme").problems == []
