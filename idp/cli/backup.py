"""`idp backup` and `idp restore`: the whole database into a folder, and back out of it."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.config import load_settings
from idp.cli.restored import end_what_was_restored, read_evidence, restored_options
from idp.cli.session import json_option, json_time, show_json, show_time, with_database
from idp.cli.where import check_is_set_up
from idp.errors import IdpError
from idp.text_files import TextLines
from idp.written import one_line

if TYPE_CHECKING:
    from idp.backup import Backup, Restored, Step

_SHOW_EVERY = 0.2
"""Seconds between two changes of the line that shows how far it has come."""

_SAY_EVERY = 10.0
"""Seconds between two lines of it, where lines cannot change."""

_MAIN = {
    "realm": "realms",
    "user": "users",
    "application": "applications",
    "api_key": "API keys",
    "keyset": "keysets",
    "signing_key": "signing keys",
    "audit_event": "audit events",
}
"""Tables whose rows people know, and what they call them."""


class InterruptedBackupError(IdpError):
    """Somebody has stopped it."""


class UnfitBackupError(IdpError):
    """A backup is not what it should be."""


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1),
    help="Afterwards, remove the oldest complete backups of this database in DIRECTORY, so that this many are left.",
)
@json_option
def backup(directory: Path, keep: int | None, as_json: bool) -> None:
    """Back up the whole database into a new folder in DIRECTORY, while servers keep running.

    The backup is of one moment. It is complete when its folder has its name, realmgate-<time in UTC>; a manifest.json in it
    has checksums, row counts and the heads of the audit trails. The master key is never in it: back that file up yourself,
    in another place. PostgreSQL is copied by pg_dump, which must not be older than the server.

    \b
    Examples:
      idp backup /mnt/backups
      idp backup /mnt/backups --keep 7
      idp restore /mnt/backups --check        does the newest one work?
    """  # noqa: D301 (\b is what click needs here)
    from idp import audit
    from idp import backup as backups

    settings = load_settings()
    check_is_set_up(settings)
    begun, shown = time.monotonic(), _Shown()
    try:
        with _stoppable(), audit.acting_as(audit.operator()):
            made = backups.take_backup(settings, directory.absolute(), shown.show, keep=keep or 0)
    except KeyboardInterrupt:
        raise InterruptedBackupError("Stopped. Nothing was backed up, and nothing was left behind.") from None
    finally:
        shown.end()
    seconds = round(time.monotonic() - begun, 2)
    if as_json:
        show_json(_backup_json(made) | {"master_key_file": str(settings.master_key_file), "seconds": seconds})
        return
    mark, key = made.manifest.mark, made.manifest.master_key
    click.echo(
        f"Backed up {settings.show('database_url')} to {made.path}: {made.size:,} bytes, {sum(mark.rows.values()):,} rows, "
        f"in {seconds:.1f} seconds."
    )
    for path in made.removed:
        click.echo(f"Removed an older one: {path}")
    click.echo(
        f"\nThe master key is not in it. Without {settings.master_key_file} (key {key}, fingerprint "
        f"{made.manifest.fingerprints[key]}),\nnobody can decrypt what is in it: keep a copy of that file in another place."
    )
    click.echo(f"To see that the backup works: idp restore {made.path} --check")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--check", is_flag=True, help="Only try it: restore into a scratch place, verify everything, and remove that again."
)
@click.option(
    "--scratch",
    default="",
    envvar="IDP_RESTORE_SCRATCH",
    metavar="PLACE",
    help="Where --check restores to. For SQLite a folder, by default the system's for temporary files; for PostgreSQL the URL "
    "of a server, on which a database is created and dropped: give a password in the environment.  [env: IDP_RESTORE_SCRATCH]",
)
@click.option(
    "--ignore-connections",
    is_flag=True,
    help="Continue although others are connected to a PostgreSQL database: none of them is a Realmgate server.",
)
@restored_options
def restore(  # noqa: PLR0917 (click passes them by name)
    directory: Path,
    check: bool,
    scratch: str,
    ignore_connections: bool,
    outside: Sequence[TextLines],
    tails: Sequence[TextLines],
    rotate_keys: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Restore a backup into the empty database of IDP_DATABASE_URL, or only check that it could be.

    DIRECTORY is a backup, or a folder of backups, whose newest is taken. Checksums, row counts, what the master key decrypts
    and the audit trails are verified; nothing is restored over an existing database. Stop all servers, and put the master key
    file back first. Sessions, one-time codes and tokens from before are then ended, and credentials are listed that may have
    been revoked since the backup, as `idp restored` does.

    \b
    Examples:
      idp restore /mnt/backups --check
      idp restore /mnt/backups --check --scratch postgresql://postgres@db.example.com/postgres
      idp restore /mnt/backups/realmgate-20270630T020000Z --tail acme-of-today.jsonl
    """  # noqa: D301 (\b is what click needs here)
    from idp import backup as backups

    settings = load_settings()
    directory = directory.absolute()
    shown = _Shown()
    if check and (outside or tails or rotate_keys):
        raise click.UsageError("--check changes nothing: leave --checkpoints, --tail and --rotate-keys for the restore itself.")
    if not check:
        read_evidence(outside, tails)  # what is wrong with the files is better known now than afterwards
        if not yes:
            click.confirm(
                f"Restore into {settings.show('database_url')}, and end every session, one-time code and token in the backup?",
                abort=True,
            )
    try:
        with _stoppable():
            if check:
                found = backups.check_backup(settings, directory, shown.show, scratch=scratch)
            else:
                found = backups.restore_backup(settings, directory, shown.show, ignore_connections=ignore_connections)
    except KeyboardInterrupt:
        raise InterruptedBackupError("Stopped. Nothing was restored.") from None
    finally:
        shown.end()
    if check:
        _show_check(found, as_json=as_json)
        return
    document, show = with_database(end_what_was_restored)(outside, tails, rotate_keys=rotate_keys)
    if as_json:
        show_json(_restored_json(found) | {"since": document})
        return
    _show_restored(found)
    click.echo()
    show()
    click.echo("\nNow start the servers. On each further machine with its own data folder, run first: idp restored")


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Have SIGTERM, by which service managers stop a job, tidy up as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_check(found: "Restored", *, as_json: bool) -> None:
    if as_json:
        show_json(_restored_json(found))
    else:
        _show_restored(found)
    if found.problems:
        raise UnfitBackupError(f"The backup {found.path} cannot be relied on: {len(found.problems)} problems, see above.")
    if not as_json:
        click.echo("The backup works. What the check restored was removed again.")


