"""Saying that the server is at work, once it is: to whoever started it, and to the service manager."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable

from idp.management import ask_worker
from idp.settings import Settings

_ASK_EVERY = 0.05
"""Seconds between two looks at whether a worker answers."""


class Announcement:
    """A thread that waits for the first answer of a worker, and then says so."""

    def __init__(self, settings: Settings, say: Callable[[], None]) -> None:
        """Take what is to be said, by `say`; whatever that raises stops nothing."""
        self._settings, self._say = settings, say
        self._over, self._made = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcement", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def stop(self) -> None:
        """Wait no longer."""
        self._over.set()

    def is_made(self) -> bool:
        """Tell whether a worker has answered."""
        return self._made.is_set()

    def _run(self) -> None:
        while not self._over.wait(_ASK_EVERY):
            if ask_worker(self._settings, "/health/live")[0] == 200:
                self._made.set()
                notify_service_manager("READY=1\nSTATUS=Serving.")
                with contextlib.suppress(Exception):
                    self._say()
                return


def notify_service_manager(state: str) -> None:
    """Tell the service manager how it stands, if one wants to know: systemd's protocol, sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # in the abstract namespace of sockets
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(address)
        manager.send(state.encode())
