"""Reading a request once: the body only, form-encoded, each parameter at most once (RFC 6749 §3.2)."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from idp.oauth.errors import InvalidRequestError, LengthRequiredError, UnsupportedMediaTypeError
from idp.web.body import BodyError, Environ, LengthMissingError, read_body

MOST_PARAMETERS = 100
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
    try:
        body = read_body(environ)
    except LengthMissingError as error:
        raise LengthRequiredError(str(error)) from error
    except BodyError as error:
        raise InvalidRequestError(str(error)) from error
    if environ.get("QUERY_STRING"):
        # RFC 6749 §2.3.1: credentials never travel in the URL; nor does anything else here.
        raise InvalidRequestError("Send the parameters in the body; this endpoint accepts none in the URL.")
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaTypeError(f"Send the parameters as {FORM}.")
    return parse_body(body)


def parse_body(body: bytes) -> Form:
    """Parse a form-encoded body; see `parse_form` for the errors."""
    try:
        pairs = _pairs(body.decode())
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"The body has more than {MOST_PARAMETERS} parameters.") from None
    form = Form(pairs)
    if len(form) != len(pairs):
        pairs = join_resources(pairs)
        form = Form(pairs)
    if len(form) != len(pairs):
        # RFC 6749 §3.2: parameters must not be included more than once.
        raise InvalidRequestError("A parameter is repeated. Send each at most once.")
    if "" in form.values():
        # RFC 6749 §3.2: a parameter without a value counts as omitted.
        form = Form((name, value) for name, value in pairs if value)
    return form


def join_resources(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return parameters with those called `resource` made one, with spaces between its values: they alone may be repeated, and no
    resource has a space in it (RFC 8707 §2).
    """
    named = " ".join(value for name, value in pairs if name == "resource" and value)
    others = [(name, value) for name, value in pairs if name != "resource"]
    return [*others, ("resource", named)] if named else others


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return names and values in their order.

    :raises ValueError: there are too many, or what an escape stands for is not UTF-8.
    """
    if "%" in text or "+" in text or text.count("&") >= MOST_PARAMETERS:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, encoding="utf-8", errors="strict")
    # nothing is escaped, as in most requests: this is what `parse_qsl` does then, at a third of the cost
    split = (pair.partition("=") for pair in text.split("&") if pair)
    return [(name, value) for name, _, value in split]
