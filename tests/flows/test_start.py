"""The start of the server, as whoever starts it sees it: a shell, a pipe, a service manager."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving import IDP, PATIENCE, PROJECT, Server, free_port, send, wait_until


@pytest.fixture
def set_up(tmp_path: Path) -> Server:
    """A server whose first start has been, not running."""
    server = Server(tmp_path / "data")
    server.idp("setup")
    return server


@pytest.fixture
def full() -> Iterator[Any]:
    """A file that takes nothing: the disk is full."""
    with Path("/dev/full").open("w") as file:
        yield file


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    """A pipe whose reader has gone, as in `idp serve | true`."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def launch(server: Server, stdout: Any, **settings: str) -> None:
    server.process = subprocess.Popen(
        [IDP, "serve"],
        env=server.environment | settings,
        cwd=PROJECT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(server: Server) -> tuple[int, str]:
    """End a server, and return its status and what it wrote on standard error."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    _, errors = server.process.communicate(timeout=PATIENCE)
    return server.process.returncode, errors


@pytest.mark.parametrize("output", ["full", "broken_pipe"])
def test_greeting_that_cannot_be_printed_stops_nothing(set_up: Server, output: str, request: pytest.FixtureRequest) -> None:
    launch(set_up, request.getfixturevalue(output), IDP_MANAGEMENT_PORT=str(free_port()))
    wait_until(set_up.answers, "the start of the server")
    status, errors = end(set_up)
    assert status == 0, errors
    assert "Traceback" not in errors


def test_secrets_that_cannot_be_printed_are_printed_by_the_next_start(tmp_path: Path, full: Any) -> None:
    server = Server(tmp_path / "data")
    launch(server, full)
    wait_until(server.answers, "the start of the server")
    status, errors = end(server)
    assert status == 0, errors
    assert "could not be printed" in errors
    assert "idp_cs_" not in errors
    assert "idp_cs_" in server.idp("setup")


def test_set_up_whose_secrets_cannot_be_printed_ends_with_1(tmp_path: Path, full: Any) -> None:
    server = Server(tmp_path / "data")
    done = subprocess.run(
        [IDP, "setup"], env=server.environment, cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert b"could not be printed" in done.stderr


def test_greeting_comes_when_the_server_answers(set_up: Server) -> None:
    launch(set_up, subprocess.PIPE)
    assert set_up.process is not None
    assert set_up.process.stdout is not None
    line = set_up.process.stdout.readline()
    assert line.startswith("Realmgate is running at ")
    assert send(f"{set_up.issuer()}/.well-known/openid-configuration").status == 200, "at once, without a second try"
    assert end(set_up)[0] == 0


def test_service_manager_is_told_when_the_server_answers_and_when_it_ends(set_up: Server, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        launch(set_up, subprocess.DEVNULL, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert "READY=1" in manager.recv(1_000).decode().split("\n")
        assert send(f"{set_up.issuer()}/.well-known/openid-configuration").status == 200
        assert end(set_up)[0] == 0
        assert "STOPPING=1" in manager.recv(1_000).decode().split("\n")


def test_start_whose_workers_cannot_begin_ends_with_an_error(set_up: Server, tmp_path: Path) -> None:
    """What the first process can do, and its workers cannot: here the limit of files is used up."""
    launch_limited = ["/bin/sh", "-c", f"ulimit -n 12; exec {IDP} serve"]
    done = subprocess.run(
        launch_limited, env=set_up.environment, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode != 0


def test_server_outlives_workers_that_are_killed_again_and_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings={"IDP_WORKERS": "2"})
    server.start()
    wait_until(lambda: "Realmgate is running" in "".join(server.output), "the greeting")
    assert server.process is not None
    first = psutil.Process(server.process.pid)

    def others_are_at_work(killed: set[int]) -> bool:
        workers = {each.pid for each in first.children()}
        try:
            return len(workers - killed) == 2 and send(f"{server.issuer()}/protocol/openid-connect/certs").status == 200
        except OSError:
            return False

    for _ in range(3):
        killed = {each.pid for each in first.children()}
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda killed=killed: others_are_at_work(killed), "two other workers")  # type: ignore[misc]
    assert server.process.poll() is None
    server.stop()
    assert "a worker has ended after" in "".join(server.output)
