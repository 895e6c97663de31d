"""What following the feed of revocations costs an API and the server, and how soon a revocation is known."""

import hashlib
import http.client
import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from idp import clock
from idp.verifier import InvalidTokenError, Recall, Verifier
from idp.verifier.causes import Causes
from tests.bench.people import with_person
from tests.bench.serving import Measured, set_up
from tests.factories import PASSWORD, claims_of
from tests.serving import send

FEED = "/auth/realms/acme/protocol/realmgate/revocations"
KINDS = ("subject", "session", "key", "grant", "token", "signing_key", "issuer", "rule", "credential")
CAUSES = 10_000

GOALS = {
    "check_us": 5.0,
    "first_check_us": 5.0,
    "first_check_of_exchanged_us": 5.0,
    "bytes_at_10000_causes": 200_000,
    "bytes_without_news": 300,
    "p99_s": 2.0,
    "longest_s": 5.0,
}


def bench_recall(folder: Path, revocations: int) -> dict[str, float]:
    """Measure all of it.

    :param revocations: how many tokens are taken back one after the other, by five causes in turn.
    """
    return {**_check(), **_sizes(folder / "sizes"), **_delays(folder / "delays", revocations)}


def _check() -> dict[str, float]:
    """Return what it takes to look for a token among 10,000 causes of all kinds, in microseconds.

    An application's token that comes again and again, as programs send theirs; one that is seen for the first time; and a
    person's that was exchanged twice, seen for the first time, which is compared with the most.
    """
    now = int(time.time())
    by_kind: dict[str, dict[bytes, int]] = {kind: {} for kind in KINDS}
    for number in range(CAUSES):
        kind = KINDS[number % len(KINDS)]
        by_kind[kind][hashlib.sha256(f"{kind}\0{number}".encode()).digest()[:8]] = now
    recall = Recall("http://127.0.0.1/auth/realms/acme")
    recall.start = lambda: None  # type: ignore[method-assign]  # nothing is fetched
    recall._causes = Causes("e", 1, now, now + 60, closed=False, tokens_from=now - 10.0, by_kind=by_kind)
    recall._hear()
    several = [
        {"iat": now, "sub": f"subject {number % 50}", "jti": f"{number} of its own", "credential": f"credential {number % 50}"}
        for number in range(40_000)
    ]
    exchanged = [
        each
        | {"grant_id": f"grant of {each['jti']}", "origin": [f"first {each['jti']}", f"second {each['jti']}"]}
        | {
            "act": {"sub": "actor", "act": {"sub": "former actor"}},
            "credential": [each["credential"], "actor's", "former actor's"],
        }
        for each in several
    ]
    parts = {"check_us": several[:1_000] * 20, "first_check_us": several, "first_check_of_exchanged_us": exchanged}
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(5):
        for name, part in parts.items():
            started = time.process_time()
            for claims in part:
                recall.check("k", claims)
            times[name].append((time.process_time() - started) / len(part) * 1e6)
    return {name: round(statistics.median(each), 2) for name, each in times.items()}


def _sizes(folder: Path) -> dict[str, float]:
    """Return how large the whole feed of 10,000 causes is, and an answer that says that there is nothing new."""
    from idp.app import close_app, create_app
    from idp.db import commit, db
    from idp.realms import get_realm
    from idp.recall import RecallCause, mark_of
    from idp.recall.writing import move_on
    from tests.bench.__main__ import settings_of

    server = set_up(folder)
    app = create_app(settings_of(server))
    with app.app_context():
        realm, now = get_realm("acme"), clock.now()
        for number in range(CAUSES):
            kind = KINDS[number % 5]
            at = now - timedelta(seconds=800 * number / CAUSES if kind == "session" else 35_000 * number / CAUSES)
            row = {"kind": kind, "mark": mark_of(kind, str(number)), "at": at, "position": 1, "lifted": False}
            db.session.add(RecallCause(realm_id=realm.id, **row))
        move_on("acme")
        commit()
    close_app(app)
    server.start()
    try:
        whole = send(server.url + FEED)
        return {"bytes_at_10000_causes": len(whole.body), "bytes_without_news": _without_news(server.port)}
    finally:
        server.stop()


def _without_news(port: int) -> int:
    """Return the bytes of an answer to a poll that there is no news for, its headers and all."""
    tag = ""
    for _ in range(3):  # it may be renewed just now
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", FEED, headers={"If-None-Match": tag, "Prefer": "wait=1"} if tag else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 304:
            lines = [
                f"HTTP/1.1 {answer.status} {answer.reason}",
                *(f"{name}: {value}" for name, value in answer.getheaders()),
                "",
            ]
            return sum(len(line) + 2 for line in lines) + len(body)
        tag = answer.headers["ETag"]
    raise AssertionError("there was always news")


