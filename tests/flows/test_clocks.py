"""What has expired is removed by a clock that can be trusted, and by no other."""

import logging
import re
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from idp import audit, clock, clock_trust, mail, realms, runtime, setup, users
from idp.app import close_app, create_app
from idp.authorizations import asks_too_often
from idp.clock_trust import ClockError
from idp.db import commit, db
from idp.feed import Change
from idp.recall.models import RecallCause
from idp.tokens.models import RevokedToken
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, ask_token, password_hash, session_of, set_application, set_user, sign_in


def revoke_one(client: FlaskClient, make: Factory) -> tuple[Made, str]:
    """Return an application, and a token of it that has been revoked."""
    made = make.application()
    token: str = ask_token(client, made).json["access_token"]
    assert ask(client, "revoke", made.form | {"token": token}).status_code == 200
    return made, token


def count_revoked(app: Flask) -> int:
    with app.app_context():
        return int(db.session.scalar(select(func.count()).select_from(RevokedToken)) or 0)


def is_ready(app: Flask) -> tuple[int, str]:
    answer = app.test_client().get("/health/ready")
    return answer.status_code, answer.json["checks"]["clock"]


@pytest.mark.parametrize("ahead", [timedelta(hours=11), timedelta(minutes=10), timedelta(days=400), timedelta(hours=-11)])
def test_node_with_another_clock_than_the_database_removes_nothing(
    pg_make: Factory, frozen_clock: FrozenClock, caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    app = pg_make.app
    revoke_one(app.test_client(), pg_make)
    assert is_ready(app) == (200, "UP")
    frozen_clock.advance(seconds=ahead.total_seconds())
    with app.app_context(), caplog.at_level(logging.ERROR):
        setup.do_what_is_due()
    assert count_revoked(app) == 1
    said = re.search(r"clock is (\d+) seconds (ahead of|behind) the database's", caplog.text)
    assert said is not None
    assert abs(int(said[1]) - abs(ahead.total_seconds())) < 60
    assert said[2] == ("ahead of" if ahead > timedelta() else "behind")
    assert is_ready(app) == (503, "DOWN")


@pytest.mark.parametrize("ahead", [-2, 2])
def test_email_that_is_over_by_the_clock_of_the_database_is_given_up_and_no_other(
    pg_make: Factory, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """A node that is days ahead would give up everything, and one that is days behind would send what is over."""
    tried = []
    monkeypatch.setattr(mail.postman, "_send", lambda _settings, to, _message: tried.append(to))
    values = {"organisation": "Acme", "name": "ann", "changed": "today", "address": "x"}
    app = create_app(pg_make.app.extensions["realmgate"].settings.model_copy(update={"smtp_host": "mail.example"}))
    with app.app_context():
        now = clock.now()
        frozen_clock.advance(days=min(ahead, 0))
        for name, minutes in (("over", -1), ("good", 60)):
            until = now + timedelta(minutes=minutes)
            mail.enqueue("acme", f"test:{name}", "address-changed", f"{name}@example.test", useful_until=until, **values)
        commit()
        frozen_clock.advance(days=max(ahead, 0))
        assert mail.deliver_mail() == 1
        mail.give_up_outdated()
        commit()
        rows = db.session.execute(select(mail.MailMessage.sent, mail.MailMessage.last_error).order_by(mail.MailMessage.id)).all()
    close_app(app)
    assert tried == ["good@example.test"]
    assert rows == [(False, "what it carries has expired"), (True, "")]


@pytest.mark.parametrize("ahead", [-30, 30])
def test_clocks_that_differ_a_little_are_right_enough(pg_make: Factory, frozen_clock: FrozenClock, ahead: int) -> None:
    frozen_clock.advance(seconds=ahead)
    with pg_make.app.app_context():
        assert clock_trust.is_believed()
    assert is_ready(pg_make.app) == (200, "UP")


def test_long_question_makes_no_difference(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is of some moment between question and answer."""
    now = clock.now()
    times = iter([now, now - timedelta(minutes=5), now + timedelta(minutes=5)])
    monkeypatch.setattr(clock, "now", lambda: next(times))
    with pg_make.app.app_context():
        clock_trust.check_clock()


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What counts the seconds that nobody sets; the test moves it on."""
    passed = [1_000_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "clock_gettime", lambda _: passed[0])
    return passed


def test_clock_that_is_set_while_the_server_runs_is_not_believed_for_an_hour(
    app: Flask, client: FlaskClient, make: Factory, frozen_clock: FrozenClock, steady: list[float]
) -> None:
    revoke_one(client, make)
    with app.app_context():
        assert clock_trust.is_believed()
        frozen_clock.advance(days=400)
        setup.do_what_is_due()
        assert count_revoked(app) == 1
        for seconds in (60, clock_trust.SECOND_LOOK - 61):
            steady[0] += seconds
            frozen_clock.advance(seconds=seconds)
            assert not clock_trust.is_believed()
        frozen_clock.advance(days=-400)  # somebody has put it right
        assert not clock_trust.is_believed()
        steady[0] += clock_trust.SECOND_LOOK
        frozen_clock.advance(seconds=clock_trust.SECOND_LOOK)
        assert clock_trust.is_believed()
        setup.do_what_is_due()
    assert count_revoked(app) == 1, "by the right clock it has not expired"


def test_clock_that_is_set_is_noticed_before_the_next_look(
    pg_make: Factory, frozen_clock: FrozenClock, steady: list[float]
) -> None:
    with pg_make.app.app_context():
        clock_trust.check_clock()
        assert not clock_trust.was_set()
        frozen_clock.advance(minutes=10)
        assert clock_trust.was_set()
        with pytest.raises(ClockError):
            clock_trust.check_clock()
        assert not clock_trust.was_set(), "the database was asked"
        frozen_clock.advance(minutes=-10)
        assert clock_trust.was_set()
        clock_trust.check_clock()
        for passed in (60, 600):
            steady[0] += passed
            frozen_clock.advance(seconds=passed)
        assert not clock_trust.was_set(), "it has gone on"


def test_after_a_long_rest_what_has_expired_is_looked_at_twice(
    app: Flask, frozen_clock: FrozenClock, steady: list[float]
) -> None:
    with app.app_context():
        db.session.execute(update(Change).values(at=clock.now() - timedelta(days=2)))
        commit()
        runtime.current().extensions.pop("clock-watch", None)
        assert not clock_trust.is_believed()
        steady[0] += clock_trust.SECOND_LOOK
        frozen_clock.advance(seconds=clock_trust.SECOND_LOOK)
        assert clock_trust.is_believed()


def test_error_says_what_to_do(pg_make: Factory, frozen_clock: FrozenClock) -> None:
    frozen_clock.advance(minutes=2)
    with pg_make.app.app_context(), pytest.raises(ClockError, match="Set the clock, and keep it right by NTP"):
        clock_trust.check_clock()


APART = 25
"""Seconds by which the clock of one node is ahead, and that of another behind."""


def signed_in(client: FlaskClient, session: dict[str, str]) -> bool:
    return client.get("/v1/users/info", headers=session).status_code == 200


@pytest.mark.parametrize("event", ["sign-out", "password change", "disable"])
def test_what_ends_sessions_at_a_node_that_is_behind_ends_those_of_one_ahead(
    pg_make: Factory, frozen_clock: FrozenClock, event: str
) -> None:
    client, uid = pg_make.app.test_client(), pg_make.user()
    frozen_clock.advance(seconds=APART)
    session = session_of(client)
    frozen_clock.advance(seconds=-2 * APART)
    assert signed_in(client, session)
    acts: dict[str, Callable[[realms.Realm], Any]] = {
        "sign-out": lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, uid)),
        "password change": lambda realm: users.set_password(
            realm, users.get_user(realm, uid), password_hash(), audit.Tag.PASSWORD_CHANGE
        ),
        "disable": lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False),
    }
    pg_make.do(acts[event])
    pg_make.do(lambda realm: set_user(realm, users.get_user(realm, uid), enabled=True))
    assert not signed_in(client, session)


