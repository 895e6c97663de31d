"""`idp doctor`: is everything as it should be, and if not, what to do."""

import contextlib
import http.client
import os
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from idp.errors import IdpError, StorageUnavailableError

if TYPE_CHECKING:
    from idp.settings import Settings


class SickError(IdpError):
    """Something has to be done."""


@click.command()
def doctor() -> None:
    """Check settings, files, database, keys and the running server, and say what to do.

    Changes nothing. Exit status 1 when something has to be done; warnings do not count.
    """
    from idp.settings import Settings

    failures = 0
    for verdict, sentence in _examine(Settings.load()):
        click.echo(f"{click.style(f'{verdict:4}', fg={'ok': 'green', 'warn': 'yellow', 'FAIL': 'red'}[verdict])}  {sentence}")
        failures += verdict == "FAIL"
    if failures:
        raise SickError(f"{failures} of the checks failed. Do what they say, and run `idp doctor` again.")


def _examine(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.outages import explain

    yield "ok", "The settings are sound."
    yield from _examine_environment(settings)
    yield from _examine_files(settings)
    yield from _examine_url(settings)
    yield from _examine_proxies(settings)
    yield from _examine_old_file(settings)
    database = settings.sqlite_path
    if database is not None and not database.exists():
        yield "FAIL", f"There is no database {database}. Run `idp setup`."
    elif settings.master_key_file.exists():
        try:
            yield from _examine_database(settings)
        except StorageUnavailableError as error:
            yield "FAIL", f"The database cannot be used: {explain(error)}."
        except IdpError as error:
            yield "FAIL", str(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the finding)
            yield "FAIL", f"The database cannot be used: {explain(error)}. Check IDP_DATABASE_URL, and run `idp setup`."
    yield from _examine_realm_files(settings)


def _examine_environment(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.service_links import is_link_variable

    known = {f"IDP_{name.upper()}" for name in type(settings).model_fields} | {"IDP_REALM", "IDP_CLIENT_SECRET", "IDP_COPY_TO"}
    ours = sorted(name for name in os.environ if name.startswith("IDP_"))
    links = [name for name in ours if is_link_variable(name, os.environ[name])]
    if links:
        said = f"{', '.join(links)}: set by Kubernetes for its services, and without effect here."
        yield "ok", f"{said} `enableServiceLinks: false` in the pod's spec turns them off."
    for name in ours:
        if name not in known and name not in links:
            yield "warn", f"{name} is no setting here, and does nothing. `idp settings` lists those there are."


def _examine_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    if not settings.data_dir.is_dir():
        yield "FAIL", f"There is no data folder {settings.data_dir}. Run `idp setup`."
        return
    if settings.data_dir.stat().st_mode & 0o077:
        yield "FAIL", f"The data folder can be read by others. Run: chmod 700 {settings.data_dir}"
    elif not os.access(settings.data_dir, os.W_OK):
        yield "FAIL", f"The data folder {settings.data_dir} cannot be written by this user."
    else:
        yield "ok", f"The data folder {settings.data_dir} is there, for its owner only."
    if settings.master_key_file.exists():
        yield "ok", f"Keep a copy of the master key {settings.master_key_file} apart from backups of the database."
    else:
        yield "FAIL", f"There is no master key {settings.master_key_file}. Run `idp setup`, or set IDP_MASTER_KEY_FILE."


def _examine_old_file(settings: "Settings") -> Iterator[tuple[str, str]]:
    left = settings.data_dir / "realmgate.db"
    if settings.sqlite_path != left and left.exists():
        verdict = f"{left} is not the database that is in use. If it was copied into that one, put it away"
        yield "warn", f"{verdict}: a start without IDP_DATABASE_URL would serve it, with the same keys."


def _examine_url(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.public_url import tell_change

    if settings.changed_url:
        yield "warn", tell_change(settings.changed_url, settings.public_url)
    url = urlsplit(settings.public_url)
    if url.scheme == "http" and url.hostname not in {"127.0.0.1", "localhost", "::1"}:
        yield "warn", f"IDP_PUBLIC_URL {settings.public_url} is not https: secrets and tokens can be read on the way."
    discovery = f"{settings.issuer('master')}/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(discovery, timeout=5) as response:  # noqa: S310 (settings allow http and https only)
            response.read(1)
        yield "ok", f"The server answers on {settings.public_url}."
    except (OSError, http.client.HTTPException) as error:
        yield (
            "warn",
            f"No server answers on {settings.public_url} ({getattr(error, 'reason', error)}). Start it with `idp serve`.",
        )


def _examine_proxies(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Look whether those who come by a proxy are told apart: by what is set, and by what the running server has counted."""
    from idp.management import read_counter

    if settings.public_url.startswith("https:") and not settings.trusted_proxies:
        missing = (
            "IDP_PUBLIC_URL is https, so a proxy ends TLS before this server, and IDP_TRUSTED_PROXIES names none: all who come by"
        )
        yield "warn", f"{missing} it count as one address, to limits, API keys and the audit trail. Name it."
    if ignored := read_counter(settings, "realmgate_forwarded_ignored"):
        seen = (
            f"The running server has ignored X-Forwarded-For of {ignored} requests, from peers that IDP_TRUSTED_PROXIES does not"
        )
        yield "warn", f"{seen} name. If one of them is a proxy of yours, name it; the server's log says which came first."


def _examine_database(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import applications, clock, keys, migrations, realms, vault
    from idp.app import close_app, create_app
    from idp.db import db

    app = create_app(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(close_app, app)
        stack.enter_context(app.app_context())
        with db.engine.execution_options(read_only=True).connect() as connection:
            migrations.refuse_unfinished(connection)
            drift = migrations.drift(connection)
        if drift:
            yield (
                "FAIL",
                f"The schema differs from this version in {len(drift)} places. Run `idp setup` to bring it up to date.",
            )
            return
        yield "ok", "The database answers, and its schema is up to date."
        db.session.connection(execution_options={"read_only": True})
        vault.open_all_peppers()
        now = clock.now()
        for realm in realms.list_realms():
            active = [key for key in keys.list_keys(realm) if key.state(now) is keys.KeyState.ACTIVE]
            for key in active:
                vault.unseal(key.sealed_private_key, context=f"signing key {key.uid} of realm {realm.uid}")
            if mute := applications.list_mute(realm, 5):
                verdict = (
                    f"Applications of realm {realm.name} could administer by their roles: {', '.join(mute)}. Their tokens are for"
                )
                yield (
                    "warn",
                    f"{verdict} no API in particular. Add {settings.issuer(realm.name)} to their audience if they are to.",
                )
            for missing in sorted(set(realms.SIGNING_ALGORITHMS) - {key.algorithm for key in active}):
                yield "FAIL", f"Realm {realm.name} has no active {missing} key. Run: idp keys rotate --realm {realm.name}"
        yield "ok", "The master key opens every pepper and every active signing key."
        yield from _examine_trails()
        yield from _examine_keysets()
        yield from _examine_mail(settings)
        yield from _examine_unmade_realms(settings)
        db.session.rollback()


def _examine_trails() -> Iterator[tuple[str, str]]:
    from idp import audit, checkpoints

    if not audit.is_guarded():
        yield "FAIL", "Triggers are missing by which the database keeps the audit trail from being changed. Restore a backup."
    names = checkpoints.trail_names()
    broken = [(name, problem) for name in names if (problem := checkpoints.look_at_end(name))]
    for name, problem in broken:
        yield "FAIL", f"The audit trail of {name or 'the server'} is not whole: {problem} Run: idp audit verify"
    if not broken:
        yield (
            "ok",
            f"The ends of {len(names)} audit trails are as they were sealed and signed. `idp audit verify` follows them whole.",
        )


def _examine_keysets() -> Iterator[tuple[str, str]]:
    from idp import keysets

    found = [(realm.name, row.name, row.uid, damaged) for realm, row, damaged in keysets.check_keysets()]
    damaged = [f"{name} ({uid}) of realm {realm}" for realm, name, uid, is_damaged in found if is_damaged]
    if damaged:
        verdict = f"{len(damaged)} of {len(found)} keysets are damaged: {'; '.join(damaged[:5])}."
        yield "FAIL", f"{verdict} Store their values again with `idp keysets replace`, or restore a backup."
    elif found:
        yield "ok", f"Keysets checked: {len(found)}. None is damaged."


def _examine_mail(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import mail

    waiting = mail.list_waiting(1_000)
    count = "1 mail waits" if len(waiting) == 1 else f"{len(waiting)} mails wait"
    refused = [each for each in waiting if each.last_error]
    if not settings.smtp_host:
        verdict = f"No mail server is set (IDP_SMTP_HOST), so nobody gets invitations, resets or notices; {count} in the outbox."
        yield "warn", verdict
    elif refused:
        yield "warn", f"{count} in the outbox. The mail server said: {refused[-1].last_error}"
    else:
        yield "ok", f"{settings.smtp_host} takes the mail; {count} in the outbox."


def _examine_realm_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import manifest

    if not settings.realms_dir.exists():
        yield "warn", f"There is no folder of realm files {settings.realms_dir.absolute()} (IDP_REALMS_DIR)."
        return
    files, problems = manifest.read_folder(settings.realms_dir)
    for problem in problems:
        yield "FAIL", str(problem)
    if not problems:
        yield "ok", f"The realm files in {settings.realms_dir.absolute()} are sound ({len(files)})."


def _examine_unmade_realms(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import manifest, realms

    there = realms.existing_names()
    for file in manifest.read_folder(settings.realms_dir)[0]:
        if file.realm.name not in there:
            yield "warn", f"Realm {file.realm.name} of {file.path} is not made yet. Make it with: idp realms apply {file.path}"
