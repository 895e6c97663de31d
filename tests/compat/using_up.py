"""Walks operations that use up what they are called for, such as deletions that take parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.compat.walk import Walk


@dataclass
class UsingUp(Walk):
    """A walk that makes anew, before each call of an operation, what the call uses up."""

    def take_each(self, operation_id: str, make: Callable[[], object], query: dict[str, str] | None = None, **path: str) -> None:
        """Make the calls of an operation one by one; see `take`.

        :param make: called before each, and keeps what the path names.
        :param query: parameters of the only call to make; by default it is made without, and with each.
        """
        operation = self.contract.operations[operation_id]
        self.findings.setdefault(operation_id, [])
        every: list[list[tuple[str, Any]]] = [[], *([(each["name"], value)] for each in operation.query for value in _few(each))]
        for sent in every if query is None else [list(query.items())]:
            make()
            self._checked(operation, path, sent, None, self.headers)


def _few(parameter: dict[str, Any]) -> list[Any]:
    return ["true", "false"] if parameter["type"] == "boolean" else [1]
