"""Reading text files that people write: realm files, settings, the master key file, secrets, key sets, exports.

They are UTF-8 whatever the locale says; a byte order mark, as editors on Windows put in front, is no part of the text, and a line
ends the same whether it ends with LF or CR LF.
"""

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from idp.errors import IdpError

STDIN = "-"
"""What stands for standard input where a file is named."""

_WIDE = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


class TextFileError(IdpError):
    """A file cannot be read as text."""

    def __init__(self, name: str, reason: str, *, line: int = 0) -> None:
        """Name the file, and say why.

        :param reason: half a sentence that goes on after the file's name, and holds nothing of what is in the file.
        :param line: the line at which reading ended, from 1; 0 if that is not known.
        """
        super().__init__(f"{f'{name}:{line}' if line else name} {reason}.")
        self.reason, self.line = reason, line


def read_text(path: Path) -> str:
    """Return what a file says.

    :raises TextFileError: it is not there, may not be read, or is not UTF-8.
    """
    try:
        return decode(path.read_bytes(), str(path))
    except (OSError, ValueError) as error:
        raise unreadable(str(path), error) from error


def is_open_to_others(path: Path, found: os.stat_result) -> bool:
    """Tell whether anybody but the owner and this process can get at a file that holds a secret.

    Its group may read it if it is one of this process's own: the files of a Secret volume are root's, and given to a group. What
    systemd hands to a service (systemd.exec(5), LoadCredential=) may look as if root's group could: there the mode shows the mask
    of a list that names the service's user.
    """
    readable_by_group = bool(found.st_mode & 0o040)
    is_allowed = _is_credential(path) or found.st_gid in {os.getegid(), *os.getgroups()}
    return bool(found.st_mode & 0o037) or (readable_by_group and not is_allowed)


def _is_credential(path: Path) -> bool:
    """Tell whether a file is in the folder that systemd has made for this service, and lets nobody else into."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.absolute().parent == Path(folder)


def decode(data: bytes, name: str) -> str:
    """Return a text that came as bytes, with LF at the ends of its lines.

    :param name: what it came from, for the error.
    :raises TextFileError: it is not UTF-8.
    """
    wide = next((encoding for mark, encoding in _WIDE.items() if data.startswith(mark)), "")
    if wide:
        raise TextFileError(name, f"is {wide}: save it as UTF-8", line=1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextFileError(name, "is not UTF-8: save it as UTF-8", line=line) from None  # the cause would repeat the text
    return text.replace("\r\n", "\n")


def read_named(name: str) -> str:
    """Return what the file of this name says, or standard input for `-`; see `read_text` for errors."""
    return decode(sys.stdin.buffer.read(), "standard input") if name == STDIN else read_text(Path(name))


def read_line() -> str:
    """Return the first line of standard input, without its end, and leave the rest.

    :raises TextFileError: it is not UTF-8.
    """
    return decode(sys.stdin.buffer.readline(), "standard input").removesuffix("\n").removesuffix("\r")


class TextLines:
    """A file that is read line by line, as often as it is gone through; it may be large."""

    def __init__(self, name: str) -> None:
        """Take the file's name; `-` for standard input, which can be gone through once."""
        self.name = "standard input" if name == STDIN else name
        self._path = None if name == STDIN else Path(name)

    def __iter__(self) -> Iterator[str]:
        """Go through the lines, each with its end.

        :raises TextFileError: the file cannot be read, or a line is not UTF-8.
        """
        if self._path is None:
            yield from self._decoded(sys.stdin.buffer)
            return
        try:
            with self._path.open("rb") as file:
                yield from self._decoded(file)
        except OSError as error:
            raise unreadable(self.name, error) from error

    def _decoded(self, file: BinaryIO) -> Iterator[str]:
        for number, line in enumerate(file, 1):
            try:
                yield decode(line, self.name)
            except TextFileError as error:
                raise TextFileError(self.name, error.reason, line=number) from None


def unreadable(name: str, error: OSError | ValueError) -> TextFileError:
    """Return the error for a file that the system does not let be read; a name with a NUL in it is a ValueError."""
    return TextFileError(name, f"cannot be read ({getattr(error, 'strerror', None) or 'its name is none'})")