def test_who_signs_out_at_a_node_that_is_ahead_can_sign_in_at_one_behind(pg_make: Factory, frozen_clock: FrozenClock) -> None:
    client, uid = pg_make.app.test_client(), pg_make.user()
    frozen_clock.advance(days=400)  # noticed within seconds, and until then
    pg_make.do(lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, uid)))
    frozen_clock.advance(days=-400)
    assert signed_in(client, session_of(client))


@pytest.mark.parametrize("ahead", [-APART, APART])
def test_session_token_that_is_refreshed_again_at_another_node_is_no_replay(
    pg_make: Factory, frozen_clock: FrozenClock, ahead: int
) -> None:
    client = pg_make.app.test_client()
    pg_make.user()
    former = session_of(client)["Authorization"]
    frozen_clock.advance(seconds=-ahead)
    fresh = client.post("/v1/auth/refresh?setCookie=false", json={"token": former}).json["Authorization"]
    frozen_clock.advance(seconds=2 * ahead)
    assert client.post("/v1/auth/refresh?setCookie=false", json={"token": former}).status_code == 401
    assert signed_in(client, {"Authorization": fresh}), "the answer was lost, which ends no session"


def test_limits_of_attempts_go_by_no_clock_that_is_set(pg_make: Factory, frozen_clock: FrozenClock) -> None:
    client, settings = pg_make.app.test_client(), pg_make.app.extensions["realmgate"].settings
    most = settings.sign_in_limit_account
    pg_make.user()
    wrong = [sign_in(client, password="wrong wrong wrong").status_code for _ in range(most)]
    assert wrong == [401] * most
    for days in (400, -400, -400, 400):
        frozen_clock.advance(days=days)
        answer = sign_in(client)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= settings.sign_in_window


def test_device_that_asks_two_nodes_in_turn_is_told_to_slow_down_by_neither(pg_make: Factory, frozen_clock: FrozenClock) -> None:
    row: Any = SimpleNamespace(asked_at=None, interval=0)
    with pg_make.app.app_context():
        for ahead in (APART, -2 * APART, 2 * APART):
            frozen_clock.advance(seconds=ahead)
            assert not asks_too_often(row)
        row.interval = 3600
        assert asks_too_often(row)


def test_what_is_taken_back_at_a_node_whose_clock_is_wrong_counts_from_now_on(
    pg_make: Factory, frozen_clock: FrozenClock
) -> None:
    pg_make.application()
    frozen_clock.advance(days=400)
    pg_make.change(lambda realm, application: set_application(realm, application, enabled=False))
    frozen_clock.advance(days=-400)
    with pg_make.app.app_context():
        noted = db.session.scalars(select(RecallCause.at)).all()
    assert noted
    assert all(abs(at - clock.now()) < timedelta(minutes=5) for at in noted), "whoever follows would wait for it for 400 days"


def test_organisation_deleted_at_a_node_that_is_far_behind_can_be_restored_for_as_long_as_any(
    pg_make: Factory, frozen_clock: FrozenClock
) -> None:
    frozen_clock.advance(days=-400)
    pg_make.do(realms.delete_realm)
    frozen_clock.advance(days=400)
    pg_make.do(realms.restore_realm)
