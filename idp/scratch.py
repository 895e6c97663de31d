"""A folder for what lasts as long as a server does: below the data folder, since nothing else may be writable."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "run-"


@contextlib.contextmanager
def scratch_folder(data_dir: Path) -> Iterator[Path]:
    """Make a folder that is this server's own (mode 0700) and the place of all temporary files, and remove it at the end.

    What servers have left that were killed is removed, too: a living one, with its workers, holds a lock on its folder.
    """
    with held_folder(data_dir, PREFIX) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        yield folder


@contextlib.contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder (mode 0700) with a name that begins so, and remove it at the end, unless it has got another name by then.

    What others have left under such names that were killed is removed, too.
    """
    with _alone(parent):
        for left in parent.glob(f"{prefix}*"):
            _remove_unless_held(left)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def is_server_running(data_dir: Path) -> bool:
    """Tell whether a server, or a worker that one has left, is at work with a data folder."""
    return any(_is_held(folder) for folder in data_dir.glob(f"{PREFIX}*"))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remove_unless_held(folder: Path) -> None:
    if not _is_held(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _is_held(folder: Path) -> bool:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
