"""Forms that browsers send: only from pages of our own origin, and read once."""

import re
from urllib.parse import parse_qsl

from flask import request
from werkzeug.datastructures import MultiDict

from idp import runtime
from idp.web.body import BodyError, read_body
from idp.web.credentials import check_origin

Posted = MultiDict[str, str]

_MOST_FIELDS = 2_000
_FIELD_NAME = re.compile(r"[a-z_]{1,50}(?:-[0-9]{1,3}-[a-z_]{1,50})?", re.ASCII)


def read_posted() -> Posted:
    """Return the form that was sent, if no page of another origin has had it sent.

    :raises ForeignOriginError: one has.
    :raises BodyError: it is no form.
    """
    check_origin(request.environ, runtime.current().settings.public_url)
    body = read_body(request.environ)
    if request.mimetype != "application/x-www-form-urlencoded":
        raise BodyError("Send the form as application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise BodyError("The form is not UTF-8, or has too many fields.") from None
    return MultiDict((name, value) for name, value in pairs if _FIELD_NAME.fullmatch(name))
