"""`make bench`: what a token costs, in one run, beside what it must cost at the least.

Each figure is the median of rounds in which everything is measured in turn, so that a machine that is slow for a while is
slow for all of it. Prints JSON on standard output and a table on standard error.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from idp.settings import Settings
from tests.bench import api, bound, federation, keysets, nodes, outside, pages, people, recall, recalled, seed, sign_in, start
from tests.bench.load import post, put_under_load
from tests.bench.serving import (
    LOAD_CORE,
    Measured,
    bare_flask,
    cpu_seconds,
    pin,
    set_up,
    signature_seconds,
)
from tests.serving import PROJECT, Server

KINDS = {
    "id+access RS256": ("RS256", "openid"),
    "access RS256": ("RS256", ""),
    "id+access ES256": ("ES256", "openid"),
    "access ES256": ("ES256", ""),
}


def say(text: str) -> None:
    """Tell the person who waits what is going on."""
    print(text, file=sys.stderr, flush=True)


def token_request(client_id: str, secret: str, scope: str = "openid", realm: str = "acme") -> bytes:
    """Return the published request as bytes."""
    form = f"grant_type=client_credentials&scope={scope}&response_type=id_token&client_id={client_id}&client_secret={secret}"
    return post(f"/auth/realms/{realm}/protocol/openid-connect/token", form.encode())


def settings_of(server: Server) -> Settings:
    """Return the settings of a server, to write to its database."""
    return Settings.load(data_dir=server.data_dir, port=server.port, realms_dir=PROJECT / "realms")


def measure(port: int, processes: list[Any], request: bytes, seconds: float) -> dict[str, float]:
    """Return processor time, rate and latency of one kind of request."""
    before = cpu_seconds(processes)
    load = put_under_load(port, request, seconds=seconds)
    spent = cpu_seconds(processes) - before
    latencies = sorted(load.latencies)
    return {
        "microseconds": spent / load.requests * 1e6,
        "per_second": load.requests / load.seconds,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}


def bench_tokens(folder: Path, threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure the four kinds of answer, the bare route and the bare signatures, in turn."""
    server = set_up(folder, IDP_THREADS=str(threads))
    secrets = {
        algorithm: server.create_application(
            f"bench-{algorithm.lower()}", "--algorithm", algorithm, "--role", "researcher", "--project", "vision"
        )["client_secret"]
        for algorithm in ("RS256", "ES256")
    }
    server.start()
    requests = {
        name: token_request(f"bench-{algorithm.lower()}", secrets[algorithm], scope) for name, (algorithm, scope) in KINDS.items()
    }
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in (*KINDS, "bare Flask route")}
    signatures: dict[str, list[float]] = {"RS256": [], "ES256": []}
    with bare_flask(threads) as (bare_port, bare_processes):
        for number in range(rounds):
            say(f"  round {number + 1} of {rounds} ...")
            for name, request in requests.items():
                put_under_load(server.port, request, seconds=0.3)
                measured[name].append(measure(server.port, server.workers, request, seconds))
            put_under_load(bare_port, post("/bare", b""), seconds=0.3)
            measured["bare Flask route"].append(measure(bare_port, bare_processes, post("/bare", b""), seconds))
            for algorithm, times in signatures.items():
                times.append(signature_seconds(algorithm))
    server.stop()
    figures: dict[str, Any] = {name: middle(each) for name, each in measured.items()}
    rates = [each["per_second"] * 2 * sign for each, sign in zip(measured["id+access RS256"], signatures["RS256"], strict=True)]
    pairs = zip(measured["id+access ES256"], measured["bare Flask route"], strict=True)
    return {
        "threads": threads,
        "requests": figures,
        "signature_microseconds": {name: round(statistics.median(times) * 1e6, 1) for name, times in signatures.items()},
        "rs256_rate_over_two_signatures": round(statistics.median(rates), 3),
        "es256_cpu_over_bare_route": round(statistics.median(a["microseconds"] / b["microseconds"] for a, b in pairs), 2),
    }


