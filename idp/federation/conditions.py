"""The lines of a rule: each compares one claim of an assertion with a value, as data and not as text to be searched.

A claim is named by its path, `google.compute_engine.project_number`. Names of claims may hold dots themselves (`kubernetes.io`),
so the longest name that is there counts at each step. A value may be a pattern: `*` stands for any text within one component, and
crosses neither `/` nor `:`, so that `repo:acme/*:ref:refs/heads/main` matches no repository of another owner and no other branch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_PATH, LONGEST_VALUE = 200, 500
MOST_LINES = 20
MOST_VALUES = 50
"""Members of a list in a claim that are looked at."""

NO_SUBJECT = "No line pins `sub`: make sure that what is pinned is never given to another."
"""What is said of a rule by which somebody else might come to be admitted one day."""

_SEPARATORS = re.compile(r"([/:])")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a rule."""

    claim: str
    value: str

    @property
    def is_pattern(self) -> bool:
        """Whether more than one value matches."""
        return "*" in self.value

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether it holds for the claims of an assertion; of a list, whether it does for one of its members."""
        return any(matches(self.value, found) for found in values_at(claims, self.claim))


def values_at(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return what a claim says, as texts; empty if it is not there, or is no text, whole number, truth value or list of those."""
    found = _at(claims, path)
    members = found[:MOST_VALUES] if isinstance(found, list) else [found]
    return [text for text in map(_as_text, members) if text is not None]


def _at(claims: Any, path: str) -> Any:
    if not isinstance(claims, Mapping):
        return None
    if path in claims:
        return claims[path]
    for name, rest in _cuts(path):
        if name in claims:
            return _at(claims[name], rest)
    return None


def _cuts(path: str) -> Iterator[tuple[str, str]]:
    """Cut a path in two at each of its dots, the longest first part first."""
    end = len(path)
    while (end := path.rfind(".", 0, end)) > 0:
        yield path[:end], path[end + 1 :]


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def matches(wanted: str, found: str) -> bool:
    """Tell whether a text is a value, or has the form of a pattern."""
    if "*" not in wanted:
        return wanted == found
    if len(found) > LONGEST_VALUE:
        return False
    ours, theirs = _SEPARATORS.split(wanted), _SEPARATORS.split(found)
    return len(ours) == len(theirs) and all(map(_component_matches, ours, theirs))


def _component_matches(wanted: str, found: str) -> bool:
    """Tell whether one component has the form of another: from left to right, each part where it comes first. No way back."""
    if "*" not in wanted:
        return wanted == found
    first, *between, last = wanted.split("*")
    if not found or len(found) < len(first) + len(last) or not found.startswith(first) or not found.endswith(last):
        return False
    place, end = len(first), len(found) - len(last)
    for part in between:
        place = found.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def check_lines(values: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the lines of a rule in their full form.

    :raises ValueError: none, too many, two alike, or one that cannot be compared.
    """
    lines = [{"claim": each.get("claim", "").strip(), "value": each.get("value", "")} for each in values]
    if not 1 <= len(lines) <= MOST_LINES:
        raise ValueError(f"A rule has 1 to {MOST_LINES} lines.")
    for number, line in enumerate(lines, 1):
        claim, value = line["claim"], line["value"]
        if not 1 <= len(claim) <= LONGEST_PATH or not claim.isprintable():
            raise ValueError(f"Line {number} needs the name of a claim, of 1 to {LONGEST_PATH} characters.")
        if not 1 <= len(value) <= LONGEST_VALUE or not value.isprintable():
            raise ValueError(f"Line {number} needs a value, of 1 to {LONGEST_VALUE} characters.")
        if not value.strip("*/:"):
            raise ValueError(f"Line {number} would hold for any value: {value!r} names nothing.")
    if len({(line["claim"], line["value"]) for line in lines}) != len(lines):
        raise ValueError("A rule cannot have the same line twice.")
    return lines
