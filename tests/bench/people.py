"""What keys, the gateway and sign-ins cost, beside a token and a bare route measured in the same rounds."""

import json
import os
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench import seed
from tests.bench.load import get, post, put_under_load
from tests.bench.serving import LOAD_CORE, SERVER_CORE, Measured, bare_flask, cpu_seconds, pin, set_up
from tests.factories import PASSWORD

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
API_KEY = "urn:realmgate:params:oauth:token-type:api-key"
TOKEN = "/auth/realms/acme/protocol/openid-connect/token"


def cost(server: Any, port: int, request: bytes, seconds: float) -> float:
    """Return the processor time of one answer, in microseconds."""
    put_under_load(port, request, seconds=0.3)
    before = cpu_seconds(server)
    load = put_under_load(port, request, seconds=seconds)
    return (cpu_seconds(server) - before) / load.requests * 1e6


def bench_keys(folder: Path, rounds: int, seconds: float, count_keys: int) -> dict[str, Any]:
    """Compare exchange and gateway with a token of one signature, and a realm of few keys with one of many."""
    from tests.bench.__main__ import settings_of

    servers = {}
    for name in ("few", "many"):
        server = set_up(folder / name, IDP_TRUSTED_PROXIES="127.0.0.1")
        bot = server.create_application("bench", "--algorithm", "ES256", "--role", "viewer")
        key = json.loads(server.idp("api-keys", "create", "--realm", "acme", "bench", "k", "--json"))["api_key"]
        servers[name] = (server, bot, key)
    seed.add_keys(settings_of(servers["many"][0]), "acme", "bench", count_keys)
    requests: dict[str, dict[str, bytes]] = {}
    for name, (server, bot, key) in servers.items():
        server.start()
        secret = f"client_id=bench&client_secret={bot['client_secret']}"
        access = server.token(bot).json["access_token"]
        check = "/gateway/check/acme/telemetry?method=GET&uri=/api/v1/query?query=up"
        requests[name] = {
            "client credentials, one signature": post(TOKEN, f"grant_type=client_credentials&{secret}".encode()),
            "key exchange, token endpoint": post(
                TOKEN, f"grant_type={GRANT}&subject_token={key}&subject_token_type={API_KEY}".encode()
            ),
            "key exchange, /v1/auth/exchange": post("/v1/auth/exchange", b"", f"apiKey: {key}\r\n"),
            "introspection": post(f"{TOKEN}/introspect", f"{secret}&token={access}".encode()),
            "gateway check, bearer token": get(check, f"Authorization: Bearer {access}"),
            "gateway check, API key": get(check, f"apiKey: {key}"),
        }
    measured: dict[str, list[float]] = {name: [] for name in (*requests["few"], "bare Flask route", "exchange among many keys")}
    with bare_flask(32) as (bare_port, bare_processes):
        for _ in range(rounds):
            few, many = servers["few"][0], servers["many"][0]
            for name, request in requests["few"].items():
                measured[name].append(cost(few.workers, few.port, request, seconds))
            exchange = requests["many"]["key exchange, token endpoint"]
            measured["exchange among many keys"].append(cost(many.workers, many.port, exchange, seconds))
            measured["bare Flask route"].append(cost(bare_processes, bare_port, post("/bare", b""), seconds))
    for server, _, _ in servers.values():
        server.stop()

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(measured[one], measured[other], strict=True)), 2)

    token = "client credentials, one signature"
    return {
        "microseconds": {name: round(statistics.median(times)) for name, times in measured.items()},
        "exchange_over_token": ratio("key exchange, token endpoint", token),
        "exchange_v1_over_token": ratio("key exchange, /v1/auth/exchange", token),
        "introspection_over_token": ratio("introspection", token),
        "gateway_bearer_over_bare_route": ratio("gateway check, bearer token", "bare Flask route"),
        "gateway_key_over_bare_route": ratio("gateway check, API key", "bare Flask route"),
        f"exchange_{count_keys}_over_few_keys": ratio("exchange among many keys", "key exchange, token endpoint"),
    }


def hash_seconds(rounds: int) -> float:
    """Return the processor time of one bare password hash, measured on the server's core."""
    from idp.users.passwords import HASHER

    pin(SERVER_CORE)
    stored = HASHER.hash(PASSWORD)
    started = time.process_time()
    for _ in range(rounds):
        HASHER.verify(stored, PASSWORD)
    spent = (time.process_time() - started) / rounds
    pin(LOAD_CORE)
    return spent


