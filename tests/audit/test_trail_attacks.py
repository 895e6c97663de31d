"""Who can write into the database, and cannot sign, rewrites the audit trail: with the server there, and for it to find."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idp.audit.models import OF_MIXED
from idp.trail.chain import Entry, first_head, follow, pack_ids
from idp.trail.verify import unpack_ids
from tests.serving import Server, send, wait_until

Connection = sqlite3.Connection
TABLES = ("audit_event", "audit_batch", "audit_cut")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The data folder of a server whose realm acme has a trail of several batches, all sealed; and acme's key set."""
    folder = tmp_path_factory.mktemp("template")
    server = Server(folder / "data", settings={"IDP_AUDIT_SEAL_SECONDS": "0.1"})
    server.start()
    for number in range(2):
        server.create_application(f"program-{number}")
        wait_until(lambda number=number: is_sealed(server, f"application:program-{number}"), "the sealing")
    (folder / "keys.json").write_bytes(send(server.endpoint("certs")).body)
    server.stop()
    return folder / "data", folder / "keys.json"


@pytest.fixture
def server(template: tuple[Path, Path], tmp_path: Path) -> Iterator[Server]:
    """A stopped server with that trail."""
    shutil.copytree(template[0], tmp_path / "data")
    server = Server(tmp_path / "data", settings={"IDP_AUDIT_SEAL_SECONDS": "0.1"})
    yield server
    server.stop()


