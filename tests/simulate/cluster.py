"""Nodes of workers on one PostgreSQL: tokens, the polls of the change feed, the writes of what was issued, and its sealing.

The rules are those of the code: idp/feed.py (when memory is confirmed, and when a request waits for that), idp/server/worker.py and
idp/tokens/usage.py (what is written every second), idp/trail/sealing.py (batches, and who comes second). A worker is one core,
as one is advised to have it. Tokens are not events of their own: a worker issues so many a second while it may.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from idp.db import WAIT_FOR_LOCK
from idp.feed import CONFIRM_AFTER, CONFIRM_AT_LAST
from idp.server.worker import MOST_SEALINGS, WRITE_USAGE_EVERY, send_mail_every
from idp.tokens.usage import MOST_WAITING
from idp.trail import BATCH
from tests.simulate.costs import MEASURED, ROUND_TRIP, Costs
from tests.simulate.engine import Lock, Processors, Timeline

SEAL_EVERY = 5.0
"""`IDP_AUDIT_SEAL_SECONDS`."""


CHECKS = 3.0 / 3.4
"""Which part of what an idle worker asks in a second are checks of the outboxes: three transactions."""


@dataclass(frozen=True)
class Scenario:
    """What is simulated."""

    nodes: int
    workers: int = 2
    """For each node."""
    per_second: float | None = None
    """Tokens that are asked for, of all nodes together; None for as many as they can issue."""
    database_cores: int = 16
    realms: int = 1
    """Among which the tokens are divided evenly."""
    one_application: bool = False
    """Whether all tokens are one application's, whose counters every worker writes to; else no two workers write to one row."""
    counters_first: bool = False
    """Whether the rows of counters are written before the events, and not after them as idp/tokens/usage.py does."""
    seconds: float = 20.0
    costs: Costs = field(default=MEASURED)


@dataclass(frozen=True)
class Outcome:
    """What came of it, by the second."""

    issued: float
    written: float
    sealed: float
    polls: float
    database: dict[str, float]
    """Cores of the database that are busy, by what with."""
    staleness: float
    """Seconds that something in memory was old when it was used, at most."""
    waiting: float
    """The part of their time in which workers may issue nothing, for they wait for the confirmation."""
    gave_up: int
    """Writes that waited too long for a lock."""
    second: float
    """Looks of sealers that came second, a second."""
    connections: int
    """At most."""

    @property
    def busy(self) -> float:
        """Return how many cores of the database are busy."""
        return sum(self.database.values())

    @property
    def keeps_up(self) -> bool:
        """Tell whether what is issued is also written, but for what is gathered between two writes."""
        return self.written >= 0.9 * self.issued


class Cluster:
    """A run of a scenario."""

    def __init__(self, scenario: Scenario, seed: int = 1) -> None:
        self.scenario, self.costs = scenario, scenario.costs
        self.timeline = Timeline()
        self.database = Processors(self.timeline, scenario.database_cores)
        self.counters = Lock(self.timeline)
        self.chance = random.Random(seed)
        self.turn = self.unsealed = 0
        self.written = self.sealed = self.polls = self.gave_up = self.second = 0
        self.staleness = 0.0
        self.workers = [Worker(self) for _ in range(scenario.nodes * scenario.workers)]

    def run(self) -> Outcome:
        """Simulate, and leave the beginning out, when everybody is at a beginning."""
        beginning, seconds = 2 * SEAL_EVERY, self.scenario.seconds
        self.timeline.run(beginning)
        for worker in self.workers:
            worker.issue_until_now()
        issued, blocked = sum(each.issued for each in self.workers), sum(each.blocked for each in self.workers)
        before = (self.written, self.sealed, self.polls, self.second)
        busy = dict(self.database.busy)
        self.staleness, self.gave_up = 0.0, 0
        self.timeline.run(beginning + seconds)
        for worker in self.workers:
            worker.issue_until_now()
        written, sealed, polls, second = (
            (now - then) / seconds for now, then in zip((self.written, self.sealed, self.polls, self.second), before, strict=True)
        )
        return Outcome(
            issued=(sum(each.issued for each in self.workers) - issued) / seconds,
            written=written,
            sealed=sealed,
            polls=polls,
            database={kind: (spent - busy.get(kind, 0.0)) / seconds for kind, spent in self.database.busy.items()},
            staleness=self.staleness,
            waiting=(sum(each.blocked for each in self.workers) - blocked) / seconds / len(self.workers),
            gave_up=self.gave_up,
            second=second,
            connections=len(self.workers) * self.costs.connections,
        )


