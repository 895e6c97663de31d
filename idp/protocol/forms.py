"""Reading a request once: the body only, form-encoded, each parameter at most once (RFC 6749 §3.2)."""

from typing import Any
from urllib.parse import parse_qsl

from idp.protocol.errors import InvalidRequestError, LengthRequiredError, UnsupportedMediaTypeError

LARGEST_BODY = 65_536
MOST_PARAMETERS = 100
_DRAIN = 4 * 1024 * 1024
"""Bytes of a body too large that are still read and thrown away, so that its sender gets to read the answer."""

Environ = dict[str, Any]
"""A request as WSGI hands it over (PEP 3333)."""

FORM = "application/x-www-form-urlencoded"


class Form(dict[str, str]):
    """The parameters of a request by name. Those sent without a value count as absent."""

    def text(self, name: str) -> str:
        """Return a parameter, empty if absent."""
        return self.get(name, "")

    def required(self, name: str) -> str:
        """Return a parameter that must be there.

        :param name: a constant of ours, since it goes into the answer.
        :raises InvalidRequestError: it is absent.
        """
        value = self.get(name)
        if value is None:
            raise InvalidRequestError(f"The parameter {name} is missing from the body.")
        return value


def parse_form(environ: Environ) -> Form:
    """Read the parameters of a POST.

    :raises UnsupportedMediaTypeError: the body is of another type.
    :raises LengthRequiredError: the body comes without its length.
    :raises InvalidRequestError: there are parameters in the URL, one is repeated, or the body is too large, cut, not UTF-8.
    """
    length = _length(environ)
    body = _read(environ, min(length, LARGEST_BODY))
    if length > LARGEST_BODY:
        _read(environ, min(length, _DRAIN) - LARGEST_BODY)
    if "realmgate.body_arrived" in environ:
        environ["realmgate.body_arrived"]()
    if length > LARGEST_BODY:
        raise InvalidRequestError(f"The body is larger than {LARGEST_BODY} bytes.")
    if len(body) < length:
        # A request that was cut says less than was meant: a scope that is missing would widen the token.
        raise InvalidRequestError("The body ended before its Content-Length.")
    if environ.get("QUERY_STRING"):
        # RFC 6749 §2.3.1: credentials never travel in the URL; nor does anything else here.
        raise InvalidRequestError("Send the parameters in the body; this endpoint takes none in the URL.")
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaTypeError(f"Send the parameters as {FORM}.")
    return parse_body(body)


def _length(environ: Environ) -> int:
    """Return the length of the body.

    :raises LengthRequiredError: it comes in chunks. The server in front does not tell one that was cut from a whole one.
    """
    text: str = environ.get("CONTENT_LENGTH", "")
    if text.isascii() and text.isdigit():
        return int(text[:12])
    if "HTTP_TRANSFER_ENCODING" in environ or text:
        raise LengthRequiredError("Send the length of the body in Content-Length.")
    return 0


def parse_body(body: bytes) -> Form:
    """Parse a form-encoded body; see `parse_form` for the errors."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_PARAMETERS, encoding="utf-8", errors="strict"
        )
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"The body has more than {MOST_PARAMETERS} parameters.") from None
    form = Form(pairs)
    if len(form) != len(pairs):
        # RFC 6749 §3.2: parameters must not be included more than once.
        raise InvalidRequestError("A parameter is given more than once. Send each at most once.")
    if "" in form.values():
        # RFC 6749 §3.2: a parameter without a value counts as omitted.
        form = Form((name, value) for name, value in pairs if value)
    return form


def _read(environ: Environ, limit: int) -> bytes:
    """Read that many bytes of the body, fewer when it ends before."""
    stream, parts = environ["wsgi.input"], []
    while limit > 0 and (part := stream.read(limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
