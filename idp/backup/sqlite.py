"""SQLite: a file, copied by its online backup API while others write, and put where there is none."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine

from idp.backup.errors import BackupError, RestoreError
from idp.backup.progress import Act, Step, Watch
from idp.backup.shelf import sync_file, sync_folder
from idp.db import WAIT_FOR_LOCK

FILE = "realmgate.sqlite"
_PAGES = 2_000
"""Pages between two looks at how far it has come."""


def made_with() -> str:
    """Return what copies, with its version."""
    return f"SQLite {sqlite3.sqlite_version}"


def dump(source: Path, target: Path, watch: Watch) -> None:
    """Copy a database as it is at one moment, while others read and write.

    :raises BackupError: it cannot be read, or is damaged.
    """
    try:
        with closing(_connect(source, "rw")) as database, closing(sqlite3.connect(target)) as copy:
            # an open transaction keeps to one state: without it, the copy would begin again with each change by another process
            database.execute("BEGIN")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()

            def show(_status: int, remaining: int, total: int) -> None:
                watch(Step(Act.COPY, total - remaining, total, "pages"))

            database.backup(copy, pages=_PAGES, progress=show)
            copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # a single file, with nothing beside it
        if problem := find_broken(target):
            raise BackupError(f"The database {source} is damaged: {problem}. Restore an earlier backup; run `idp doctor`.")
        sync_file(target)
    except sqlite3.Error as error:
        raise BackupError(f"The database {source} cannot be copied: {error}.") from error


def find_broken(path: Path) -> str:
    """Return what SQLite finds wrong with a file; empty for nothing."""
    try:
        with closing(_connect(path, "ro")) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
            links = database.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        return str(error)
    if found != ["ok"]:
        return found[0]
    return f"{len(links)} rows refer to missing rows" if links else ""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Read a file that nobody writes, and leave nothing beside it."""
    engine = create_engine("sqlite://", creator=lambda: _connect(path, "ro"), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def check_free(target: Path) -> None:
    """See that there is no database yet.

    :raises RestoreError: there is one, or what is left of one.
    """
    if target.exists() and not _is_empty(target):
        raise RestoreError(
            f"{target} holds a database. A backup is restored where there is none: stop the server, move the file away with "
            "those beside it whose names end in -wal and -shm, and run this again."
        )
    for end in ("-wal", "-journal"):
        if (left := target.with_name(target.name + end)).exists() and left.stat().st_size:
            raise RestoreError(
                f"{left} is left of another database, and would damage this one. Move it away, and run this again."
            )


def _is_empty(path: Path) -> bool:
    try:
        with closing(_connect(path, "ro")) as database:
            return not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error:
        return False


def load(source: Path, target: Path, watch: Watch) -> None:
    """Copy the file of a backup."""
    total = source.stat().st_size
    with source.open("rb") as file, target.open("xb") as copy:
        while chunk := file.read(1 << 20):
            copy.write(chunk)
            watch(Step(Act.LOAD, copy.tell(), total, "bytes"))
    sync_file(target)


def publish(restored: Path, target: Path) -> None:
    """Put a restored file where servers look for it, at once and whole.

    :raises RestoreError: somebody has put one there meanwhile.
    """
    sync_file(restored)
    check_free(target)
    for end in ("", "-wal", "-shm", "-journal"):  # empty files
        target.with_name(target.name + end).unlink(missing_ok=True)
    try:
        target.hardlink_to(restored)
    except FileExistsError:
        raise RestoreError(f"Somebody has created {target} meanwhile. Nothing was restored.") from None
    except OSError:  # a file system that knows no links
        shutil.move(restored, target)
    sync_folder(target.parent)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False
    )
