"""`idp database`: moving to another database, whole."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from idp.cli.config import load_settings
from idp.cli.session import json_option, show_json
from idp.cli.where import check_is_set_up
from idp.errors import IdpError

if TYPE_CHECKING:
    from idp.copying import Compared, Report, Step
    from idp.settings import Settings

_SHOW_EVERY = 0.1
"""Seconds between two changes of the line that shows how far it has come."""


class InterruptedCopyError(IdpError):
    """Somebody has stopped it."""


class DifferentError(IdpError):
    """Two databases do not hold the same."""


@click.group("database")
def database_group() -> None:
    """Move to another database: from SQLite to PostgreSQL, or back, with everything in it.

    \b
    Stop every server, then:
      idp database copy --to postgresql://realmgate@db.example.com/realmgate
      export IDP_DATABASE_URL=postgresql://realmgate@db.example.com/realmgate
      idp audit verify && idp serve
    """  # noqa: D301 (\b is what click needs here)


_to = click.option(
    "--to",
    "url",
    required=True,
    envvar="IDP_COPY_TO",
    metavar="URL",
    help="The target: postgresql://… or sqlite:////absolute/path.db, as in IDP_DATABASE_URL. Other users can read the "
    "command line: give a password in the environment, or name a passfile.  [env: IDP_COPY_TO]",
)
_ignore = click.option(
    "--ignore-connections",
    is_flag=True,
    help="Continue although others are connected to a PostgreSQL database: none of them is a Realmgate server.",
)


@database_group.command("copy")
@_to
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check for anything that would stop the copy, including rows that PostgreSQL cannot hold; write nothing.",
)
@_ignore
@json_option
def copy(url: str, dry_run: bool, ignore_connections: bool, as_json: bool) -> None:
    """Copy the database of IDP_DATABASE_URL into another, empty one: every row with its number, identity and secrets.

    Servers must be stopped: nobody can write while it runs, and what is written to the old database afterwards is not in the new
    one. At the end both are read again, and counts and checksums of all tables are compared. If it is interrupted (even by
    kill -9), the same command continues where it stopped; until it is done, no server starts on the target.

    \b
    Examples:
      idp database copy --to postgresql://realmgate@db.example.com/realmgate?passfile=/run/secrets/pgpass --dry-run
      idp database copy --to postgresql://realmgate@db.example.com/realmgate?passfile=/run/secrets/pgpass
      idp database copy --to sqlite:////var/lib/realmgate/realmgate.db
    """  # noqa: D301 (\b is what click needs here)
    from idp import copying

    settings = load_settings()
    check_is_set_up(settings)
    target = copying.target_settings(settings, url)
    act = copying.check_copy if dry_run else copying.copy_database
    shown = _Shown()
    try:
        report = act(settings, target, shown.show, ignore_connections=ignore_connections)
    except KeyboardInterrupt:
        raise InterruptedCopyError("Stopped. Run the same command again to continue where it stopped.") from None
    finally:
        shown.end()
    if as_json:
        document = {"tables": report.tables, "rows": report.rows, "copied": not dry_run and not report.was_complete}
        show_json(document | {"went_on": report.went_on, "was_complete": report.was_complete})
    elif dry_run:
        _show_check(settings, target, report)
    else:
        _show_copy(settings, target, report)


@database_group.command("compare")
@_to
@json_option
def compare(url: str, as_json: bool) -> None:
    """Compare the database of IDP_DATABASE_URL with another one: counts and checksums of all tables. Changes nothing.

    Exits with 0 if both hold the same, and with 1 if not, naming the tables. What servers or commands write while
    it runs, or wrote to one of them since it was copied, is a difference.

    \b
    Example:
      idp database compare --to sqlite:////var/lib/realmgate/realmgate.db
    """  # noqa: D301 (\b is what click needs here)
    from idp import copying

    settings = load_settings()
    check_is_set_up(settings)
    shown = _Shown()
    try:
        compared = copying.compare_databases(settings, copying.target_settings(settings, url), shown.show)
    finally:
        shown.end()
    found = list(copying.differences(compared))
    if as_json:
        show_json({"same": not found, "tables": [_json(each) for each in compared]})
    else:
        rows = sum(each.source.rows for each in compared)
        click.echo("\n".join(found) or f"Both hold the same data: {len(compared)} tables, {rows:,} rows.")
    if found:
        raise DifferentError(f"{len(found)} of {len(compared)} tables differ.")


def _json(compared: "Compared") -> dict[str, Any]:
    ends = {"source": compared.source, "target": compared.target}
    sums = {name: {"rows": each.rows, "checksum": each.text} for name, each in ends.items()}
    return {"table": compared.table, **sums, "difference": compared.difference}


class _Shown:
    """How far it has come, on standard error: a line that changes on a terminal, and elsewhere a line for each table."""

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, step: "Step") -> None:
        """Show it, unless that was done a moment ago."""
        line = f"{step.act.value}  {step.table}  {step.done:,} of {step.total:,} rows"
        if self._is_live:
            if time.monotonic() - self._shown_at >= _SHOW_EVERY:
                self._shown_at = time.monotonic()
                click.echo(f"\r\x1b[K{line}{f', {step.role.value}' if step.role else ''}", nl=False, err=True)
        elif step.is_last and (step.role is None or step.role.value == "target"):  # of the target, the last that is read
            click.echo(line, err=True)

    def end(self) -> None:
        """Clear the line."""
        if self._is_live:
            click.echo("\r\x1b[K", nl=False, err=True)


def _show_check(settings: "Settings", target: "Settings", report: "Report") -> None:
    source, there = settings.show("database_url"), target.show("database_url")
    click.echo(f"{report.tables} tables with {report.rows:,} rows can be copied from {source} to {there}. Nothing was written.")
    if report.was_complete:
        click.echo("The target already seems to be a finished copy: without --dry-run, the two are compared.")
    elif report.went_on:
        click.echo("The target is an unfinished copy: without --dry-run, copying continues where it stopped.")


def _show_copy(settings: "Settings", target: "Settings", report: "Report") -> None:
    from idp import copying

    source, there = settings.show("database_url"), target.show("database_url")
    if report.was_complete:
        click.echo("It was already copied; nothing was written this time.")
    click.echo(f"{there} holds everything that {source} holds: {report.tables} tables, {report.rows:,} rows.")
    click.echo("Both were read again, and the counts and checksums of all tables are the same.\n\nNow:")
    click.echo("  1. Set IDP_DATABASE_URL to the target, for every server and command.")
    click.echo("  2. Run: idp doctor; idp audit verify; idp serve")
    click.echo(
        "  3. Move the old database to where nobody serves it: both have the same keys, and would send the same emails twice."
    )
    click.echo(
        "\nThese files belong to it but are not in the database. Keep them where they are, or move them to the other machine:"
    )
    for path, what in copying.belongings(settings):
        click.echo(f"  {path}  ({what})")
    click.echo("Leave the rest of the data folder behind: locks, and files that exist only while servers run.")
