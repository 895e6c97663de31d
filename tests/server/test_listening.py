"""Sockets outlive workers: nobody is refused while the last one is replaced, and everybody is once the server ends."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import psutil
import pytest

from idp.server.listening import Listeners
from tests.serving import PATIENCE, Server, send, wait_until


@pytest.fixture(params=["1", "2"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(tmp_path, settings={"IDP_WORKERS": request.param}).start()
    yield server
    server.kill()


class Holder:
    """What Granian makes of an address: a socket of which it tells the number."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))

    def listen(self) -> None:
        """Listen, as a worker does with it."""
        self.socket.listen()

    def get_fd(self) -> int:
        """Return the number of another one for the same."""
        return self.socket.dup().detach()


def workers(server: Server) -> list[psutil.Process]:
    assert server.process is not None
    return psutil.Process(server.process.pid).children()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc here, so a worker that has stopped cannot be told")
@pytest.mark.parametrize("server", ["1"], indirect=True)
def test_who_comes_while_no_worker_is_left_waits_for_the_next_one(server: Server) -> None:
    (worker,) = workers(server)
    worker.send_signal(signal.SIGSTOP)
    wait_until(
        lambda: all(
            Path(f"/proc/{worker.pid}/task/{each.id}/stat").read_text().rpartition(")")[2].split()[0] == "T"
            for each in worker.threads()
        ),
        "the stop of all its threads",
    )
    url = f"{server.issuer()}/.well-known/openid-configuration"
    asked = f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode()
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE)) for _ in range(8)]
        for each in waiting:
            each.sendall(asked)
        worker.kill()
        worker.wait()
        callers = stack.enter_context(ThreadPoolExecutor(8))
        later = [callers.submit(send, url) for _ in range(8)]
        assert {each.makefile("rb").readline().split()[1] for each in waiting} == {b"200"}
        assert {answer.result().status for answer in later} == {200}


def test_callers_are_left_to_others_only_where_those_listen() -> None:
    listeners = Listeners(SimpleNamespace(build=Holder))
    holders = [listeners.take(place) for place in range(2)]
    holders[0].listen()
    listeners.leave_to([1], 0)
    assert listeners.take(0) is holders[0], "the other has only just begun"
    holders[1].listen()
    listeners.leave_to([1], 0)
    holders.append(listeners.take(0))
    assert holders[2] is not holders[0]
    holders[2].listen()
    listeners.refuse(0)
    listeners.refuse(0)
    holders.append(listeners.take(0))
    assert holders[3] is not holders[2], "nobody has answered for long"
    listeners.close_all()
    for each in holders:
        each.socket.close()


def test_who_comes_after_the_end_has_begun_is_refused_and_not_left_waiting(server: Server) -> None:
    """A proxy then tries another node at once."""
    assert server.process is not None

    def refuses() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", server.port)):
                return False
        except ConnectionRefusedError:
            return True

    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        wait_until(lambda: send(f"{server.url}/health/live").status == 200, "an answer")
        server.process.terminate()
        wait_until(refuses, "the end of listening")
        assert server.process.poll() is None, "it waits for what is in hand"
