"""Collections of the contract: filters, order and pages as generated clients ask for them, and the form of the answer."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from idp import runtime
from idp.compat.calls import cut, number_argument
from idp.compat.parameters import argument
from idp.errors import InvalidValueError
from idp.paging import Listing
from idp.web.answers import answer
from idp.written import one_line

PREFIX = "/cloudapi/v6"
PAGED = ("limit", "offset", "maxResults", "orderBy")
MOST = 1_000
"""Items in one answer."""

EARLIEST, LATEST = 1970, 9000
"""Years of times that something can be asked of."""


def filter_names(*properties: str) -> list[str]:
    """Return the parameters that filter by properties."""
    return [f"filter.{name}" for name in properties]


def sent_filters() -> dict[str, str]:
    """Return the filters of a request by property."""
    return {name.removeprefix("filter."): value for name, value in request.args.items() if name.startswith("filter.")}


def flag(name: str, value: str) -> bool:
    """Return the flag that a filter asks for.

    :raises InvalidValueError: it is none.
    """
    if value.lower() not in {"true", "false"}:
        raise InvalidValueError(f"filter.{name} takes true or false.")
    return value.lower() == "true"


def span(name: str, value: str) -> tuple[datetime, datetime]:
    """Return the time that a filter asks for: a day or a second of UTC, as its beginning and end.

    :raises InvalidValueError: it is no time.
    """
    try:
        begin = datetime.fromisoformat(value)
    except ValueError:
        begin = datetime.min  # noqa: DTZ901 (refused below)
    if not EARLIEST <= begin.year <= LATEST:
        raise InvalidValueError(f"filter.{name} takes a day or a time, such as 2026-03-01 or 2026-03-01T09:00:00Z.")
    if begin.tzinfo is None:
        begin = datetime.fromisoformat(f"{begin.isoformat()}+00:00")
    return begin, begin + (timedelta(days=1) if len(value) == 10 else timedelta(seconds=1))


def collection(
    name: str, listing: Listing | None, orders: Mapping[str, str], show: Callable[[Any], dict[str, Any]], *, default: str = "name"
) -> Response:
    """Return the part of a list that a request asks for.

    :param name: path of the collection below the prefix.
    :param listing: the list; None for one without items.
    :param orders: what it can be put in order by: the property, and the order of the listing.
    :param default: the order by which it is listed otherwise.
    """
    order = ordered_by(orders)
    if listing is None:
        return collected(name, [])
    most = number_argument("maxResults", MOST, 1_000_000) or MOST
    rows, count, limit, offset = cut(listing, orders.get(order, default), default=100, most=min(most, MOST))
    following = None if argument("maxResults") or offset + limit >= count else offset + limit
    return collected(name, [show(row) for row in rows], limit=limit, offset=offset, following=following)


def ordered_by(orders: Mapping[str, Any]) -> str:
    """Return the property that a list is to be put in order by, or nothing.

    :raises InvalidValueError: it cannot be.
    """
    order = argument("orderBy")
    if order and order not in orders:
        raise InvalidValueError(f"orderBy takes {', '.join(orders)}, not {one_line(order)[:80]}.")
    return order


def collected(
    name: str, items: list[dict[str, Any]], *, limit: int = MOST, offset: int = 0, following: int | None = None
) -> Response:
    """Return a collection with these items.

    :param following: offset of the next part, if there is one: its address keeps every filter of this one.
    """
    href = f"{runtime.current().settings.public_url}{PREFIX}/{name}"
    links = {"self": href}
    if following is not None:
        links["next"] = f"{href}?{urlencode(request.args.to_dict() | {'offset': following, 'limit': limit})}"
    body = {"id": name, "type": "collection", "href": href, "items": items, "offset": offset, "limit": limit, "_links": links}
    return answer(body)
