"""Nodes behind a real proxy, nginx or HAProxy, with the configuration of deploy/proxies: what clients of theirs see of a fault.

A proxy asks another node once more where nothing can come of it twice. So what only reads never fails; of the rest, what a killed
worker had in hand does.
"""

import csv
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.drills import Drill, Result, killed_workers, upgraded_nodes
from tests.faults.history import Act, History
from tests.faults.load import ask
from tests.faults.surroundings import Fleet, Node
from tests.forking import PROJECT
from tests.proxies import Process, example, make_certificate, start_haproxy, start_nginx, stop
from tests.serving import free_port, wait_until

NODES = 2
READERS = 2
ASKED_TWICE = 'log_format tries "$upstream_addr";'
"""The nodes that nginx has asked for a request: several are separated by commas."""


@dataclass
class Proxied(Fleet):
    """Two nodes behind a proxy, which finds for itself which of them serves. Clients speak HTTP to it, without TLS."""

    readers: int = READERS
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def place(self) -> Path:
        """Return the folder of the proxy."""
        return self.folder / "proxy"

    def add(self, source: Path = PROJECT) -> Node:
        """Start one more node, and the proxy with the last of them."""
        self.settings["IDP_TRUSTED_PROXIES"] = "127.0.0.1"
        node = super().add(source)
        if len(self.nodes) == NODES:
            self.place.mkdir()
            make_certificate(self.place, "id.example.com")
            self.process = self.begin(
                {f"127.0.0.1:808{number}": f"127.0.0.1:{each.port}" for number, each in enumerate(self.nodes)}
            )
            wait_until(lambda: ask("GET", f"http://127.0.0.1:{self.port}/health/live").status == 200, "the start of the proxy")
        return node

    def begin(self, nodes: dict[str, str]) -> Process:
        """Start the proxy.

        :param nodes: the address of each node, by the one that the example has.
        """
        raise NotImplementedError

    def count_repeated(self) -> int:
        """Return how many requests the proxy has sent once more."""
        raise NotImplementedError

    def urls(self) -> Sequence[str]:
        """Return the proxy's address, as often as there are nodes behind it."""
        return [f"http://127.0.0.1:{self.port}"] * NODES if self.process else super().urls()

    def judge(self, history: History) -> list[str]:
        """Find what only reads and has failed: another node could have been asked."""
        return [f"could have been asked once more: {event}" for event in history.failed() if event.act is Act.READ][:5]

    def figures(self) -> dict[str, str]:
        """Return what the proxy has asked twice."""
        return {"asked_once_more_by_the_proxy": str(self.count_repeated())}

    def kill(self) -> None:
        """End the proxy, and all nodes with SIGKILL."""
        if self.process is not None:
            stop(self.process)
        super().kill()


class BehindNginx(Proxied):
    """Two nodes behind nginx."""

    def begin(self, nodes: dict[str, str]) -> Process:
        """Start it, and have it write down whom it has asked."""
        files = {f"/etc/ssl/realmgate.{kind}": f"{self.place}/realmgate.{kind}" for kind in ("pem", "key")}
        plain = {"listen 127.0.0.1:8443 ssl;": f"listen 127.0.0.1:{self.port};\n    access_log {self.place}/tries tries;"}
        second = {"# server 127.0.0.1:8081": "server 127.0.0.1:8081"}
        return start_nginx(self.place, ASKED_TWICE + example("deploy/proxies/nginx.conf", files | plain | second | nodes))

    def count_repeated(self) -> int:
        """Count the requests for which several nodes were asked."""
        return sum("," in line for line in (self.place / "tries").read_text().splitlines())


@dataclass
class BehindHaproxy(Proxied):
    """Two nodes behind HAProxy, which say that they are about to end for long enough that it leaves them out."""

    settings: dict[str, str] = field(default_factory=lambda: {"IDP_STOP_DELAY": "3"})

    def begin(self, nodes: dict[str, str]) -> Process:
        """Start it."""
        plain = {"bind 127.0.0.1:8443 ssl crt /etc/ssl/realmgate.pem alpn h2,http/1.1": f"bind 127.0.0.1:{self.port}"}
        second = {"# server node2 ": "server node2 ", "# server node2-anyway": "server node2-anyway"}
        counted = {"global\n": f"global\n    stats socket {self.place}/stats.sock level admin\n"}
        return start_haproxy(self.place, example("deploy/proxies/haproxy.cfg", plain | second | counted | nodes))

    def replace(self, node: Node, source: Path) -> None:
        """Replace a node. One of a release without `stop_delay` is taken out by hand first."""
        name = f"realmgate/node{self.nodes.index(node) + 1}"
        if "stop_delay" not in (node.source / "idp/server/supervision.py").read_text():
            self._tell(f"set server {name} state drain")
        super().replace(node, source)
        self._tell(f"set server {name} state ready")

    def count_repeated(self) -> int:
        """Ask it how often it has connected, or sent a request, once more."""
        table = self._tell("show stat").removeprefix("# ")
        return sum(
            int(row["wretr"]) + int(row["wredis"]) for row in csv.DictReader(table.splitlines()) if row["svname"] == "BACKEND"
        )

    def _tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{self.place}/stats.sock")
            connection.sendall(f"{command}\n".encode())
            return connection.makefile().read()


def workers_behind_nginx(folder: Path, times: float = 1) -> Result:
    """Workers are killed behind nginx (1)."""
    return killed_workers(folder, times, BehindNginx)


def workers_behind_haproxy(folder: Path, times: float = 1) -> Result:
    """Workers are killed behind HAProxy (1)."""
    return killed_workers(folder, times, BehindHaproxy)


def upgrade_behind_nginx(folder: Path, times: float = 1) -> Result:
    """Nodes of two releases replace each other behind nginx (11)."""
    return upgraded_nodes(folder, times, BehindNginx)


def upgrade_behind_haproxy(folder: Path, times: float = 1) -> Result:
    """Nodes of two releases replace each other behind HAProxy (11)."""
    return upgraded_nodes(folder, times, BehindHaproxy)


DRILLS: dict[str, Drill] = {
    "workers are killed behind nginx": workers_behind_nginx,
    "workers are killed behind HAProxy": workers_behind_haproxy,
    "nodes of two releases replace each other behind nginx": upgrade_behind_nginx,
    "nodes of two releases replace each other behind HAProxy": upgrade_behind_haproxy,
}
