"""What the foreign contracts share: finding out who calls, carrying a change out in one transaction, and cutting lists."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from idp import realms
from idp.callers import Caller
from idp.errors import InvalidValueError, NotServedError
from idp.paging import Listing
from idp.realms import Realm
from idp.rules import Authority
from idp.web.body import read_json
from idp.web.calls import carry_out, carry_out_openly, credentials_of_request, nothing_to_prepare, realm_of
from idp.web.credentials import Credentials

FARTHEST = 100_000
"""Items that a list by offset can skip; `continue` of the native API has no such end."""

View = Callable[..., Response]
Read = Callable[[], Credentials]
RealmOf = Callable[[Caller, Mapping[str, Any]], Realm]


def _named_realm(caller: Caller, _parts: Mapping[str, Any]) -> Realm:
    return realm_of(caller)


def own_realm(caller: Caller, _parts: Mapping[str, Any]) -> Realm:
    """Return the realm that a caller belongs to."""
    return realms.get_realm(caller.realm.name)


def signed_in(
    view: View,
    read: Read = credentials_of_request,
    realm: RealmOf = _named_realm,
    prepare: Callable[[], None] = nothing_to_prepare,
) -> View:
    """Make a call one for callers who have proved who they are. It gets their `Authority` first, and is committed after it.

    :param read: returns what the request shows, where the contract has ways of its own.
    :param realm: returns the realm that a call is about, from the caller and the parts of the path; by default the caller's
        own, or the one that an operator names as in the native API.
    :param prepare: does beforehand what takes long, as in the native API.
    """

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        return carry_out(
            lambda caller: view(Authority(caller, realm(caller, arguments)), **arguments),
            read=read,
            realm_to_lock=lambda caller: realm(caller, arguments).name,
            prepare=prepare,
        )

    return called


def public(view: View) -> View:
    """Make a call one that takes no credential; what it changes is committed after it."""

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        return carry_out_openly(lambda: view(**arguments))

    return called


def not_served(what: str) -> View:
    """Make a call of a contract that is not for this server one that says so.

    :param what: why, as a sentence.
    """

    def refuse(*_authority: Authority, **_parts: Any) -> Response:
        raise NotServedError(f"This call is not served here: {what}")

    return refuse


def json_body() -> dict[str, Any]:
    """Return the body, a JSON object.

    :raises BodyError: it is none.
    """
    return read_json(request.environ)


def text_of(values: Mapping[str, Any], name: str, default: str | None = None, *, longest: int = 1_000) -> str:
    """Return a text of a body.

    :param default: what it is when it is left out; None for what must be there.
    :raises InvalidValueError: it is missing, too long, or no text.
    """
    value = values.get(name)
    if value is None:
        if default is None:
            raise InvalidValueError(f"{name} is missing.")
        return default
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidValueError(f"{name} takes a text of at most {longest} characters.")
    return value


def flag_of(values: Mapping[str, Any], name: str) -> bool | None:
    """Return a flag of a body, or None when it is left out.

    :raises InvalidValueError: it is neither true nor false.
    """
    value = values.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidValueError(f"{name} takes true or false.")
    return value


def number_argument(name: str, default: int, most: int) -> int:
    """Return a number of the URL.

    :raises InvalidValueError: it is none, or too large.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise InvalidValueError(f"{name} takes a number from 0 to {most}.")
    return int(text)


def cut(listing: Listing, order: str, *, default: int = 50, most: int = 500) -> tuple[list[Any], int, int, int]:
    """Return the rows that `limit` and `offset` of the URL ask for, how many there are in all, and both numbers.

    :param order: name of the order; a minus in front of it turns it round.
    """
    limit, offset = number_argument("limit", default, 1_000_000), number_argument("offset", 0, FARTHEST)
    rows = listing.skip(order.removeprefix("-"), descending=order.startswith("-"), offset=offset, limit=min(limit or most, most))
    return rows, listing.count(), min(limit or most, most), offset
