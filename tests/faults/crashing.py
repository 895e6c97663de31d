"""Nodes that are killed at chosen points of the program."""

import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.points import ORDER
from tests.faults.surroundings import Fleet, Node
from tests.forking import PREPARE
from tests.serving import PATIENCE


@dataclass
class Breakable(Fleet):
    """Nodes that can be killed at a point."""

    crashes: Counter[str] = field(default_factory=Counter)
    """How often they were, by the point."""

    def prepare(self, node: Node) -> None:
        """Put the crash points into a node."""
        node.settings |= {PREPARE: "tests.faults.points", ORDER: str(self._order)}

    @property
    def _order(self) -> Path:
        return self.folder / "crash"

    def crash(self, point: str, passing: int) -> None:
        """Have the first node be killed when a worker of it has passed a point so many times from now on."""
        node = self.nodes[0]
        assert node.process is not None
        fresh = self.folder / "crash.new"
        fresh.write_text(f"{passing} {point}")
        fresh.replace(self._order)
        try:
            node.process.wait(PATIENCE)
            assert node.process.returncode == -signal.SIGKILL
        finally:
            self._order.unlink(missing_ok=True)
        node.reader.join(PATIENCE)
        self.crashes[point] += 1
