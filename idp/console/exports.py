"""Lists as files: what a list shows, with its search, filters, order and columns, all of its pages (RFC 4180)."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Response, request

from idp import audit, clock
from idp.console.browser import Visit
from idp.console.language import say
from idp.console.lists import BATCH, FORMAT, Asked, Column, ListView, file_pieces
from idp.console.render import render
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.paging import Listing
from idp.web.answers import NO_STORE
from idp.web.downloads import download
from idp.web.table import csv_line


def list_page(
    visit: Visit,
    template: str,
    view: ListView,
    listing: Listing,
    asked: Asked,
    *,
    acts: bool = True,
    beside: Callable[[Sequence[Any]], Mapping[str, Any]] = lambda _: {},
    **values: Any,
) -> Response | str:
    """Answer with a page of a list, or with its file, if that is what the URL asks for.

    :param listing: narrowed by what was asked for.
    :param acts: whether the caller may do to several rows what the list knows.
    :param beside: returns what the template needs to know of the rows of the page.
    :param values: what the template needs besides.
    """
    if visit.posted is not None:
        return _picked_file(visit, view, listing, asked)
    file = file_asked(visit, view, listing, asked)
    if file is not None:
        return file
    found = view.page(listing, asked, acts=acts)
    return render(template, list=found, **beside(found.rows), **values)


def file_asked(visit: Visit, view: ListView, listing: Listing, asked: Asked) -> Response | None:
    """Return the file of a list, if that is what the URL asks for; None if it asks for the page."""
    return _whole_file(visit, view, listing, asked) if request.args.get(FORMAT) == "csv" else None


def record_export(realm: str, title: str, asked: Asked) -> None:
    """Note in the trail that a list was taken as a file. What was to be read for the page has been."""
    db.session.rollback()
    narrowed = {name: value for name, value in {"search": asked.search, **asked.filters}.items() if value}
    audit.record(audit.Tag.LIST_EXPORT, realm, f"realm:{realm}", list=title, narrowed=narrowed)
    commit()


def file_name(realm: str, title: str) -> str:
    """Return what a file is called: its realm, what it lists, and the day (UTC)."""
    return f"{realm}-{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}-{clock.now():%Y-%m-%d}.csv"


def _whole_file(visit: Visit, view: ListView, listing: Listing, asked: Asked) -> Response:
    columns, name = view.shown(asked), visit.realm.name

    def fetch(after: list[Any] | None) -> Sequence[tuple[Any, list[str]]]:
        rows = listing.take(asked.order, descending=asked.descending, after=after, limit=BATCH)
        return list(zip(rows, _cells(columns, rows), strict=True))

    record_export(name, view.title, asked)
    pieces = file_pieces(
        fetch, lambda pair: csv_line(pair[1]), first=_heading(columns), place=lambda pair: listing.place(asked.order, pair[0])
    )
    return download(file_name(name, view.title), "text/csv", pieces)


def _picked_file(visit: Visit, view: ListView, listing: Listing, asked: Asked) -> Response:
    """Return the rows of a page that were picked there.

    :raises InvalidValueError: none was.
    """
    picked = set(visit.posted.getlist("picked")) if visit.posted is not None else set()
    if not picked:
        raise InvalidValueError("Nothing was selected. Tick the rows that you mean, and export them again.")
    columns, name = view.shown(asked), visit.realm.name
    rows = [row for row in view.page(listing, asked).rows if view.key(row) in picked]
    text = _heading(columns) + "".join(csv_line(cells) for cells in _cells(columns, rows))
    record_export(name, view.title, asked)
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{file_name(name, view.title)}"'}
    return Response(text, headers=headers, content_type="text/csv; charset=utf-8")


def _heading(columns: Iterable[Column]) -> str:
    return csv_line([say(column.title) for column in columns])


def _cells(columns: Iterable[Column], rows: Sequence[Any]) -> list[list[str]]:
    """Return the cells of rows."""
    values = [column.values(rows) for column in columns]
    return [[_written(each) for each in row] for row in zip(*values, strict=True)]


def _written(value: Any) -> str:
    """Return a value as it stands in a file: times in UTC (RFC 3339), and several values with commas."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    return str(value)
