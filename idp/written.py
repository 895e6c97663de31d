"""What text is: one rule for all that people write and read."""

import unicodedata

_JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Invisible, and part of how Persian, Sinhala and other languages are spelt."""


def is_written(text: str) -> bool:
    """Tell whether a text is one line that can be read: no controls, nothing that turns the direction round, nothing unassigned.

    Joiners are taken where writing needs them, between letters of scripts that have them: elsewhere they would only make two
    texts that look alike.
    """
    return all(character.isprintable() or (character in _JOINERS and _joins(text, place)) for place, character in enumerate(text))


def one_line(text: str) -> str:
    """Return text from outside for a message or a table: what could forge a line or steer a terminal is shown as `?`."""
    return "".join(
        character if character.isprintable() or (character in _JOINERS and _joins(text, place)) else "?"
        for place, character in enumerate(text)
    )


def _joins(text: str, place: int) -> bool:
    """Tell whether letters of such a script stand on both sides."""
    return 0 < place < len(text) - 1 and all(_is_letter(text[each]) for each in (place - 1, place + 1))


def _is_letter(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] in "LM"
