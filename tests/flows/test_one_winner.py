"""Codes, refresh tokens and device codes work once: of fifty who try at the same time, at two workers, on both databases."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.browsing import DONE, Person
from tests.factories import PASSWORD
from tests.serving import PATIENCE, Server
from tests.storms import SETTINGS, Crowd, of_people

ROUNDS = int(os.environ.get("RACES", "4"))
"""More with `RACES=200 make test ARGS=tests/flows/test_one_winner.py`, which takes minutes."""


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    settings = SETTINGS | {"IDP_WORKERS": "2"}
    if request.param == "PostgreSQL":
        settings["IDP_DATABASE_URL"] = request.getfixturevalue("database_url")
    server = Server(tmp_path / "served", settings=settings)
    server.start()
    done = server.run("users", "create", "--realm", "acme", "--email", "ann@example.test", "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    server.idp("applications", "create", "--realm", "acme", "--kind", "native", "--redirect-uri", DONE, "shop")
    server.idp("realms", "update", "--refresh-overlap-seconds", "0", "acme")
    yield Person(server)
    server.stop()


@pytest.mark.spec("T54", "T62", "R11", "R19", "AUTHLIB-1", "AUTHLIB-2")
def test_of_fifty_at_once_one_wins(person: Person) -> None:
    every = of_people(person)
    with closing(Crowd([person.server.url])) as crowd:
        assert [problem for storm in every * ROUNDS for problem in storm.round(crowd)] == []


@pytest.mark.spec("T55")
def test_kill_in_the_middle_of_redemptions_gives_nothing_twice(person: Person) -> None:
    """Whoever was answered has used the code up; whoever was not may try once more, and signs in again if that comes too late."""
    codes = [person.code() for _ in range(30)]
    answered: dict[str, int] = {}
    first = threading.Event()

    def redeem(code: str) -> None:
        try:
            status = person.redeem(code).status
        except OSError:
            return
        answered[code] = status
        if status == 200:
            first.set()

    threads = [threading.Thread(target=redeem, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    assert first.wait(PATIENCE)
    person.server.kill()
    for thread in threads:
        thread.join(PATIENCE)
    person.server.start()
    for code in codes:
        again = person.redeem(code)
        assert again.status in ({400} if answered.get(code) == 200 else {200, 400}), answered.get(code)
        assert person.redeem(code).json["error"] == "invalid_grant"


@pytest.mark.spec("T55")
def test_what_was_used_is_known_after_a_kill(person: Person) -> None:
    """Whatever a `kill -9` comes between, nothing is issued twice: the person signs in again."""
    code = person.code()
    tokens = person.redeem(code).json
    second = person.ask({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}).json
    person.server.kill()
    person.server.start()
    assert person.redeem(code).json["error"] == "invalid_grant"
    form = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    assert person.ask(form).json["error"] == "invalid_grant", "the code came again: all that it gave has ended"
    assert json.loads(person.server.idp("audit", "list", "--tag", "client:authorization:replay", "--json"))
