"""Time that is made of events, processors that several jobs share, and locks that one holds."""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count

SLICE = 0.002
"""Seconds for which a job has a processor before the next that waits has its turn, as an operating system does it."""

Act = Callable[[], None]


class Timeline:
    """What happens when. Of two things at one moment, what was planned first happens first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Act]] = []
        self._numbers = count()

    def after(self, seconds: float, act: Act) -> None:
        """Plan something."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), act))

    def run(self, until: float) -> None:
        """Let happen what is planned up to a moment."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, act = heapq.heappop(self._heap)
            act()
        self.now = until


class Processors:
    """Cores that jobs take turns on."""

    def __init__(self, timeline: Timeline, cores: int) -> None:
        self._timeline, self.cores = timeline, cores
        self._free = cores
        self._line: deque[tuple[float, str, Act]] = deque()
        self.busy: dict[str, float] = {}
        """Seconds of one core that jobs of a kind have taken."""

    def work(self, seconds: float, kind: str, done: Act) -> None:
        """Have a job done, and then something else."""
        self._line.append((seconds, kind, done))
        self._next()

    def _next(self) -> None:
        while self._free and self._line:
            self._free -= 1
            seconds, kind, done = self._line.popleft()
            now = min(seconds, SLICE)
            self.busy[kind] = self.busy.get(kind, 0.0) + now
            self._timeline.after(now, lambda left=seconds - now, kind=kind, done=done: self._end(left, kind, done))

    def _end(self, left: float, kind: str, done: Act) -> None:
        self._free += 1
        if left > 1e-12:
            self._line.append((left, kind, done))
        else:
            done()
        self._next()


class Lock:
    """What one holds while others wait in a line, each no longer than it likes."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._held = False
        self._line: deque[list[Act]] = deque()

    def take(self, got: Act, gave_up: Act, within: float) -> None:
        """Call `got` when the lock is held, or `gave_up` when that takes too long."""
        if not self._held:
            self._held = True
            got()
            return
        place = [got]
        self._line.append(place)

        def give_up() -> None:
            if place:
                place.clear()
                gave_up()

        self._timeline.after(within, give_up)

    def release(self) -> None:
        """Let the next one have it."""
        while self._line:
            place = self._line.popleft()
            if place:
                got = place.pop()
                got()
                return
        self._held = False
