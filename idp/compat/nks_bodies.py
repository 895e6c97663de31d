"""Bodies of the keysets contract: JSON, or a form whose lists are written as the framework of the original reads them."""

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from idp.errors import InvalidMembersError
from idp.web.body import LARGEST_BODY, BodyError, read_body, read_json

MOST_PARTS = 100
LONGEST_BOUNDARY = 70
"""Characters (RFC 2046 §5.1.1)."""

_LIST_MEMBER = re.compile(r"(keys|workspaces)\[(\d{1,2})\](?:\.?\[?([a-z_]{1,20})\]?)?")


def read_fields() -> dict[str, Any]:
    """Return what a body says, whether it is JSON or a form.

    :raises BodyError: it is neither, too large, or has too many parts.
    :raises InvalidMembersError: a field of a form is given twice.
    """
    body = read_body(request.environ)
    mimetype, options = parse_options_header(request.headers.get("Content-Type"))
    if mimetype == "multipart/form-data":
        return _nested(_parts(body, options.get("boundary", "")))
    if mimetype == "application/x-www-form-urlencoded":
        return _nested(_pairs(body))
    try:
        return read_json(request.environ)
    except BodyError as error:
        raise BodyError(f"JSON parse error - {error}") from error


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_PARTS, errors="strict")
    except ValueError:
        raise BodyError(f"The form is not UTF-8, or has more than {MOST_PARTS} fields.") from None


def _parts(body: bytes, boundary: str) -> list[tuple[str, str]]:
    """Return the fields of a form in parts (RFC 7578)."""
    if not (1 <= len(boundary) <= LONGEST_BOUNDARY and boundary.isascii()):
        raise BodyError("Multipart form parse error - Invalid boundary.")
    parser = MultiPartParser(_in_memory, max_form_memory_size=LARGEST_BODY, max_form_parts=MOST_PARTS)
    try:
        form, files = parser.parse(io.BytesIO(body), boundary.encode(), len(body))
    except HTTPException:
        raise BodyError(f"Multipart form parse error - There are more than {MOST_PARTS} parts.") from None
    except ValueError:
        raise BodyError("Multipart form parse error - The parts are malformed, or cut.") from None
    if files:
        raise BodyError("Multipart form parse error - Send values as fields, not as files.")
    found = list(form.items(multi=True))
    if any(name is None for name, _ in found):
        raise BodyError("Multipart form parse error - A part has no name.")
    if not found and body.strip():
        raise BodyError("Multipart form parse error - The body has no parts between its boundaries.")
    if any("\N{REPLACEMENT CHARACTER}" in value for _, value in found):
        raise BodyError("Multipart form parse error - The form is not UTF-8.")
    return found


def _in_memory(*_: object, **_size: object) -> io.BytesIO:
    return io.BytesIO()  # the whole body is in memory already; nothing of it is to be on a disk


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return fields by name; `workspaces=1`, `workspaces[0]=1` and `keys[0]key_type=pub` are parts of lists."""
    found: dict[str, Any] = {}
    lists: dict[str, dict[int, Any]] = {}
    for name, value in pairs:
        match = _LIST_MEMBER.fullmatch(name)
        if match is not None:
            members = lists.setdefault(match[1], {})
            if match[3]:
                entry = members.setdefault(int(match[2]), {})
                if not isinstance(entry, dict) or match[3] in entry:
                    raise _twice(name)
                entry[match[3]] = value
            else:
                members[int(match[2])] = value
        elif name == "workspaces":
            found.setdefault(name, []).extend([value] if value else [])
        elif name in found:
            raise _twice(name)
        else:
            found[name] = value
    return found | {name: [members[number] for number in sorted(members)] for name, members in lists.items()}


def _twice(name: str) -> InvalidMembersError:
    return InvalidMembersError([(name.partition("[")[0][:40], "This field is given twice.")])


def text_field(values: Mapping[str, Any], name: str, longest: int) -> str | None:
    """Return a text, or None if it is left out.

    :raises InvalidMembersError: it is none, or too long.
    """
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidMembersError([(name, "Not a valid string.")])
    if value is not None and len(value) > longest:
        raise InvalidMembersError([(name, f"Ensure this field has no more than {longest} characters.")])
    return value


def flag_field(values: Mapping[str, Any], name: str) -> bool | None:
    """Return a flag, which is documented as a text and shown as a boolean; None if it is left out.

    :raises InvalidMembersError: it is neither.
    """
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise InvalidMembersError([(name, "Must be a valid boolean.")])


def number_of(value: Any, name: str) -> int:
    """Return a whole number, which a form sends as text.

    :raises InvalidMembersError: it is none.
    """
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidMembersError([(name, "A valid integer is required.")])


def list_field(values: Mapping[str, Any], name: str) -> list[Any] | None:
    """Return a list, or None if it is left out.

    :raises InvalidMembersError: it is none.
    """
    value = values.get(name)
    if value is not None and not isinstance(value, list):
        raise InvalidMembersError([(name, "Expected a list of items.")])
    return value
