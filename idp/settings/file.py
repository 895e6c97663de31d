"""`realmgate.toml`: where it is looked for, whose it may be, and what it says.

Whoever can write it decides which database and which keys the server uses, so a file that others can write is refused, and one
that was merely found must be this user's own or root's.
"""

import difflib
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idp.errors import IdpError
from idp.text_files import TextFileError, decode, unreadable
from idp.toml_files import TomlFileError, parse_toml
from idp.written import one_line

NAME = "realmgate.toml"

VARIABLE = "IDP_CONFIG"
"""The variable of the environment that names the file."""

NO_FILE = os.devnull
"""What `IDP_CONFIG` is set to where no file is to be read."""

_MOST_LINKS = 40


class SettingsError(IdpError):
    """A setting, or the file of settings, cannot be used."""


@dataclass(frozen=True)
class SettingsFile:
    """What a file of settings says, by the names of the settings."""

    path: Path
    values: dict[str, Any] = field(repr=False)
    lines: dict[str, int]
    is_local: bool
    """Whether it was found in the current folder or above."""


@dataclass(frozen=True)
class Found:
    """Where the file of settings is."""

    path: Path
    is_named: bool
    """Whether somebody has named it, and it was not just found."""
    is_local: bool
    """Whether it was found in the current folder or above."""


def find(named: str) -> Found | None:
    """Return the file of settings; None if there is none.

    :param named: the file that somebody has named; empty to look for one.
    :raises SettingsError: one was found that is somebody else's.
    """
    if named:
        return None if named == NO_FILE else Found(Path(named).absolute(), is_named=True, is_local=False)
    for path, is_local in places():
        if os.path.lexists(path):  # False, too, where this user may not look
            _check_links(path)
            return Found(path, is_named=False, is_local=is_local)
    return None


def places() -> Iterator[tuple[Path, bool]]:
    """Go through where a file is looked for, in order, and whether that is the current folder or above."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        pass
    else:
        yield from ((folder / NAME, True) for folder in (here, *here.parents))
    home = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(home) if home.startswith("/") else Path("~/.config").expanduser()
    yield folder / "realmgate" / NAME, False
    yield Path("/etc/realmgate") / NAME, False


def read(found: Found, *, known: Collection[str], folders: Collection[str]) -> SettingsFile:
    """Read a file of settings.

    :param known: the names of all settings.
    :param folders: the names of those that are paths, which are relative to the file.
    :raises SettingsError: it cannot be read, others can write it, or it names what is not a setting.
    """
    path = found.path
    try:
        data, lines = parse_toml(path, _read_private(found))
    except (TextFileError, TomlFileError) as error:
        raise SettingsError(str(error)) from None
    where = {name: lines.line([name]) for name in data}
    for name in data:
        if name not in known:
            raise SettingsError(f"{path}:{where[name]}: {_unknown(name, known)}")
    given = {name: value for name, value in data.items() if value not in ("", [])}  # as in the environment, that is no value
    relative = {name: path.parent / value for name, value in given.items() if name in folders and isinstance(value, str)}
    return SettingsFile(path, given | relative, where, found.is_local)


def is_trusted(found: os.stat_result) -> bool:
    """Tell whether a file is this user's own or root's, and nobody else can write it."""
    return found.st_uid in {0, os.geteuid()} and not found.st_mode & 0o022


def _read_private(found: Found) -> str:
    """Return what the file says, once it is sure that nobody else can have written it."""
    path = found.path
    try:
        with path.open("rb") as file:
            opened = os.fstat(file.fileno())
            if not found.is_named:
                _check_owner(path, path, opened)
            if stat.S_ISREG(opened.st_mode) and opened.st_mode & 0o022:
                raise SettingsError(
                    f"{path} can be changed by others (mode {opened.st_mode & 0o777:04o}), who could make the server use a "
                    f"database and keys of theirs. Run: chmod go-w {path}"
                )
            return decode(file.read(), str(path))
    except (OSError, ValueError) as error:
        raise unreadable(str(path), error) from error


def _check_links(path: Path) -> None:
    """Refuse a file that was found if a link on the way to it is neither this user's own nor root's.

    :raises SettingsError: whose it is, and what to do.
    """
    step = path
    for _ in range(_MOST_LINKS):
        try:
            there = step.lstat()
        except OSError:
            return  # a link to nothing: reading it says so
        _check_owner(path, step, there)
        if not stat.S_ISLNK(there.st_mode):
            return
        step = step.parent / step.readlink()


def _check_owner(path: Path, step: Path, there: os.stat_result) -> None:
    if there.st_uid not in {0, os.geteuid()}:
        raise SettingsError(
            f"{step} belongs to another user (uid {there.st_uid}), and is not read just because it is there. If you trust it, "
            f"name it: --config {path}, or {VARIABLE}={path}. To do without it: {VARIABLE}={NO_FILE}"
        )


def _unknown(name: str, known: Collection[str]) -> str:
    plain = name.lower().removeprefix("idp_").replace("-", "_")
    close = difflib.get_close_matches(plain, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{one_line(name)[:80]} is not a setting.{hint} `idp settings` lists all settings."
