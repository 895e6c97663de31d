"""Restoring a backup: into a scratch place, to see that it can be done, or into an empty database."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select, text, update

from idp import master_keys, migrations, setup, trail
from idp.backup import postgresql, sqlite
from idp.backup.errors import RestoreError
from idp.backup.manifest import Manifest, find_damaged, find_wrong_keys, read_manifest
from idp.backup.progress import Watch
from idp.backup.shelf import find_backup
from idp.backup.verify import Verified, verify_database
from idp.copying import End, InUseError, Role, target_settings
from idp.database_url import sqlite_url
from idp.scratch import held_folder, is_server_running
from idp.settings import Settings
from idp.trail import AuditSealing

_SCRATCH = ".realmgate-check-"
_FILES = {"sqlite": sqlite.FILE, "postgresql": postgresql.FILE}


@dataclass
class Restored:
    """What was restored, and what was found wrong with it."""

    path: Path
    manifest: Manifest
    problems: list[str] = field(default_factory=list)
    verified: Verified | None = None
    """None if it did not come to that."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By step."""

    @property
    def total_seconds(self) -> float:
        """How long the steps took."""
        return round(sum(self.seconds.values()), 2)


def check_backup(settings: Settings, folder: Path, watch: Watch, *, scratch: str = "") -> Restored:
    """Restore a backup into a scratch place, see that everything is there and right, and remove it again.

    :param scratch: of SQLite, the folder to do that in, empty for a temporary one; of PostgreSQL, the URL of a server.
    :raises IdpError: it cannot be tried. What is wrong with the backup is in the result.
    """
    found, keys_fit = _examine(settings, folder, watch)
    if found.manifest.kind == "postgresql" and not scratch:
        raise RestoreError(
            "This is a backup of PostgreSQL: name a server on which it may be restored for a moment, into a database of its "
            "own, with --scratch postgresql://user@host/postgres. The user needs the right CREATEDB."
        )
    if not keys_fit:
        found.problems.append("Without the right master key, nothing was decrypted and no audit trail was verified.")
    if not found.problems:
        with _errors(), _scratch(settings, found.manifest, scratch) as (place, apart):
            _load_and_verify(found, place, apart, watch)
    return found


def restore_backup(settings: Settings, folder: Path, watch: Watch, *, ignore_connections: bool = False) -> Restored:
    """Restore a backup into the empty database of these settings, and see that everything is there and right.

    :param ignore_connections: take no notice of others who are connected to PostgreSQL.
    :raises IdpError: nothing was restored; the sentence says what to do.
    """
    if is_server_running(settings.data_dir):
        raise InUseError(f"A server is running with the data folder {settings.data_dir}. Stop it, then run this again.")
    setup.make_data_dir(settings.data_dir)
    found, _ = _examine(settings, folder, watch)
    if found.problems:
        raise RestoreError("Nothing was restored: " + " ".join(found.problems))
    if (found.manifest.kind == "sqlite") != settings.is_sqlite:
        raise RestoreError(
            f"This is a backup of {_NAMES[found.manifest.kind]}, and IDP_DATABASE_URL is {settings.show('database_url')}. "
            "Restore it into a database of its own kind; `idp database copy` then copies that into one of the other."
        )
    with _errors(), held_folder(settings.data_dir, _SCRATCH) as apart:
        if settings.sqlite_path is not None:
            _restore_file(found, settings, settings.sqlite_path, apart, watch)
        else:
            _restore_database(found, settings, apart, watch, ignore_connections=ignore_connections)
    return found


_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def _examine(settings: Settings, folder: Path, watch: Watch) -> tuple[Restored, bool]:
    """Look at a backup as it lies there, and whether the master key is the right one."""
    path = find_backup(folder)
    found = Restored(path, read_manifest(path))
    if found.manifest.mark.db_schema != migrations.newest():
        raise RestoreError(
            f"This is a backup of schema {found.manifest.mark.db_schema}, created by Realmgate {found.manifest.version}; this "
            f"version has schema {migrations.newest()}. Restore it with the version that created it, and upgrade afterwards."
        )
    if [file.name for file in found.manifest.files] != [_FILES[found.manifest.kind]]:
        raise RestoreError(f"The manifest of {path} names other files than a backup has. Use another backup.")
    wrong = find_wrong_keys(found.manifest, master_keys.load_master_keys(settings.master_key_file, settings.outside))
    with _timed(found, "checksums"):
        found.problems = [*wrong, *find_damaged(path, found.manifest, watch)]
    return found, not wrong


