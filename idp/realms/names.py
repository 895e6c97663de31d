"""What things may be called, and what texts for people may hold."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from idp.db import resembles_uid
from idp.errors import InvalidValueError, Sentence, Term
from idp.written import is_written

NAME_PATTERN = re.compile(r"[a-z](?:[-_a-z0-9]{0,62}[a-z0-9])?")
"""What realms, roles, projects and applications may be called. No character of it needs escaping anywhere."""


def check_name(kind: str | Sentence, name: str) -> str:
    """Return the name if it can be one.

    :param kind: what it is the name of, such as `a group`, or `A_REALM`.
    :raises InvalidValueError: it cannot.
    """
    noun = kind if isinstance(kind, Sentence) else Term(kind)
    if not NAME_PATTERN.fullmatch(name):
        sentence = (
            "{name!r} cannot be the name of {kind}: use 1 to 64 lower-case letters, digits, - and _, "
            "starting with a letter and not ending with - or _."
        )
        raise InvalidValueError(Sentence(sentence, name=name[:80], kind=noun), field="name")
    if resembles_uid(name):
        sentence = "{name!r} cannot be the name of {kind}: it has the form of a uid."
        raise InvalidValueError(Sentence(sentence, name=name, kind=noun), field="name")
    return name


def check_text(what: str, text: str, longest: int, *, field: str = "") -> str:
    """Return a text for people if it is one line of printable characters.

    :param what: the field that it is for; or, if that is named apart, what people call it, such as `A description`.
    :raises InvalidValueError: it is too long, or holds control characters, which could steer a terminal or forge a line.
    """
    if len(text) > longest or not is_written(text):
        sentence = "{what} must be one line of at most {longest} printable characters."
        raise InvalidValueError(
            Sentence(sentence, what=what if field else Sentence("{field}"), longest=longest), field=field or what
        )
    return text


def _line(text: str) -> str:
    if not is_written(text):
        raise ValueError("must be one line of printable characters")
    return text


DisplayName = Annotated[str, Field(max_length=200), AfterValidator(_line)]
"""What something is shown as to people."""

Description = Annotated[str, Field(max_length=500), AfterValidator(_line)]
"""What something is, in words."""
