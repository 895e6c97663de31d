"""Lists in pages: what comes after a name or a number, which cost the same however far down the list."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from flask import Response, request, stream_with_context

from idp.db import db, only_read
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


def download(
    name: str, media_type: str, fetch: Callable[[int | None], Sequence[Any]], write: Callable[[Any], str], *, first: str = "",
    most: int | None = None,
) -> Response:  # fmt: skip
    """Answer with a file that is read and sent batch by batch. A reader who takes time keeps no transaction open.

    :param fetch: takes the number of the last row that was sent (None at the beginning), and returns the next ones.
    :param write: makes a row's line.
    :param first: what the file begins with.
    :param most: rows after which it ends.
    """

    def batch(after: int | None) -> tuple[str, int | None, int]:
        only_read()
        rows = fetch(after)
        text, last = "".join(write(row) for row in rows), rows[-1].id if rows else None
        db.session.rollback()
        return text, last, len(rows)

    begun = batch(None)  # before the answer begins: what fails here is still told by its status

    def rest() -> Iterator[str]:
        text, last, count = begun
        yield first + text
        while last is not None and (most is None or count < most):
            text, last, more = batch(last)
            count += more
            yield text

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(stream_with_context(rest()), headers=headers, content_type=f"{media_type}; charset=utf-8")


def after_number() -> int | None:
    """Return the row number after which the page that is asked for begins; None for the first page.

    :raises InvalidValueError: it is no number.
    """
    value = request.args.get("after", "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidValueError("This list has no such page. Begin with its first.")
    return int(value)
