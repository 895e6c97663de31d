"""What people and other systems' clients call things: any line of text is kept as it is shown, beside the name it has here.

Our names stand in URLs, tokens and files, so they are narrow (`NAME_PATTERN`). This is the one rule that leads from any name to
ours, and by which a thing is found again by the name it is shown under.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select

from idp.db import db, resembles_uid
from idp.errors import ConflictError, InvalidValueError, Sentence, Term
from idp.realms.names import NAME_PATTERN, check_text

LONGEST_SHOWN = 200
"""Longest display name, in characters."""

_LONGEST = 64


@dataclass(frozen=True)
class Called:
    """A name, and how it is shown."""

    name: str
    display_name: str = ""
    """Empty where the name itself is shown."""

    @property
    def shown(self) -> str:
        """What people see."""
        return self.display_name or self.name


def called(noun: str, shown: str) -> Called:
    """Return the name here of what somebody calls a thing.

    A name that can be one stays. Any other is shown as it is, and its letters and digits make the name, so that what differs in
    case, accents and punctuation alone has one name. Where they do not say it all (other scripts, great length), a part of its
    hash is added.

    :param noun: what it is the name of, such as `group`; a name that begins with a digit begins with this.
    :raises InvalidValueError: it is empty, no line of text of at most 200 characters, or has the form of a uid.
    """
    text = _no_uid(noun, check_text(f"The name of a {noun}", shown, LONGEST_SHOWN, field="display_name").strip())
    if not text:
        raise InvalidValueError(Sentence("A {noun} needs a name.", noun=Term(noun)))
    if _is_name(text):
        return Called(text)
    plain = _plain(text)
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    loses = any(character.isalnum() and not character.isascii() for character in plain)
    name = slug if _is_name(slug[:_LONGEST].rstrip("-")) else f"{noun}-{slug}".strip("-")
    if not slug or loses or len(name) > _LONGEST:
        mark = hashlib.sha256(plain.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9].rstrip('-')}-{mark}"
    return Called(name, text)


def shown_name(table: Any) -> ColumnElement[str]:
    """Return what rows are shown as.

    :param table: one whose rows have a `name` and a `display_name`.
    """
    shown: ColumnElement[str] = case((table.display_name != "", table.display_name), else_=table.name)
    return shown


def is_shown_as(table: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that a row is shown under exactly this name."""
    return shown_name(table) == text.strip()


def check_called(table: Any, noun: str, wanted: Called, realm_id: int, *, besides: int | None = None) -> str:
    """Return what a row is to be shown as, empty for its name, if no other of the realm has the name, or is shown so.

    Names that case or punctuation alone would tell apart are the same.

    :param besides: number of the row that is to be shown so, if it is there.
    :raises ConflictError: another has it.
    :raises InvalidValueError: it cannot be shown.
    """
    shown = _no_uid(noun, check_text("display_name", wanted.shown, LONGEST_SHOWN).strip())
    names = {wanted.name, called(noun, shown).name}
    query = select(table).where(table.realm_id == realm_id)
    query = query.where(or_(table.name.in_(names), func.lower(table.display_name) == func.lower(shown)))
    other = db.session.scalars((query if besides is None else query.where(table.id != besides)).limit(1)).first()
    if other is not None:
        known: str | Sentence = repr(other.name)
        if other.display_name:
            known = Sentence("{name!r}, shown as {shown!r}", name=other.name, shown=other.display_name)
        sentence = "There is a {noun} {known} already. Choose another name that differs in letters or digits."
        raise ConflictError(Sentence(sentence, noun=Term(noun), known=known))
    return "" if shown == wanted.name else shown


def _is_name(text: str) -> bool:
    return NAME_PATTERN.fullmatch(text) is not None


def _no_uid(noun: str, text: str) -> str:
    """Return a name that could not be taken for somebody's uid."""
    if resembles_uid(text):
        sentence = "{text!r} cannot be the name of a {noun}: it has the form of a uid."
        raise InvalidValueError(Sentence(sentence, text=text, noun=Term(noun)))
    return text


def _plain(text: str) -> str:
    """Return a text in lower case without accents."""
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(part for part in unicodedata.normalize("NFKD", parts) if not unicodedata.combining(part))
