"""What a start costs, and what memory the server's processes take: the one that watches included."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.bench.load import post, put_under_load
from tests.bench.serving import Measured, cpu_seconds, proportional_megabytes
from tests.serving import free_port, send

WORKERS = (1, 2, 4)
"""Numbers of workers that are compared."""


def _tree(server: Measured) -> list[psutil.Process]:
    assert server.process is not None
    first = psutil.Process(server.process.pid)
    return [first, *first.children(recursive=True)]


def _new(folder: Path, **settings: str) -> Measured:
    """Return a server as it is by default, where it is installed: with its management port, modules compiled. Nothing is set up."""
    return Measured(folder, settings={"IDP_MANAGEMENT_PORT": str(free_port()), "PYTHONDONTWRITEBYTECODE": "", **settings})


def _wait_for(happens: Callable[[], bool], began: float) -> float:
    """Return the seconds from `began` until something happens."""
    while True:
        try:
            if happens():
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.005)


def _start(server: Measured, happens: Callable[[], bool]) -> tuple[float, float]:
    """Start a server on all cores; return wall and processor time of all its processes until something happens."""
    began = time.perf_counter()
    server.launch()
    _tree(server)[0].cpu_affinity(list(range(os.cpu_count() or 1)))
    seconds = _wait_for(happens, began)
    return seconds, cpu_seconds(_tree(server))


def bench_start(folder: Path, rounds: int) -> dict[str, float]:
    """Return what it takes from the command to the first answer: where nothing is there, and to a first token once all is.

    It is the least of the rounds that counts: whatever else the machine does adds to it.
    """
    ready = _new(folder / "ready")
    ready.idp("setup")
    application = ready.create_application("first")
    first, again = [], []
    for number in range(rounds):
        fresh = _new(folder / f"fresh-{number}")
        address = f"{fresh.issuer('master')}/.well-known/openid-configuration"
        first.append(_start(fresh, lambda address=address: send(address).status == 200))  # type: ignore[misc]
        fresh.stop()
        again.append(_start(ready, lambda: ready.token(application).status == 200))
        ready.stop()
    return {
        f"{name}_{what}_seconds": round(min(each[place] for each in measured), 2)
        for name, measured in (("first_start", first), ("start_to_token", again))
        for place, what in enumerate(("wall", "processor"))
    }


def bench_memory(folder: Path, seconds: float) -> dict[str, Any]:
    """Return proportional megabytes of whole servers, after tokens and after calls of the other kinds, too."""
    after_tokens: dict[int, float] = {}
    after_more: dict[int, float] = {}
    for workers in WORKERS:
        server = _new(folder / str(workers), IDP_WORKERS=str(workers))
        server.idp("setup")
        made = server.create_application("loaded", "--algorithm", "ES256")
        server.start()
        form = f"grant_type=client_credentials&scope=openid&client_id={made['client_id']}&client_secret={made['client_secret']}"
        request = post("/auth/realms/acme/protocol/openid-connect/token", form.encode())
        _wait_for(lambda server=server, workers=workers: len(_tree(server)) == workers + 1, time.perf_counter())  # type: ignore[misc]
        put_under_load(server.port, request, seconds=seconds, connections=32)
        after_tokens[workers] = proportional_megabytes(_tree(server))
        for _ in range(8 * workers):  # which worker answers is for the system to say
            for path in (
                "/console/",
                "/docs",
                "/v1/openapi.json",
                "/v1/users/info",
                "/auth/realms/acme/.well-known/openid-configuration",
            ):
                send(f"{server.url}{path}")
        after_more[workers] = proportional_megabytes(_tree(server))
        server.stop()
    return {
        name: {
            "one_worker_megabytes": round(measured[1], 1),
            "each_further_worker_megabytes": round((measured[WORKERS[-1]] - measured[1]) / (WORKERS[-1] - 1), 1),
        }
        for name, measured in (("after_tokens", after_tokens), ("after_all_kinds_of_calls", after_more))
    }


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the lines of the table."""
    starts, tokens = result["start"], result["memory"]["after_tokens"]
    return [
        ("set up: start to first token, s", starts["start_to_token_wall_seconds"], "at most 0.6"),
        ("set up: start to first token, s of processor time", starts["start_to_token_processor_seconds"], "at most 0.9"),
        ("one worker and what watches it, MB", tokens["one_worker_megabytes"], "at most 90"),
        ("each further worker, MB", tokens["each_further_worker_megabytes"], "at most 45"),
    ]
