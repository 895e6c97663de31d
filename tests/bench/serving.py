"""Servers under measurement: pinned to one core, with their processor time and memory."""

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.serving import IDP, PROJECT, Server, free_port, send, wait_until

SERVER_CORE = 0
LOAD_CORE = min(1, (os.cpu_count() or 1) - 1)


def pin(core: int) -> None:
    """Keep this process on one core."""
    os.sched_setaffinity(0, {core})


def launch(command: list[str], **options: Any) -> Any:
    """Start a server on its core, and see that it ends when this process does, however that ends."""
    pin(SERVER_CORE)  # what is started now inherits it
    try:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, start_new_session=True, **options)
    finally:
        pin(LOAD_CORE)
    atexit.register(process.terminate)
    return process


class Measured(Server):
    """`idp serve` on one core."""

    def launch(self) -> None:
        """Start the process; what it prints goes nowhere, so that reading it costs the load nothing."""
        self.process = launch([IDP, "serve"], env=self.environment)

    def stop(self) -> None:
        """End it gracefully."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    @property
    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the processor time that processes have used so far, in user and system mode."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def proportional_megabytes(processes: list[psutil.Process]) -> float:
    """Return the memory of processes, where what several share counts for each by its part."""
    return sum(process.memory_full_info().pss for process in processes) / 1_000_000


def signature_seconds(algorithm: str) -> float:
    """Return the processor time of one bare signature, measured on the server's core."""
    pin(SERVER_CORE)
    message = os.urandom(900)
    if algorithm == "RS256":
        rsa_key = rsa.generate_private_key(65537, 2048)

        def sign() -> Any:
            return rsa_key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    else:
        ec_key = ec.generate_private_key(ec.SECP256R1())

        def sign() -> Any:
            return ec_key.sign(message, ec.ECDSA(hashes.SHA256()))

    count = 1_000 if algorithm == "RS256" else 8_000
    started = time.process_time()
    for _ in range(count):
        sign()
    spent = (time.process_time() - started) / count
    pin(LOAD_CORE)
    return spent


@contextmanager
def bare_flask(threads: int) -> Iterator[tuple[int, list[psutil.Process]]]:
    """Serve the bare route, and yield its port and worker."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--port",
        str(port),
        "--http",
        "1",
        "--no-ws",
        "--blocking-threads",
        str(threads),
        "--log-level",
        "error",
        "tests.bench.bare:app",
    ]
    process = launch(command)

    def answers() -> bool:
        try:
            return send(f"http://127.0.0.1:{port}/bare", b"").status == 200
        except OSError:
            return False

    wait_until(answers, "the start of the bare server")
    yield port, psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.wait(30)


def set_up(folder: Path, **settings: str) -> Measured:
    """Return a server with its data folder set up, not started."""
    server = Measured(folder, settings=settings)
    server.idp("setup")
    return server
