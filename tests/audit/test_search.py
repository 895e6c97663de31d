"""Searching the audit trail: whatever is asked for is found by an index, in the order of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, text

from idp import audit
from idp.audit import AuditEvent, Tag
from idp.db import commit, db

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, tag: Tag, actor: str, target: str, outcome: str = "success") -> dict[str, Any]:
    return audit.event_values(BEGIN + timedelta(hours=number), "acme", tag, actor, target, "10.0.0.1", outcome)


EVENTS = [
    event(3, Tag.ROLE_CREATE, "user:ann", "role:r1"),
    event(1, Tag.ROLE_DELETE, "user:ann", "role:r1"),  # written after one that took place later
    event(2, Tag.TOKEN_ISSUE, "application:ann", "token:t1"),
    event(4, Tag.TOKEN_REFUSE, "unauthenticated", "application:ann", "refused"),
    event(4, Tag.TOKEN_ISSUE, "application:bot", "token:t2"),
    event(5, Tag.PROJECT_CREATE, "user:bob", "project:ann"),
]


@pytest.fixture
def trail(app: Flask) -> Flask:
    with app.app_context():
        db.session.execute(insert(AuditEvent), EVENTS)
        commit()
    return app


SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [5, 4, 4, 3, 2, 1]),
    ({"tag": "admin:role"}, [3, 1]),
    ({"tag": "client:token"}, [4, 4, 2]),
    ({"tag": "client:token", "outcome": "refused"}, [4]),
    ({"tag": "nothing"}, []),
    ({"actor": "ann"}, [3, 2, 1]),
    ({"actor": "user:ann", "tag": "admin:role:delete"}, [1]),
    ({"target": "ann"}, [5, 4]),
    ({"target": "token:t2"}, [4]),
    ({"target": "ann", "actor": "bob"}, [5]),
    ({"outcome": "refused"}, [4]),
    ({"outcome": "success", "kind": "role"}, [3, 1]),
    ({"kind": "role"}, [3, 1]),
    ({"kind": "application"}, [4]),
    ({"kind": "token", "outcome": "success"}, [4, 2]),
    ({"kind": "project", "action": "create"}, [5]),
    ({"kind": "project", "action": "delete"}, []),
    ({"kind": "server"}, []),
    ({"kind": "nothing"}, []),
    ({"action": "delete"}, [1]),
    ({"action": "create", "tag": "admin:project"}, [5]),
    ({"since": BEGIN + timedelta(hours=2), "until": BEGIN + timedelta(hours=4)}, [3, 2]),
    ({"actor": "ann", "until": BEGIN + timedelta(hours=3)}, [2, 1]),
    ({"tags": {Tag.TOKEN_ISSUE, Tag.ROLE_DELETE}}, [4, 2, 1]),
    ({"tags": {Tag.TOKEN_ISSUE, Tag.ROLE_DELETE}, "actor": "ann"}, [2, 1]),
    ({"tags": {Tag.TOKEN_ISSUE, Tag.ROLE_DELETE}, "tag": "admin:"}, [1]),
]


@pytest.mark.parametrize(("filters", "expected"), SEARCHES, ids=[" ".join(map(str, filters)) or "all" for filters, _ in SEARCHES])
def test_search_finds_what_there_is_in_the_order_of_time(trail: Flask, filters: dict[str, Any], expected: list[int]) -> None:
    with trail.app_context():
        until = {"until": BEGIN + timedelta(hours=9)} | filters
        found = audit.list_events("acme", limit=100, **until)
        assert [round((each.at - BEGIN) / timedelta(hours=1)) for each in found] == expected
        paged, before = [], None
        while rows := audit.list_events("acme", limit=1, before=before, **until):
            paged, before = [*paged, rows[0].id], rows[0].id
        assert paged == [each.id for each in found], "pages hold the same, each of them once"


def test_page_after_an_event_that_was_removed_is_empty(trail: Flask) -> None:
    with trail.app_context():
        assert audit.list_events("acme", before=999_999_999) == []


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "realm_at"),
        ({"since": BEGIN}, "realm_at"),
        ({"tag": "admin:role:create"}, "realm_tag_at"),
        ({"tag": "admin:"}, "realm_tag_at"),
        ({"kind": "role"}, "realm_tag_at"),
        ({"tags": audit.REFUSED_CREDENTIALS}, "realm_tag_at"),
        ({"kind": "server"}, "realm_tag_at"),
        ({"kind": "group", "tag": "admin:grant"}, "realm_tag_at_group"),
        ({"kind": "user", "tag": "user:session:end"}, "realm_tag_at_user"),
        ({"actor": "user:ann"}, "realm_actor_at"),
        ({"target": "ann"}, "realm_target_at"),
        ({"outcome": "refused"}, "realm_outcome_at"),
    ],
)
def test_search_reads_by_an_index_and_sorts_no_more_than_it_shows(trail: Flask, filters: dict[str, Any], index: str) -> None:
    with trail.app_context():
        listing = audit.event_listing("acme", **filters)
        plans: list[str] = []

        def explain(statement: Any) -> Any:
            written = statement.compile(db.engine, compile_kwargs={"literal_binds": True})
            plans.extend(row[3] for row in db.session.execute(text(f"EXPLAIN QUERY PLAN {written}")))
            return db.session.execute(text("SELECT 1 WHERE false"))

        class Explaining:
            execute = staticmethod(explain)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("idp.paging.db", type("Db", (), {"session": Explaining}))
            listing.take(audit.NEWEST, descending=True, after=None, limit=50)
        searched = [plan for plan in plans if "SEARCH audit_event" in plan and "PRIMARY KEY" not in plan]
        assert searched, plans
        assert {plan for plan in searched if f"ix_audit_event_{index} " not in plan} == set(), plans
        assert not any(plan.startswith("SCAN audit_event") for plan in plans), plans
