"""What the API costs in a large server, what limits and metrics cost each token, and what proving a long trail takes."""

import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from idp import clock, trail
from idp.app import close_app, create_app
from idp.audit import AuditEvent, Tag, event_values
from idp.db import commit, db
from tests.bench import seed
from tests.bench.load import put_under_load
from tests.bench.serving import LOAD_CORE, cpu_seconds, set_up
from tests.factories import Factory, session_of
from tests.serving import PROJECT

OPERATING = {"IDP_MANAGEMENT_PORT": "-1"}
BARE = {"IDP_MANAGEMENT_PORT": "0", "IDP_RATE_APPLICATION": "0", "IDP_RATE_REALM": "0", "IDP_RATE_FAILURES": "0"}
ABUSE_PER_SECOND, ABUSE_LIMIT = 500, 50


def bench_lists(folder: Path, rounds: int, count_applications: int, count_realms: int) -> dict[str, Any]:
    """Return milliseconds of server time of pages of the longest lists, and of making one more realm."""
    from tests.bench.__main__ import settings_of

    server = set_up(folder)
    settings = settings_of(server).model_copy(update={"rate_api": 0})
    seed.add_applications(settings, "acme", count_applications)
    seed.add_realms(settings, count_realms)
    app = create_app(settings)
    factory = Factory(app)
    factory.user("root@example.test", realm="master", roles=("administrator",))
    client = app.test_client()
    header = session_of(client, "root@example.test", org="master")
    acme = header | {"X-Organization-Id": "acme"}
    figures: dict[str, Any] = {}
    for name, url, shown in (
        ("applications by name", "/v1/applications?orderBy=name", acme),
        ("applications, newest first", "/v1/applications?orderBy=-creationTimestamp", acme),
        ("realms", "/v1/realms", header),
    ):
        figures[name] = _pages(client, url, shown, rounds)
    times = []
    for number in range(max(rounds, 3)):
        started = time.perf_counter()
        answer = client.post("/v1/realms", json={"metadata": {"name": f"one-more-{number}"}}, headers=header)
        times.append((time.perf_counter() - started) * 1e3)
        assert answer.status_code == 201, answer.text
    close_app(app)
    slowest = max(each for pages in figures.values() for each in pages.values())
    return {
        "applications": count_applications,
        "realms": count_realms,
        "pages_ms": figures,
        "slowest_page_ms": slowest,
        "one_more_realm_ms": round(statistics.median(times), 1),
    }


def _pages(client: Any, url: str, header: dict[str, str], rounds: int) -> dict[str, float]:
    """Return the time of the first page, one in the middle, and one far down."""
    wanted = {1: "first page", 5: "fifth page", 18: "eighteenth page"}
    times: dict[str, list[float]] = {name: [] for name in wanted.values()}
    for _ in range(rounds + 1):
        token = ""
        for number in range(1, max(wanted) + 1):
            query = f"&continue={token}" if token else ""
            started = time.perf_counter()
            answer = client.get(f"{url}{'&' if '?' in url else '?'}limit=50{query}", headers=header)
            spent = (time.perf_counter() - started) * 1e3
            assert answer.status_code == 200, answer.text
            if number in wanted:
                times[wanted[number]].append(spent)
            token = answer.json["listmeta"]["continue"]
            if not token:
                break
    return {name: round(statistics.median(each[1:]), 1) for name, each in times.items() if len(each) > 1}