@contextmanager
def ruling(server: Server) -> Iterator[Connection]:
    """Write into the database as whoever rules it, triggers or not."""
    with closing(sqlite3.connect(server.data_dir / "realmgate.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


def edit_an_event(connection: Connection) -> None:
    connection.execute("UPDATE audit_event SET actor = 'user:eve' WHERE realm = 'acme' AND target = 'application:program-1'")


def write_chain_anew(connection: Connection, checkpoint: str | None = "") -> None:
    """Work digests, heads and totals out again, as the server would."""
    head, total = first_head("acme"), 0
    for row, packed in connection.execute(
        "SELECT id, event_ids FROM audit_batch WHERE realm = 'acme' ORDER BY number"
    ).fetchall():
        digests = []
        for number in unpack_ids(packed):
            values = connection.execute(
                "SELECT id, at, realm, tag, actor, target, address, outcome, detail FROM audit_event WHERE id = ?", (number,)
            ).fetchone()
            digests.append(
                Entry(
                    values[0], datetime.fromisoformat(values[1]).replace(tzinfo=UTC), *values[2:8], json.loads(values[8])
                ).digest()
            )
        head, total = follow(head, digests), total + len(digests)
        connection.execute(
            "UPDATE audit_batch SET digests = ?, head = ?, total = ? WHERE id = ?", (b"".join(digests), head.hex(), total, row)
        )
    if checkpoint is not None:
        connection.execute("UPDATE audit_batch SET checkpoint = ? WHERE realm = 'acme'", (checkpoint,))


def forge(connection: Connection) -> None:
    edit_an_event(connection)
    write_chain_anew(connection)


def forge_with_a_key_of_ones_own(connection: Connection) -> None:
    """Sign the forgery with a key that the database then names as one of the realm's."""
    from joserfc import jws
    from joserfc.jwk import ECKey

    edit_an_event(connection)
    write_chain_anew(connection)
    key = ECKey.generate_key("P-256")
    kid = "11111111-2222-4333-8444-555555555555"
    realm_id = connection.execute("SELECT id FROM realm WHERE name = 'acme'").fetchone()[0]
    public = json.dumps({**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "ES256"})
    connection.execute(
        "INSERT INTO signing_key (realm_id, algorithm, sealed_private_key, public_jwk, active_from, retires_at, removed_at, revoke_reason, uid, created_at) "
        "VALUES (?, 'ES256', '', ?, '2020-01-01 00:00:00', '2020-02-01 00:00:00', '2020-02-02 00:00:00', '', ?, '2020-01-01 00:00:00')",
        (realm_id, public, kid),
    )
    before = {"number": 0, "total": 0, "head": first_head("acme").hex()}
    for number, total, head in connection.execute(
        "SELECT number, total, head FROM audit_batch WHERE realm = 'acme' ORDER BY number"
    ).fetchall():
        now = {"number": number, "total": total, "head": head}
        claims = json.dumps({"iss": "x", "iat": 1, "realm": "acme", **now, "previous": before}).encode()
        signed = jws.serialize_compact(
            {"alg": "ES256", "kid": kid, "typ": "audit-checkpoint+jwt"}, claims, key, algorithms=["ES256"]
        )
        connection.execute("UPDATE audit_batch SET checkpoint = ? WHERE realm = 'acme' AND number = ?", (signed, number))
        before = now


def begin_anew(connection: Connection) -> None:
    """Have the server seal and sign the forgery itself, as if nothing had been sealed before."""
    edit_an_event(connection)
    connection.execute("DELETE FROM audit_batch")
    connection.execute("UPDATE audit_sealing SET next_event = 1, gaps = '[]', turn = turn + 1")


def begin_anew_without_marks(connection: Connection) -> None:
    begin_anew(connection)
    connection.execute("DELETE FROM audit_mark")


def cut_the_end(connection: Connection) -> None:
    """Remove the newest batches with their events, so that a shorter chain is left that is whole."""
    (last,) = connection.execute("SELECT max(number) FROM audit_batch WHERE realm = 'acme'").fetchone()
    (packed,) = connection.execute("SELECT event_ids FROM audit_batch WHERE realm = 'acme' AND number = ?", (last,)).fetchone()
    connection.executemany("DELETE FROM audit_event WHERE id = ?", [(number,) for number in unpack_ids(packed)])
    connection.execute("DELETE FROM audit_batch WHERE realm = 'acme' AND number = ?", (last,))


def say_it_was_cut(connection: Connection) -> None:
    """Remove an event as if its time had been over."""
    (first, last) = connection.execute("SELECT min(number), max(number) FROM audit_batch WHERE realm = 'acme'").fetchone()
    connection.execute("DELETE FROM audit_event WHERE realm = 'acme' AND target = 'application:program-1'")
    connection.execute("DELETE FROM audit_batch WHERE realm = 'acme' AND number < ?", (last,))
    connection.execute(
        "INSERT INTO audit_cut (realm, first, last, kept_ids, kept_digests, statement) VALUES ('acme', ?, ?, ?, ?, '')",
        (first, last - 1, pack_ids([]), b""),
    )


def hide_every_trail(connection: Connection) -> None:
    for table in ("audit_event", "audit_batch", "audit_cut", "audit_mark"):
        connection.execute(f"DELETE FROM {table} WHERE realm = 'acme'")


def set_the_schema_back(connection: Connection) -> None:
    """Have the next start take the trails as it finds them, as at the upgrade to the version that has marks."""
    begin_anew(connection)
    of_people = (
        "app_authorization",
        "consent",
        "pushed_request",
        "device_request",
        "logout_notice",
        "registration",
        "registration_token",
        "client_document",
        "application_key_set",
    )
    of_nodes = ("node", "turn", "schema_floor", "used_proof", "spent_assertion")
    of_federation = ("used_foreign_assertion", "federated_person", "federation_rule", "trusted_issuer")
    of_recall = ("recall_cause", "recall_clock", "signal_event", "signal_stream")
    for table in (
        "audit_mark",
        "audit_cut",
        "daily_use",
        "application_text",
        "user_account_text",
        *of_people,
        *of_nodes,
        *of_federation,
        *of_recall,
    ):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP INDEX ix_personal_token_made_with")
    for table, columns in {
        "audit_sealing": ["cutting"],
        "realm": [
            "audit_days",
            "tokens_from",
            "access_token_type",
            "token_seconds",
            "person_token_seconds",
            "refresh_idle_hours",
            "refresh_hours",
            "refresh_overlap_seconds",
            "pushed_requests",
            "profile",
            "registration",
            "client_documents",
            "open_audiences",
            "brand_color",
            "brand_logo",
            "help_url",
            "privacy_url",
            "terms_url",
        ],
        "application": [
            "document_url",
            "jwks_uri",
            "jwks_frozen",
            "dpop_bound_access_tokens",
            "dpop_nonces",
            "tls_client_certificate_bound_access_tokens",
            "profile",
            "token_seconds",
            "created_by",
            "access_token_type",
            "web_origins",
            "kind",
            "display_name",
            "redirect_uris",
            "post_logout_redirect_uris",
            "grant_types",
            "scopes",
            "backchannel_logout_uri",
            "consent",
            "pushed_requests",
            "signed_userinfo",
            "privacy_url",
            "terms_url",
        ],
        "application_secret": ["frozen"],
        "user_account": ["email_limited", "created_by", "email_verified"],
        "one_time_link": ["email"],
        "role": ["created_by"],
        "project": ["created_by", "display_name"],
        "user_group": ["display_name"],
        "personal_token": ["made_with"],
        "mail_message": ["useful_until"],
        "change": ["mark"],
        "change_clock": ["mark"],
    }.items():
        for column in columns:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    of_kinds = (f"tag_at_{kind}" for kind in OF_MIXED)
    for index in ("tag_at", *of_kinds, "actor_at", "target_at", "outcome_at", "at"):
        connection.execute(f"DROP INDEX ix_audit_event_realm_{index}")
    for column in ("actor", "target"):
        connection.execute(f"CREATE INDEX ix_audit_event_{column} ON audit_event (realm, {column}, id)")
    for table in ("audit_event", "audit_batch"):
        for verb in ("update", "delete"):
            refuse = "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            connection.execute(f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} {refuse}")
    connection.execute("UPDATE alembic_version SET version_num = '0005'")


ATTACKS: list[Callable[[Connection], None]] = [
    forge,
    forge_with_a_key_of_ones_own,
    begin_anew,
    begin_anew_without_marks,
    cut_the_end,
    say_it_was_cut,
    hide_every_trail,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_rewritten_trail_is_found_before_and_after_the_server_goes_on(
    server: Server, template: tuple[Path, Path], tmp_path: Path, attack: Callable[[Connection], None]
) -> None:
    keys = ("--keys", str(template[1]))
    with ruling(server) as connection:
        attack(connection)
    server.idp("audit", "verify", "--realm", "acme", status=1)
    server.idp("audit", "verify", "--realm", "acme", *keys, status=1)
    # the server starts on it, and does not make it right by what it adds
    server.start()
    server.create_application("later")
    wait_until(lambda: is_sealed(server, "application:later"), "the sealing of what came after")
    server.idp("audit", "verify", "--realm", "acme", status=1)
    export = tmp_path / "acme.jsonl"
    server.idp("audit", "export", "--realm", "acme", "--output", str(export))
    server.idp("audit", "verify", "--export", str(export), *keys, status=1)


def test_untouched_trail_stays_whole_when_the_server_goes_on(server: Server, template: tuple[Path, Path], tmp_path: Path) -> None:
    server.start()
    server.create_application("later")
    wait_until(lambda: is_sealed(server, "application:later"), "the sealing of what came after")
    assert "BROKEN" not in server.idp("audit", "verify")
    export = tmp_path / "acme.jsonl"
    server.idp("audit", "export", "--realm", "acme", "--output", str(export))
    assert " whole; " in server.idp("audit", "verify", "--export", str(export), "--keys", str(template[1]))


def is_sealed(server: Server, target: str) -> bool:
    """Tell whether sealing has come past what was recorded of something."""
    with closing(sqlite3.connect(server.data_dir / "realmgate.db")) as connection:
        query = "SELECT max(id) < (SELECT next_event FROM audit_sealing) FROM audit_event WHERE target = ?"
        return bool(connection.execute(query, (target,)).fetchone()[0])


def test_doctor_finds_missing_triggers_and_a_forged_end(server: Server) -> None:
    assert "audit trails are as they were sealed" in doctor(server)
    with ruling(server) as connection:
        pass
    assert "triggers that protect" in doctor(server)
    with closing(sqlite3.connect(server.data_dir / "realmgate.db")) as connection:
        forge(connection)
        connection.commit()
    assert "The audit trail of acme is not intact" in doctor(server)


def doctor(server: Server) -> str:
    return server.run("doctor").stdout


def test_export_without_a_signed_end_is_refused(server: Server, tmp_path: Path) -> None:
    export = tmp_path / "acme.jsonl"
    server.idp("audit", "export", "--realm", "acme", "--output", str(export))
    server.idp("audit", "verify", "--export", str(export))
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    for line in lines:
        if line["kind"] in {"batch", "end"}:
            line["checkpoint"] = ""
    export.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    server.idp("audit", "verify", "--export", str(export), status=1)
    lines = [line for line in lines if line["kind"] in {"trail", "end"}]
    lines[-1] |= {"batches": 0, "total": 0, "head": ""}
    export.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    server.idp("audit", "verify", "--export", str(export), status=1)


def test_trail_that_begins_again_by_an_upgrade_is_doubted(server: Server) -> None:
    with ruling(server) as connection:
        set_the_schema_back(connection)
    server.start()
    server.create_application("later")
    wait_until(lambda: is_sealed(server, "application:later"), "the sealing of what came after")
    server.idp("audit", "verify", "--realm", "acme", status=1)
    assert "has a different past" in doctor(server) or "has seen it come" in doctor(server)


def test_no_trail_is_missing_unseen(server: Server) -> None:
    with ruling(server) as connection:
        hide_every_trail(connection)
    server.idp("audit", "verify", status=1)
    assert "The audit trail of acme is not intact" in doctor(server)


def test_entries_that_are_not_sealed_for_long_are_a_failure(server: Server) -> None:
    """Whoever sets sealing ahead has what follows wait for ever."""
    with ruling(server) as connection:
        connection.execute("UPDATE audit_sealing SET next_event = 9000000")
        connection.execute(
            "INSERT INTO audit_event (at, realm, tag, actor, target, address, outcome, detail) "
            "VALUES ('2026-01-01 00:00:00', 'acme', 'admin:role:update', 'user:eve', 'role:x', '', 'success', '{}')"
        )
    server.idp("audit", "verify", "--realm", "acme", status=1)
    assert "waited too long to be sealed" in doctor(server)