def bench_size(folder: Path, rounds: int, seconds: float, count_applications: int, count_realms: int) -> dict[str, Any]:
    """Compare a small server with a large one: warm cost in turn, and the first use of a cold application."""
    small, large = set_up(folder / "small"), set_up(folder / "large")
    say(f"  filling a database with {count_applications} applications and {count_realms} realms ...")
    seed.add_applications(settings_of(small), "acme", 10)
    seed.add_realms(settings_of(small), 1)
    seed.add_applications(settings_of(large), "acme", count_applications)
    seed.add_realms(settings_of(large), count_realms)
    costs: dict[str, list[float]] = {"applications": [], "realms": []}
    small.start()
    large.start()
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds} ...")
        for name, last, realm in (("applications", count_applications - 1, "acme"), ("realms", count_realms - 1, None)):
            spent = {}
            for server, index in ((small, 0), (large, last)):
                client, where = (f"seed-{index}", realm) if realm else ("seed-0", f"realm-{index}")
                request = token_request(client, seed.SECRET, realm=where or "acme")
                put_under_load(server.port, request, seconds=0.3)
                spent[server.port] = measure(server.port, server.workers, request, seconds)["microseconds"]
            costs[name].append(spent[large.port] / spent[small.port])
    cold = bench_cold(large, min(200, count_applications - 1))
    small.stop()
    large.stop()
    return {
        f"warm_cost_{count_applications}_over_10_applications": round(statistics.median(costs["applications"]), 3),
        f"warm_cost_{count_realms}_over_1_realms": round(statistics.median(costs["realms"]), 3),
        "cold_application_ms": cold,
    }


def bench_cold(server: Measured, count: int) -> dict[str, float]:
    """Return by how much the first use of an application takes longer than the second."""
    differences = []
    for index in range(count):
        application = {"client_id": f"seed-{index}", "client_secret": seed.SECRET}
        times = []
        for _ in range(2):
            started = time.perf_counter()
            assert server.token(application).status == 200
            times.append(time.perf_counter() - started)
        differences.append((times[0] - times[1]) * 1e3)
    return {"median": round(statistics.median(differences), 2), "p95": round(sorted(differences)[int(count * 0.95)], 2)}


def bench_refusal(folder: Path, rounds: int) -> dict[str, float]:
    """Return how long after its retirement was committed a secret was last accepted by any of two workers."""
    from idp import applications, realms
    from idp.app import close_app, create_app
    from idp.db import commit

    server = set_up(folder, IDP_WORKERS="2")
    server.start()
    app = create_app(settings_of(server))
    delays = []
    for number in range(rounds):
        made = server.create_application(f"retiring-{number}")
        assert all(server.token(made).status == 200 for _ in range(20))
        with app.app_context():
            realm = realms.get_realm("acme")
            applications.retire_secret(realm, applications.get_application(realm, made["client_id"]), "main")
            commit()
        committed = last = time.perf_counter()
        while time.perf_counter() < committed + 1.5:
            started = time.perf_counter()
            if server.token(made).status == 200:
                last = started
        delays.append(last - committed)
    close_app(app)
    server.stop()
    return {"seconds_at_the_most": round(max(delays), 3)}


def count_statements(folder: Path, tokens: int = 2_000) -> dict[str, float]:
    """Count the SQL statements of a worker while it issues tokens: per token, and those that ask for changes per second."""
    from sqlalchemy import event

    from idp.app import close_app, create_app
    from idp.db import db

    server = set_up(folder)
    seed.add_applications(settings_of(server), "acme", 1)
    app = create_app(settings_of(server))
    client = app.test_client()
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    form = {"grant_type": "client_credentials", "scope": "openid", "client_id": "seed-0", "client_secret": seed.SECRET}
    url = "/auth/realms/acme/protocol/openid-connect/token"
    assert client.post(url, data=form).status_code == 200
    statements.clear()
    started = time.perf_counter()
    for _ in range(tokens):
        client.post(url, data=form)
    seconds = time.perf_counter() - started
    asked = [each for each in statements if each == "PRAGMA data_version"]
    close_app(app)
    return {"per_token": (len(statements) - len(asked)) / tokens, "data_version_per_second": round(len(asked) / seconds, 1)}


