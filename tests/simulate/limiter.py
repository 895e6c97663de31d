"""How far tokens of one application exceed its limit, where the nodes cannot count together.

Each process counts a share of every rate, one part for each worker of all nodes, by the algorithm of idp/ratelimit/rates.py. No
share is so small that not one use may come at once.
"""

import math
from dataclasses import dataclass

from idp.ratelimit import BURST
from idp.ratelimit.rates import STRICTER


@dataclass(frozen=True)
class Limited:
    """A limit, and who keeps it."""

    nodes: int
    workers: int
    per_second: float
    stricter: int = 1
    """By how much each process lowers every rate."""


class Bucket:
    """The generic cell rate algorithm, on a clock that is handed to it."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._each = 1 / per_second
        self._room = self._each * burst
        self._full_at = 0.0

    def let_pass(self, now: float) -> bool:
        """Count a use if there is room."""
        full = max(now, self._full_at) + self._each
        if full - now > self._room + 1e-9:
            return False
        self._full_at = full
        return True


def passed(limited: Limited, seconds: float, asked: int = 4) -> int:
    """Return how many tokens all processes let pass in a time in which everybody asks more than they may, on every worker.

    :param asked: how many times as much as the whole limit is asked of each process.
    """
    share = 1 / limited.nodes / limited.workers / limited.stricter
    bucket = Bucket(limited.per_second * share, max(1, math.ceil(BURST * limited.per_second * share)))
    step = 1 / (asked * limited.per_second)
    each = sum(bucket.let_pass(number * step) for number in range(int(seconds / step)))
    return each * limited.nodes * limited.workers


def overshoot(nodes: int, *, workers: int = 2, per_second: float = 100, seconds: float = 60, failed: bool = False) -> float:
    """Return how many times as much passes as the limit, its burst included, allows.

    :param failed: whether there is a Valkey that has just failed. What it had let pass comes on top, for processes that had not asked
        it lately: the others remember.
    """
    allowed = BURST * per_second + per_second * seconds
    if not failed:
        return passed(Limited(nodes, workers, per_second), seconds) / allowed
    before = BURST * per_second  # the burst, spent in the moment before
    return (before + passed(Limited(nodes, workers, per_second, STRICTER), seconds)) / allowed
