"""Lists in pages of 50, with an opaque `continue` that nobody else can make or use (T103)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from flask import request

from idp import vault
from idp.callers import Caller
from idp.crypto import DamagedError, MasterKeyError
from idp.errors import InvalidValueError

PAGE = 50


class Row(Protocol):
    """Something that is listed in the order of its row number."""

    id: Any


RowType = TypeVar("RowType", bound=Row)


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    after: int
    """Row number of the last one on the page before; 0 for the first page."""
    limit: int
    context: str

    def listed(self, rows: Sequence[RowType], show: Callable[[RowType], dict[str, Any]]) -> dict[str, Any]:
        """Return the page as JSON.

        :param rows: one more than `limit`, if there are so many.
        """
        items = [show(row) for row in rows[: self.limit]]
        more = ""
        if len(rows) > self.limit:
            more = vault.seal(json.dumps({"after": rows[self.limit - 1].id}).encode(), context=self.context)
        return {"items": items, "listmeta": {"continue": more, "count": len(items), "limit": self.limit}}


def page_of(caller: Caller) -> Page:
    """Return the page that a request asks for by `limit` (1 to 50) and `continue`.

    :raises InvalidValueError: one of them has no usable value.
    """
    text = request.args.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= PAGE):
        raise InvalidValueError(f"limit takes a number from 1 to {PAGE}.")
    context = f"page of {request.path} for {caller.subject.uid}"
    token = request.args.get("continue", "")
    if not token:
        return Page(0, int(text), context)
    try:
        after = json.loads(vault.unseal(token, context=context))["after"]
    except (DamagedError, MasterKeyError) as error:
        raise InvalidValueError("continue is not one that this list gave out. Begin again without it.") from error
    return Page(after, int(text), context)
