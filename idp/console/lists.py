"""Lists in pages: what comes after a name or a number, which cost the same however far down the list."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import Response, request

from idp.db import db, only_read
from idp.errors import InvalidValueError
from idp.users import BusyError

PAGE = 50
BATCH = 1_000
"""Rows of a file that are read at once."""

_MAKING = threading.BoundedSemaphore(2)
"""Files that a worker makes at once."""

Row = TypeVar("Row")


def one_page(found: Sequence[Row], place: Callable[[Row], Any]) -> tuple[Sequence[Row], str]:
    """Return the rows of a page, and where the next page begins (empty if there is none).

    :param found: one more than a page, if there are so many.
    """
    rows = found[:PAGE]
    return rows, str(place(rows[-1])) if len(found) > PAGE else ""


def download(
    name: str,
    media_type: str,
    fetch: Callable[[int | None], Sequence[Any]],
    write: Callable[[Any], str],
    *,
    first: str = "",
    most: int,
) -> Response:
    """Answer with a file, made batch by batch and sent as a whole.

    A reader who takes time then keeps no transaction open, and none of the server's threads.

    :param fetch: takes the number of the last row that was read (None at the beginning), and returns the next ones.
    :param write: makes a row's line.
    :param first: what the file begins with.
    :param most: rows after which it ends.
    :raises BusyError: others are being made.
    """
    if not _MAKING.acquire(blocking=False):
        raise BusyError("Other files are being prepared. Try again in a few seconds.")
    try:
        pieces, last, count = [first], None, 0
        while count < most:
            only_read()
            rows = fetch(last)
            pieces += [write(row) for row in rows]
            count, last = count + len(rows), rows[-1].id if rows else None
            db.session.rollback()
            if last is None:
                break
    finally:
        _MAKING.release()
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("".join(pieces), headers=headers, content_type=f"{media_type}; charset=utf-8")


def after_number() -> int | None:
    """Return the row number after which the page that is asked for begins; None for the first page.

    :raises InvalidValueError: it is no number.
    """
    value = request.args.get("after", "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidValueError("This list has no such page. Start with its first one.")
    return int(value)