def bench_slow_neighbours(folder: Path, threads: int) -> dict[str, float]:
    """Return the latency of tokens while other clients keep half of the threads waiting for their bodies."""
    import socket

    server = set_up(folder, IDP_THREADS=str(threads))
    secret = server.create_application("beside", "--algorithm", "ES256")["client_secret"]
    server.start()
    request = token_request("beside", secret)
    put_under_load(server.port, request, seconds=0.5)
    alone = measure(server.port, server.workers, request, 2)
    head = b"POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
    slow = []
    for _ in range(max(1, threads // 2 - 1)):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(head)
        slow.append(connection)
    beside = measure(server.port, server.workers, request, 2)
    for connection in slow:
        connection.close()
    server.stop()
    return {"alone_p99_ms": round(alone["p99_ms"], 2), "beside_slow_requests_p99_ms": round(beside["p99_ms"], 2)}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?"
    )
    return {"processor": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def lines_of(rows: list[tuple[str, object, str]]) -> str:
    """Return figures as lines, with what they should be."""
    return "\n".join(f"{name:52} {value!s:>16}   {goal}" for name, value, goal in rows)


def table(result: dict[str, Any]) -> str:
    """Return the result for people."""
    tokens, size = result["tokens"], result["size"]
    lines = [f"{'request':20} {'cpu us':>8} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8}"]
    for name, each in tokens["requests"].items():
        lines.append(
            f"{name:20} {each['microseconds']:8.0f} {each['per_second']:8.0f} {each['p50_ms']:8.2f} {each['p99_ms']:8.2f}"
        )
    rows: list[tuple[str, object, str]] = [
        ("two RS256 signatures alone, us", round(2 * tokens["signature_microseconds"]["RS256"]), ""),
        ("two ES256 signatures alone, us", round(2 * tokens["signature_microseconds"]["ES256"]), ""),
        ("id+access RS256: rate over that of two signatures", tokens["rs256_rate_over_two_signatures"], "at least 0.75"),
        ("id+access ES256: cpu over the bare route", tokens["es256_cpu_over_bare_route"], "at most 3, aim 2.5"),
        ("SQL statements per token", result["statements"]["per_token"], "0"),
        *((name.replace("_", " "), value, "at most 1.1") for name, value in size.items() if name.startswith("warm")),
        ("first use of a cold application, ms (median, p95)", tuple(size["cold_application_ms"].values()), "at most 3"),
        ("retired secret still accepted, s", result["refusal"]["seconds_at_the_most"], "at most 1"),
    ]
    rows += pages.rows(result)
    rows += start.rows(result)
    rows += api.rows(result)
    rows += people.rows(result, result["count_keys"])
    rows += sign_in.rows(result)
    rows += keysets.rows(result)
    rows += outside.rows(result)
    rows += recall.rows(result)
    rows += recalled.rows(result)
    rows += federation.rows(result)
    lines += ["", lines_of(rows), "", "threads in a worker:"]
    lines += [
        f"  {threads:>3}: id+access RS256 {each['rs256_us']:.0f} us, ES256 {each['es256_us']:.0f} us; "
        f"ES256 p99 alone {each.get('alone_p99_ms', '-')} ms, beside slow requests {each.get('beside_slow_requests_p99_ms', '-')} ms"
        for threads, each in result["threads"].items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the applications and realms, and fewer rounds")
    parser.add_argument(
        "--only",
        default="",
        help="some of: tokens,outside,statements,size,refusal,start,memory,keys,sign_ins,crowd,sign_in,pages,lists,operating,abuse,trail,leases,keysets,nodes,bound,federation,recall,recalled",
    )
    options = parser.parse_args()
    rounds, seconds = (2, 1.0) if options.quick else (5, 3.0)
    applications, realms_count = (10_000, 100) if options.quick else (100_000, 1_000)
    revocations = 100 if options.quick else 1_000
    pin(LOAD_CORE)
    result: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        steps: list[tuple[str, str, Callable[[], Any]]] = [
            ("tokens", "tokens", lambda: bench_tokens(folder / "tokens", 32, rounds, seconds)),
            ("outside", "sixteen connections", lambda: outside.bench_outside(folder / "outside", rounds, seconds / 2)),
            ("statements", "SQL statements", lambda: count_statements(folder / "statements")),
            ("size", "size", lambda: bench_size(folder / "size", rounds, seconds / 2, applications, realms_count)),
            ("refusal", "refusal of a retired secret", lambda: bench_refusal(folder / "refusal", 5)),
            ("start", "starts", lambda: start.bench_start(folder / "start", 3 * rounds)),
            ("memory", "memory of whole servers", lambda: start.bench_memory(folder / "memory", seconds)),
            ("keys", "keys and gateway", lambda: people.bench_keys(folder / "keys", rounds, seconds / 2, applications)),
            ("sign_ins", "sign-ins", lambda: people.bench_sign_ins(folder / "sign-ins", rounds, seconds)),
            ("crowd", "1,000 sign-ins at once", lambda: people.bench_crowd(folder / "crowd", 1_000)),
            (
                "sign_in",
                "sign-in to applications",
                lambda: sign_in.bench_sign_in(folder / "sign-in", rounds, seconds, applications * 10),
            ),
            ("lists", "lists of the API", lambda: api.bench_lists(folder / "lists", rounds, applications, realms_count)),
            ("operating", "limits and metrics", lambda: api.bench_operating(folder / "operating", rounds, seconds / 2)),
            ("abuse", "an abusive client", lambda: api.bench_abuse(folder / "abuse", rounds, seconds)),
            ("trail", "the audit trail", lambda: api.bench_trail(folder / "trail", applications * 10)),
            ("leases", "leases", lambda: keysets.bench_leases(folder / "leases", rounds, seconds / 2)),
            ("keysets", "many keysets", lambda: keysets.bench_keysets(folder / "keysets", rounds, applications)),
            ("bound", "bound tokens", lambda: bound.bench_bound(folder / "bound", 2 * rounds, 1_000)),
            ("federation", "trusted issuers", lambda: federation.bench_federation(folder / "federation", 2 * rounds, 200)),
            ("nodes", "nodes that share a PostgreSQL", lambda: nodes.bench_nodes(folder / "nodes", rounds, seconds)),
            ("recall", "recall", lambda: recall.bench_recall(folder / "recall")),
            ("recalled", "tokens that were taken back", lambda: recalled.bench_recalled(folder / "recalled", revocations)),
            ("pages", "pages of the console", lambda: pages.bench_pages(folder / "pages", rounds, applications)),
        ]
        if options.only:
            steps = [step for step in steps if step[0] in options.only.split(",")]
        for key, title, step in steps:
            say(f"Measuring {title} ...")
            result[key] = step()
        result["count_keys"] = applications
        if options.only:
            print(json.dumps(result, indent=2))
            if "outside" in result:
                say("\n" + lines_of(outside.rows(result)))
            if "recall" in result:
                say("\n" + lines_of(list(recall.rows(result))))
            if "recalled" in result:
                say("\n" + lines_of(list(recalled.rows(result))))
            if "federation" in result:
                say("\n" + lines_of(list(federation.rows(result))))
            return
        result["threads"] = {}
        for threads in (1, 4, 32):
            say(f"Measuring {threads} threads ...")
            few = bench_tokens(folder / f"threads-{threads}", threads, 2, seconds / 2)["requests"]
            # with one thread, one slow request holds up everything behind it: there is nothing to measure
            slow = bench_slow_neighbours(folder / f"slow-{threads}", threads) if threads > 1 else {}
            costs = {"rs256_us": few["id+access RS256"]["microseconds"], "es256_us": few["id+access ES256"]["microseconds"]}
            result["threads"][threads] = costs | slow
    print(json.dumps(result, indent=2))
    say("\n" + table(result))


if __name__ == "__main__":
    main()
