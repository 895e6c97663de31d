"""TOML files that people write, and which line of one says what.

The standard library's parser knows lines only for what it cannot parse.
"""

import pathlib
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from idp.errors import IdpError
from idp.written import one_line

_TABLE = re.compile(r"\s*(\[\[?)(.+?)\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*\s*=")

_CLOSES = re.compile(r"[\]}]\s*(#.*)?$|[\"']{3}")
"""A line that may end a value of several lines: only then is it worth looking whether it does."""

Path = tuple[str | int, ...]


class TomlFileError(IdpError):
    """A file is not TOML: file, line and reason."""


def parse_toml(path: pathlib.Path, text: str) -> tuple[dict[str, Any], "LineIndex"]:
    """Return what the text of a TOML file says, and where.

    :raises TomlFileError: it is not TOML.
    """
    try:
        return tomllib.loads(text), LineIndex(text)
    except tomllib.TOMLDecodeError as error:
        line = getattr(error, "lineno", None) or _line_of(str(error), text)
        raise TomlFileError(f"{path}:{line}: is not TOML: {one_line(str(error))}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise TomlFileError(f"{path}:1: holds a value that cannot be read ({type(error).__name__})") from None


def _line_of(message: str, text: str) -> int:
    """Find the line in the parser's message; an error at the end of the file has none."""
    _, _, rest = message.partition("at line ")
    number = rest.partition(",")[0]
    return int(number) if number.isdigit() else max(1, len(text.splitlines()))


class LineIndex:
    """The lines of a document that is known to parse."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._index(text.split("\n"))

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of a value, or of the closest thing around it that has one; 1 at the worst."""
        for length in range(len(path), 0, -1):
            found = self._lines.get(tuple(path[:length]))
            if found is not None:
                return found
        return 1

    def _index(self, lines: list[str]) -> None:
        table: Path = ()
        number = 0
        while number < len(lines):
            line = lines[number]
            header = _TABLE.fullmatch(line)
            if header:
                table = self._enter(_keys(f"{header[2]} = 0"), is_array=header[1] == "[[", line=number + 1)
            elif _KEY.match(line):
                chunk, first = [line], number
                while not (keys := _keys("\n".join(chunk))) and number + 1 < len(lines):
                    number += 1
                    chunk.append(lines[number])
                    while not _CLOSES.search(lines[number]) and number + 1 < len(lines):
                        number += 1
                        chunk.append(lines[number])
                for length in range(1, len(keys) + 1):
                    self._lines.setdefault((*table, *keys[:length]), first + 1)
            number += 1

    def _enter(self, keys: Path, *, is_array: bool, line: int) -> Path:
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if is_array and position == len(keys) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
            self._lines.setdefault(path, line)
        return path


def _keys(assignment: str) -> Path:
    """Return the keys of one assignment, or nothing while it is not complete."""
    try:
        value: Any = tomllib.loads(assignment)
    except tomllib.TOMLDecodeError:
        return ()
    depth = len(re.findall(r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'", assignment.partition("=")[0]))
    keys: list[str] = []
    for _ in range(depth):
        if not isinstance(value, dict) or not value:
            break
        key = next(iter(value))
        keys.append(key)
        value = value[key]
    return tuple(keys)
