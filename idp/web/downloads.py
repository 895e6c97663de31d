"""Files that are made while they are sent: a piece is read, sent, and forgotten before the next one is read.

Whoever takes a file slowly holds a thread, which there are many of, and one of a few places; no connection to the database, no
transaction, and none of the places of requests. How long a client may take nothing, and what becomes of a file whose next piece
cannot be read, is the server's part: see `idp.server.flows`.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Self

from flask import Flask, Response, current_app, request

from idp import patience
from idp.db import db, only_read, storage_errors
from idp.errors import IdpError, Kind
from idp.web.answers import NO_STORE

AT_ONCE = 8
"""Files that one worker sends at once."""

LONGEST = 3_600.0
"""Seconds that a file may take in all: what its reader may see was decided when it began."""

FLOWS = "realmgate.flows"
"""Where a request's environment says that its answer is made while it is sent."""

_places = threading.BoundedSemaphore(AT_ONCE)
_one_reads = threading.Lock()
"""Held while a piece is made: files leave most of the processor, and all connections but one, to requests."""


class TooManyDownloadsError(IdpError):
    """As many files are being sent as may be at once."""

    kind, retry_after = Kind.UNAVAILABLE, 5

    def __init__(self) -> None:
        super().__init__("Other files are being sent. Try again in a few seconds.")


class DownloadOverError(IdpError):
    """A file has taken too long."""

    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(f"The file was not taken within {LONGEST / 60:.0f} minutes.")


def download(name: str, media_type: str, pieces: Iterator[str]) -> Response:
    """Answer with a file. Its first piece is read at once, so that what can be wrong with the request is still answered as such.

    :param pieces: a generator, which reads each piece in a transaction of its own and so keeps no row from one to the next.
    :raises TooManyDownloadsError: too many others are being sent.
    """
    if not _places.acquire(blocking=False):
        raise TooManyDownloadsError
    sent = Download(current_app._get_current_object(), pieces)  # type: ignore[attr-defined]  # noqa: SLF001 (Flask documents it)
    db.session.rollback()  # the connection of the request is of no more use
    sent.begin()
    request.environ[FLOWS] = True
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(sent, headers=headers, content_type=f"{media_type}; charset=utf-8")


class Download:
    """The pieces of a file, each read when the one before it was taken."""

    def __init__(self, app: Flask, pieces: Iterator[str]) -> None:
        """Begin. One of `_places` is given back when this is closed, has ended, or is no longer known to anybody."""
        self._app, self._pieces = app, pieces
        self._first: list[bytes] = []
        self._until = time.monotonic() + LONGEST
        self._leave = weakref.finalize(self, _places.release)

    def begin(self) -> None:
        """Read the first piece."""
        self._first = [next(self)]

    def __iter__(self) -> Self:
        """Return itself: it can be gone through once."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece."""
        if self._first:
            return self._first.pop()
        try:
            if time.monotonic() > self._until:
                raise DownloadOverError
            with self._app.app_context(), storage_errors(), patience.holding(_one_reads):
                only_read()
                return next(self._pieces).encode()
        except BaseException:
            self._leave()
            raise

    def close(self) -> None:
        """End, however far it has come."""
        with contextlib.suppress(AttributeError):
            self._pieces.close()  # type: ignore[attr-defined]  # of a generator
        self._leave()
