"""Hot requests share one thread: a slow database stops those only that need it, and everything is answered in the end."""

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.serving import PATIENCE, Answer, Server, send, wait_until

COLD = 12


@contextlib.contextmanager
def reads_that_wait(url: str) -> Iterator[None]:
    """Have whoever reads applications wait, inside the block."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE application IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def count_waiting(url: str) -> int:
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        found = connection.execute(query).fetchone()
    return found[0] if found is not None else 0


@pytest.fixture
def applications(tmp_path: Path, database_url: str) -> Iterator[tuple[Server, list[dict[str, str]]]]:
    """A server of one worker that has just started, and a few applications, of which it knows only the first."""
    settings = {"IDP_DATABASE_URL": database_url, "IDP_ACCESS_LOG": "1", "IDP_THREADS": "32", "IDP_DATABASE_CONNECTIONS": "32"}
    server = Server(tmp_path / "served", settings=settings)
    server.idp("setup")
    made = [server.create_application(f"lane-{number}") for number in range(COLD + 1)]
    server.start()
    assert server.token(made[0]).status == 200
    yield server, made
    server.stop()


def ask_for_tokens(pool: ThreadPoolExecutor, server: Server, cold: list[dict[str, str]], url: str) -> list[Future[Answer]]:
    """Have applications ask that the worker must read first, and return when all of them wait for the database."""
    asked = [pool.submit(server.token, each) for each in cold]
    wait_until(lambda: count_waiting(url) >= len(cold), "the requests to wait for the database")
    return asked


def test_slow_database_does_not_stop_what_is_answered_from_memory(applications: Any, database_url: str) -> None:
    server, (warm, *cold) = applications
    with ThreadPoolExecutor(COLD) as pool:
        with reads_that_wait(database_url):
            asked = ask_for_tokens(pool, server, cold[:-1], database_url)
            assert {server.token(warm).status for _ in range(50)} == {200}
            # whoever goes away while it waits does no harm
            form = f"grant_type=client_credentials&client_id={cold[-1]['client_id']}&client_secret={cold[-1]['client_secret']}"
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as gone:
                head = "POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\n"
                kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
                gone.sendall(f"{head}{kind}{form}".encode())
                wait_until(lambda: count_waiting(database_url) == COLD, "the last one to wait")
            assert server.token(warm).status == 200
            assert not any(each.done() for each in asked)
        assert {each.result().status for each in asked} == {200}
    assert server.token(warm).status == 200
    ready = send(f"{server.url}/health/ready")
    assert (ready.status, ready.json["checks"]["threads"]) == (200, "UP")
    server.stop()
    lines = [json.loads(line) for line in server.output if line.startswith("{")]
    answered = [line for line in lines if line.get("path") == "/auth/realms/acme/protocol/openid-connect/token"]
    assert len(answered) == 1 + 50 + 1 + COLD + 1, "each request has its line in the access log"
    assert "unexpected" not in "".join(server.output)


def test_stop_waits_for_the_answers_in_hand(applications: Any, database_url: str) -> None:
    server, (_, *cold) = applications
    with ThreadPoolExecutor(COLD) as pool:
        with reads_that_wait(database_url):
            asked = ask_for_tokens(pool, server, cold, database_url)
            server.process.terminate()

            def is_closed() -> bool:
                try:
                    with socket.create_connection(("127.0.0.1", server.port), PATIENCE):
                        return False
                except OSError:
                    return True

            wait_until(is_closed, "the end of listening")
            assert not any(each.done() for each in asked)
        answers = [each.result() for each in asked]
    assert [each.status for each in answers] == [200] * COLD
    assert server.process.wait(PATIENCE) == 0
    events = json.loads(server.idp("audit", "list", "--realm", "acme", "--tag", "client:token:issue", "--json"))
    assert len(events) == COLD + 1


def test_requests_of_one_connection_are_answered_in_their_order(applications: Any) -> None:
    server, (warm, *_) = applications
    form = f"grant_type=client_credentials&client_id={warm['client_id']}&client_secret={warm['client_secret']}"
    token = (
        "POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        # one that shares the thread, one that does not, and so on: all sent before the first is answered
        other = "GET /auth/realms/acme/.well-known/openid-configuration HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"{token}\r\n{form}{other}\r\n{token}\r\n{form}{other}Connection: close\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    bodies = [part.partition("\r\n\r\n")[2] for part in text.split("HTTP/1.1 200 OK")[1:]]
    assert ["access_token" in json.loads(body) for body in bodies] == [True, False, True, False]
