"""`idp serve` and `idp setup`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

    from idp.settings import Settings
    from idp.setup import SetupReport


@click.command()
@click.option("--host", help="Address to listen on.  [env: IDP_HOST; default: 127.0.0.1]")
@click.option("--port", help="Port to listen on.  [env: IDP_PORT; default: 8080]")
@click.option("--workers", help="Server processes.  [env: IDP_WORKERS; default: 1]")
def serve(host: str | None, port: str | None, workers: str | None) -> None:
    """Set up what is missing, and serve until stopped with Ctrl-C or SIGTERM.

    The first start makes the data folder, the master key, the database, realm `master` and every realm of the realms
    folder, and prints secrets that are shown once. Later starts find all that and change nothing.
    """
    from idp import server, setup
    from idp.app import close_app
    from idp.settings import Settings

    given = {"host": host, "port": port, "workers": workers}
    settings = Settings.load(**{name: value for name, value in given.items() if value})
    _warn(settings)
    app, report = setup.set_up(settings)
    _show(app, report)
    close_app(app)  # connections are not shared with the workers

    def listening(managed: bool) -> None:  # noqa: FBT001 (a callback)
        lines = [
            f"Realmgate serves on {settings.public_url} (listening on {settings.host}, port {settings.port})",
            f"The console is at {settings.public_url}/console/",
            f"Its API is described at {settings.public_url}/docs",
        ]
        port = settings.chosen_management_port
        if managed:
            lines.append(f"Metrics and health are at http://{settings.management_host}:{port}/metrics")
        elif port:
            lines.append(f"Port {port} is taken, so there is none for metrics and health. Choose one with IDP_MANAGEMENT_PORT.")
        lines.append("Stop it with Ctrl-C. Elsewhere, `idp doctor` checks the set-up and `idp --help` lists the commands.")
        with _printing():
            click.echo("\n".join(lines))

    server.run(settings, listening)


@contextlib.contextmanager
def _printing() -> Iterator[list[bool]]:
    """Print inside the block. When nobody takes it (a full disk, a pipe whose reader has gone), that stops nothing else.

    :returns: a list that holds something, after the block, if it was printed.
    """
    printed: list[bool] = []
    try:
        yield printed
        printed.append(True)
    except OSError:
        # what is still in the buffer would fail once more at the end, and be the exit status
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (it stays open as long as the process)


@click.command("setup")
def setup_command() -> None:
    """Set up what is missing, as `idp serve` does at its start, and end."""
    from idp import setup
    from idp.app import close_app
    from idp.settings import Settings

    settings = Settings.load()
    _warn(settings)
    app, report = setup.set_up(settings)
    is_shown = _show(app, report)
    close_app(app)
    if not is_shown:
        sys.exit(1)
    click.echo(f"Everything is set up in {settings.data_dir}.")


def _warn(settings: "Settings") -> None:
    from idp.public_url import tell_change

    if settings.changed_url:
        click.echo(f"Warning: {tell_change(settings.changed_url, settings.public_url)}", err=True)


def _show(app: "Flask", report: "SetupReport") -> bool:
    """Print what was made, and tell whether it could be. Secrets count as shown only once they are out."""
    from idp import applications
    from idp.db import commit, db

    for problem in report.problems:
        click.echo(f"Warning: {problem}", err=True)
    if report.problems:
        click.echo("Realms that exist are served as they are; `idp doctor` looks at the realm files again.", err=True)
    with app.app_context():
        with _printing() as printed:
            _print_report(report)
            sys.stdout.flush()
        if not printed and report.new_secrets:
            click.echo(
                "The secrets that were made could not be printed. The next start makes them anew, and prints them.", err=True
            )
        if printed:
            for new in report.new_secrets:
                db.session.add(new.secret)
            applications.mark_secrets_shown(report.new_secrets)
            commit()
    return bool(printed)


def _print_report(report: "SetupReport") -> None:
    from idp.realms import MASTER
    from idp.runtime import current

    issuers = {realm: current().settings.issuer(realm) for realm in [*report.created_realms, MASTER]}
    for realm in report.created_realms:
        click.echo(f"Made realm {realm}: {issuers[realm]}")
    for new in report.new_secrets:
        click.echo(f"\nSecret of application {new.application} in realm {new.realm}, shown only now:")
        click.echo(f"    {new.plain_secret}")
        if new.realm == MASTER:
            click.echo(
                "  This is the administrator's one-time secret. It works once, within 24 hours: it makes the first\n"
                f"  administrator at {current().settings.public_url}/console/first-start, or fetches one token.\n"
                "  Get another with: idp applications secrets add --realm master --single-use administrator NAME"
            )
            show_curl(issuers[MASTER], new.application, new.plain_secret)


def show_curl(issuer: str, client_id: str, plain_secret: str) -> None:
    """Print the command that fetches a token."""
    from idp.tokens import curl_command

    click.echo(f"\nFetch a token with:\n\n{curl_command(issuer, client_id, plain_secret)}\n")
