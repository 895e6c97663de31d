"""Lists of the command line: whole unless `--limit` says how many, read page by page, and printed as they are read."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from idp.paging import Listing

Command = TypeVar("Command", bound=Callable[..., Any])

PAGE = 500
"""Rows that are read at once: no transaction is kept open while they are printed."""


def limit_option(command: Command) -> Command:
    """Add `--limit`, passed to the command as a number, or None for the whole list."""
    return click.option("--limit", type=click.IntRange(1), help="How many at most; by default all.")(command)


def show_listing(
    listing: "Listing",
    *,
    to_json: Callable[[Any], Mapping[str, Any]],
    row: Callable[[Any], Mapping[str, str]],
    empty: str,
    as_json: bool,
    limit: int | None = None,
    order: str = "",
    descending: bool = False,
    after: Sequence[Any] | None = None,
    next_page: Callable[[Any], str] | None = None,
) -> None:
    """Print a list, as JSON or as a table. One that is cut says so on standard error, with how many there are in all.

    :param to_json: what JSON says of a row.
    :param row: what the table says of a row, by column; `to_json` is not called then.
    :param empty: what is printed for a table without rows.
    :param after: the place to begin after.
    :param next_page: takes the last row, and returns the option that leads on from it.
    """
    reader = _Reader(listing, order, descending, limit, to_json if as_json else row, next_page)
    pages = reader.read(after)
    if as_json:
        _show_array(itertools.chain.from_iterable(pages))
    else:
        _show_rows(pages, empty)
    if reader.more:
        click.echo(reader.more, err=True)


class _Reader:
    """Reads a list in pages."""

    def __init__(
        self,
        listing: "Listing",
        order: str,
        descending: bool,
        limit: int | None,
        convert: Callable[[Any], Mapping[str, Any]],
        next_page: Callable[[Any], str] | None,
    ) -> None:
        self._listing, self._order, self._descending = listing, order, descending
        self._limit, self._convert, self._next_page = limit, convert, next_page
        self.more = ""
        """What is to be said when there are more rows than were asked for."""

    def read(self, after: Sequence[Any] | None) -> Iterator[list[Mapping[str, Any]]]:
        """Go through the pages. Each is read in a transaction of its own, which is over before the page is printed."""
        from idp.db import db, only_read

        given, has_more = 0, True
        while has_more and (self._limit is None or given < self._limit):
            wanted = PAGE if self._limit is None else min(PAGE, self._limit - given)
            only_read()
            found = self._listing.take(self._order, descending=self._descending, after=after, limit=wanted + 1)
            rows, has_more = found[:wanted], len(found) > wanted
            given += len(rows)
            page = [self._convert(each) for each in rows]
            after = self._listing.place(self._order, rows[-1]) if rows else after
            if has_more and given == self._limit:
                self.more = self._about_more(given, rows[-1])
            db.session.rollback()
            yield page

    def _about_more(self, given: int, last: Any) -> str:
        total = self._listing.count()
        said = f"{given} of {total} are shown." if total >= 0 else f"{given} are shown, and there are more."
        onward = f" For the next ones, add {self._next_page(last)}." if self._next_page is not None else ""
        return f"{said}{onward} Without --limit, the list is complete."


def _show_array(items: Iterator[Mapping[str, Any]]) -> None:
    """Print a JSON array, item by item, as `show_json` would print it."""
    first = next(items, None)
    if first is None:
        click.echo("[]")
        return
    click.echo("[")
    for item, following in itertools.pairwise(itertools.chain([first], items, [None])):
        text = json.dumps(item, indent=2, ensure_ascii=False)
        click.echo("  " + text.replace("\n", "\n  ") + ("" if following is None else ","))
    click.echo("]")


def _show_rows(pages: Iterator[list[Mapping[str, Any]]], empty: str) -> None:
    """Print rows under their column names; columns of a later page are as wide as before, or wider."""
    widths: dict[str, int] = {}
    for page in filter(None, pages):
        is_first, widths = not widths, widths or {column: len(column) for column in page[0]}
        widths = {column: max(width, *(len(row[column]) for row in page)) for column, width in widths.items()}
        if is_first:
            click.echo(_line({column: column.upper() for column in widths}, widths))
        for row in page:
            click.echo(_line(row, widths))
    if not widths:
        click.echo(empty)


def _line(row: Mapping[str, Any], widths: Mapping[str, int]) -> str:
    return "  ".join(row[column].ljust(width) for column, width in widths.items()).rstrip()
