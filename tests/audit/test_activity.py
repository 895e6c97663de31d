"""Counts of what goes on: true, gathered in batches, added up by several at once, forgotten in time."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from idp import audit, clock, runtime, tokens
from idp.audit.activity import KEEP, ActivityCount
from idp.db import commit, db
from tests.factories import Factory, Made, ask_token, at_once


def counts(app: Flask) -> dict[tuple[str, str], int]:
    with app.app_context():
        since = clock.now() - timedelta(hours=2)
        found: dict[tuple[str, str], int] = {}
        for each in audit.list_activity("acme", since):
            found[each.tag.value, each.reason] = found.get((each.tag.value, each.reason), 0) + each.count
        return found


def test_tokens_and_refusals_are_counted_by_the_hour_and_reason(app: Flask, make: Factory) -> None:
    made = make.application()
    client = app.test_client()
    for number in range(7):
        ask_token(client, made)
        if number % 2:
            ask_token(client, Made(made.client_id, "idp_cs_wrong", ""))
    assert counts(app) == {}, "nothing is written while tokens are issued"
    with app.app_context():
        tokens.usage(runtime.current()).flush()
    assert counts(app) == {("client:token:issue", ""): 7, ("client:token:refuse", "secret"): 3}
    with app.app_context():
        assert audit.activity_totals(clock.now() - timedelta(hours=2)) == {"acme": 7}


def test_counts_of_several_workers_add_up(app: Flask) -> None:
    def add() -> None:
        with app.app_context():
            event = audit.event_values(clock.now(), "acme", audit.Tag.TOKEN_ISSUE, "a", "t", "x", "success")
            audit.count_events([event, event, event])
            commit()

    at_once(8, lambda: [add() for _ in range(5)])
    assert counts(app) == {("client:token:issue", ""): 120}


def test_what_is_recorded_by_itself_is_counted_in_its_own_transaction(app: Flask) -> None:
    with app.app_context():
        audit.count_one(audit.Tag.SESSION_START, "acme")
        db.session.rollback()
    assert counts(app) == {}


def test_other_acts_are_not_counted(app: Flask) -> None:
    with app.app_context():
        audit.count_events([audit.event_values(clock.now(), "acme", audit.Tag.ROLE_CREATE, "a", "t", "x", "success")])
        commit()
    assert counts(app) == {}


def test_old_counts_are_forgotten(app: Flask, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    with app.app_context():
        audit.count_one(audit.Tag.SESSION_START, "acme")
        commit()
        frozen_clock.advance(days=KEEP.days, hours=2)
        audit.count_one(audit.Tag.SESSION_START, "acme")
        commit()
        audit.forget_old_activity()
        commit()
        assert len(db.session.scalars(select(ActivityCount)).all()) == 1


def test_days_have_what_their_hours_have(app: Flask) -> None:
    begin = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    with app.app_context():
        for hour in range(48):
            event = audit.event_values(begin + timedelta(hours=hour), "acme", audit.Tag.TOKEN_ISSUE, "a", "t", "x", "success")
            audit.count_events([event] * (hour + 1))
        commit()
        assert len(audit.list_activity("acme", begin)) == 48
        days = [(each.hour, each.count) for each in audit.list_activity("acme", begin, by_day=True)]
    assert days == [(begin, sum(range(1, 25))), (begin + timedelta(days=1), sum(range(25, 49)))]
