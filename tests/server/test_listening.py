"""One socket listens for all workers: nobody is refused while one is replaced, and everybody is once the server ends."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.serving import Server, send, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, settings={"IDP_WORKERS": "1"}).start()
    yield server
    server.kill()


def test_who_comes_while_no_worker_is_left_waits_for_the_next_one(server: Server) -> None:
    assert server.process is not None
    (worker,) = psutil.Process(server.process.pid).children()
    worker.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(send, f"{server.issuer()}/.well-known/openid-configuration") for _ in range(8)]
        worker.kill()
        worker.wait()
        answers += [callers.submit(send, f"{server.issuer()}/.well-known/openid-configuration") for _ in range(8)]
        assert {answer.result().status for answer in answers} == {200}


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
