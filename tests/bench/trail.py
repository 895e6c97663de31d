"""Searching an audit trail of millions of events on PostgreSQL: `python -m tests.bench.trail --events 10000000`."""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from idp import audit, clock, setup
from idp.app import close_app, create_app
from idp.db import db
from idp.settings import Settings
from tests.faults.surroundings import postgres
from tests.forking import PROJECT

_FILL = """
INSERT INTO audit_event (at, realm, tag, actor, target, address, outcome, detail)
SELECT now() - interval '365 days' + interval '365 days' * (i::float8 / :n), 'acme',
  CASE WHEN i = :n / 3 THEN 'admin:role:delete' WHEN i % 10 < 9 THEN 'client:token:issue'
       WHEN i % 100 = 9 THEN 'client:token:refuse' WHEN i % 100 IN (19, 29, 39) THEN 'user:session:end'
       WHEN i % 1000 = 49 THEN 'admin:grant:create' ELSE 'admin:application:update' END,
  CASE WHEN i = :n / 4 THEN 'user:rare' ELSE 'application:a' || (i % 500) END,
  CASE WHEN i = :n / 3 THEN 'role:rare'
       WHEN i = :n / 5 / 1000 * 1000 + 49 THEN 'group:rare' WHEN i = :n / 5 / 1000 * 1000 + 19 THEN 'user:rare'
       WHEN i % 10 < 9 THEN 'token:' || md5(i::text) WHEN i % 100 IN (19, 29, 39) THEN 'session:' || md5(i::text)
       ELSE 'application:a' || (i % 500) END,
  '10.0.0.1', CASE WHEN i % 100 = 9 THEN 'refused' ELSE 'success' END, '{}'
FROM generate_series(1, :n) i"""


def searches() -> dict[str, dict[str, Any]]:
    """Return what is searched for, by what it is called."""
    old = datetime.now(UTC) - timedelta(days=200)
    day = {"since": old, "until": old + timedelta(days=1)}
    return {
        "nothing in particular": {},
        "a tag that occurs once": {"tag": "admin:role:delete"},
        "a tag that does not occur": {"tag": "admin:project"},
        "all of admin:": {"tag": "admin:"},
        "issued tokens": {"tag": "client:token:issue"},
        "a day 200 days ago": day,
        "a tag on that day": {"tag": "client:token:refuse", **day},
        "an actor that occurs once": {"actor": "user:rare"},
        "the same by the name alone": {"actor": "rare"},
        "an application": {"actor": "application:a7"},
        "an application on that day": {"actor": "a7", **day},
        "an actor that does not occur": {"actor": "nobody"},
        "a token": {"target": "token:" + hashlib.md5(b"5", usedforsecurity=False).hexdigest()},
        "refusals": {"outcome": "refused"},
        "refusals before that day": {"outcome": "refused", "until": old},
        "things of a kind": {"kind": "application"},
        "tokens": {"kind": "token"},
        "sessions": {"kind": "session"},
        "users, of whom one occurs among many sessions": {"kind": "user"},
        "groups, of which one occurs": {"kind": "group"},
        "roles, of which one occurs": {"kind": "role"},
        "things of a kind that does not occur": {"kind": "keyset"},
        "deletions": {"action": "delete"},
    }


def writes() -> dict[str, tuple[audit.Tag, str]]:
    """Return what is written, by what it is called: tag and kind of the target."""
    return {
        "issued tokens": (audit.Tag.TOKEN_ISSUE, "token"),
        "what has targets of one kind": (audit.Tag.APPLICATION_UPDATE, "application"),
        "what has targets of several kinds": (audit.Tag.SESSION_END, "session"),
    }


def measure_writes(events: int) -> None:
    """Print how long it takes to write events in batches of a thousand, as a worker writes what it has gathered."""
    print("\n| written, 1,000 in a transaction | µs an event, the middle of 40 |\n|---|---|")
    for name, (tag, kind) in writes().items():
        took = []
        for batch in range(40):
            rows = [
                audit.event_values(
                    clock.now(), "acme", tag, f"user:u{n % 500}", f"{kind}:{events}-{batch}-{n}", "10.0.0.1", "success"
                )
                for n in range(1_000)
            ]
            begun = time.perf_counter()
            db.session.execute(insert(audit.AuditEvent), rows)
            db.session.commit()
            took.append(1_000 * (time.perf_counter() - begun))
        print(f"| {name} | {statistics.median(took):.0f} |", flush=True)


def split_by_time(months: int) -> None:
    """Put the events into a table that is partitioned by time, as an installation would have it that keeps them for a year."""

    def execute(statement: str) -> Any:
        return db.session.execute(text(statement))

    execute("SET LOCAL statement_timeout = 0")
    indexes = [
        row[0] for row in execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'audit_event' AND indexname LIKE 'ix_%'")
    ]
    execute("ALTER TABLE audit_event RENAME TO audit_event_whole")
    execute("ALTER INDEX pk_audit_event RENAME TO pk_audit_event_whole")
    for definition in indexes:
        name = definition.split()[2]
        execute(f"ALTER INDEX {name} RENAME TO {name}_whole")
    execute("CREATE TABLE audit_event (LIKE audit_event_whole INCLUDING DEFAULTS) PARTITION BY RANGE (at)")
    execute("ALTER TABLE audit_event ADD CONSTRAINT pk_audit_event PRIMARY KEY (id, at)")
    for definition in indexes:
        execute(definition)
    begin, each = datetime.now(UTC) - timedelta(days=366), timedelta(days=400) / months
    for number in range(months):
        since, until = begin + number * each, begin + (number + 1) * each
        execute(f"CREATE TABLE events_{number} PARTITION OF audit_event FOR VALUES FROM ('{since}') TO ('{until}')")
    execute("INSERT INTO audit_event SELECT * FROM audit_event_whole")
    execute("ANALYZE audit_event")
    db.session.commit()


def measure_searches() -> None:
    """Print how long each search takes at first, and then."""
    print("| searched for | shown | first, ms | then, ms |\n|---|---|---|---|")
    for name, filters in searches().items():
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            rows = audit.list_events("acme", limit=51, **filters)
            took.append(1000 * (time.perf_counter() - begun))
            db.session.rollback()
        print(f"| {name} | {len(rows)} | {took[0]:.1f} | {min(took[1:]):.1f} |", flush=True)


def main() -> None:
    """Fill a trail, and print how long each search takes at first and then, and what an event costs that is written."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trail", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument(
        "--months", type=int, default=0, help="the same again, in a table that is partitioned into so many pieces"
    )
    chosen = parser.parse_args()
    events = chosen.events
    with postgres() as make, tempfile.TemporaryDirectory() as folder:
        url = make().create().url()
        settings = Settings.load(data_dir=Path(folder) / "data", realms_dir=PROJECT / "realms", database_url=url)
        close_app(setup.set_up(settings)[0])
        app = create_app(settings)
        with app.app_context():
            db.session.execute(text("SET LOCAL statement_timeout = 0"))
            db.session.execute(text(_FILL), {"n": events})
            db.session.execute(text("ANALYZE audit_event"))
            db.session.commit()
            print(f"among {events:,} events")
            measure_searches()
            measure_writes(events)
            if chosen.months:
                split_by_time(chosen.months)
                print(f"\npartitioned into {chosen.months} months")
                measure_searches()
                measure_writes(events)
        close_app(app)


if __name__ == "__main__":
    sys.exit(main())
