"""Bodies that do not come, requests that take long, and threads that must not die, over real connections."""

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PATIENCE, Answer, Server, send, wait_until

HALF = b"POST /v1/auth/authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one worker that gives a body one second."""
    settings = {"IDP_BODY_TIMEOUT": "1", "IDP_MANAGEMENT_PORT": "-1"}
    server = Server(tmp_path_factory.mktemp("quick"), settings=settings)
    server.start()
    yield server
    server.stop()


def worker_of(server: Server) -> int:
    """Return the process id of the only worker."""
    assert server.process is not None
    return int(Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[-1])


def descriptors(server: Server) -> int:
    return sum(1 for _ in Path(f"/proc/{worker_of(server)}/fd").iterdir())


def held(server: Server, connections: list[socket.socket]) -> int:
    """Return how many of these connections the worker has open, whatever else it opens meanwhile."""
    ours = {f"{connection.getsockname()[1]:04X}" for connection in connections}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {
        f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{server.port:04X}") and line[2].rpartition(":")[2] in ours
    }
    return len(inodes & {_link(each) for each in Path(f"/proc/{worker_of(server)}/fd").iterdir()})


def _link(descriptor: Path) -> str:
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return str(descriptor.readlink())
    return ""


def begin(server: Server) -> socket.socket:
    """Return a connection over which half of a request was sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    connection.sendall(HALF)
    return connection


def read_to_the_end(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.spec("T28")
def test_late_body_is_answered_408_and_its_connection_ended(quick: Server) -> None:
    with begin(quick) as connection:
        answer = read_to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive in time" in answer


@pytest.mark.spec("T28")
def test_body_that_comes_drop_by_drop_is_late_too(quick: Server) -> None:
    with begin(quick) as connection:
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.2):
                    connection.send(b" ", socket.MSG_NOSIGNAL)

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = read_to_the_end(connection)
        over.set()
        dripping.join()
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.spec("T28")
def test_descriptors_stay_flat_over_a_thousand_late_bodies(quick: Server) -> None:
    for connection in [begin(quick) for _ in range(10)]:
        with connection:
            read_to_the_end(connection)
    before = wait_until(lambda: descriptors(quick), "a first count")
    for _ in range(5):
        waiting = [begin(quick) for _ in range(200)]
        for connection in waiting:
            with connection:
                assert read_to_the_end(connection).startswith(b"HTTP/1.1 408 ")
    wait_until(lambda: descriptors(quick) <= before + 5, f"the descriptors to go back to {before}")
    assert send(f"{quick.url}/health/ready").status == 200


@pytest.mark.spec("T28")
def test_client_that_takes_no_answer_is_cut_off(quick: Server) -> None:
    with contextlib.ExitStack() as stuck:
        connections = [stuck.enter_context(socket.socket()) for _ in range(5)]
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", quick.port))
            connection.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 6 + HALF)
        wait_until(lambda: held(quick, connections) == 5, "the connections")
        wait_until(lambda: not held(quick, connections), "the end of the connections")


def test_many_bodies_that_are_waited_for_take_nobody_s_place(own_server: Server) -> None:
    own_server.settings |= {"IDP_BODY_TIMEOUT": "300", "IDP_THREADS": "2"}
    own_server.start()
    with contextlib.ExitStack() as waiting:
        for _ in range(100):
            waiting.enter_context(begin(own_server))
        assert send(f"{own_server.issuer()}/.well-known/openid-configuration").status == 200
        assert send(f"{own_server.url}/v1/users").status == 401


@contextlib.contextmanager
def locked(server: Server) -> Iterator[None]:
    """Keep the database locked for writers inside the block."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "realmgate.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@pytest.mark.spec("T28")
def test_request_that_waits_for_the_database_is_not_taken_for_a_late_body(quick: Server) -> None:
    bodies = b'{"emailId": "nobody@example.test", "password": "wrong wrong", "org": "acme"}'
    answers: list[int] = []

    def sign_in() -> None:
        url = f"{quick.url}/v1/auth/authenticate"
        answers.append(send(url, bodies, {"Content-Type": "application/json"}).status)

    def look() -> None:
        answers.append(send(f"{quick.issuer()}/.well-known/openid-configuration").status)

    with locked(quick):
        # they wait for the lock, and for a place, for longer than a body may take, while others of this address are cut off
        innocent = [threading.Thread(target=sign_in) for _ in range(3)] + [threading.Thread(target=look) for _ in range(5)]
        for thread in innocent:
            thread.start()
        for connection in [begin(quick) for _ in range(30)]:
            with connection:
                assert read_to_the_end(connection).startswith(b"HTTP/1.1 408 ")
    for thread in innocent:
        thread.join()
    assert len(answers) == 8, "each of them was answered, and no connection was cut"
    assert answers.count(200) == 5
    assert set(answers) <= {200, 401, 503}


def test_when_all_places_are_taken_the_next_one_is_told_to_come_back(own_server: Server) -> None:
    own_server.settings |= {"IDP_THREADS": "1", "IDP_PASSWORD_HASHERS": "1"}
    own_server.start()
    body = b'{"emailId": "nobody@example.test", "password": "wrong wrong", "org": "acme"}'
    answers: dict[str, Answer] = {}

    def sign_in() -> None:
        send(f"{own_server.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"})

    def ask(path: str) -> None:
        answers[path] = send(f"{own_server.url}{path}")

    def are_refused() -> bool:
        """Ask while the only place is taken, as far as one can see from here, and tell whether it was."""
        waiting = threading.Thread(target=sign_in)
        waiting.start()
        threads = [
            threading.Thread(target=ask, args=(path,)) for path in ("/v1/users", "/console/sign-in", "/gateway/check/acme/x")
        ]
        wait_until(lambda: send_quickly(own_server), "the only place to be taken")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert send(f"{own_server.url}/health/live").status == 200, "health takes no place"
        waiting.join()
        return all(answer.status == 503 for answer in answers.values())

    # whatever comes meanwhile is refused by its own edge, in its own form
    with locked(own_server):
        wait_until(are_refused, "the refusal of all three")
    assert all(answer.headers["Retry-After"] for answer in answers.values())
    assert answers["/v1/users"].json["code"] == "Unavailable"
    assert b"<html" in answers["/console/sign-in"].body


def send_quickly(server: Server) -> bool:
    """Tell whether the only place is taken: a simple page is not answered within the time that it takes otherwise."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
        connection.sendall(b"GET /docs/life-cycle HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return not connection.recv(1)
        except TimeoutError:
            return True


def test_worker_may_open_as_many_files_as_the_system_allows(quick: Server) -> None:
    limits = Path(f"/proc/{worker_of(quick)}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert int(soft) >= min(int(hard), 65_536)


def test_late_bodies_are_counted(quick: Server) -> None:
    with begin(quick) as connection:
        read_to_the_end(connection)
    port = (quick.port + 1000) % 65_536

    def counted() -> bool:
        metrics = send(f"http://127.0.0.1:{port}/metrics").body.decode()
        assert "realmgate_background_threads_dead 0.0" in metrics
        return any(
            line.startswith("realmgate_late_bodies_total ") and float(line.split()[1]) > 0 for line in metrics.splitlines()
        )

    wait_until(counted, "the count of late bodies")