def bench_operating(folder: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Compare the warm token path with limits and metrics to the same without them, in turn."""
    from tests.bench.__main__ import token_request

    servers = {name: set_up(folder / name, **settings) for name, settings in (("with", OPERATING), ("without", BARE))}
    requests = {}
    for name, server in servers.items():
        secret = server.create_application("bench", "--algorithm", "ES256", "--role", "researcher")["client_secret"]
        server.start()
        requests[name] = token_request("bench", secret)
    ratios, costs = [], {name: [] for name in servers}
    for number in range(rounds * 2):
        spent = {}
        for name in list(servers) if number % 2 else list(servers)[::-1]:
            server = servers[name]
            put_under_load(server.port, requests[name], seconds=0.3)
            before = cpu_seconds(server.workers)
            load = put_under_load(server.port, requests[name], seconds=seconds)
            spent[name] = (cpu_seconds(server.workers) - before) / load.requests * 1e6
            costs[name].append(spent[name])
        ratios.append(spent["with"] / spent["without"])
    for server in servers.values():
        server.stop()
    return {
        "with_us": round(statistics.median(costs["with"]), 1),
        "without_us": round(statistics.median(costs["without"]), 1),
        "with_over_without": round(statistics.median(ratios), 3),
    }


def bench_trail(folder: Path, count: int) -> dict[str, float]:
    """Return how long sealing and verifying a long trail takes."""
    from tests.bench.__main__ import settings_of

    settings = settings_of(set_up(folder))
    app = create_app(settings)
    with app.app_context():
        now = clock.now()
        for start in range(0, count, 20_000):
            rows = [
                event_values(
                    now + timedelta(milliseconds=number),
                    "acme",
                    Tag.TOKEN_ISSUE,
                    f"application:a{number % 500}",
                    f"token:{number:032x}",
                    "192.0.2.7",
                    "success",
                    method="client_secret",
                    secret="main",
                    id_token=True,
                )
                for number in range(start, min(start + 20_000, count))
            ]
            db.session.execute(insert(AuditEvent), rows)
        commit()
        started = time.perf_counter()
        while trail.seal_trail():
            pass
        sealed = time.perf_counter() - started
    close_app(app)
    app = create_app(settings)
    with app.app_context():
        started = time.perf_counter()
        report = trail.verify_trail("acme")
        verified = time.perf_counter() - started
        assert not report.problems
        assert report.entries >= count
        assert trail.count_unsealed() == 0
    close_app(app)
    return {
        "events": count,
        "seal_seconds": round(sealed, 1),
        "seal_us_per_event": round(sealed / count * 1e6, 1),
        "verify_seconds": round(verified, 1),
    }


_ABUSER = """
import socket, sys, time
port, request, rate, seconds = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
connection = socket.create_connection(("127.0.0.1", port))
connection.settimeout(5)
started, sent = time.perf_counter(), 0
while (now := time.perf_counter() - started) < seconds:
    if sent >= now * rate:
        time.sleep(0.0005)
        continue
    connection.sendall(request)
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        head += connection.recv(65536)
    body = head.partition(b"\\r\\n\\r\\n")[2]
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\\r\\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    sent += 1
"""


def bench_abuse(folder: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Return how far another client's p99 moves while one asks for ten times what it may."""
    from tests.bench.__main__ import measure, settings_of, token_request

    server = set_up(folder)
    honest = server.create_application("honest", "--algorithm", "ES256")["client_secret"]
    abusive = server.create_application("abusive", "--algorithm", "ES256")["client_secret"]
    app = create_app(settings_of(server))
    Factory(app).change(lambda realm, row: __import__("idp").set_application(realm, row, rate_per_second=ABUSE_LIMIT), "abusive")
    close_app(app)
    server.start()
    request, abuse = token_request("honest", honest), token_request("abusive", abusive)
    put_under_load(server.port, request, seconds=1)
    ratios: list[float] = []
    alone_ms, beside_ms = [], []
    for _ in range(rounds * 2):
        alone = measure(server.port, server.workers, request, seconds)
        arguments = [str(server.port), abuse.hex(), str(ABUSE_PER_SECOND), str(seconds + 2)]
        process = subprocess.Popen(["taskset", "-c", str(LOAD_CORE), sys.executable, "-c", _ABUSER, *arguments], cwd=PROJECT)
        time.sleep(1)
        beside = measure(server.port, server.workers, request, seconds)
        process.wait(seconds + 10)
        ratios.append(beside["p99_ms"] / alone["p99_ms"])
        alone_ms.append(alone["p99_ms"])
        beside_ms.append(beside["p99_ms"])
    server.stop()
    return {
        "alone_p99_ms": round(statistics.median(alone_ms), 2),
        "beside_abuse_p99_ms": round(statistics.median(beside_ms), 2),
        "beside_over_alone": round(statistics.median(ratios), 3),
        "abuse_per_second": ABUSE_PER_SECOND,
        "abuse_limit_per_second": ABUSE_LIMIT,
    }


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the figures of the table."""
    return [
        ("slowest page of a list, ms", result["lists"]["slowest_page_ms"], "at most 50"),
        ("one more realm beside the others, ms", result["lists"]["one_more_realm_ms"], "at most 1000"),
        ("token with limits and metrics over without", result["operating"]["with_over_without"], "at most 1.1"),
        ("p99 beside an abusive client over alone", result["abuse"]["beside_over_alone"], "at most 1.1"),
        ("verifying a million audit events, s", result["trail"]["verify_seconds"], "at most 60"),
    ]
