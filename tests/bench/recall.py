"""What following the feed of revocations costs an API and the server."""

import hashlib
import http.client
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from idp import clock
from idp.verifier import Recall
from idp.verifier.causes import Causes
from tests.bench.serving import set_up
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
}


def bench_recall(folder: Path) -> dict[str, float]:
    """Measure all of it."""
    return {**_check(), **_sizes(folder)}


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
    recall._thread = threading.current_thread()  # as if one followed: nothing is fetched
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


def rows(result: dict[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Yield the figures for people, with what they should be."""
    found = result["recall"]
    names = {
        "check_us": "recall check, us",
        "first_check_us": "recall check of a new token, us",
        "first_check_of_exchanged_us": "recall check of a new token exchanged twice, us",
        "bytes_at_10000_causes": "feed of 10,000 causes, bytes",
        "bytes_without_news": "poll without news, bytes",
    }
    for name, title in names.items():
        yield title, found[name], f"at most {GOALS[name]:g}"