def with_person(folder: Path, **settings: str) -> tuple[Measured, bytes]:
    """Return a server, not started, in whose realm somebody can sign in, and the request by which they do."""
    from idp import realms, users
    from idp.app import close_app, create_app
    from idp.db import commit
    from idp.users.passwords import HASHER
    from tests.bench.__main__ import settings_of

    server = set_up(
        folder,
        IDP_SIGN_IN_LIMIT_ACCOUNT="1000000",
        IDP_SIGN_IN_LIMIT_ADDRESS="1000000",
        IDP_SIGN_IN_LIMIT_REALM="1000000",
        **settings,
    )
    app = create_app(settings_of(server))
    with app.app_context():
        users.create_user(realms.get_realm("acme"), "bench@example.test", password_hash=HASHER.hash(PASSWORD))
        commit()
    close_app(app)
    body = json.dumps({"emailId": "bench@example.test", "password": PASSWORD, "org": "acme"}).encode()
    head = "POST /v1/auth/authenticate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return server, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def bench_sign_ins(folder: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Return sign-ins a second beside what the hash alone would allow, in turn."""
    server, request = with_person(folder)
    server.start()
    rates, shares, hashes = [], [], []
    for _ in range(rounds):
        bare = hash_seconds(10)
        load = put_under_load(server.port, request, seconds=seconds, connections=4)
        rates.append(load.requests / load.seconds)
        shares.append(rates[-1] * bare)
        hashes.append(bare)
    server.stop()
    return {
        "per_second": round(statistics.median(rates), 1),
        "hash_alone_ms": round(statistics.median(hashes) * 1e3, 1),
        "share_of_what_the_hash_allows": round(statistics.median(shares), 2),
    }


def bench_crowd(folder: Path, crowd: int) -> dict[str, Any]:
    """Return how tokens fare while a crowd signs in at once, and what memory that takes."""
    server, request = with_person(folder)
    secret = server.create_application("beside", "--algorithm", "ES256")["client_secret"]
    server.start()
    form = post(TOKEN, f"grant_type=client_credentials&client_id=beside&client_secret={secret}".encode())
    put_under_load(server.port, form, seconds=0.5)
    pin_all()
    most: list[float] = []
    done = threading.Event()

    def watch(workers: list[psutil.Process]) -> None:
        while not done.wait(0.02):
            most.append(sum(each.memory_info().rss for each in workers) / 1e6)

    watcher = threading.Thread(target=watch, args=(server.workers,))
    watcher.start()
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(crowd)]
    for connection in connections:
        connection.sendall(request)
    load = put_under_load(server.port, form, seconds=3, connections=2)
    statuses: dict[str, int] = {}
    for connection in connections:
        connection.settimeout(30)
        status = connection.recv(65_536)[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
        connection.close()
    done.set()
    watcher.join()
    server.stop()
    latencies = sorted(load.latencies)
    return {
        "answers": statuses,
        "token_p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1e3, 1),
        "token_longest_ms": round(latencies[-1] * 1e3, 1),
        "tokens_per_second": round(load.requests / load.seconds),
        "most_megabytes": round(max(most), 1),
    }


def pin_all() -> None:
    """Let this process use every core."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def rows(result: dict[str, Any], count_keys: int) -> list[tuple[str, object, str]]:
    """Return the figures for people."""
    keys, sign_ins, crowd = result["keys"], result["sign_ins"], result["crowd"]
    return [
        *((f"{name}, us", value, "") for name, value in keys["microseconds"].items()),
        ("key exchange over a token of one signature", keys["exchange_over_token"], "at most 1.3"),
        ("the same at /v1/auth/exchange", keys["exchange_v1_over_token"], ""),
        ("gateway check of a bearer token over the bare route", keys["gateway_bearer_over_bare_route"], "at most 2"),
        ("gateway check of an API key over the bare route", keys["gateway_key_over_bare_route"], ""),
        (f"exchange among {count_keys} keys over few", keys[f"exchange_{count_keys}_over_few_keys"], "at most 1.1"),
        ("sign-ins a second", sign_ins["per_second"], ""),
        ("a hash alone, ms", sign_ins["hash_alone_ms"], ""),
        ("sign-ins over what the hash alone allows", sign_ins["share_of_what_the_hash_allows"], "at least 0.9"),
        ("1,000 sign-ins at once: p99 of tokens, ms", crowd["token_p99_ms"], "at most 500"),
        ("1,000 sign-ins at once: memory, MB", crowd["most_megabytes"], "at most 1,073"),
        ("1,000 sign-ins at once: answers", json.dumps(crowd["answers"]), ""),
    ]
