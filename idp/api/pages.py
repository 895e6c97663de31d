"""Lists in pages of 50, with an opaque `continue` that nobody else can make or use (T103)."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import vault
from idp.api.schemas import Query, Schema
from idp.callers import Caller
from idp.crypto import DamagedError, MasterKeyError
from idp.errors import InvalidValueError
from idp.paging import Listing

PAGE = 50
LARGEST_PAGE = 500

CREATION = "creationTimestamp"
"""The order that every list has."""

ShownType = TypeVar("ShownType")

ListMeta = TypedDict("ListMeta", {"continue": str, "count": int, "limit": int, "offset": int})
ListMeta.__doc__ = (
    "Where a page stands in its list: `continue` leads to the next one, and is empty on the last; `count` counts all."
)


class Page(TypedDict, Generic[ShownType]):
    """A page of a list."""

    items: list[ShownType]
    listmeta: ListMeta


class PageQuery(Query):
    """Which part of a list is asked for."""

    limit: int = Field(default=PAGE, ge=0, le=LARGEST_PAGE, description="Items of a page; 0 for as many as a page can hold.")
    offset: int = Field(
        default=0, ge=0, le=100_000, description="Items to pass over, for clients that count; `continue` is faster."
    )
    continue_: str = Field(
        default="",
        alias="continue",
        max_length=4_000,
        description="`listmeta.continue` of the page before, with the same filters.",
    )


def page(
    caller: Caller,
    query: PageQuery,
    listing: Listing,
    show: Callable[[Any], ShownType],
    order: str = CREATION,
    *,
    body: Schema | None = None,
    prepare: Callable[[list[Any]], object] | None = None,
) -> Page[ShownType]:
    """Return the page of a list that a request asks for.

    :param order: name of the order; a minus in front of it turns it round.
    :param body: the body, where it says what is asked for.
    :param prepare: reads for all rows at once what each is shown with.
    :raises InvalidValueError: `continue` is not one that this list gave out, to this caller and with these filters.
    """
    limit = query.limit or LARGEST_PAGE
    named = order.removeprefix("-")
    context = _context(caller, body)
    place = _open(query.continue_, context) if query.continue_ else _beginning(listing)
    if query.offset and not query.continue_:
        place["offset"] = query.offset
        rows = listing.skip(named, descending=order.startswith("-"), offset=query.offset, limit=limit + 1)
    else:
        rows = listing.take(named, descending=order.startswith("-"), after=place["after"], limit=limit + 1)
    if prepare is not None:
        prepare(rows[:limit])
    items = [show(row) for row in rows[:limit]]
    more = ""
    if len(rows) > limit:
        after = {"after": listing.place(named, rows[limit - 1]), "offset": place["offset"] + limit, "count": place["count"]}
        more = vault.seal(json.dumps(after).encode(), context=context)
    meta: ListMeta = {"continue": more, "count": place["count"], "limit": limit, "offset": place["offset"]}
    return {"items": items, "listmeta": meta}


def _beginning(listing: Listing) -> dict[str, Any]:
    return {"after": None, "offset": 0, "count": listing.count()}


def _context(caller: Caller, body: Schema | None) -> str:
    """Return what a `continue` is bound to: who asks, for which list, with which filters and order."""
    filters = sorted(
        (name, value) for name, value in request.args.items(multi=True) if name not in {"continue", "limit", "offset"}
    )
    scope = [request.headers.get("X-Organization-Id", ""), request.headers.get("ProjectUid", "")]
    asked = hashlib.sha256(json.dumps([filters, scope, *([body.model_dump()] if body is not None else [])]).encode()).hexdigest()
    return f"page of {request.path.rstrip('/')} for {caller.subject.uid}: {asked}"


def _open(token: str, context: str) -> dict[str, Any]:
    try:
        place: dict[str, Any] = json.loads(vault.unseal(token, context=context))
    except (DamagedError, MasterKeyError) as error:
        raise InvalidValueError("continue is not one that this list gave out. Begin again without it.") from error
    return place
