"""`idp serve` and `idp setup`."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from idp.cli.config import config_option, load_settings

if TYPE_CHECKING:
    from flask import Flask

    from idp.settings import Settings
    from idp.setup import SetupReport

FIRST_START = "/console/first-start"
"""The page on which the one-time secret makes the first administrator."""


@click.command()
@config_option
@click.option("--host", help="Address to listen on.  [env: IDP_HOST; default: 127.0.0.1]")
@click.option("--port", help="Port to listen on.  [env: IDP_PORT; default: 8080]")
@click.option("--workers", help="Server processes.  [env: IDP_WORKERS; default: 1]")
def serve(host: str | None, port: str | None, workers: str | None) -> None:
    """Set up what is missing, and serve until stopped with Ctrl-C or SIGTERM.

    The first start creates the data folder, the master key, the database, realm `master` and every realm of the realms
    folder, and prints secrets that are shown once. Later starts find all of it and change nothing.
    """
    with _loading_for_good():
        from idp import server, settings, setup  # noqa: F401 (used below, and to be loaded here)
    here = load_settings(remembered=False, host=host, port=port, workers=workers)
    _warn(here)
    _warn_of_another_url(here)
    is_first = _set_up(here)

    def listening(managed: bool) -> None:
        settings.remember(here.data_dir, here.model_dump())
        with _printing():
            click.echo("\n".join(_greeting(here, managed=managed, is_first=is_first)))

    server.run(here, listening)


@contextlib.contextmanager
def _loading_for_good() -> Iterator[None]:
    """Load modules inside the block: to look for garbage in what stays, again and again, is a tenth of what a start takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _set_up(settings: "Settings") -> bool:
    """Set up what is missing, show it, and tell whether the one-time secret of the first start is in it.

    The workers are forked off this process: it keeps no connection, no key and no secret of what was done here.
    """
    from idp import setup
    from idp.opening import close_app

    app, report = setup.set_up(settings)
    _show(app, report)
    close_app(app)
    return _has_first_secret(report)


def _warn_of_another_url(settings: "Settings") -> None:
    """Say so when the data folder was served under another URL before: all that was told the issuer knows it by that."""
    from idp.settings import recall

    former = recall(settings.data_dir).get("public_url", settings.public_url)
    if former != settings.public_url:
        click.echo(
            f"Note: this data folder was last served as {former} and is now served as {settings.public_url}: the issuers of its "
            "realms change with that. IDP_PUBLIC_URL, or public_url in realmgate.toml, keeps them.",
            err=True,
        )


def _greeting(settings: "Settings", *, managed: bool, is_first: bool) -> list[str]:
    """Return the lines that are printed once the server answers."""
    url, port = settings.public_url, settings.chosen_management_port
    lines = [
        f"Realmgate is running at {url} (listening on {settings.host}, port {settings.port})",
        f"Create the first administrator, with the one-time secret above, at {url}{FIRST_START}"
        if is_first
        else f"The console is at {url}/console/",
        f"The API is described at {url}/docs",
    ]
    if managed:
        lines.append(f"Metrics and health are at http://{settings.management_host}:{port}/metrics")
    elif port:
        lines.append(f"Port {port} is in use, so metrics and health are not served. Choose a port with IDP_MANAGEMENT_PORT.")
    lines.append("Stop it with Ctrl-C. In another terminal, `idp doctor` checks the setup and `idp --help` lists the commands.")
    return lines


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
@config_option
def setup_command() -> None:
    """Set up what is missing, as `idp serve` does when it starts, and exit."""
    from idp import setup
    from idp.opening import close_app

    settings = load_settings()
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
        click.echo("Existing realms are served as they are; `idp doctor` checks the realm files again.", err=True)
    with app.app_context():
        with _printing() as printed:
            _print_report(report)
            sys.stdout.flush()
        if not printed and report.new_secrets:
            click.echo("The new secrets could not be printed. The next start creates them again and prints them.", err=True)
        if printed:
            for new in report.new_secrets:
                db.session.add(new.secret)
            applications.mark_secrets_shown(report.new_secrets)
            commit()
    return bool(printed)


def _print_report(report: "SetupReport") -> None:
    """Print what was made. Nothing that is printed uses up a secret, so it can be pasted again and again."""
    from idp.realms import MASTER
    from idp.runtime import current

    settings = current().settings
    for realm in report.created_realms:
        click.echo(f"Created realm {realm}: {settings.issuer(realm)}")
    lasting = [new for new in report.new_secrets if new.realm != MASTER]
    for new in lasting:
        click.echo(f"\nSecret of application {new.application} in realm {new.realm}, shown only once:\n    {new.plain_secret}")
    if lasting:
        sample = lasting[0]
        intro = f"Once the server is running, this fetches a token as {sample.application}, as often as you like"
        show_curl(settings.issuer(sample.realm), sample.application, sample.plain_secret, intro)
    for new in report.new_secrets:
        if new.realm == MASTER:
            click.echo(
                f"\nThe administrator's one-time secret, shown only once:\n    {new.plain_secret}\n"
                f"  Paste it at {settings.public_url}{FIRST_START} within 24 hours to create the first administrator. It\n"
                "  works once. Get another with: idp applications secrets add --realm master --single-use administrator NAME\n"
            )


def _has_first_secret(report: "SetupReport") -> bool:
    from idp.realms import MASTER

    return any(new.realm == MASTER for new in report.new_secrets)


def show_curl(issuer: str, client_id: str, plain_secret: str, intro: str = "Fetch a token with") -> None:
    """Print the command that fetches a token."""
    from idp.tokens import curl_command

    click.echo(f"\n{intro}:\n\n{curl_command(issuer, client_id, plain_secret)}\n")
