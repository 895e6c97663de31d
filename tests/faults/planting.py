"""Faults of the server, each a patch in `bugs/` that is planted in a copy of it, which the checker of histories must find.

A patch begins with a line that says what is wrong, and one `Drill:` with what brings it to light (see `SCENES`).
"""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import clocks, overload, storming
from tests.faults.history import check
from tests.faults.load import Load
from tests.faults.proxied import BehindNginx
from tests.faults.surroundings import Fleet, Postgres, postgres, small_disk, wait_ready
from tests.forking import PROJECT
from tests.serving import free_port

BUGS = Path(__file__).parent / "bugs"


def all_bugs() -> list[Path]:
    """Return the patches."""
    return sorted(BUGS.glob("*.patch"))


def title(bug: Path) -> str:
    """Return what is wrong with a server that has a bug."""
    return bug.read_text().splitlines()[0]


def applies(bug: Path) -> str:
    """Return why a patch cannot be applied to the sources as they are, or leaves what is no Python; empty if it can."""
    with tempfile.TemporaryDirectory() as place:
        changed = [Path(name) for name in re.findall(r"^\+\+\+ b/(\S+)", bug.read_text(), re.MULTILINE)]
        for name in changed:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, place / name)
        done = _patch(Path(place), bug)
        if done.returncode:
            return done.stdout + done.stderr
        try:
            for name in changed:
                compile((place / name).read_text(), name, "exec")
        except SyntaxError as error:
            return str(error)
    return ""


def _patch(tree: Path, bug: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["patch", "--force", "-p1", "-d", str(tree), "-i", str(bug)], capture_output=True, text=True, check=False
    )


def plant(bug: Path) -> str:
    """Plant a bug in a copy, put it under load, and return the first thing that the checker finds; empty for nothing."""
    scene = next(line.partition(":")[2].strip() for line in bug.read_text().splitlines() if line.startswith("Drill:"))
    with tempfile.TemporaryDirectory(prefix="realmgate-bug-") as place:
        source = Path(place) / "source"
        source.mkdir()
        for name in ("idp", "realms"):
            shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", source)
        _patch(source, bug).check_returncode()
        folder = Path(place) / "served"
        folder.mkdir()
        return SCENES[scene](folder, source)


def _found(load: Load) -> str:
    """Return the first finding, as soon as there is one."""
    for _ in range(25):
        load.run(0.5)
        if findings := check(load.history, [event.subject for event in load.history.events]):
            load.stop()
            return findings[0]
    history = load.stop()
    findings = check(history, load.present())
    return findings[0] if findings else ""


@contextlib.contextmanager
def _planted(
    folder: Path, source: Path, nodes: int = 1, threads: int = 6, fleet_of: type[Fleet] = Fleet, **settings: str
) -> Iterator[tuple[Fleet, Load, Postgres]]:
    with postgres() as make:
        database = make().create()
        fleet = fleet_of(folder, database.url(), settings)
        try:
            for _ in range(nodes):
                fleet.add(source)
            yield fleet, Load(fleet.nodes[0], fleet.urls, threads=threads).start(), database
        finally:
            fleet.kill()


def under_load(folder: Path, source: Path) -> str:
    """Two nodes under load, and nothing happens to them."""
    with _planted(folder, source, nodes=2) as (_, load, _):
        return _found(load)


def killed(folder: Path, source: Path) -> str:
    """The servers are killed and begin again while something is acknowledged."""
    with _planted(folder, source) as (fleet, load, _):
        for _ in range(3):
            load.run(1.5)
            fleet.nodes[0].kill()
            fleet.nodes[0].start()
        wait_ready(fleet)
        return _found(load)


def frozen(folder: Path, source: Path) -> str:
    """PostgreSQL stands still."""
    with _planted(folder, source) as (_, load, database):
        load.run(2.0)
        database.freeze()
        load.run(14.0)
        database.thaw()
        return _found(load)


def crashed(folder: Path, source: Path) -> str:
    """PostgreSQL crashes."""
    with _planted(folder, source) as (_, load, database):
        load.run(2.0)
        database.stop("immediate")
        load.run(3.0)
        database.start()
        return _found(load)


def turned(folder: Path, source: Path) -> str:
    """Signing keys are replaced."""
    with _planted(folder, source, IDP_KEY_SET_MAX_AGE="3") as (_, load, _):
        load.run(1.0)
        load.turn_keys()
        load.run(9.0)
        return _found(load)


def full(folder: Path, source: Path) -> str:
    """The disk of SQLite and of all else in the data folder is full."""
    with small_disk(48) as disk:
        fleet = Fleet(disk.folder, "", {"IDP_MANAGEMENT_PORT": str(free_port())})
        try:
            load = Load(fleet.add(source), fleet.urls, threads=6).start()
            load.run(1.0)
            disk.fill()
            found = ""
            for _ in range(25):
                load.run(0.5)
                findings = check(load.history, [event.subject for event in load.history.events])
                died = any("a worker has ended" in line for line in fleet.nodes[0].output)
                found = findings[0] if findings else "a worker died of a full disk" if died else ""
                if found:
                    break
            load.stop()
            return found
        finally:
            fleet.kill()


def flooded(folder: Path, source: Path) -> str:
    """Many more sign-ins are tried than can be checked."""
    with _planted(folder, source, nodes=2, **overload.SETTINGS) as (fleet, load, _):
        return overload.find_starving(fleet, load)


def replaced(folder: Path, source: Path) -> str:
    """Nodes behind nginx are replaced by others, one by one."""
    with _planted(folder, source, nodes=2, threads=12, fleet_of=BehindNginx) as (fleet, load, _):
        for node in (*fleet.nodes, *fleet.nodes):
            load.run(1.0)
            fleet.replace(node, source)
        return next(
            (f"failed as a node was replaced: {event.act} {event.subject}, {event.status}" for event in load.stop().failed()), ""
        )


def stormed(folder: Path, source: Path) -> str:
    """Fifty try at once what works once."""
    return storming.find_winners(folder, source)


def clock_set(folder: Path, source: Path) -> str:
    """The clock of a node is set far ahead while it serves, and is so for longer than a minute."""
    for jumps in (clocks.JUMPS[-1:], clocks.JUMPS[-1:] * 3):  # its look of each minute may come just when the clock was set
        tried = folder / str(len(jumps))
        tried.mkdir()
        result = clocks.set_clocks(tried, source=source, skews=(), jumps=jumps, rest=clocks.TIDIED_AFTER)
        if result.findings:
            return result.findings[0]
    return ""


SCENES: dict[str, Callable[[Path, Path], str]] = {
    "load": under_load,
    "kill": killed,
    "freeze": frozen,
    "crash": crashed,
    "turn": turned,
    "fill": full,
    "flood": flooded,
    "replace": replaced,
    "storm": stormed,
    "clock": clock_set,
}
