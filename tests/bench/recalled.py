"""How long a token that was taken back is still accepted: by verifiers in Python, TypeScript and Go, and by the gateway."""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.people import pin_all
from tests.bench.serving import LOAD_CORE, pin, set_up
from tests.clients.examples import EXAMPLES, Ask, all_four, missing
from tests.clients.revocations import CAUSES, SETTINGS, Holder, Stage
from tests.serving import wait_until

PARALLEL = 4
"""Revocations that are under way at once."""
PAUSE = 0.025
"""Seconds between an answer and the next showing of the token."""
REFUSED_FOR = 0.5
"""Seconds for which a verifier has to go on refusing: of two workers of the gateway, one could know before the other."""
PATIENCE = 30
"""Seconds after which a token that is still accepted ends the measurement."""
LONGEST = 600
"""Seconds after which no further token is taken back."""

GOALS = {"p99_s": 2.0, "longest_s": 5.0}


@dataclass(frozen=True)
class _Outcome:
    cause: str
    delays: dict[str, float]
    """By verifier, seconds from the answer to the revocation to the last acceptance."""


def bench_recalled(folder: Path, revocations: int) -> dict[str, Any]:
    """Take back many tokens, and show each to all verifiers until all refuse it.

    :param revocations: how many, by five causes in turn.
    """
    folder.mkdir(parents=True)
    server = set_up(folder / "data", IDP_WORKERS="2", **SETTINGS)
    server.start()
    pin_all()
    load, began = [os.getloadavg()[0]], time.monotonic()
    try:
        stage = Stage(server)
        with all_four(server, folder) as verifiers, ThreadPoolExecutor(PARALLEL) as lanes:
            shares = [range(lane, revocations, PARALLEL) for lane in range(PARALLEL)]
            found = lanes.map(lambda share: _take_back_in_turn(stage, verifiers, share), shares)
            outcomes = list(itertools.chain.from_iterable(found))
            load.append(os.getloadavg()[0])
    finally:
        pin(LOAD_CORE)
        server.stop()
    return {
        "revocations": len(outcomes),
        "seconds": round(time.monotonic() - began),
        "load_before_and_at_the_end": [round(each, 1) for each in load],
        "left_out": [reason for language in EXAMPLES if (reason := missing(language)) is not None],
        "verifiers": {name: _by_cause(outcomes, name) for name in outcomes[0].delays},
        "any": _figures([max(each.delays.values()) for each in outcomes]),
    }


def _take_back_in_turn(stage: Stage, verifiers: dict[str, Ask], numbers: range) -> list[_Outcome]:
    holder, found = Holder(stage, f"bot-{numbers.start}"), []
    end = time.monotonic() + LONGEST
    with ThreadPoolExecutor(len(verifiers)) as showing:
        for number in itertools.takewhile(lambda _: time.monotonic() < end, numbers):
            cause = CAUSES[number % len(CAUSES)]
            token, take_back = holder.get(cause)
            for verifier, ask in verifiers.items():
                wait_until(lambda ask=ask, token=token: ask(token).status == 200, f"{verifier}'s acceptance, {cause}")
            take_back()
            answered = time.monotonic()
            delays = showing.map(lambda ask, token=token, since=answered: _until_refused(ask, token, since), verifiers.values())
            found.append(_Outcome(cause, dict(zip(verifiers, delays, strict=True))))
    return found


def _until_refused(ask: Ask, token: str, since: float) -> float:
    """Show a token until it is refused and stays so, and return when its last acceptance came: seconds since then, 0 for never."""
    pause, last, refused_at = threading.Event(), since, 0.0
    while not refused_at or time.monotonic() < refused_at + REFUSED_FOR:
        answer = ask(token)
        now = time.monotonic()
        assert answer.status in {200, 401}, answer.body
        assert now < since + PATIENCE, "the token is still accepted"
        if answer.status == 200:
            last, refused_at = now, 0.0
        else:
            refused_at = refused_at or now
        pause.wait(PAUSE)
    return last - since


def _by_cause(outcomes: list[_Outcome], name: str) -> dict[str, dict[str, float]]:
    each = {cause: _figures([outcome.delays[name] for outcome in outcomes if outcome.cause == cause]) for cause in CAUSES}
    return each | {"all": _figures([outcome.delays[name] for outcome in outcomes])}


def _figures(delays: list[float]) -> dict[str, float]:
    delays = sorted(delays)
    return {
        "p50_s": round(statistics.median(delays), 3),
        "p99_s": round(delays[int(len(delays) * 0.99)], 3),
        "longest_s": round(delays[-1], 3),
    }


def _line(figures: dict[str, float]) -> str:
    return "  ".join(f"{value:.2f}" for value in figures.values())


def rows(result: dict[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Yield the figures for people, with what they should be."""
    found = result["recalled"]
    yield "from revocation to last acceptance, s", "p50, p99, longest", f"of {found['revocations']} revocations"
    for name, by_cause in found["verifiers"].items():
        for cause, each in by_cause.items():
            yield f"  {name}, {cause}", _line(each), ""
    yield "  any of them, all", _line(found["any"]), "p99 at most {p99_s:g}, longest {longest_s:g}".format_map(GOALS)
    for reason in found["left_out"]:
        yield reason, "", ""
