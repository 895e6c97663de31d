"""Codes, refresh tokens and device codes work once: of fifty who try at the same time, at two workers, on both databases."""

import json
import os
import re
import secrets
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.factories import PASSWORD
from tests.serving import PATIENCE, Answer, Server, send
from tests.sign_in.conftest import challenge_of

PARALLEL = 50
ROUNDS = int(os.environ.get("RACES", "4"))
"""More with `RACES=200 make test ARGS=tests/flows/test_one_winner.py`, which takes minutes."""
DONE = "https://app.example/done"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SETTINGS = {"IDP_WORKERS": "2", "IDP_RATE_APPLICATION": "0", "IDP_RATE_REALM": "0", "IDP_SIGN_IN_LIMIT_ADDRESS": "100000"}


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: where it leads is the answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Person:
    """Somebody who has signed in, with a browser of their own."""

    def __init__(self, server: Server) -> None:
        self.server, self.verifier = server, secrets.token_urlsafe(40)
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, url: str, **form: str) -> tuple[int, str, str]:
        """Return status, text and where it leads; a form is sent as a page of the server would."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(url, data, {"Origin": self.server.url} if form else {})
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode(), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers.get("Location", "")

    def send_form(self, page: str, **values: str) -> tuple[int, str, str]:
        """Send the form of a page."""
        action = re.search(r'action="([^"]+)"', page)
        flow = re.search(r'name="flow" value="([^"]+)"', page)
        assert action is not None, page
        assert flow is not None, page
        return self.open(self.server.url + action[1], flow=flow[1], **values)

    def code(self, scope: str = "openid offline_access") -> str:
        """Return a new code."""
        query = {
            "response_type": "code",
            "client_id": "shop",
            "redirect_uri": DONE,
            "scope": scope,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        _, page, location = self.open(f"{self.server.endpoint('auth')}?{urllib.parse.urlencode(query)}")
        if not location:
            _, page, location = self.send_form(page, name="ann@example.test", password=PASSWORD)
        assert location.startswith(DONE), page
        return urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"][0]

    def redeem(self, code: str) -> Answer:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": self.verifier}
        return self.ask(form)

    def ask(self, form: dict[str, str]) -> Answer:
        return send(self.server.endpoint("token"), {"client_id": "shop"} | form)

    def approved_device(self) -> str:
        """Return the code of a device that the person has allowed."""
        device = send(self.server.endpoint("auth/device"), {"client_id": "shop", "scope": "openid"}).json
        _, page, _ = self.open(f"{self.server.url}/device", user_code=device["user_code"])
        if "Password" in page:
            _, page, _ = self.send_form(page, name="ann@example.test", password=PASSWORD)
        _, page, _ = self.send_form(page, decision="agree")
        assert "Device connected" in page
        code: str = device["device_code"]
        return code


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    settings = dict(SETTINGS)
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


def race(ask: Callable[[], Answer]) -> list[Answer]:
    """Ask as many times as there are, at once."""
    answers: list[Answer] = []
    ready = threading.Barrier(PARALLEL)

    def run() -> None:
        ready.wait(PATIENCE)
        answers.append(ask())

    threads = [threading.Thread(target=run) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == PARALLEL
    return answers


def check_one_winner(person: Person, answers: list[Answer]) -> None:
    """See that one has won, that all others were told so, and that what the winner got is over, as somebody has used it again."""
    statuses = Counter(answer.status for answer in answers)
    assert statuses == {200: 1, 400: PARALLEL - 1}, statuses
    assert {answer.json["error"] for answer in answers if answer.status == 400} == {"invalid_grant"}
    (won,) = (answer.json for answer in answers if answer.status == 200)
    again = person.ask({"grant_type": "refresh_token", "refresh_token": won["refresh_token"]})
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    headers = {"Authorization": f"Bearer {won['access_token']}"}
    assert send(person.server.endpoint("userinfo"), headers=headers).status == 401


@pytest.mark.spec("T54", "T62", "R11", "R19", "AUTHLIB-1", "AUTHLIB-2")
def test_of_fifty_at_once_one_wins(person: Person) -> None:
    for _ in range(ROUNDS):
        code = person.code()
        check_one_winner(person, race(lambda code=code: person.redeem(code)))  # type: ignore[misc]
        first = person.redeem(person.code()).json["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": first}
        check_one_winner(person, race(lambda form=form: person.ask(form)))  # type: ignore[misc]
        device = {"grant_type": DEVICE, "device_code": person.approved_device()}
        check_one_winner(person, race(lambda device=device: person.ask(device)))  # type: ignore[misc]


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
