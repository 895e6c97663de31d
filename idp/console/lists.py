"""Lists in pages: what comes after a name or a number, which cost the same however far down the list."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from flask import request

from idp.errors import InvalidValueError

PAGE = 50
BATCH = 1_000
"""Rows of a file that are read at once."""

Row = TypeVar("Row")


def one_page(found: Sequence[Row], place: Callable[[Row], Any]) -> tuple[Sequence[Row], str]:
    """Return the rows of a page, and where the next page begins (empty if there is none).

    :param found: one more than a page, if there are so many.
    """
    rows = found[:PAGE]
    return rows, str(place(rows[-1])) if len(found) > PAGE else ""


def file_pieces(
    fetch: Callable[[int | None], Sequence[Any]],
    write: Callable[[Any], str],
    *,
    first: str = "",
    most: float = math.inf,
) -> Iterator[str]:
    """Return the pieces of a file, for `web.downloads.download`: one for each batch of rows.

    :param fetch: takes the number of the last row that was read (None at the beginning), and returns the next `BATCH`, or what is
        left.
    :param write: makes a row's line.
    :param first: what the file begins with.
    :param most: rows after which it ends.
    """
    text, last, count = first, None, 0
    while True:
        rows = fetch(last)
        text += "".join(write(row) for row in rows)
        count, is_last = count + len(rows), len(rows) < BATCH
        last = None if is_last else rows[-1].id
        del rows
        yield text
        if is_last or count >= most:
            return
        text = ""


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
