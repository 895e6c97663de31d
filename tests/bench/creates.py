"""Applications created a second through the API, on PostgreSQL: `python -m tests.bench.creates`."""

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.faults.surroundings import Fleet, postgres


def main() -> None:
    """Create for a while, in one realm and in several, and print how many that were."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.creates", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--clients", type=int, default=8)
    chosen = parser.parse_args()
    print("| realms | created a second | refused | processor time of the server for each, ms |\n|---|---|---|---|")
    for realms in (1, 4):
        with postgres() as make, tempfile.TemporaryDirectory() as folder:
            fleet = Fleet(Path(folder), make().create().url())
            try:
                measure(fleet, realms, chosen.clients, chosen.seconds)
            finally:
                fleet.kill()


def measure(fleet: Fleet, realms: int, clients: int, seconds: float) -> None:
    """Measure with so many realms, and print a row."""
    node = fleet.add()
    names = ["acme", *(f"r{number}" for number in range(1, realms))]
    tokens = []
    for name in names:
        if name != "acme":
            node.idp("realms", "create", name)
        made = node.create_application("maker", "--role", "administrator", "--audience", node.issuer(name), realm=name)
        tokens.append(node.token(made, realm=name).json["access_token"])
    created, refused = [0] * clients, [0] * clients
    end = time.monotonic() + seconds

    def create(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", node.port)
        headers = {"Authorization": f"Bearer {tokens[number % realms]}", "Content-Type": "application/json"}
        while time.monotonic() < end:
            body = json.dumps({"metadata": {"name": f"made-{number}-{created[number]}"}})
            connection.request("POST", "/v1/applications", body, headers)
            answer = connection.getresponse()
            answer.read()
            created[number] += answer.status == 201
            refused[number] += answer.status != 201

    processes = [psutil.Process(node.process.pid), *node.workers()] if node.process is not None else []
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    threads = [threading.Thread(target=create, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = sum(sum(process.cpu_times()[:2]) for process in processes) - before
    total = sum(created)
    print(f"| {realms} | {total / seconds:.0f} | {sum(refused)} | {1000 * used / total:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
