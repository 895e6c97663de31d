"""Those who wait for news of a realm: each with a thread, and one thread that looks for all of them."""

import logging
import threading
import time
from typing import Any

from idp import nodes
from idp.errors import IdpError
from idp.realms import KnownRealm
from idp.recall.known import KnownCauses
from idp.recall.writing import CACHED
from idp.runtime import Runtime

_log = logging.getLogger(__name__)

LOOK_EVERY = 0.2
"""Seconds between two looks, while somebody waits."""

MOST_WAITING = 256
"""How many each worker lets wait at once, of its 1,024 connections. Others are answered at once."""

LONGEST_WAIT = 25
"""Seconds."""


class Waiting:
    """The waiting of one process."""

    def __init__(self, process: Runtime) -> None:
        self._process = process
        self._changed = threading.Condition()
        self._waiting: dict[object, tuple[str, Any]] = {}
        self._thread: threading.Thread | None = None
        self._is_over = False

    def wait(self, realm: KnownRealm, known: KnownCauses, seconds: float) -> bool:
        """Wait until something else may be known of a realm; tell whether that was waited for at all.

        :param known: what was known last.
        """
        ticket = object()
        end = time.monotonic() + seconds
        with self._changed:
            if self._is_over or len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting[ticket] = (realm.name, known)
            try:
                self._begin_to_look()
                while not self._has_news(realm.name, known) and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
            except RuntimeError:
                return False  # the process may have no more threads
            finally:
                del self._waiting[ticket]
            return True

    def _begin_to_look(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._look, name="recall", daemon=True)
            thread.start()
            self._thread = thread

    def close(self) -> None:
        """Have nobody wait any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _has_news(self, realm: str, known: KnownCauses) -> bool:
        return self._is_over or self._process.feed.cache(CACHED).get(realm) is not known

    def _look(self) -> None:
        """Confirm what is in memory for as long as anybody waits, and wake all when something has become untrue."""
        while True:
            time.sleep(LOOK_EVERY)
            is_ending = _is_ending()
            try:
                self._process.feed.confirm()
            except Exception as error:  # noqa: BLE001 (the thread must live on; those who ask anew are told what is wrong)
                _log.debug("what was taken back cannot be confirmed: %s", error)
            with self._changed:
                self._is_over = self._is_over or is_ending
                if not self._waiting or self._is_over:
                    self._thread = None
                    self._changed.notify_all()
                    return
                if any(self._has_news(realm, known) for realm, known in self._waiting.values()):
                    self._changed.notify_all()


def _is_ending() -> bool:
    try:
        nodes.check_going_on()
    except IdpError:
        return True
    return False


def waiting(process: Runtime) -> Waiting:
    """Return the waiting of a process."""
    found: Waiting = process.extensions.setdefault("recall-waiting", Waiting(process))
    return found
