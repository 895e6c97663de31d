"""Those who wait for news: each with a thread, and one thread that looks for all of them."""

import logging
import threading
import time
from collections.abc import Callable

from idp import nodes
from idp.errors import IdpError

LOOK_EVERY = 0.2
"""Seconds between two looks, while somebody waits."""

MOST_WAITING = 256
"""How many each worker lets wait at once, of its 1,024 connections. Others are answered at once."""

LONGEST_WAIT = 25
"""Seconds."""

_log = logging.getLogger(__name__)


class Waiting:
    """The waiting of one process for news of one kind."""

    def __init__(self, look: Callable[[], None], name: str) -> None:
        """Take what is done again and again for as long as anybody waits, and what that is called."""
        self._look_once, self._name = look, name
        self._changed = threading.Condition()
        self._waiting: dict[object, Callable[[], bool]] = {}
        self._thread: threading.Thread | None = None
        self._is_over = False

    def wait(self, has_news: Callable[[], bool], seconds: float) -> bool:
        """Wait until there is news; tell whether that was waited for at all.

        :param has_news: tells whether there is, by what was looked at last. It must not take long.
        """
        ticket = object()
        end = time.monotonic() + seconds
        with self._changed:
            if self._is_over or len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting[ticket] = has_news
            try:
                self._begin_to_look()
                while not (self._is_over or has_news()) and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
            except RuntimeError:
                return False  # the process may have no more threads
            finally:
                del self._waiting[ticket]
            return True

    def _begin_to_look(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._look, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def close(self) -> None:
        """Have nobody wait any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _look(self) -> None:
        """Look for as long as anybody waits, and wake all when there is news for one of them."""
        while True:
            time.sleep(LOOK_EVERY)
            is_ending = _is_ending()
            try:
                self._look_once()
            except Exception as error:  # noqa: BLE001 (the thread must live on; those who ask anew are told what is wrong)
                _log.debug("there is no looking for news: %s", error)
            with self._changed:
                self._is_over = self._is_over or is_ending
                if not self._waiting or self._is_over:
                    self._thread = None
                    self._changed.notify_all()
                    return
                if any(has_news() for has_news in self._waiting.values()):
                    self._changed.notify_all()


def _is_ending() -> bool:
    try:
        nodes.check_going_on()
    except IdpError:
        return True
    return False
