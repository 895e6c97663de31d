"""What becomes of a field that both the document of an application and administrators have a say in.

What an administrator has set stays. A document that says something else later only narrows it: it can take away what it has
listed before, and ask for more protection. So what was set is remembered beside what the document said and what came of both, by
which it is known that somebody has set a field since.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.errors import InvalidValueError

_PROTECTING = ("pushed_requests", "dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
"""Fields that a document may turn on."""

_EMPTY_IS_ALL = ("scopes", "grant_types")

_NEEDED = (*_EMPTY_IS_ALL, "redirect_uris")
"""Lists of which something has to be left."""

_LISTS = (*_NEEDED, "post_logout_redirect_uris", "web_origins")
"""Lists that a document may shorten."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a document and administrators have said of an application so far."""

    listed: dict[str, list[str]] | None
    """What the document has said last for each list; None where that was not noted, by a version before schema 0024."""
    applied: dict[str, str] | None
    """What each field was made then, as a hash."""
    set_here: dict[str, Any]
    """Fields that administrators have set since, and to what."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What an application is to be, and what is to be remembered of that."""

    values: dict[str, Any]
    listed: dict[str, list[str]]
    set_here: dict[str, Any]


def merge(said: Mapping[str, Any], current: Mapping[str, Any], terms: Terms) -> Merged:
    """Return what an application is to be, now that its document says this.

    :param current: what it is.
    :raises InvalidValueError: the document has nothing left of what it needs.
    """
    set_here = terms.set_here | {name: current[name] for name in said if _is_set_since(name, said, current, terms)}
    values = dict(said)
    for name, value in set_here.items():
        if name in _EMPTY_IS_ALL and not value:
            continue
        if name in _LISTS:
            values[name] = set_here[name] = _shortened(name, value, said, terms)
        elif name in _PROTECTING:
            values[name] = value or said[name]
        elif name in said:
            values[name] = value
    return Merged(values, listed_in(said), set_here)


def _is_set_since(name: str, said: Mapping[str, Any], current: Mapping[str, Any], terms: Terms) -> bool:
    if terms.applied is not None:
        return terms.applied.get(name) != _hash(current[name])
    # nobody has noted what it was made: what protects, and what it may do, is taken for an administrator's will
    return name in (*_PROTECTING, *_EMPTY_IS_ALL) and current[name] != said[name]


def _shortened(name: str, value: list[str], said: Mapping[str, Any], terms: Terms) -> list[str]:
    """Return a list that was set without what the document has listed and lists no more. What is beside it stays."""
    listed_before = terms.listed.get(name, []) if terms.listed is not None else value
    left = [each for each in value if each in said[name] or each not in listed_before]
    if not left and name in _NEEDED and value:
        raise InvalidValueError(f"an administrator has left it none of the {name} that are in it.", field=name)
    return left


def listed_in(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a document says for each list."""
    return {name: list(said[name]) for name in _LISTS}


def hashed(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells a value of each field from others."""
    return {name: _hash(value) for name, value in values.items()}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
