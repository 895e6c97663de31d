"""What answers in JSON have in common."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response
from pydantic import BaseModel

NO_STORE = {"Cache-Control": "no-store", "Vary": "Cookie, Authorization, apiKey"}
"""Answers are for who has asked, and nobody else may keep them."""


def plain(part: Any) -> Any:
    """Return a part of an answer as JSON has it: what is shown of a sheet, by its wire names."""
    if isinstance(part, BaseModel):
        return part.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raise TypeError(f"{type(part).__name__} is not JSON")


def write_with_tokens(body: Mapping[str, Any], *names: str) -> bytes:
    """Write an object out as JSON whose members of these names, where it has them, are tokens.

    Those are made of letters, digits and `.-_~` alone, so nothing in them is to be escaped, and not looking at each character for
    that is worth a tenth of an answer.

    :param body: has other members, too.
    """
    tokens = "".join(f'"{name}": "{body[name]}", ' for name in names if name in body)
    others = json.dumps({name: value for name, value in body.items() if name not in names})
    return f"{{{tokens}{others[1:]}".encode()


def answer(body: Any, status: int = 200) -> Response:
    """Answer with JSON that must not be cached."""
    return Response(json.dumps(body, default=plain), status, NO_STORE, mimetype="application/json")


def done() -> Response:
    """Answer 204: it was done, and there is nothing to say."""
    return Response(b"", 204, NO_STORE)


def time(value: datetime) -> str:
    """Return a time as RFC 3339 in UTC."""
    return value.isoformat(timespec="seconds").replace("+00:00", "Z")


def time_or_none(value: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC, or None."""
    return None if value is None else time(value)
