"""Replacing the master key: another one is added to the file, made the one that seals, and the old one retired at last."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idp import master_keys, runtime
from idp.db import WAIT_FOR_LOCK
from idp.errors import ConflictError, NotFoundError
from idp.outside_keys import OutsideKeys, wrapped_by
from idp.vault.sealed import count_under


@dataclass(frozen=True)
class KeyUse:
    """A master key, and what depends on it."""

    id: str
    is_current: bool
    values: int
    """Sealed under it in the database."""
    wrapped_by: str
    """The outside key that it is encrypted with in the file; empty where it is not."""


def list_master_keys() -> list[KeyUse]:
    """Return the keys of the file, the current one first."""
    keys = runtime.current().master_keys
    keys.refresh()
    return [KeyUse(each, each == keys.current, count_under(each), wrapped_by(line)) for each, line in keys.lines.items()]


def add_master_key() -> str:
    """Add a new key to the end of the file, and return its id. Nothing is sealed under it before it is promoted.

    :raises OutsideKeyError: there is an outside key to wrap it with, and it cannot be used.
    """
    key_id, key = master_keys.make_master_key()
    line = master_keys.make_line(key_id, key, runtime.current().settings.outside)
    with _changing() as (path, lines):
        master_keys.write_key_file(path, lines | {key_id: line})
    runtime.current().master_keys.refresh()
    return key_id


def promote_master_key(key_id: str) -> None:
    """Have everything be sealed under this key from now on: by this process at once, by servers as soon as they seal.

    A file that has it in its first line is left as it is: it may be kept elsewhere.

    :raises NotFoundError: the file does not hold it.
    """
    keys = runtime.current().master_keys
    keys.refresh()
    if key_id == keys.current:
        return
    with _changing() as (path, lines):
        master_keys.write_key_file(path, {key_id: lines[_known(key_id, lines)]} | lines)
    runtime.current().master_keys.refresh()


def retire_master_key(key_id: str, settle: float = WAIT_FOR_LOCK) -> None:
    """Remove a key from the file.

    :param settle: seconds to wait for whoever has sealed something under it and not committed yet.

    :raises NotFoundError: the file does not hold it.
    :raises ConflictError: it seals, or something in the database is still sealed under it.
    """
    with _changing() as (path, lines):
        if _known(key_id, lines) == next(iter(lines)):
            raise ConflictError(f"Master key {key_id} is the current one: replace it first.").leading_to("rotate master key")
        _refuse_if_used(key_id)
        time.sleep(settle)  # what was sealed before the key was replaced, and not committed yet
        _refuse_if_used(key_id)
        master_keys.write_key_file(path, {each: line for each, line in lines.items() if each != key_id})
        try:
            _refuse_if_used(key_id)
        except ConflictError:
            master_keys.write_key_file(path, lines)
            raise
    runtime.current().master_keys.refresh()


def wrap_master_keys() -> int:
    """Have the first outside key wrap all keys of the file, or none where none is to. The keys stay the same.

    :returns: how many are wrapped otherwise than before.
    :raises OutsideKeyError: an outside key cannot be used; then the file is as it was.
    """
    keys, outside = runtime.current().master_keys, runtime.current().settings.outside
    with _changing() as (path, lines):
        keys.refresh()
        if keys.lines != lines:
            raise ConflictError("The master key file has changed and cannot be used; the log says why.")
        fresh = {
            each: master_keys.make_line(each, keys.by_id[each], outside) for each in lines if not _is_right(lines[each], outside)
        }
        if fresh:
            master_keys.write_key_file(path, lines | fresh)
    keys.refresh()
    return len(fresh)


def _is_right(line: str, outside: OutsideKeys) -> bool:
    """Tell whether a key stands in the file as a new one would."""
    identity = wrapped_by(line)
    return outside.wraps.wrapped(identity) if outside.wraps is not None else not identity


def _refuse_if_used(key_id: str) -> None:
    values = count_under(key_id)
    if values:
        raise ConflictError(f"{values} values are still encrypted with master key {key_id}.").leading_to("rotate master key")


def _known(key_id: str, lines: dict[str, str]) -> str:
    if key_id not in lines:
        raise NotFoundError(f"The master key file holds no key {key_id[:20]!r}.").leading_to("list master keys")
    return key_id


@contextlib.contextmanager
def _changing() -> Iterator[tuple[Path, dict[str, str]]]:
    """Read the lines of the file while nobody else on this machine changes it; a killed process holds no lock."""
    path = runtime.current().settings.master_key_file
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise master_keys.cannot_replace(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for draft in path.parent.glob(f".{path.name}.*.new"):
            draft.unlink(missing_ok=True)  # of a change that was killed: it holds keys
        yield path, master_keys.read_key_file(path)
    finally:
        os.close(lock)
