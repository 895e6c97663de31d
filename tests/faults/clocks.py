"""A node whose clock is wrong, or is set while it serves: by libfaketime, which leaves the clock that nobody sets as it is."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from joserfc import jwt

from tests.browsing import DONE, Person
from tests.factories import PASSWORD, claims_of
from tests.faults.drills import Drill, Result, finish, is_long, serving
from tests.faults.load import Load
from tests.faults.people import CLIENT
from tests.faults.surroundings import Fleet, Node, Postgres, is_ready, postgres, wait_ready
from tests.serving import PROJECT, Answer, Server, send, wait_until
from tests.storms import BEARER

LIBRARY = Path("/usr/lib")
LONGEST_LIFETIME = 24 * 3600
"""Seconds: what a token is said to be good for is a part of a day."""

LEEWAY = 60
"""Seconds by which clocks may differ."""

NOTICED_WITHIN = 45.0
"""Seconds from when a clock is set until the node is not ready: a second or two, and more on a machine that is busy.

Less than the minute after which what is done every minute would have noticed it.
"""

SETTLED = 2.0
"""Seconds after which each worker has read the clock again, and has said what it makes of it."""

KEPT = ("revoked_token", "app_authorization", "user_session", "audit_event", "application", "user_account", "signing_key")
"""Tables from which nothing goes, for nothing in them is old enough."""

UNNOTICED = 100.0
"""Seconds after which a node that has noticed nothing is not waited for any longer."""

SKEWS, JUMPS = (30, -30), (600, -600, 400 * 86_400)
"""Seconds: what a clock may be off, and what it must not."""

EARLIER = timedelta(days=3)
"""By how much the first signing key is older than it is: a node far behind has one to sign with, then."""

WINDOW = 3_600
"""Seconds in which wrong passwords are counted together."""

SETTINGS = {"IDP_SIGN_IN_WINDOW": str(WINDOW)}
LOCKED = "locked@example.test"

AROUND = 10.0
"""Seconds by which a token may be older or younger than was asked for."""

_PAUSE = threading.Event()

TIDIED_AFTER = 65.0
"""Seconds within which a node that believes its clock removes what has expired."""


@dataclass
class OneClockOff(Fleet):
    """Nodes of which the second has a clock that can be set."""

    def prepare(self, node: Node) -> None:
        """Have the second node go by what a file says."""
        if not self.nodes:
            return
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "UPDATE signing_key SET created_at = created_at - %s, active_from = active_from - %s", (EARLIER,) * 2
            )
        library = next(LIBRARY.glob("*/faketime/libfaketimeMT.so.1"))
        self.set(0)
        node.within = ["env"]  # loaded with the library, and not forked off what was loaded without it
        node.settings |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    @property
    def _file(self) -> Path:
        return self.folder / "clock"

    def set(self, seconds: int) -> None:
        """Set its clock so much ahead of the right one; it is read again within a second."""
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    @property
    def off(self) -> Node:
        """Return the node with that clock."""
        return self.nodes[1]


@dataclass
class Once:
    """What works once, of which each is shown to several nodes: as clients of the load."""

    load: Load
    right: Server
    off: Server

    def assertion(self, good_for: int = 60, at: float | None = None) -> Callable[[Server], Answer]:
        """Return what shows an assertion to a node."""
        now = int(time.time() if at is None else at)
        claims: dict[str, Any] = {"iss": "load-asserting", "sub": "load-asserting", "aud": self.right.issuer()}
        times = {"iat": min(now, now + good_for - 60), "exp": now + good_for, "jti": secrets.token_hex(8)}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": BEARER,
            "client_assertion": jwt.encode({"alg": "ES256", "kid": "k"}, claims | times, self.load.key),
        }
        return lambda node: send(node.endpoint("token"), form)

    def is_active(self, node: Server, token: str) -> bool:
        """Tell whether a node calls a token active."""
        shown = {"token": token, "client_id": self.load.bot["client_id"], "client_secret": self.load.bot["client_secret"]}
        return send(node.endpoint("token/introspect"), shown).json["active"] is True

    def code(self, person: Person) -> Callable[[Server], Answer]:
        """Return what redeems a code at a node."""
        code = person.code()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": person.verifier}
        return lambda node: send(node.endpoint("token"), form | {"client_id": CLIENT})


def set_clocks(
    folder: Path,
    times: float = 1,
    *,
    source: Path = PROJECT,
    skews: Sequence[int] = SKEWS,
    jumps: Sequence[int] = JUMPS,
    rest: float = 0.5,
) -> Result:
    """The clock of one node of two is half a minute off, and is then set by ten minutes and 400 days while it serves (9)."""
    rest = TIDIED_AFTER if is_long(times) else rest
    with postgres() as make:
        database = make().create()
        with serving(OneClockOff(folder, database.url(), SETTINGS), 2, source=source) as (fleet, load):
            assert isinstance(fleet, OneClockOff)
            right, off = fleet.nodes[0], fleet.off
            once, person = Once(load, right, off), Person(right, client_id=CLIENT)
            findings, said, again = [], 0.0, 0.0
            _use_up_attempts(right)
            phases = [(0.0, "before")]
            aged = _aged(fleet, once) if skews else Aged("", "")
            for skew in skews:
                phases.append((time.monotonic(), f"at {skew:+d} s"))
                fleet.set(skew)
                load.run(15.0 if is_long(times) else 2.0)
                findings += [f"{skew:+d} s: {problem}" for problem in _judge_skewed(once, aged)]
            for jump in jumps:
                fleet.set(0)
                wait_ready(fleet)
                phases.append((time.monotonic(), f"at {jump:+d} s"))
                rows, used = _count(database), _used_up(once, person)
                fleet.serving.remove(off.url)  # as a proxy does that asks whether it is ready
                load.drain()
                said = max(said, _set_wrong(fleet, jump))
                wrong = [*_judge_used(used, off), *_judge_fresh(once, person), *_judge_lifetimes(once), *_judge_limit(off)]
                _rest(load, database, rest)
                gone = [name for name, number in _count(database).items() if number < rows[name]]
                wrong += [f"rows of {name} have gone" for name in gone]
                if not is_ready(right.url):
                    wrong.append("the other node is not ready")
                again = max(again, _set_right(fleet, load))
                fleet.serving.append(off.url)
                wrong += [*_judge_used(used, off), *_judge_limit(right)]
                load.run(2.0 * times)
                findings += [f"{jump:+d} s: {problem}" for problem in wrong]
            slowest = max(load.history.events, key=lambda event: event.ended - event.begun)
            when = next(name for since, name in reversed(phases) if slowest.begun >= since)
            result = finish(
                load,
                fleet,
                not_ready_after=f"{said:.1f} s",
                ready_again_after=f"{again:.1f} s",
                slowest_call=f"{slowest.ended - slowest.begun:.1f} s, {slowest.act} {when}",
            )
            result.findings.extend(findings)
            if said > NOTICED_WITHIN:
                result.findings.append(f"a node called itself ready for {said:.1f} s after its clock was set")
            return result


def _rest(load: Load, database: Postgres, seconds: float) -> None:
    """Let it run for a while in which each worker that looks whether it is its turn to tidy has one: the others leave it to them."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            load.run(min(1.0, seconds))
            connection.execute("DELETE FROM turn WHERE name = 'tidying'")


