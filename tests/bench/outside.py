"""The hot answers as a proxy in front sees them: one worker with its defaults on one core, sixteen connections from the other.

What counts is the processor time of the whole server, all its processes, for each answer; beside it one bare signature, made on the
same core in the same rounds, since the speed of a shared machine changes.
"""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.load import get, post, put_under_load
from tests.bench.serving import Measured, cpu_seconds, set_up, signature_seconds

CONNECTIONS = 16
TOKEN = "/auth/realms/acme/protocol/openid-connect/token"
_CHECK = "/gateway/check/acme/telemetry?method=GET&uri=/api/v1/query?query=up"

GOALS = {
    "access ES256": 150,
    "introspection ES256": 150,
    "introspection RS256": 150,
    "gateway check, bearer token": 130,
    "gateway check, API key": 130,
    "/v1/auth/exchange": 180,
}
"""Microseconds of the processor that an answer may take."""

ACCESS_OVER_SIGNATURE = 1.25
"""How many times one RS256 signature an RS256 access token may take."""

RATE_OF_SIGNATURES = 0.75
"""Part of the rate of two RS256 signatures alone that access and ID token together must reach."""

P99_OVER_P50 = 3.0


@dataclass(frozen=True)
class Subject:
    """A server under measurement."""

    port: int
    process: int
    requests: Mapping[str, bytes]

    @property
    def processes(self) -> list[psutil.Process]:
        """Return all processes of the server."""
        first = psutil.Process(self.process)
        return [first, *first.children(recursive=True)]


def bench_outside(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure each hot answer, and the bare signatures, in turn."""
    server = set_up(folder, IDP_TRUSTED_PROXIES="127.0.0.1")  # the gateway answers nobody else
    subject = start_ours(server)
    try:
        result = measure_in_turn({"": subject}, rounds, seconds)
    finally:
        server.stop()
    return _with_ratios(result[""])


def start_ours(server: Measured) -> Subject:
    """Start a server that was set up, and return what is asked of it."""
    made = {
        algorithm: server.create_application(f"outside-{algorithm.lower()}", "--algorithm", algorithm, "--role", "viewer")
        for algorithm in ("ES256", "RS256")
    }
    key = json.loads(server.idp("api-keys", "create", "--realm", "acme", "outside-es256", "k", "--json"))["api_key"]
    server.start()
    requests: dict[str, bytes] = {}
    for algorithm, application in made.items():
        secret = f"client_id={application['client_id']}&client_secret={application['client_secret']}"
        form = f"grant_type=client_credentials&{secret}"
        access = server.token(application).json["access_token"]
        requests[f"access {algorithm}"] = post(TOKEN, form.encode())
        requests[f"id+access {algorithm}"] = post(TOKEN, f"{form}&scope=openid".encode())
        requests[f"introspection {algorithm}"] = post(f"{TOKEN}/introspect", f"{secret}&token={access}".encode())
        if algorithm == "ES256":
            requests["gateway check, bearer token"] = get(_CHECK, f"Authorization: Bearer {access}")
    requests["gateway check, API key"] = get(_CHECK, f"apiKey: {key}")
    requests["/v1/auth/exchange"] = post("/v1/auth/exchange", b"", f"apiKey: {key}\r\n")
    assert server.process is not None
    return Subject(server.port, server.process.pid, requests)


def measure_in_turn(subjects: Mapping[str, Subject], rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Return the medians of each request to each server, and of one bare signature of each algorithm."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {request: [] for request in subject.requests} for name, subject in subjects.items()
    }
    signatures: dict[str, list[float]] = {"ES256": [], "RS256": []}
    for _ in range(rounds):
        for name, subject in subjects.items():
            for request, rows in found[name].items():
                rows.append(_observe(subject, subject.requests[request], seconds))
        for algorithm, times in signatures.items():
            times.append(signature_seconds(algorithm) * 1e6)
    alone = {algorithm: round(statistics.median(times), 1) for algorithm, times in signatures.items()}
    return {
        name: {
            "answers": {
                request: {figure: round(statistics.median(row[figure] for row in rows), 2) for figure in rows[0]}
                for request, rows in requests.items()
            },
            "signature_microseconds": alone,
        }
        for name, requests in found.items()
    }


def _observe(subject: Subject, request: bytes, seconds: float) -> dict[str, float]:
    put_under_load(subject.port, request, seconds=0.3, connections=CONNECTIONS, least=1)
    before = cpu_seconds(subject.processes)
    load = put_under_load(subject.port, request, seconds=seconds, connections=CONNECTIONS, least=4 * CONNECTIONS)
    spent = cpu_seconds(subject.processes) - before
    latencies = sorted(load.latencies)
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    return {
        "microseconds": spent / load.requests * 1e6,
        "per_second": load.requests / load.seconds,
        "p50_ms": p50 * 1e3,
        "p99_ms": p99 * 1e3,
        "p99_over_p50": p99 / p50,
    }


def _with_ratios(result: dict[str, Any]) -> dict[str, Any]:
    answers, alone = result["answers"], result["signature_microseconds"]["RS256"]
    return result | {
        "access_rs256_over_signature": round(answers["access RS256"]["microseconds"] / alone, 2),
        "id_access_rs256_rate_over_two_signatures": round(2 * alone / answers["id+access RS256"]["microseconds"], 2),
    }


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the figures for people."""
    outside = result["outside"]
    lines: list[tuple[str, object, str]] = []
    for name, each in outside["answers"].items():
        goal = f"at most {GOALS[name]}" if name in GOALS else ""
        lines.append((f"16 connections: {name}, us", each["microseconds"], goal))
        lines.append(("  p99 over p50", f"{each['p99_over_p50']} ({each['p99_ms']} ms)", f"at most {P99_OVER_P50:g}"))
    alone = outside["signature_microseconds"]
    lines += [(f"one {name} signature alone, us", each, "") for name, each in alone.items()]
    lines.append(("access RS256 over its signature", outside["access_rs256_over_signature"], f"at most {ACCESS_OVER_SIGNATURE}"))
    lines.append(
        (
            "id+access RS256: rate over that of two signatures",
            outside["id_access_rs256_rate_over_two_signatures"],
            f"at least {RATE_OF_SIGNATURES}",
        )
    )
    return lines
