"""Reading the body of a request, within limits."""

import io
import json
from typing import Any

from idp.errors import IdpError, Kind

LARGEST_BODY = 65_536
DEEPEST_JSON = 20
_KEPT = "realmgate.body"

_DRAIN = 4 * 1024 * 1024
"""Bytes of a body too large that are still read and thrown away, so that its sender gets to read the answer."""

Environ = dict[str, Any]
"""A request as WSGI hands it over (PEP 3333)."""


class BodyError(IdpError):
    """The body is too large, was cut, or is not what it should be."""


class LengthMissingError(BodyError):
    """The body comes without its length."""

    kind = Kind.LENGTH_MISSING


def receive_body(environ: Environ) -> None:
    """Wait until the body has come, and keep it with the request: what reads it afterwards waits for nobody.

    Of one that is too large the beginning is kept: at least a byte more than is allowed if it comes in chunks. One that comes in
    chunks and may not is left where it is.
    """
    length = _length(environ)
    if length is None and tells_its_end(environ):
        length = _DRAIN
    if length and _KEPT not in environ:
        environ[_KEPT] = body = _read(environ, min(length, LARGEST_BODY + 1))
        if len(body) > LARGEST_BODY:
            _read(environ, min(length, _DRAIN) - len(body))
        environ["wsgi.input"] = io.BytesIO(body)


def read_body(environ: Environ) -> bytes:
    """Return the whole body.

    :raises LengthMissingError: it comes in chunks, and is not JSON. The server in front does not tell one that was cut from a
        whole one: `a=b` may have been `a=b&c=d`. JSON is taken, since what is cut of an object or array is none.
    :raises BodyError: it is too large, or was cut.
    """
    length = _length(environ)
    is_chunked = length is None and tells_its_end(environ)
    if length is None and not is_chunked:
        raise LengthMissingError("Send the length of the body in Content-Length.")
    if _KEPT not in environ:
        receive_body(environ)
    body: bytes = environ.get(_KEPT, b"")
    if is_chunked and not body:
        # an object may have been cut before its first byte, where none is meant by nothing
        raise LengthMissingError("The body is empty. Send Content-Length: 0 if that is meant.")
    if len(body) > LARGEST_BODY:
        raise BodyError(f"The body is larger than {LARGEST_BODY} bytes.")
    if length is not None and len(body) < length:
        # A request that was cut says less than was meant: a scope that is missing would widen the token.
        raise BodyError("The body ended before its Content-Length.")
    return body


def read_json(environ: Environ) -> dict[str, Any]:
    """Read a JSON object. An empty body counts as an empty object. A type must be said, but by a program that shows a credential.

    :raises BodyError: it is not a JSON object, is nested too deeply, or says something twice.
    """
    value = read_json_value(environ)
    if not isinstance(value, dict):
        raise BodyError("The body must be a JSON object.")
    return value


def read_json_value(environ: Environ) -> dict[str, Any] | list[Any]:
    """Read a JSON object or array. An empty body counts as an empty object.

    :raises BodyError: it is neither, is nested too deeply, or says something twice.
    """
    body = read_body(environ)
    if not body:
        return {}
    if not _is_json(environ) and (environ.get("CONTENT_TYPE", "").strip() or not _shows_credential(environ)):
        # a foreign page can have a browser send other types, or none, without being asked; JSON, or headers of its own, it cannot
        raise BodyError("Send the body as application/json.")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BodyError("The body is not JSON, or names a member twice.") from None
    if b"\\u" in body and not _is_text(value):
        raise BodyError("The body contains half of a character (a lone surrogate).")
    if not isinstance(value, dict | list):
        raise BodyError("The body must be a JSON object.")
    _check_depth(value, DEEPEST_JSON)
    return value


def _shows_credential(environ: Environ) -> bool:
    """Tell whether a header shows a key or a token. A browser adds none by itself, as it does a cookie, or Basic (RFC 7617)."""
    scheme, space, _ = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    is_token = scheme.lower() == "bearer" if space else scheme != ""
    return is_token or any(environ.get(name) for name in ("HTTP_APIKEY", "HTTP_X_API_KEY", "HTTP_X_RAFAY_API_KEYID"))


def tells_its_end(environ: Environ) -> bool:
    """Tell whether a body comes in chunks and, being JSON, shows by itself whether it is whole."""
    chunked: bool = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower() == "chunked"
    return chunked and "CONTENT_LENGTH" not in environ and _is_json(environ)


def _is_json(environ: Environ) -> bool:
    media_type: str = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _is_text(value: Any) -> bool:
    """Tell whether all texts of a value can be written down."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member is named twice")
    return value


def _no_constant(_text: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise BodyError("The body is nested too deeply.")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, left - 1)


def _length(environ: Environ) -> int | None:
    """Return how long the body is; None if that is not said."""
    text: str = environ.get("CONTENT_LENGTH", "")
    if text.isascii() and text.isdigit():
        return int(text[:12])
    return None if "HTTP_TRANSFER_ENCODING" in environ or text else 0


def _read(environ: Environ, limit: int) -> bytes:
    """Read that many bytes of the body, fewer when it ends before."""
    stream, parts = environ["wsgi.input"], []
    while limit > 0 and (part := stream.read(limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
