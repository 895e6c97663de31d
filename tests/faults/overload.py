"""Ten times as many sign-ins by password as the nodes can check, beside everything else that is asked of them."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.browsing import NAME
from tests.factories import PASSWORD
from tests.faults import flood
from tests.faults.drills import Drill, Result, finish, is_long, two_nodes
from tests.faults.history import Act, Event, p99
from tests.faults.load import Load, ask
from tests.faults.surroundings import Fleet
from tests.serving import wait_until

TIMES_CAPACITY = 10
MOST_BYTES = 1.5 * 1024**3
"""Memory that both nodes may take together."""

MOST_WAITING = 400
"""Sign-ins that wait for an answer at the same time: more than all threads of the workers."""

ACCOUNTS = [NAME, "nobody@example.test"]
"""The second does not exist, which costs the server as much."""

SETTINGS = {"IDP_TRUSTED_PROXIES": "127.0.0.1"}
TOKENS = (Act.ISSUE, Act.CHECK, Act.USE, Act.REDEEM)
"""What asks for a token, or for an introspection."""


@contextmanager
def _memory(fleet: Fleet) -> Iterator[list[int]]:
    """Measure the memory of all nodes again and again; what is yielded has the most in it when the block ends."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.25):
            most[0] = max(most[0], sum(memory_of(process) for process in processes_of(fleet)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def processes_of(fleet: Fleet) -> list[psutil.Process]:
    """Return the processes of all nodes: those that watch, and their workers."""
    return [process for node in fleet.nodes if node.process for process in (psutil.Process(node.process.pid), *node.workers())]


def memory_of(process: psutil.Process) -> int:
    """Return the bytes of memory that a process has of its own or shares; 0 if it has gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def capacity(fleet: Fleet, seconds: float) -> float:
    """Return how many sign-ins the nodes can check in a second."""
    process = flood.start(fleet.urls(), ACCOUNTS, PASSWORD, rate=0, at_once=8, seconds=seconds)
    return max(1.0, flood.read(process).count(200, 401) / seconds)


def is_signed_in(fleet: Fleet) -> bool:
    """Tell whether somebody can sign in at each node."""
    body = json.dumps({"emailId": NAME, "password": PASSWORD, "org": "acme"}).encode()
    kind = {"Content-Type": "application/json", "X-Forwarded-For": f"10.1.1.{secrets.randbelow(250)}"}
    return all(ask("POST", f"{url}/v1/auth/authenticate", body, kind).status == 200 for url in fleet.urls())


def flood_of_sign_ins(folder: Path, times: float = 1) -> Result:
    """Ten times as many sign-ins are tried as can be checked (13)."""
    with two_nodes(folder, **SETTINGS) as (fleet, load):
        most = capacity(fleet, 1.5 * times)
        with _memory(fleet) as memory:
            begun, seconds, rate = time.monotonic(), (60.0 if is_long(times) else 5.0), TIMES_CAPACITY * most
            process = flood.start(fleet.urls(), ACCOUNTS, PASSWORD, rate=rate, at_once=MOST_WAITING, seconds=seconds)
            load.run(seconds)
            until = time.monotonic()
            answered = flood.read(process)
        wait_until(lambda: is_signed_in(fleet), "a sign-in after the flood")
        back = time.monotonic() - until
        load.run(1.0)
        asked = [event for event in load.history.of(*TOKENS) if begun <= event.begun < until]
        tokens, others = [[e for e in asked if (e.act in {Act.ISSUE, Act.REDEEM}) is kind] for kind in (True, False)]
        result = finish(
            load,
            fleet,
            sign_ins_it_can_check=f"{most:.0f} per second",
            sign_ins_tried=f"{len(answered.answers) / seconds:.0f} per second for {seconds:.0f} s",
            checked=str(answered.count(200, 401)),
            put_off=f"{answered.count(429, 503)}, p99 within {answered.within(0.99, 429, 503) * 1000:.0f} ms",
            tokens=_describe(tokens),
            introspections=_describe(others),
            memory=f"{memory[0] / 1024**2:.0f} MB at most",
            normal_again=f"{back:.1f} s",
        )
        result.findings.extend(judge(answered, asked, memory[0]))
        return result


def judge(answered: flood.Flood, asked: list[Event], memory: float) -> list[str]:
    """Return what is wrong with what was answered in a flood of sign-ins.

    :param asked: the calls for tokens and introspections in that time.
    :param memory: bytes.
    """
    findings = []
    failed = sum(event.is_failed for event in asked)
    if failed > 0.01 * len(asked):
        findings.append(f"{failed} of {len(asked)} calls for tokens and introspections failed beside sign-ins")
    if strange := {status for status, _ in answered.answers} - {200, 401, 429, 503}:
        findings.append(f"sign-ins were answered {sorted(strange)}")
    if not answered.count(200):
        findings.append("nobody could sign in")
    if not answered.count(429, 503):
        findings.append("no sign-in was put off, so there were not too many")
    if answered.without_time:
        findings.append(f"{answered.without_time} sign-ins were put off, and not told until when")
    if memory > MOST_BYTES:
        findings.append(f"the nodes took {memory / 1024**2:.0f} MB of memory")
    return findings


def _describe(events: list[Event]) -> str:
    failed = sum(event.is_failed for event in events)
    return f"{len(events) - failed} of {len(events)} answered, p99 {p99(events) * 1000:.0f} ms"


def find_starving(fleet: Fleet, load: Load) -> str:
    """Flood nodes that have a bug, and return the first thing that is found; empty for nothing."""
    begun = time.monotonic()
    process = flood.start(fleet.urls(), ACCOUNTS, PASSWORD, rate=300, at_once=MOST_WAITING, seconds=10)
    answered = flood.read(process)
    findings = judge(answered, [event for event in load.history.of(*TOKENS) if event.begun >= begun], 0)
    return next(iter(findings), "")


DRILLS: dict[str, Drill] = {"ten times as many sign-ins as can be checked": flood_of_sign_ins}