class Worker:
    """One process on a core of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.costs, self.timeline = cluster, cluster.costs, cluster.timeline
        scenario, chance = cluster.scenario, cluster.chance
        most = (1 - self.costs.poll_node / CONFIRM_AFTER) / self.costs.token_node
        asked = scenario.per_second / (scenario.nodes * scenario.workers) if scenario.per_second is not None else most
        self.rate = min(asked, most)
        self.issued = self.unwritten = self.blocked = 0.0
        self.confirmed = 0.0
        self._since = 0.0
        """Up to when what was issued is counted."""
        for first, act in (
            (CONFIRM_AFTER, self._poll),
            (WRITE_USAGE_EVERY, self._write),
            (SEAL_EVERY, self._seal),
            (1.0, self._rest),
        ):
            self.timeline.after(first * (1 + chance.random()), act)
        self.timeline.after(send_mail_every(scenario.nodes * scenario.workers) * chance.random(), self._check)

    def issue_until_now(self) -> None:
        """Count what was issued since the last time: nothing while memory was too old to be served from."""
        now, last = self.timeline.now, self.confirmed + CONFIRM_AT_LAST
        served = max(0.0, min(now, last) - self._since)
        self.blocked += now - self._since - served
        self._since = now
        tokens = served * self.rate
        self.issued += tokens
        self.unwritten = min(self.unwritten + tokens, MOST_WAITING)

    def _poll(self) -> None:
        started = self.timeline.now

        def answered() -> None:
            self.issue_until_now()
            self.cluster.polls += 1
            now = self.timeline.now
            self.cluster.staleness = max(self.cluster.staleness, min(now - self.confirmed, CONFIRM_AT_LAST))
            self.confirmed = started
            # the next request that comes finds it too old; where few come, it is found later
            between = 1 / self.rate if self.rate else 1.0
            self.timeline.after(max(0.0, started + CONFIRM_AFTER - now) + between, self._poll)

        self.timeline.after(self.costs.poll_wait, lambda: self.cluster.database.work(self.costs.poll_database, "polls", answered))

    def _write(self) -> None:
        self.issue_until_now()
        rows, self.unwritten = int(self.unwritten), self.unwritten % 1
        again = lambda: self.timeline.after(WRITE_USAGE_EVERY, self._write)
        if not rows:
            again()
            return
        scenario, costs, lock = self.cluster.scenario, self.costs, self.cluster.counters
        of_rows = lambda done: self.timeline.after(
            rows * costs.row_node, lambda: self.cluster.database.work(rows * costs.row_database, "writes", done)
        )
        before = 2 * ROUND_TRIP  # the transaction is begun, and the events are sent
        fixed = lambda done, wait=costs.write_wait: self.timeline.after(
            wait, lambda: self.cluster.database.work(costs.write_database, "writes", done)
        )

        def done() -> None:
            self.cluster.written += rows
            self.cluster.unsealed += rows
            again()

        def give_up() -> None:
            self.cluster.gave_up += 1
            self.unwritten += rows
            again()

        def release() -> None:
            lock.release()
            done()

        def locked(hold: Callable[[Callable[[], None]], None]) -> None:
            lock.take(lambda: hold(release), give_up, WAIT_FOR_LOCK)

        if not scenario.one_application:
            of_rows(lambda: fixed(done))
        elif scenario.counters_first:
            locked(lambda end: of_rows(lambda: fixed(end)))
        else:
            locked_part = lambda end: fixed(end, costs.write_wait - before)
            of_rows(lambda: self.timeline.after(before, lambda: locked(locked_part)))

    def _seal(self, left: int = MOST_SEALINGS) -> None:
        """Look what there is to seal, hash it, and write that unless another was first."""
        turn, costs = self.cluster.turn, self.costs
        rows = min(self.cluster.unsealed, BATCH)
        # each realm that has an event in it gets a batch of its own: half of that is done before it is known who was first
        realms = min(rows, self.cluster.scenario.realms) / 2
        again = lambda: self.timeline.after(SEAL_EVERY, self._seal)

        def hashed() -> None:
            if self.cluster.turn != turn:
                self.cluster.second += 1
                again()
                return
            self.cluster.turn += 1
            self.cluster.unsealed -= rows
            self.cluster.sealed += rows
            spent = rows * costs.seal_row_database / 2 + realms * costs.seal_realm_database
            self.timeline.after(realms * costs.seal_realm_wait, lambda: self.cluster.database.work(spent, "sealing", written))

        def written() -> None:
            if rows == BATCH and left > 1:
                self._seal(left - 1)
            else:
                again()

        def looked() -> None:
            if rows:
                self.timeline.after(costs.seal_wait + rows * costs.seal_row_node + realms * costs.seal_realm_wait, hashed)
            else:
                again()

        self.cluster.database.work(
            costs.seal_look + rows * costs.seal_row_database / 2 + realms * costs.seal_realm_database, "sealing", looked
        )

    def _rest(self) -> None:
        """Everything else that a worker asks every second: signs of life, turns."""
        spent = (1 - CHECKS) * self.costs.rest_database
        self.cluster.database.work(spent, "everything else", lambda: self.timeline.after(1.0, self._rest))

    def _check(self) -> None:
        """Look whether there is mail to send, or notices, or requests for new passwords."""
        scenario, spent = self.cluster.scenario, CHECKS * self.costs.rest_database
        again = lambda: self.timeline.after(send_mail_every(scenario.nodes * scenario.workers), self._check)
        self.cluster.database.work(spent, "everything else", again)


@cache
def simulate(scenario: Scenario) -> Outcome:
    """Return what comes of a scenario: always the same."""
    return Cluster(scenario).run()
