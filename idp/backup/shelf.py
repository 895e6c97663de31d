"""The folder that backups are in: each is a folder of its own, which gets its name when it is complete."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from idp import clock
from idp.backup.errors import BackupError, RestoreError
from idp.backup.manifest import FILE, read_manifest
from idp.settings import Settings

UNFINISHED = ".realmgate-unfinished-"
"""How the names begin of what is not complete."""

_ABANDONED_AFTER = timedelta(days=1)
"""How long nothing was written to an unfinished backup that somebody was killed over. No lock says so, for the folder may be on a
file system, such as NFS, that locks no folders."""

_NAME = re.compile(r"realmgate-\d{8}T\d{6}Z")


def name_backup(at: datetime) -> str:
    """Return the name of the backup of a moment, by which backups sort."""
    return f"realmgate-{at:%Y%m%dT%H%M%SZ}"


def prepare_shelf(settings: Settings, folder: Path) -> None:
    """Make the folder for backups, unless it is there.

    :raises BackupError: it is no place for them.
    """
    place = folder.resolve()
    data_dir = settings.data_dir.resolve()
    if place.is_relative_to(data_dir):
        raise BackupError(
            f"{folder} is in the data folder ({settings.data_dir}): what destroys that would destroy the backups. Choose a "
            "folder on another disk or machine."
        )
    if settings.master_key_file.resolve().is_relative_to(place):
        raise BackupError(
            f"{folder} holds the master key ({settings.master_key_file}). Keep backups and the key apart: whoever has both can "
            "read everything."
        )
    if (folder / FILE).exists():
        raise BackupError(f"{folder} is a backup. Name the folder that it is in, or another one.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackupError(f"{folder} cannot be created ({error.strerror}).") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BackupError(f"{folder} cannot be written. Choose a folder that this user can write.")


@contextlib.contextmanager
def errors(folder: Path) -> Iterator[None]:
    """Say that a folder cannot be written, and why.

    :raises BackupError: it cannot: its disk is full, say.
    """
    try:
        yield
    except OSError as error:
        raise BackupError(f"{folder} cannot be written ({error.strerror}). What was begun there was removed.") from error


@contextlib.contextmanager
def unfinished_backup(folder: Path) -> Iterator[Path]:
    """Make a folder for a backup in the making, and remove it at the end, unless it has got its name by then."""
    for left in folder.glob(f"{UNFINISHED}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_abandoned(unfinished: Path) -> bool:
    with contextlib.suppress(OSError):
        newest = max(each.stat().st_mtime for each in (unfinished, *unfinished.iterdir()))
        return newest < (clock.now() - _ABANDONED_AFTER).timestamp()
    return False


def finish_backup(unfinished: Path, final: Path) -> None:
    """Give a backup its name, once all of it is on disk.

    :raises BackupError: there is one of that name.
    """
    if final.exists():
        raise BackupError(f"There is a backup {final} already.")
    sync_folder(unfinished)
    unfinished.rename(final)
    sync_folder(final.parent)


def list_backups(folder: Path) -> list[Path]:
    """Return the complete backups in a folder, oldest first."""
    return sorted(each for each in folder.iterdir() if _NAME.fullmatch(each.name) and (each / FILE).is_file())


def prune_backups(folder: Path, made: Path, keep: int) -> list[Path]:
    """Remove the oldest complete backups of the same installation, so that no more than `keep` are left.

    :param made: one that stays in any case.
    :returns: what was removed.
    """
    installation = read_manifest(made).mark.installation
    ours = [each for each in list_backups(folder) if each != made and _is_of(each, installation)]
    gone = ours[: max(0, len(ours) + 1 - keep)]
    for each in gone:
        (each / FILE).unlink()  # first: what is left when this is interrupted is not complete, and not taken for a backup
        shutil.rmtree(each)
    return gone


def _is_of(backup: Path, installation: str) -> bool:
    try:
        return read_manifest(backup).mark.installation == installation
    except RestoreError:
        return False


def find_backup(folder: Path) -> Path:
    """Return the backup that somebody means: the folder itself, or the newest one in it.

    :raises RestoreError: it is none, and there is none in it.
    """
    if (folder / FILE).is_file():
        return folder
    try:
        found = list_backups(folder)
    except OSError as error:
        raise RestoreError(f"{folder} cannot be read ({error.strerror}).") from error
    if not found:
        raise RestoreError(f"{folder} is not a complete backup, and there is none in it.")
    return found[-1]


def sync_folder(folder: Path) -> None:
    """See the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """See what a file holds on disk, and that it is for its owner only."""
    path.chmod(0o600)
    sync_folder(path)
