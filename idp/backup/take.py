"""Making a backup: the database as it is at one moment, while servers go on writing, with a manifest that says what it is."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from idp import __version__, audit, clock, migrations, runtime, vault
from idp.audit import Tag
from idp.backup import postgresql, shelf, sqlite
from idp.backup.errors import BackupError
from idp.backup.manifest import Manifest, describe_file, write_manifest
from idp.backup.mark import read_mark
from idp.backup.progress import Watch
from idp.copying import End, Role
from idp.crypto import MasterKeyError
from idp.db import commit, db, storage_errors
from idp.errors import StorageUnavailableError
from idp.opening import close_app, open_app
from idp.settings import Settings


@dataclass(frozen=True)
class Backup:
    """What was made."""

    path: Path
    manifest: Manifest
    removed: list[Path]
    """Older backups that were removed."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.manifest.files)


def take_backup(settings: Settings, folder: Path, watch: Watch, *, keep: int = 0) -> Backup:
    """Back the database up into a new folder within `folder`, which appears under its name when it is complete.

    :param keep: how many complete backups of this installation are left there, this one among them; 0 for all.
    :raises IdpError: nothing was backed up; the sentence says what to do.
    """
    shelf.prepare_shelf(settings, folder)
    with _opened(settings), shelf.errors(folder), shelf.unfinished_backup(folder) as unfinished:
        manifest = _fill(settings, unfinished, watch)
        made = folder / shelf.name_backup(manifest.taken_at)
        shelf.finish_backup(unfinished, made)
        removed = shelf.prune_backups(folder, made, keep) if keep else []
        _record(made.name)
    return Backup(made, manifest, removed)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[None]:
    """Open the database, and see that this version and this master key are those that it is of.

    :raises IdpError: they are not.
    """
    app = open_app(settings)
    try:
        with app.app_context(), storage_errors():
            with db.engine.execution_options(read_only=True).connect() as connection:
                migrations.refuse_unfinished(connection)
                found, newest = migrations.revision(connection), migrations.newest()
            if found != newest:
                raise BackupError(
                    f"The database has schema {found or 'none'}, and this version has {newest}. Back it up with the version of "
                    "Realmgate that serves it, before this one upgrades it."
                )
            db.session.connection(execution_options={"read_only": True})
            try:
                vault.open_all_peppers()
            except MasterKeyError as error:
                raise BackupError(f"Nothing was backed up, since the master key is not the right one: {error}") from error
            db.session.rollback()
            yield
    finally:
        close_app(app)


def _fill(settings: Settings, unfinished: Path, watch: Watch) -> Manifest:
    taken_at = clock.now()
    if settings.sqlite_path is not None:
        file, kind, made_with = unfinished / sqlite.FILE, "sqlite", sqlite.made_with()
        sqlite.dump(settings.sqlite_path, file, watch)
        with sqlite.reading(file) as connection:
            mark = read_mark(connection, watch)
    else:
        file, kind = unfinished / postgresql.FILE, "postgresql"
        with _source(settings) as end, end.reading() as connection:
            tool = postgresql.Tool("pg_dump", postgresql.server_version(connection))
            snapshot = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar_one())
            mark = read_mark(connection, watch)
            postgresql.dump(settings, tool, snapshot, file, watch)
            made_with = f"pg_dump {tool.version}"
    keys = runtime.current().master_keys
    manifest = Manifest(
        format=1,
        kind=kind,
        version=__version__,
        taken_at=taken_at,
        made_with=made_with,
        mark=mark,
        master_key=keys.current,
        fingerprints=keys.fingerprints(),
        files=(describe_file(file, watch),),
    ).signed(keys)
    write_manifest(unfinished, manifest)
    return manifest


@contextlib.contextmanager
def _source(settings: Settings) -> Iterator[End]:
    end = End(settings, Role.SOURCE)
    try:
        yield end
    finally:
        end.close()


def _record(name: str) -> None:
    """Record who has taken a copy of everything, where the database can be written: a standby cannot."""
    with contextlib.suppress(StorageUnavailableError), storage_errors():
        audit.record(Tag.SERVER_BACKUP, "", "server:realmgate", backup=name)
        commit()
