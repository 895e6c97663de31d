"""The master key file: a line for each key, the current one first."""

import base64
import binascii
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from idp.crypto import MasterKeyError
from idp.outside_keys import WRAPPED
from idp.text_files import TextFileError, is_open_to_others, read_text


def read_key_file(path: Path) -> dict[str, str]:
    """Read the master key file.

    :returns: how each key stands in it, by the keys' ids, the current one first: as base64 of 32 bytes, or as an outside key
        has wrapped it.
    :raises MasterKeyError: missing, readable by others, or not of that form.
    """
    try:
        found = path.stat()
        words = read_text(path).split()
    except OSError as error:
        raise MasterKeyError(f"The master key file {path} cannot be read ({error.strerror}). Set IDP_MASTER_KEY_FILE.") from error
    except TextFileError as error:
        raise MasterKeyError(f"The master key file {path} {error.reason}. Set IDP_MASTER_KEY_FILE.") from None
    if is_open_to_others(path, found):
        raise MasterKeyError(
            f"The master key file {path} can be read or changed by others (mode {found.st_mode & 0o777:04o}). "
            f"Run: chmod 600 {path} (for a volume of a Secret: defaultMode 0440, with the pod's fsGroup)."
        )
    lines = {key_id: text for key_id, _, text in (word.partition(":") for word in words)}
    if not lines or len(lines) != len(words) or not all(map(_is_key, lines.values())):
        raise MasterKeyError(f"The master key file {path} is damaged: each line must be <key id>:<base64 of 32 bytes>.")
    return lines


def _is_key(text: str) -> bool:
    with contextlib.suppress(binascii.Error, ValueError):
        return WRAPPED.fullmatch(text) is not None or len(base64.b64decode(text, validate=True)) == 32
    return False


def write_key_file(path: Path, lines: Mapping[str, str]) -> None:
    """Replace the master key file, mode 0600, whole or not at all.

    :param lines: as `read_key_file` returns them.
    :raises MasterKeyError: it cannot be written.
    """
    try:
        _write_draft(path, "".join(_line(*each) for each in lines.items())).replace(path)
    except OSError as error:
        raise cannot_replace(path, error) from error
    _sync_folder(path)


def cannot_replace(path: Path, error: OSError) -> MasterKeyError:
    """Return the error for a file that this process cannot write, such as that of a Secret: what to do instead."""
    return MasterKeyError(
        f"The master key file {path} cannot be replaced ({error.strerror}). If it is kept elsewhere, as in a Secret, change it "
        "there: run `idp master-key add` on a copy (IDP_MASTER_KEY_FILE), put the copy in its place, then once more with the new "
        "key in the first line, and run `idp master-key rotate`, which re-encrypts everything and leaves the file alone."
    )


def create_key_file(path: Path, key_id: str, text: str) -> None:
    """Write a master key file with one key, mode 0600, whole or not at all: it appears under its name only once it is on disk.

    An existing file is left alone, also when another process made it meanwhile.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise MasterKeyError(
            f"The folder {path.parent} cannot be created ({error.strerror}). Set IDP_MASTER_KEY_FILE."
        ) from error
    try:
        draft = _write_draft(path, _line(key_id, text))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise MasterKeyError(
            f"The master key file {path} cannot be created ({error.strerror}). Set IDP_MASTER_KEY_FILE."
        ) from error
    _sync_folder(path)


def _line(key_id: str, text: str) -> str:
    return f"{key_id}:{text}\n"


def _write_draft(path: Path, text: str) -> Path:
    """Write a file beside another, for its owner only, and see it on disk before it gets the other's name."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
