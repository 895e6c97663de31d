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
from idp.vault.sealed import count_under


@dataclass(frozen=True)
class KeyUse:
    """A master key, and what depends on it."""

    id: str
    is_current: bool
    values: int
    """Sealed under it in the database."""


def list_master_keys() -> list[KeyUse]:
    """Return the keys of the file, the current one first."""
    keys = runtime.current().master_keys
    keys.refresh()
    return [KeyUse(each, each == keys.current, count_under(each)) for each in keys.by_id]


def add_master_key() -> str:
    """Add a new key to the end of the file, and return its id. Nothing is sealed under it before it is promoted."""
    with _changing() as (path, current, by_id):
        key_id, key = master_keys.make_master_key()
        master_keys.write_master_keys(path, current, by_id | {key_id: key})
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
    with _changing() as (path, _, by_id):
        master_keys.write_master_keys(path, _known(key_id, by_id), by_id)
    runtime.current().master_keys.refresh()


def retire_master_key(key_id: str, settle: float = WAIT_FOR_LOCK) -> None:
    """Remove a key from the file.

    :param settle: seconds to wait for whoever has sealed something under it and not committed yet.

    :raises NotFoundError: the file does not hold it.
    :raises ConflictError: it seals, or something in the database is still sealed under it.
    """
    with _changing() as (path, current, by_id):
        if _known(key_id, by_id) == current:
            raise ConflictError(f"Master key {key_id} is the current one: replace it first.").leading_to("rotate master key")
        _refuse_if_used(key_id)
        time.sleep(settle)  # what was sealed before the key was replaced, and not committed yet
        _refuse_if_used(key_id)
        master_keys.write_master_keys(path, current, {each: key for each, key in by_id.items() if each != key_id})
        try:
            _refuse_if_used(key_id)
        except ConflictError:
            master_keys.write_master_keys(path, current, by_id)
            raise
    runtime.current().master_keys.refresh()


def _refuse_if_used(key_id: str) -> None:
    values = count_under(key_id)
    if values:
        raise ConflictError(f"{values} values are still encrypted with master key {key_id}.").leading_to("rotate master key")


def _known(key_id: str, by_id: dict[str, bytes]) -> str:
    if key_id not in by_id:
        raise NotFoundError(f"The master key file holds no key {key_id[:20]!r}.").leading_to("list master keys")
    return key_id


@contextlib.contextmanager
def _changing() -> Iterator[tuple[Path, str, dict[str, bytes]]]:
    """Read the file while nobody else on this machine changes it; a killed process holds no lock."""
    path = runtime.current().settings.master_key_file
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise master_keys.cannot_replace(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for draft in path.parent.glob(f".{path.name}.*.new"):
            draft.unlink(missing_ok=True)  # of a change that was killed: it holds keys
        keys = master_keys.load_master_keys(path)
        yield path, keys.current, keys.by_id
    finally:
        os.close(lock)
