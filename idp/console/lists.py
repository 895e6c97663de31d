"""Lists in pages: what comes after a name or a number, which cost the same however far down the list."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import request

from idp.errors import InvalidValueError

PAGE = 50

Row = TypeVar("Row")


def one_page(found: Sequence[Row], place: Callable[[Row], Any]) -> tuple[Sequence[Row], str]:
    """Return the rows of a page, and where the next page begins (empty if there is none).

    :param found: one more than a page, if there are so many.
    """
    rows = found[:PAGE]
    return rows, str(place(rows[-1])) if len(found) > PAGE else ""


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
