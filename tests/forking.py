"""Processes of the program that begin with it loaded, where loading it takes longer than what most commands do.

They are forked off a process that has loaded the program and does nothing else. Whatever a command reads, prints and ends with is
that of any process: it has an environment, a folder, standard streams and a session of its own, and ends as Python ends. How the
program is loaded is what it does not show; tests that are about that start it anew (`IDP` in tests/serving.py).
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).parent.parent
PREPARE = "REALMGATE_TESTS_PREPARE"
"""The environment variable that names a module whose `put_in` changes the program before it runs."""

_MOST = 1 << 20
"""Bytes of an order."""


class Process:
    """`idp` with arguments, running; used as `subprocess.Popen` is, as far as tests do."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path = PROJECT,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        """Start it with the descriptors as its standard streams; they are the caller's to close."""
        self._report, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.args = ["idp", *arguments]
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self._lock = threading.Lock()
        order = {"arguments": list(arguments), "environment": dict(environment), "cwd": str(cwd)}
        with theirs:
            socket.send_fds(_ready(), [json.dumps(order).encode()], [stdin, stdout, stderr, theirs.fileno()])
        self.pid = int(self._report.recv(64) or b"0")
        assert self.pid, "the process that commands are forked off has ended"

    def poll(self) -> int | None:
        """Return its status once it has ended, as `subprocess` has it; None before."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its status.

        :raises subprocess.TimeoutExpired: it has not ended in time.
        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
                with self._report:
                    self.returncode = os.waitstatus_to_exitcode(int(self._report.recv(64) or signal.SIGKILL))
            return self.returncode

    def finish(self, timeout: float = 120) -> str:
        """Wait for its end, and return what is left of what it has printed."""
        assert self.stdout is not None
        with self.stdout:
            printed = self.stdout.read()
        self.wait(timeout)
        return printed

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], environment: Mapping[str, str], *, cwd: Path = PROJECT) -> Process:
    """Start `idp` with its output and its errors in one stream, `stdout`."""
    reading, writing = os.pipe()
    with Path(os.devnull).open() as nothing, os.fdopen(writing, "wb") as theirs:
        process = Process(arguments, environment, cwd=cwd, stdin=nothing.fileno(), stdout=theirs.fileno(), stderr=theirs.fileno())
    process.stdout = os.fdopen(reading, encoding="utf-8")
    return process


def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, cwd: Path = PROJECT, typed: str = "", timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run `idp` to its end.

    :param typed: what it reads from its standard input.
    :raises subprocess.TimeoutExpired: it has not ended in time; it is ended.
    """
    with contextlib.ExitStack() as stack:
        given, out, errors = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(typed.encode())
        given.seek(0)
        process = Process(arguments, environment, cwd=cwd, stdin=given.fileno(), stdout=out.fileno(), stderr=errors.fileno())
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        printed = []
        for stream in (out, errors):
            stream.seek(0)
            printed.append(stream.read().decode())
        return subprocess.CompletedProcess(process.args, status, *printed)


_starting = threading.Lock()


def _ready() -> socket.socket:
    """Return where orders are sent: the process that forks, one for each that runs tests, is started with the first."""
    with _starting:
        return _forker()


@functools.cache
def _forker() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {"IDP_CONFIG": os.devnull}
    nothing = subprocess.DEVNULL
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
            cwd=PROJECT,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=nothing,
            stdout=nothing,
            start_new_session=True,
        )
    atexit.register(_end, ours, process)
    return ours


def _end(orders: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    """End the process that forks: there will be no more orders. It would end so by itself, were this process killed."""
    orders.close()
    process.wait()


def _load() -> None:
    """Load all that commands and workers of the server need, and compile the URL rules."""
    from idp import cli, master_keys
    from idp.app import close_app, create_app
    from idp.settings import Settings
    from tests.routing import remember_rules

    for name in ("idp.server.worker", *(where.partition(":")[0] for where in cli._COMMANDS.values())):
        importlib.import_module(name)
    remember_rules()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(data_dir=Path(folder))
        master_keys.create_master_key(settings.master_key_file)
        close_app(create_app(settings))
    gc.collect()
    gc.freeze()


def _next_order(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each order, and report what forked processes end with.

    :returns: the order, in a process that was forked for it; None when there will be no more.
    """
    reports: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    pid, report = reports.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    with report, contextlib.suppress(OSError):
                        report.send(str(os.waitpid(pid, 0)[1]).encode())
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, _MOST, 4)
                if not message:
                    return None
                report = socket.socket(fileno=descriptors.pop())
                pid = os.fork()
                if not pid:
                    for inherited, of_other in reports.items():
                        os.close(inherited)
                        of_other[1].close()
                    report.close()
                    return _take_over(json.loads(message), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                report.send(str(pid).encode())
                ended = os.pidfd_open(pid)
                reports[ended] = pid, report
                selector.register(ended, selectors.EVENT_READ)


def _take_over(order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Make this process what the order says."""
    os.setsid()
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    return order


def main() -> None:
    """Load the program, fork for whoever orders it, and in each forked process run what was ordered."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _load()
        order = _next_order(control)
    if order is not None:
        from idp import cli

        if prepared := os.environ.get(PREPARE):
            importlib.import_module(prepared).put_in()
        sys.argv = [str(Path(sys.executable).with_name("idp")), *order["arguments"]]
        cli.main()


if __name__ == "__main__":
    main()