def _set_wrong(fleet: OneClockOff, seconds: int) -> float:
    """Set a clock, and wait until both workers of its node have noticed, if they do; return how many seconds that took."""
    begun = time.monotonic()
    fleet.set(seconds)
    while any(is_ready(fleet.off.url) for _ in range(8)) and time.monotonic() - begun < UNNOTICED:
        _PAUSE.wait(0.1)
    return time.monotonic() - begun


def _set_right(fleet: OneClockOff, load: Load) -> float:
    """Set a clock right, and wait until both workers of its node have noticed; return how many seconds that took."""
    begun = time.monotonic()
    fleet.set(0)
    for pause in (0.0, SETTLED):
        load.run(pause)
        wait_until(lambda: all(is_ready(fleet.off.url) for _ in range(8)), "readiness")
    return time.monotonic() - begun - SETTLED


@dataclass(frozen=True)
class Aged:
    """Access tokens that were issued some time ago, by a node whose clock was set back for that."""

    expired: str
    """Longer ago than clocks may differ, whichever of them is asked."""
    good: str
    """Expires soon."""


def _aged(fleet: OneClockOff, once: Once) -> Aged:
    fleet.serving.remove(fleet.off.url)
    once.load.drain()
    made = Aged(_with_left(fleet, once, -(LEEWAY + max(SKEWS) + 5)), _with_left(fleet, once, LEEWAY))
    _set_right(fleet, once.load)
    fleet.serving.append(fleet.off.url)
    return made


