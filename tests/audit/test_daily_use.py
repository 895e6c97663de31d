"""What applications were issued and refused, day by day: true, added up by several at once, forgotten in time, gone with them."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp import applications, clock, organisations, realms, runtime, setup, tokens
from idp.applications import DailyUse, DayCount
from idp.applications.daily import KEEP
from idp.db import commit, db
from idp.errors import StorageUnavailableError
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask_token, at_once


def flush(app: Flask) -> None:
    with app.app_context():
        tokens.usage(runtime.current()).flush()


def counted(app: Flask, name: str, *, days: int = 1) -> list[tuple[int, int]]:
    """Return what an application was issued and refused on the last days, today's last."""
    with app.app_context():
        application = applications.get_application(realms.get_realm("acme"), name)
        today = applications.day_of(clock.now())
        wanted = [today - timedelta(days=number) for number in range(days - 1, -1, -1)]
        return [(each.issued, each.refused) for each in applications.list_use(application, wanted)]


def rows(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(DailyUse)) or 0


def test_tokens_and_refusals_are_counted_by_application_and_day(app: Flask, make: Factory, frozen_clock: FrozenClock) -> None:
    one, two = make.application("one"), make.application("two")
    client = app.test_client()
    for _ in range(3):
        assert ask_token(client, one).status_code == 200
    ask_token(client, Made("one", "idp_cs_wrong", ""))
    frozen_clock.advance(days=1)
    for _ in range(2):
        ask_token(client, one)
        ask_token(client, Made("two", "idp_cs_wrong", ""))
    ask_token(client, Made("nobody", "idp_cs_wrong", ""))
    assert rows(app) == 0, "nothing is written while tokens are issued"
    flush(app)
    ask_token(client, two)
    flush(app)
    assert counted(app, "one", days=3) == [(0, 0), (3, 1), (2, 0)]
    assert counted(app, "two", days=3) == [(0, 0), (0, 0), (1, 2)]
    assert rows(app) == 3


def test_refusals_that_the_trail_tells_as_one_are_counted_for_their_applications(app: Flask, make: Factory) -> None:
    made = make.application("one")
    client = app.test_client()
    for number in range(250):
        assert client.post(
            "/auth/realms/acme/protocol/openid-connect/token",
            data={"grant_type": "client_credentials", "client_id": made.client_id, "client_secret": "idp_cs_wrong"},
            environ_overrides={"REMOTE_ADDR": f"10.{number}.0.1"},
        ).status_code in {400, 401}
    flush(app)
    assert counted(app, "one") == [(0, 250)]


def test_what_cannot_be_written_is_counted_once_when_it_can(app: Flask, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make.application("one")
    client = app.test_client()
    ask_token(client, made)
    ask_token(client, Made("one", "idp_cs_wrong", ""))

    def fail(events: object) -> None:
        raise StorageUnavailableError("gone")

    with monkeypatch.context() as broken, app.app_context():
        broken.setattr("idp.audit.count_events", fail)
        with pytest.raises(StorageUnavailableError):
            tokens.usage(runtime.current()).flush()
        db.session.rollback()
    ask_token(client, made)
    ask_token(client, Made("one", "idp_cs_wrong", ""))
    flush(app)
    assert counted(app, "one") == [(2, 2)]


def test_counts_of_several_workers_add_up(app: Flask, make: Factory) -> None:
    for name in ("one", "two"):
        make.application(name)
    with app.app_context():
        ids = [applications.get_application(realms.get_realm("acme"), name).id for name in ("two", "one")]
        today = applications.day_of(clock.now())

    def add() -> None:
        with app.app_context():
            applications.count_use({(number, today): DayCount(2, 1) for number in ids})
            commit()

    at_once(8, lambda: [add() for _ in range(5)])
    assert counted(app, "one") == counted(app, "two") == [(80, 40)]


def test_an_application_that_was_deleted_meanwhile_is_passed_over_and_takes_its_days_along(app: Flask, make: Factory) -> None:
    one, two = make.application("one"), make.application("two")
    client = app.test_client()
    for made in (one, two):
        ask_token(client, made)
    flush(app)
    assert rows(app) == 2
    for made in (one, two):
        ask_token(client, made)
    make.do(lambda realm: applications.delete_application(realm, applications.get_application(realm, "one")))
    assert rows(app) == 1
    flush(app)
    assert counted(app, "two") == [(2, 0)]
    assert rows(app) == 1


def test_days_go_with_a_purged_realm(app: Flask, make: Factory) -> None:
    make.realm("other")
    made = make.application("one", realm="other")
    assert ask_token(app.test_client(), made, realm="other").status_code == 200
    flush(app)
    assert rows(app) == 1
    with app.app_context():
        realm = realms.get_realm("other")
        realms.delete_realm(realm)
        commit()
        organisations.purge_realm("other")
    assert rows(app) == 0


def test_old_days_are_forgotten_by_the_tidying(app: Flask, make: Factory, frozen_clock: FrozenClock) -> None:
    made = make.application("one")
    client = app.test_client()
    ask_token(client, made)
    frozen_clock.advance(days=KEEP.days, hours=25)
    ask_token(client, made)
    flush(app)
    assert rows(app) == 2
    with app.app_context():
        setup.rotate_keys_and_tidy()
    assert rows(app) == 1
    assert counted(app, "one") == [(1, 0)]


def test_the_most_used_of_a_time_come_first_and_those_without_tokens_not_at_all(
    app: Flask, make: Factory, frozen_clock: FrozenClock
) -> None:
    made = {name: make.application(name) for name in ("early", "late", "never")}
    client = app.test_client()
    for _ in range(5):
        ask_token(client, made["early"])
    frozen_clock.advance(days=2)
    for _ in range(2):
        ask_token(client, made["late"])
    ask_token(client, Made("never", "idp_cs_wrong", ""))
    flush(app)
    with app.app_context():
        realm, today = realms.get_realm("acme"), applications.day_of(clock.now())

        def most(days: int, limit: int = 5) -> list[tuple[str, int]]:
            found = applications.most_used(realm, today - timedelta(days=days), limit)
            return [(application.name, count) for application, count in found]

        assert most(2) == [("early", 5), ("late", 2)]
        assert most(2, limit=1) == [("early", 5)]
        assert most(1) == [("late", 2)]
        assert applications.most_used(realms.get_realm("master"), today, 5) == []