def _show_restored(found: "Restored") -> None:
    manifest = found.manifest
    click.echo(
        f"{found.path}: the database at {show_time(manifest.taken_at)}, of Realmgate {manifest.version}, schema "
        f"{manifest.mark.db_schema}, {manifest.made_with}."
    )
    if (verified := found.verified) is not None:
        rows = ", ".join(f"{verified.rows.get(table, 0):,} {name}" for table, name in _MAIN.items())
        click.echo(f"Rows: {rows}; {sum(verified.rows.values()):,} in {len(verified.rows)} tables.")
        click.echo(f"The master key {manifest.master_key} decrypts {verified.opened:,} values.")
        whole = sum(not report.problems for report in verified.trails)
        events = sum(report.entries for report in verified.trails)
        click.echo(f"Audit trails: {whole} of {len(verified.trails)} whole, with {events:,} sealed events.")
    for problem in found.problems:
        click.echo(f"  PROBLEM: {one_line(problem)}")
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.seconds.items())
    click.echo(f"Seconds: {found.total_seconds:.1f} ({steps}).")


def _backup_json(made: "Backup") -> dict[str, Any]:
    return {
        "path": str(made.path),
        "manifest": made.manifest.model_dump(mode="json", by_alias=True),
        "removed": [str(path) for path in made.removed],
    }


def _restored_json(found: "Restored") -> dict[str, Any]:
    verified = found.verified
    return {
        "path": str(found.path),
        "taken_at": json_time(found.manifest.taken_at),
        "version": found.manifest.version,
        "schema": found.manifest.mark.db_schema,
        "sound": not found.problems,
        "problems": found.problems,
        "rows": verified.rows if verified is not None else {},
        "decrypted": verified.opened if verified is not None else 0,
        "trails": [
            {"realm": report.realm, "whole": not report.problems, "entries": report.entries, "head": report.head}
            for report in (verified.trails if verified is not None else ())
        ],
        "seconds": found.seconds | {"total": found.total_seconds},
    }


class _Shown:
    """How far it has come, on standard error: a line that changes on a terminal, and elsewhere one now and then."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._shown_at = time.monotonic()

    def show(self, step: "Step") -> None:
        """Show it, unless that was done a moment ago."""
        if time.monotonic() - self._shown_at < (_SHOW_EVERY if self._is_live else _SAY_EVERY):
            return
        self._shown_at = time.monotonic()
        of = f" of {step.total:,}" if step.total else ""
        line = f"{step.act.value}: {step.done:,}{of} {step.unit}"
        click.echo(f"\r\x1b[K{line}" if self._is_live else line, nl=not self._is_live, err=True)

    def end(self) -> None:
        """Clear the line."""
        if self._is_live:
            click.echo("\r\x1b[K", nl=False, err=True)
