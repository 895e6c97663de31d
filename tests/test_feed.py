"""The change feed: a worker's memory is true, and loses no more than it must."""

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from idp import feed, runtime
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.errors import StorageUnavailableError
from idp.feed import Cache, Feed
from idp.settings import Settings


@pytest.fixture
def neighbour(settings: Settings) -> Iterator[Flask]:
    """Another worker on the same database."""
    app = create_app(settings)
    yield app
    close_app(app)


def look(app: Flask) -> Feed:
    with app.app_context():
        found = runtime.current().feed
        found.expire()
        found.confirm()
        return found


def publish(app: Flask, kind: str, key: str) -> None:
    with app.app_context():
        feed.publish(kind, key)
        commit()


def test_only_what_is_named_is_dropped(app: Flask, neighbour: Flask) -> None:
    mine = look(app)
    for key in ("acme/a", "acme/b", "other/a"):
        mine.cache("application").load(key, lambda: "known")
    publish(neighbour, "application", "acme/a")
    kept = look(app).cache("application")
    assert [kept.get(key) for key in ("acme/a", "acme/b", "other/a")] == [None, "known", "known"]
    publish(neighbour, "application", "acme/*")
    assert [kept.get(key) for key in ("acme/b", "other/a") if look(app)] == [None, "known"]


def test_commits_that_publish_nothing_drop_nothing(app: Flask, neighbour: Flask) -> None:
    look(app).cache("realm").load("acme", lambda: "known")
    with neighbour.app_context():
        db.session.execute(text("UPDATE application SET token_count = token_count + 1"))
        commit()
    assert look(app).cache("realm").get("acme") == "known"


def test_rolled_back_changes_are_not_published(app: Flask, neighbour: Flask) -> None:
    look(app).cache("realm").load("acme", lambda: "known")
    with neighbour.app_context():
        feed.publish("realm", "acme")
        db.session.execute(text("UPDATE realm SET display_name = 'x'"))
        db.session.rollback()
        db.session.execute(text("UPDATE realm SET display_name = 'y'"))
        commit()
    assert look(app).cache("realm").get("acme") == "known"


def test_worker_that_missed_cleared_rows_drops_everything(app: Flask, neighbour: Flask) -> None:
    look(app).cache("realm").load("acme", lambda: "known")
    publish(neighbour, "application", "acme/a")
    with neighbour.app_context():
        db.session.execute(text("DELETE FROM change"))
        commit()
    assert look(app).cache("realm").get("acme") is None


def test_restored_backup_drops_everything(app: Flask, neighbour: Flask) -> None:
    publish(neighbour, "realm", "other")
    look(app).cache("realm").load("acme", lambda: "known")
    with neighbour.app_context():
        db.session.execute(text("UPDATE change_clock SET value = 0"))
        db.session.execute(text("DELETE FROM change"))
        commit()
    assert look(app).cache("realm").get("acme") is None


@pytest.mark.parametrize("later", [0, 1, 3])
def test_server_that_has_not_heard_of_the_last_changes_drops_everything(app: Flask, neighbour: Flask, later: int) -> None:
    """An asynchronous fail-over: the numbers of changes that were lost are given again, to others."""
    publish(neighbour, "realm", "first")
    publish(neighbour, "realm", "lost")
    look(app).cache("application").load("acme/a", lambda: "known")
    with neighbour.app_context():
        db.session.execute(text("DELETE FROM change WHERE id = (SELECT max(value) FROM change_clock)"))
        db.session.execute(text("UPDATE change_clock SET value = value - 1, mark = (SELECT max(mark) FROM change)"))
        commit()
    publish(neighbour, "application", "acme/a")  # gets the number of what was lost
    for number in range(later):
        publish(neighbour, "application", f"acme/later-{number}")
    assert look(app).cache("application").get("acme/a") is None


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    cache: Cache[str] = Cache(10)

    def read_while_it_changes() -> str:
        cache.drop("acme/other")
        return "old"

    assert cache.load("acme/a", read_while_it_changes) == "old"
    assert cache.get("acme/a") is None


def test_cache_is_bounded_and_keeps_nothing_of_what_is_not_there() -> None:
    cache: Cache[int] = Cache(3)
    for number in range(10):
        cache.load(f"k{number}", lambda number=number: number)  # type: ignore[misc]
    assert cache.load("none", lambda: None) is None  # type: ignore[arg-type,return-value]
    assert len(cache) == 3
    assert [cache.get(f"k{number}") for number in (6, 7, 8, 9)] == [None, 7, 8, 9]


