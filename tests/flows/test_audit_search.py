"""Searching an audit trail of many events on PostgreSQL: no search reads what it does not show."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import event, text

from idp import audit
from idp.db import db
from tests.factories import Factory

FILL = """
    INSERT INTO audit_event (at, realm, tag, actor, target, address, outcome, detail)
    SELECT now() - n * interval '1 second', 'acme',
           (ARRAY['user:session:end', 'admin:grant:create', 'client:token:issue', 'user:session:start'])[n % 4 + 1], 'user:ann',
           (ARRAY['session:', 'application:', 'token:', 'session:'])[n % 4 + 1] || n, 'x', 'success', '{}'
    FROM generate_series(1, 60000) AS n
"""


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a plan and all plans within it."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from parts(each)


KINDS = ("user", "group", "application", "session", "role", "server", "token", "device")


def test_search_by_kind_reads_what_it_shows(pg_make: Factory) -> None:
    with pg_make.app.app_context():
        db.session.execute(text(FILL))
        db.session.commit()
        db.session.execute(text("ANALYZE audit_event"))
        db.session.commit()
        statements: list[tuple[str, Any]] = []

        @event.listens_for(db.engine, "before_cursor_execute")
        def _note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            statements.append((statement, parameters))

        for kind in KINDS:
            statements.clear()
            found = audit.list_events("acme", kind=kind, limit=50)
            assert {each.target.partition(":")[0] for each in found} <= {kind}
            assert len(found) == 50 or kind not in {"application", "session", "token"}
            ((searched, parameters),) = [each for each in statements if "audit_event" in each[0]]
            connection = db.session.connection()
            ((plan,),) = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {searched}", parameters).all()
            read = list(parts(plan[0]["Plan"]))
            # of the tokens, which no index tells from others, every fourth event is one
            assert sum(each.get("Rows Removed by Filter", 0) * each["Actual Loops"] for each in read) <= 200, plan
            assert not [each for each in read if each["Node Type"] == "Seq Scan"], plan