def _restore_file(found: Restored, settings: Settings, target: Path, apart: Path, watch: Watch) -> None:
    """Restore a file beside where it belongs, and put it there only if everything is right."""
    sqlite.check_free(target)
    with held_folder(target.parent, _SCRATCH) as folder:
        place = target_settings(settings, sqlite_url(folder / sqlite.FILE))
        _load_and_verify(found, place, apart, watch)
        if found.problems:
            raise RestoreError("Nothing was restored: " + " ".join(found.problems))
        sqlite.publish(folder / sqlite.FILE, target)


def _restore_database(found: Restored, settings: Settings, apart: Path, watch: Watch, *, ignore_connections: bool) -> None:
    end = End(settings, Role.TARGET)
    try:
        with end.held(ignore_connections=ignore_connections):
            _load_and_verify(found, settings, apart, watch, end)
    finally:
        end.close()
    if found.problems:
        raise RestoreError(
            "The database was restored, and is not right: " + " ".join(found.problems) + " Let no server start on it; drop it."
        )


def _load_and_verify(found: Restored, place: Settings, apart: Path, watch: Watch, end: End | None = None) -> None:
    source = found.path / found.manifest.files[0].name
    with _timed(found, "restore"):
        if place.sqlite_path is not None:
            sqlite.load(source, place.sqlite_path, watch)
            if problem := sqlite.find_broken(place.sqlite_path):
                found.problems.append(f"SQLite finds the restored database damaged: {problem}.")
                return
        elif end is not None:
            _load(place, end, source, watch)
        else:
            end = End(place, Role.TARGET)
            try:
                _load(place, end, source, watch)
            finally:
                end.close()
    with _timed(found, "verify"):
        found.verified = verify_database(place.model_copy(update={"data_dir": apart}), found.manifest, watch)
        found.problems += found.verified.problems


def _load(place: Settings, end: End, source: Path, watch: Watch) -> None:
    with end.reading() as connection:
        postgresql.check_free(end, connection)
        tool = postgresql.Tool("pg_restore", postgresql.server_version(connection))
    postgresql.load(place, tool, source, watch)
    with end.writing() as connection:
        for number, gaps in connection.execute(select(AuditSealing.id, AuditSealing.gaps)).all():
            values = update(AuditSealing).where(AuditSealing.id == number).values(gaps=trail.gaps_elsewhere(gaps))
            connection.execute(values)
        connection.execute(text("ANALYZE"))


@contextlib.contextmanager
def _scratch(settings: Settings, manifest: Manifest, scratch: str) -> Iterator[tuple[Settings, Path]]:
    """Make a place for a moment; return the settings of who uses it, and a folder that remembers nothing."""
    with contextlib.ExitStack() as stack:
        if manifest.kind == "sqlite":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=scratch or None))).absolute()
            url = sqlite_url(folder / sqlite.FILE)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_SCRATCH)))
            server = target_settings(settings, scratch)
            if server.is_sqlite:
                raise RestoreError("--scratch takes the URL of a server of PostgreSQL: this is a backup of PostgreSQL.")
            url = stack.enter_context(postgresql.scratch_database(scratch))
        yield target_settings(settings, url), folder


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Say that a file cannot be written, and why.

    :raises RestoreError: it cannot: its disk is full, say.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or "A folder that the restore needs"
        raise RestoreError(f"{where} cannot be written ({error.strerror}). Nothing was restored.") from error


@contextlib.contextmanager
def _timed(found: Restored, step: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    found.seconds[step] = round(time.monotonic() - begun, 2)