def test_nothing_is_served_from_memory_that_cannot_be_confirmed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    mine = look(app)

    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("away"))

    monkeypatch.setattr(mine, "_catch_up", away)
    mine.confirm()  # a moment ago it was true
    mine.expire()
    with pytest.raises(StorageUnavailableError):
        mine.confirm()
    monkeypatch.undo()
    mine.confirm()


def test_memory_is_asked_about_five_times_a_second_at_the_most(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    mine = look(app)
    asked: list[float] = []
    monkeypatch.setattr(mine, "_catch_up", lambda: asked.append(now[0]))
    for _ in range(100):
        now[0] += 0.01
        mine.confirm()
    assert 4 <= len(asked) <= 5


def test_what_was_committed_before_the_call_is_known_after_it(app: Flask, neighbour: Flask) -> None:
    mine = look(app)
    for _ in range(20):  # however short ago the last confirmation was
        mine.cache("token").load("acme/jti", lambda: True)
        publish(neighbour, "token", "acme/jti")
        with app.app_context():
            mine.confirm_now()
        assert mine.cache("token").get("acme/jti") is None


def test_threads_that_wait_share_one_question(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = look(app)
    questions: list[str] = []
    in_question, may_go_on, here = threading.Event(), threading.Event(), threading.Semaphore(0)
    wait_for_turn = mine._wait_for_turn

    def catch_up() -> None:
        questions.append(threading.current_thread().name)
        in_question.set()
        assert may_go_on.wait(60)

    def arrive() -> None:
        here.release()
        wait_for_turn()

    monkeypatch.setattr(mine, "_catch_up", catch_up)
    monkeypatch.setattr(mine, "_wait_for_turn", arrive)
    first = threading.Thread(target=mine.confirm_now)
    first.start()
    assert in_question.wait(60)
    waiting = [threading.Thread(target=mine.confirm_now) for _ in range(20)]
    for thread in waiting:
        thread.start()
    assert all(here.acquire(timeout=60) for _ in range(21))
    may_go_on.set()
    for thread in [first, *waiting]:
        thread.join(60)
    assert len(questions) == 2, "one that was under way when they came may have missed something; one after that has not"


def test_neighbour_that_gets_no_answer_keeps_nobody_waiting(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = look(app)
    monkeypatch.setattr(feed, "LONGEST_WAIT", 0.05)
    with mine._lock, app.app_context(), pytest.raises(StorageUnavailableError):
        mine.confirm_now()


def test_documents_do_without_a_database_that_is_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, now, asked = look(app), [1000.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    mine._confirmed = 990.0

    def away() -> None:
        asked.append(now[0])
        raise StorageUnavailableError(cause="away")

    monkeypatch.setattr(mine, "_catch_up", away)
    assert mine.confirm_unless_away() == 10
    now[0] += 0.5
    assert mine.confirm_unless_away() == 10.5, "and it is not asked again for every document"
    assert asked == [1000]
    now[0] += 1
    mine.confirm_unless_away()
    assert asked == [1000, 1001.5]
    now[0] += 2
    with mine._lock:  # a neighbour has been waiting for an answer for longer than a database takes
        mine._asking_since = now[0] - 2
        assert mine.confirm_unless_away() == 13.5
    monkeypatch.setattr(mine, "_catch_up", lambda: asked.append(now[0]))
    assert mine.confirm_unless_away() == 0


@pytest.mark.parametrize(("allowed", "status"), [(3_600, 200), (0, 503)])
def test_operator_says_for_how_long(
    settings: Settings, template: object, monkeypatch: pytest.MonkeyPatch, allowed: int, status: int
) -> None:
    app = create_app(settings.model_copy(update={"stale_documents": allowed}))
    client, path = app.test_client(), "/auth/realms/acme/protocol/openid-connect/certs"
    assert client.get(path).status_code == 200
    mine = look(app)

    def away() -> None:
        raise StorageUnavailableError(cause="away")

    monkeypatch.setattr(mine, "_catch_up", away)
    mine._confirmed -= 60
    assert client.get(path).status_code == status
    mine._confirmed -= 3_600
    assert client.get(path).status_code == 503
    assert client.post(path.replace("certs", "token"), data={"grant_type": "client_credentials"}).status_code == 503
    close_app(app)


def test_full_cache_is_safe_with_many_threads() -> None:
    import sys
    from threading import Thread

    cache: Cache[int] = Cache(10)
    errors: list[BaseException] = []

    def churn(start: int) -> None:
        try:
            for number in range(2_000):
                cache.load(f"k{start}-{number}", lambda number=number: number)  # type: ignore[misc]
                cache.drop(f"k{start}-{number - 3}")
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [Thread(target=churn, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert errors == []
    assert len(cache) <= 10