def _with_left(fleet: OneClockOff, once: Once, seconds: int) -> str:
    """Return a token that is good for so many more seconds."""
    ends = time.time() + seconds
    fleet.set(seconds - once.right.token(once.load.bot).json["expires_in"])

    def made() -> str:
        token = str(once.off.token(once.load.bot).json["access_token"])
        return token if abs(claims_of(token)["exp"] - ends) < AROUND else ""

    return str(wait_until(made, "a token of an earlier time"))


def _use_up_attempts(node: Server) -> None:
    """Try wrong passwords until no more of them is looked at."""
    done = node.run("users", "create", "--realm", "acme", "--email", LOCKED, "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: _sign_in(node, "wrong wrong wrong").status == 429, "the limit of attempts")


def _sign_in(node: Server, password: str) -> Answer:
    body = json.dumps({"emailId": LOCKED, "password": password, "org": "acme"}).encode()
    return send(f"{node.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"})


def _judge_limit(node: Server) -> list[str]:
    """Return what is wrong with a limit that was reached before a clock was set: it ends when it would have, for all nodes."""
    answer = wait_until(lambda: (found := _sign_in(node, PASSWORD)).status != 503 and found, "an answer")
    if answer.status != 429:
        return [f"a limit of attempts is forgotten: {answer.status}"]
    seconds = int(answer.headers["Retry-After"])
    return [] if 0 < seconds <= WINDOW else [f"a limit of attempts ends in {seconds} seconds"]


def _judge_skewed(once: Once, aged: Aged) -> list[str]:
    """Return what is wrong with a node whose clock is half a minute off: the load says what it refuses."""
    wrong = [] if all(is_ready(once.off.url) for _ in range(8)) else ["the node is not ready"]
    late = once.assertion(good_for=-(LEEWAY + max(SKEWS) + 5))
    if any(late(node).status == 200 for node in (once.off, once.right)):
        wrong.append("an assertion was accepted that had expired before")
    if once.assertion(good_for=60)(once.off).status != 200:
        wrong.append("an assertion was refused that is good")
    for node in (once.off, once.right):
        if once.is_active(node, aged.expired):
            wrong.append("a token was called active that had expired before")
        if not once.is_active(node, aged.good):
            wrong.append("a token was called inactive that is good")
    return wrong + _judge_lifetimes(once)


def _used_up(once: Once, person: Person) -> list[Callable[[Server], Answer]]:
    """Return an assertion and a code that were used, at the node whose clock is right."""
    used = [once.assertion(), once.code(person)]
    for show in used:
        answer = show(once.right)
        assert answer.status == 200, answer.body
    return used


def _judge_used(used: list[Callable[[Server], Answer]], off: Server) -> list[str]:
    return ["what was used up has worked again" for show in used if show(off).status == 200]


def _judge_fresh(once: Once, person: Person) -> list[str]:
    """Show what is new to the node with the wrong clock first, and to both again: each may work once, and the first must."""
    theirs = time.time()
    fresh = [once.assertion(), once.code(person)]
    fresh += [once.assertion(at=theirs + ahead) for ahead in JUMPS]  # of a client whose clock is wrong by the same
    won = [sum(show(node).status == 200 for node in (once.off, once.right, once.off, once.right)) for show in fresh]
    wrong = [f"what works once has worked {times} times" for times in won if times > 1]
    return wrong if won[0] else [*wrong, "a fresh assertion has worked nowhere"]  # the other node's clock is right


def _judge_lifetimes(once: Once) -> list[str]:
    answer = once.off.token(once.load.bot)
    said = answer.json.get("expires_in") if answer.status == 200 else 1
    return [] if isinstance(said, int) and 0 < said <= LONGEST_LIFETIME else [f"a token is said to be good for {said} seconds"]


def _count(database: Postgres) -> dict[str, int]:
    """Return how many rows the tables have from which nothing may go."""
    with psycopg.connect(database.url()) as connection:
        found = {}
        for name in KEPT:
            row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            assert row is not None
            found[name] = int(row[0])
        return found


DRILLS: dict[str, Drill] = {"clocks are set": set_clocks}
