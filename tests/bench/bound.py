"""What a token costs that is bound to a key, beside one that is not."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.load import Connection, post, put_under_load
from tests.bench.serving import Measured, cpu_seconds, set_up
from tests.bound.proving import Prover

_PATH = "/auth/realms/acme/protocol/openid-connect/token"


def bench_bound(folder: Path, rounds: int, count: int) -> dict[str, Any]:
    """Compare the processor time of tokens with a proof (ES256) to that of the same without, in turn.

    :param count: requests of one kind in a round.
    """
    server = set_up(folder)
    forms = {}
    for algorithm in ("RS256", "ES256"):
        made = server.create_application(f"bound-{algorithm.lower()}", "--algorithm", algorithm, "--role", "researcher")
        for kind, scope in (("access", ""), ("id+access", "openid")):
            forms[f"{kind} {algorithm}"] = (
                f"grant_type=client_credentials&scope={scope}&client_id={made['client_id']}&client_secret={made['client_secret']}"
            ).encode()
    server.start()
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            put_under_load(server.port, post(_PATH, form), seconds=0.2)
            plain = cost_of_each(server, [post(_PATH, form)] * count)
            costs[name].append((plain, cost_of_each(server, _proven(server, form, count))))
    server.stop()
    return {
        name: {
            "plain_us": round(statistics.median(plain for plain, _ in each)),
            "bound_us": round(statistics.median(bound for _, bound in each)),
            "more_us": round(statistics.median(bound - plain for plain, bound in each)),
            "bound_over_plain": round(statistics.median(bound / plain for plain, bound in each), 2),
        }
        for name, each in costs.items()
    }


def _proven(server: Measured, form: bytes, count: int) -> list[bytes]:
    """Return requests with a proof each, which works once."""
    prover, url = Prover(), server.url + _PATH
    return [post(_PATH, form, f"DPoP: {prover.proof(url=url)}\r\n") for _ in range(count)]


class _Different(Connection):
    """A connection that sends another request each time."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._requests = requests
        super().__init__(port, next(requests))

    def send_next(self) -> bool:
        """Send the next request; False if there is none."""
        request = next(self._requests, None)
        if request is not None:
            self._request = request
            self.send()
        return request is not None


def cost_of_each(server: Measured, requests: list[bytes]) -> float:
    """Return the microseconds of processor time of each request, sent one after the other over eight connections in turn."""
    before, left = cpu_seconds(server.workers), iter(requests)
    connections = [_Different(server.port, left) for _ in range(8)]
    while connections:
        for connection in list(connections):
            while not connection.receive():
                pass
            if not connection.send_next():
                connection.socket.close()
                connections.remove(connection)
    return (cpu_seconds(server.workers) - before) / len(requests) * 1e6
