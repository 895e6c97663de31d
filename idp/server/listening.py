"""Listening: a socket for each worker, which outlives it.

Granian has each worker make its own on Linux, and the system spreads callers over them. When the last worker of a node dies
nobody listens then, and callers are refused until the next one has begun. So the process that watches them makes the sockets and
keeps them open: whoever calls meanwhile waits, for some seconds. While another worker lives, the socket of one that has died is
closed, and callers go to the other.
"""

import socket
from collections.abc import Iterable
from typing import Any


class Listeners:
    """The sockets of all places for workers."""

    def __init__(self, spec: Any) -> None:
        """Begin.

        :param spec: Granian's description of the address. Several sockets can be made of it (`SO_REUSEPORT`, see socket(7)).
        """
        self._spec = spec
        self._open: dict[int, tuple[Any, socket.socket]] = {}
        self._taken = -1

    def take(self, place: int) -> Any:
        """Return the socket of a place as Granian wants it, for the worker that is forked off next, which begins to listen."""
        self._taken = place
        if place not in self._open:
            holder = self._spec.build()
            self._open[place] = holder, socket.socket(fileno=holder.get_fd())
        return self._open[place][0]

    def leave_to(self, others: Iterable[int], place: int) -> bool:
        """Listen no more for a place until its next worker does, where others listen; tell whether that is so.

        One that has only just started is not listening yet.
        """
        if any(self._listens(other) for other in others):
            self.refuse(place)
        return place not in self._open

    def refuse(self, place: int) -> None:
        """Listen no more for a place until its next worker does, whoever else does; who waits is refused, too."""
        if place in self._open:
            self._open.pop(place)[1].close()

    def _listens(self, place: int) -> bool:
        return place in self._open and bool(self._open[place][1].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def close_all(self) -> None:
        """Listen no more, but for workers, which close their own."""
        for _, opened in self._open.values():
            opened.close()
        self._open.clear()

    def keep_own(self) -> None:
        """Leave a new worker its own socket, which Granian closes: held open by others, it would listen with nobody behind it."""
        for place, (_, opened) in self._open.items():
            if place == self._taken:
                opened.detach()
            else:
                opened.close()
        self._open.clear()