class _Realm:
    """A served realm, and what is taken back in it."""

    def __init__(self, server: Measured) -> None:
        self.server = server
        self.made = {
            name: server.create_application(name, "--role", role) for name, role in (("boss", "administrator"), ("bot", "viewer"))
        }
        self.uids = {name: made["uid"] for name, made in self.made.items()}
        self.key = json.loads(server.idp("api-keys", "create", "--realm", "acme", "bot", "bench", "--json"))
        server.start()
        self.admin = {"Authorization": f"Bearer {server.token(self.made['boss']).json['access_token']}"}
        people = self.call("GET", "/v1/users")["items"]
        self.person = next(each["metadata"]["uid"] for each in people if "bench@example.test" in json.dumps(each))

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Call the API as an administrator."""
        data = json.dumps(body).encode() if body is not None else None
        given = {"Content-Type": "application/json"} | (self.admin if headers is None else headers)
        request = urllib.request.Request(self.server.url + path, data, given, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def causes(self) -> dict[str, tuple[Callable[[], str], Callable[[str], None], Callable[[], None]]]:
        """Return by cause how a token is got, taken back, and how the next one is made possible."""
        return {
            "token": (self._token, self._revoke, _nothing),
            "application": (self._token, lambda _: self._set_application(on=False), lambda: self._set_application(on=True)),
            "session": (self._session, self._end_session, _nothing),
            "signing out everywhere": (self._session, lambda _: self._sign_out(), _nothing),
            "key": (self._exchanged, lambda _: self._set_key(on=False), lambda: self._set_key(on=True)),
        }

    def _token(self) -> str:
        return str(self.server.token(self.made["bot"]).json["access_token"])

    def _revoke(self, token: str) -> None:
        shown = {"client_id": "bot", "client_secret": self.made["bot"]["client_secret"]}
        assert send(self.server.endpoint("revoke"), {"token": token, **shown}).status == 200

    def _set_application(self, *, on: bool) -> None:
        self.call("PATCH", f"/v1/applications/{self.uids['bot']}", {"spec": {"enabled": on}})

    def _session(self) -> str:
        body = {"emailId": "bench@example.test", "password": PASSWORD, "org": "acme"}
        return str(self.call("POST", "/v1/auth/authenticate?setCookie=false", body, {})["Authorization"]).removeprefix("Bearer ")

    def _end_session(self, token: str) -> None:
        self.call("DELETE", f"/v1/sessions/{claims_of(token)['sid']}")

    def _sign_out(self) -> None:
        self.call("DELETE", f"/v1/users/{self.person}/sessions")

    def _exchanged(self) -> str:
        return str(self.call("POST", "/v1/auth/exchange", None, {"apiKey": self.key["api_key"]})["Authorization"]).removeprefix(
            "Bearer "
        )

    def _set_key(self, *, on: bool) -> None:
        self.call("PUT", f"/v1/apiKeys/{self.key['uid']}/state", {"isActive": on})


def _nothing() -> None:
    """Leave all as it is."""


def _delays(folder: Path, revocations: int) -> dict[str, float]:
    """Return how long after the answer to a revocation one of four verifiers still accepts the token: 99th percentile, and longest."""
    server = with_person(folder, IDP_WORKERS="2")[0]
    realm = _Realm(server)
    followers = [Recall(server.issuer()) for _ in range(4)]
    audiences = (f"{server.issuer()}/apis", "bot")
    verifiers = [Verifier(server.issuer(), audiences, session_tokens=True, recall=each) for each in followers]
    delays = []
    try:
        causes = realm.causes()
        for number in range(revocations):
            get, take_back, go_on = causes[list(causes)[number % len(causes)]]
            token = get()
            _until(verifiers, token, accepted=True)
            take_back(token)
            answered = time.monotonic()
            delays.append(_until(verifiers, token, accepted=False) - answered)
            go_on()
    finally:
        for each in followers:
            each.stop()
        server.stop()
    delays.sort()
    return {
        "revocations": len(delays),
        "median_s": round(statistics.median(delays), 3),
        "p99_s": round(delays[int(len(delays) * 0.99)], 3),
        "longest_s": round(delays[-1], 3),
    }


def _until(verifiers: list[Verifier], token: str, *, accepted: bool) -> float:
    """Wait until all accept a token, or all refuse it; return when that was so (seconds on the steady clock)."""
    pause, end = threading.Event(), time.monotonic() + 30
    waiting = list(verifiers)
    while waiting:
        waiting = [each for each in waiting if _accepts(each, token) is not accepted]
        assert time.monotonic() < end, f"a verifier did not come to {accepted=}"
        if waiting:
            pause.wait(0.005)
    return time.monotonic()


def _accepts(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidTokenError:
        return False
    return True


def rows(result: dict[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Yield the figures for people, with what they should be."""
    found = result["recall"]
    names = {
        "check_us": "recall check, us",
        "first_check_us": "recall check of a new token, us",
        "first_check_of_exchanged_us": "recall check of a new token exchanged twice, us",
        "bytes_at_10000_causes": "feed of 10,000 causes, bytes",
        "bytes_without_news": "poll without news, bytes",
        "p99_s": "revocation to last acceptance, p99 s",
        "longest_s": "revocation to last acceptance, longest s",
    }
    for name, title in names.items():
        yield title, found[name], f"at most {GOALS[name]:g}"
