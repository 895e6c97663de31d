"""What a lease costs beside a token, what a page of many keysets costs, and what replacing the master key does to others."""

import json
import statistics
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from idp import access, applications, clock, keysets, realms
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.keysets import Keyset, KeysetKey, KeysetSheet, KeysetVersion
from idp.keysets.sealing import seal_values
from idp.settings import Settings
from tests.bench.load import post, put_under_load
from tests.bench.serving import Measured, cpu_seconds, set_up
from tests.factories import Factory, session_of
from tests.serving import IDP, PROJECT

VALUES = [("pub", "AKIAIOSFODNN7EXAMPLE"), ("pvt", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")]


def bench_leases(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Compare the processor time of a lease to that of a token, in turn."""
    server = _lending(folder)
    requests = _requests(server)
    costs: dict[str, list[float]] = {name: [] for name in requests}
    for number in range(rounds):
        for name in list(requests) if number % 2 else list(requests)[::-1]:
            put_under_load(server.port, requests[name], seconds=0.3)
            before = cpu_seconds(server.workers)
            load = put_under_load(server.port, requests[name], seconds=seconds)
            costs[name].append((cpu_seconds(server.workers) - before) / load.requests * 1e6)
    server.stop()
    pairs = zip(costs["lease"], costs["id+access RS256"], strict=True)
    access_only = zip(costs["lease"], costs["access RS256"], strict=True)
    return {
        "us": {name: round(statistics.median(each)) for name, each in costs.items()},
        "lease_over_token": round(statistics.median(a / b for a, b in pairs), 2),
        "lease_over_access_token_alone": round(statistics.median(a / b for a, b in access_only), 2),
    }


def bench_keysets(folder: Path, rounds: int, count: int) -> dict[str, Any]:
    """Return milliseconds of server time of pages of many keysets, and what sealing them all anew does to leases meanwhile."""
    from tests.bench.__main__ import settings_of

    server = _lending(folder, start=False)
    settings = settings_of(server).model_copy(update={"rate_api": 0})
    add_keysets(settings, count)
    result: dict[str, Any] = {"keysets": count, "pages_ms": _pages(settings, rounds, count)}
    server.start()
    request = _requests(server)["lease"]
    put_under_load(server.port, request, seconds=0.5)
    alone = put_under_load(server.port, request, seconds=5)
    beside: list[Any] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            beside.append(put_under_load(server.port, request, seconds=1))

    thread = threading.Thread(target=load)
    thread.start()
    started = time.perf_counter()
    command = [IDP, "master-key", "rotate", "--json"]
    output = subprocess.run(command, env=server.environment, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    result["rotation_seconds"] = round(time.perf_counter() - started, 1)
    done.set()
    thread.join()
    server.stop()
    assert json.loads(output)["sealed_anew"] >= count
    during = [each for load in beside for each in load.latencies]
    return result | {
        "lease_p99_ms_alone": _p99(alone.latencies),
        "lease_p99_ms_during_the_rotation": _p99(during),
        "longest_lease_ms_during_the_rotation": round(max(during) * 1e3, 1),
    }


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the figures for people."""
    pages = result["keysets"]["pages_ms"]
    return [
        ("a lease over id+access RS256, processor time", result["leases"]["lease_over_token"], "at most 2"),
        (f"{result['keysets']['keysets']} keysets: first, middle and last page, ms", tuple(pages.values()), "constant"),
        ("their master key replaced, s", result["keysets"]["rotation_seconds"], ""),
        ("longest lease meanwhile, ms", result["keysets"]["longest_lease_ms_during_the_rotation"], "no pause"),
    ]


def add_keysets(settings: Settings, count: int) -> None:
    """Add keysets `seed 0`, `seed 1`, …, each sealed as the server seals them, to realm acme."""
    app = create_app(settings)
    with app.app_context():
        realm = realms.get_realm("acme")
        now = clock.now()
        first = (db.session.query(Keyset.id).order_by(Keyset.id.desc()).limit(1).scalar() or 0) + 1
        for start in range(0, count, 5_000):
            sets, keys, versions = [], [], []
            for number in range(start, min(start + 5_000, count)):
                uid = str(uuid.uuid4())
                sealed_data_key, sealed = seal_values(realm.uid, uid, 1, VALUES)
                sets.append(
                    {
                        "id": first + number,
                        "uid": uid,
                        "created_at": now,
                        "updated_at": now,
                        "realm_id": realm.id,
                        "name": f"seed {number}",
                        "description": "",
                        "category": "provider",
                        "entity": "aws",
                        "is_default": False,
                        "max_lease_seconds": 3600,
                        "version": 1,
                        "sealed_data_key": sealed_data_key,
                    }
                )
                keys += [
                    {"keyset_id": first + number, "key_type": each, "fingerprint": "", "sealed_value": value}
                    for each, value in sealed
                ]
                versions.append({"keyset_id": first + number, "number": 1, "created_at": now, "created_by": "seed"})
            for table, values in ((Keyset, sets), (KeysetKey, keys), (KeysetVersion, versions)):
                db.session.execute(insert(table), values)
            commit()
    close_app(app)


def _pages(settings: Settings, rounds: int, count: int) -> dict[str, float]:
    """Return the time of the first page by name, of one in the middle, and of one at the end."""
    app = create_app(settings)
    Factory(app).user("root@example.test", roles=("administrator",))
    client = app.test_client()
    header = session_of(client, "root@example.test")
    places, token = {"first": ""}, ""
    for number in range(1, count // 500):
        token = client.get(f"/v1/keysets?limit=500&continue={token}", headers=header).json["listmeta"]["continue"]
        if number == count // 1000:
            places["middle"] = token
    places["last"] = token
    times: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(rounds * 3 + 1):
        for name, place in places.items():
            started = time.perf_counter()
            answer = client.get(f"/v1/keysets?limit=50&continue={place}", headers=header)
            times[name].append((time.perf_counter() - started) * 1e3)
            assert len(answer.json["items"]) == 50, answer.text
    close_app(app)
    return {name: round(statistics.median(each[1:]), 1) for name, each in times.items()}


def _lending(folder: Path, *, start: bool = True) -> Measured:
    """Set up a server with an application that may be lent a keyset, without limits of rates."""
    from tests.bench.__main__ import settings_of

    server = set_up(folder, IDP_LEASES_PER_APPLICATION="100000", IDP_RATE_API="0")
    app = create_app(settings_of(server))
    with app.app_context():
        realm = realms.get_realm("acme")
        access.create_role(realm, "lender", access.RoleSheet(permissions=[keysets.LEASE]))
        keysets.create_keyset(realm, "provider", "aws", KeysetSheet(name="prod aws", projects=["vision"]), VALUES)
        for algorithm in ("RS256", "ES256"):
            made = applications.create_application(
                realm, f"bench-{algorithm.lower()}", applications.ApplicationSheet(signing_algorithm=algorithm)
            )
            access.grant_role(realm, applications.holder_of(made), "lender", project="vision")
        commit()
    close_app(app)
    if start:
        server.start()
    return server


def _requests(server: Measured) -> dict[str, bytes]:
    from tests.bench.__main__ import token_request

    found = {}
    for algorithm in ("RS256", "ES256"):
        name = f"bench-{algorithm.lower()}"
        made = json.loads(
            server.idp("applications", "secrets", "add", "--realm", "acme", "--json", name, f"s{uuid.uuid4().hex[:6]}")
        )
        secret = made["client_secret"]
        found[f"id+access {algorithm}"] = token_request(name, secret)
        found[f"access {algorithm}"] = token_request(name, secret, scope="")
        token = server.token({"client_id": name, "client_secret": secret}).json["access_token"]
    body = json.dumps({"spec": {"keyset": "prod aws", "reason": "bench", "seconds": 1}}).encode()
    head = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    found["lease"] = post("/v1/leases", body, head).replace(b"Content-Type: application/x-www-form-urlencoded\r\n", b"", 1)
    return found


def _p99(latencies: list[float]) -> float:
    return round(sorted(latencies)[int(len(latencies) * 0.99)] * 1e3, 1)
