"""What tokens can be made for: names and URLs of APIs. The sentences go on from the name of the field."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

MOST_AUDIENCES = 20


def check_audiences(values: Sequence[str]) -> list[str]:
    """Return audiences if they can be that.

    :raises ValueError: too many, repeated, or no name or URL.
    """
    if len(values) > MOST_AUDIENCES or len(set(values)) != len(values):
        raise ValueError(f"takes at most {MOST_AUDIENCES} values, each once.")
    for value in values:
        if not 1 <= len(value) <= 255 or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(f"takes names or URLs of 1 to 255 visible ASCII characters, not {value[:80]!r}.")
        if "://" in value and ("#" in value or not _has_host(value)):
            raise ValueError(f"{value[:80]!r} is not an absolute URL without a fragment (RFC 8707 §2).")
    return list(values)


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:  # brackets that do not hold an IPv6 address
        return False


Audiences = Annotated[list[str], Field(max_length=MOST_AUDIENCES), AfterValidator(check_audiences)]
