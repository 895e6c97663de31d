"""`idp doctor`: is everything as it should be, and if not, what to do."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from idp.algorithms import SIGNING_ALGORITHMS
from idp.cli.config import config_option, load_settings
from idp.cli.reach import find_trouble
from idp.cli.where import missing_database, missing_key
from idp.errors import IdpError, StorageUnavailableError

if TYPE_CHECKING:
    from idp.settings import Settings


_NAMED = 5
"""Things that a sentence names."""


class SickError(IdpError):
    """Something has to be done."""


@click.command()
@config_option
def doctor() -> None:
    """Check settings, files, database, keys and the running server, and tell you what to do.

    Changes nothing. Exits with 1 if something has to be done; warnings do not count.
    """
    failures = 0
    for verdict, sentence in _examine(load_settings()):
        click.echo(f"{click.style(f'{verdict:4}', fg={'ok': 'green', 'warn': 'yellow', 'FAIL': 'red'}[verdict])}  {sentence}")
        failures += verdict == "FAIL"
    if failures:
        raise SickError(f"{failures} of the checks failed. Do what they say, then run `idp doctor` again.")


def _examine(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.outages import explain

    yield from _examine_settings(settings)
    yield from _examine_environment(settings)
    yield from _examine_files(settings)
    yield from _examine_url(settings)
    yield from _examine_proxies(settings)
    yield from _examine_old_file(settings)
    database = settings.sqlite_path
    if database is not None and not database.exists():
        if settings.master_key_file.exists():
            yield "FAIL", missing_database(settings)
    elif settings.master_key_file.exists():
        try:
            yield from _examine_database(settings)
        except StorageUnavailableError as error:
            yield "FAIL", f"The database cannot be used: {explain(error)}."
        except IdpError as error:
            yield "FAIL", str(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the finding)
            yield (
                "FAIL",
                f"The database cannot be used: {explain(error)}. Check that IDP_DATABASE_URL names the database of this server.",
            )
    yield from _examine_realm_files(settings)


def _examine_settings(settings: "Settings") -> Iterator[tuple[str, str]]:
    file = settings.file
    yield "ok", f"The settings are valid; they are read from {f'{file} and from ' if file else ''}environment variables."
    if file is None or not file.stat().st_mode & 0o044:
        return
    from idp.settings import Source

    held = [name for name, mark in settings.confidential().items() if mark.secrets(getattr(settings, name))]
    told = [name for name in held if settings.origin(name).source is Source.FILE]
    if told:
        yield "warn", f"{file} can be read by others, and {', '.join(told)} may hold a password. Run: chmod 600 {file}"


def _examine_environment(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.service_links import is_link_variable

    others = {"IDP_CONFIG", "IDP_REALM", "IDP_CLIENT_SECRET", "IDP_COPY_TO"}
    known = {f"IDP_{name.upper()}" for name in type(settings).model_fields} | others
    ours = sorted(name for name in os.environ if name.startswith("IDP_"))
    links = [name for name in ours if is_link_variable(name, os.environ[name])]
    if links:
        said = f"{', '.join(links)}: set by Kubernetes for its services, and without effect here."
        yield "ok", f"{said} `enableServiceLinks: false` in the pod's spec turns them off."
    for name in ours:
        if name not in known and name not in links:
            yield "warn", f"{name} is not a setting and has no effect. `idp settings` lists all settings."


def _examine_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp.outages import explain

    if not settings.data_dir.is_dir():
        yield "FAIL", f"There is no data folder {settings.data_dir}."
    elif settings.data_dir.stat().st_mode & 0o077:
        yield "FAIL", f"The data folder can be read by others. Run: chmod 700 {settings.data_dir}"
    elif not os.access(settings.data_dir, os.W_OK):
        yield "FAIL", f"The data folder {settings.data_dir} cannot be written by this user."
    else:
        yield "ok", f"The data folder {settings.data_dir} exists and is accessible to its owner only."
    if settings.master_key_file.exists():
        yield "ok", f"Keep a copy of the master key {settings.master_key_file} separate from backups of the database."
        yield from _examine_key_file(settings)
    else:
        try:
            yield "FAIL", missing_key(settings)
        except Exception as error:  # noqa: BLE001 (whatever it is, nobody knows whether there is a database)
            said = f"There is no master key {settings.master_key_file}, and the database cannot be used: {explain(error)}."
            yield "FAIL", f"{said} If there is a database, restore its key file; `idp setup` would create a different key."


def _examine_key_file(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Look whether keys stand in the file as they are although an outside key is to wrap them."""
    from idp.master_keys import read_key_file
    from idp.outside_keys import wrapped_by

    outside = settings.outside
    if outside.wraps is None:
        return
    with contextlib.suppress(IdpError):  # which the database's own examination reports
        bare = [key_id for key_id, line in read_key_file(settings.master_key_file).items() if not wrapped_by(line)]
        if bare:
            said = (
                f"Master keys are in {settings.master_key_file} unencrypted: {', '.join(bare)}. Run `idp master-key rotate`, then"
            )
            yield "warn", f"{said} `idp master-key retire` for each of these."
        else:
            yield "ok", f"No master key is in the file unencrypted; new ones are encrypted with {outside.wraps.name}."


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
        yield "warn", f"IDP_PUBLIC_URL {settings.public_url} is not https: secrets and tokens can be read in transit."
    trouble = find_trouble(settings)
    if trouble is None:
        yield "ok", f"The server answers on {settings.public_url}."
    else:
        yield "FAIL" if trouble.is_fault else "warn", str(trouble)


def _examine_proxies(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Look whether those who come by a proxy are told apart: by what is set, and by what the running server has counted."""
    from idp.management import read_counter

    if settings.public_url.startswith("https:") and not settings.trusted_proxies:
        missing = "IDP_PUBLIC_URL is https, so a proxy terminates TLS, but IDP_TRUSTED_PROXIES names none: all clients behind"
        yield "warn", f"{missing} it count as one address for limits, API keys and the audit trail. Name it."
    if ignored := read_counter(settings, "realmgate_forwarded_ignored"):
        seen = (
            f"The running server has ignored X-Forwarded-For of {ignored} requests, from peers that IDP_TRUSTED_PROXIES does not"
        )
        yield "warn", f"{seen} name. If one of them is a proxy of yours, name it; the server's log says which came first."


def _examine_database(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import applications, clock, keys, migrations, realms, vault
    from idp.db import db
    from idp.opening import close_app, open_app

    app = open_app(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(close_app, app)
        stack.enter_context(app.app_context())
        with db.engine.execution_options(read_only=True).connect() as connection:
            migrations.refuse_unfinished(connection)
            is_later = migrations.is_later_that_serves(connection)
            drift = [] if is_later else migrations.drift(connection)
        if drift:
            said = f"The schema differs from this version in {len(drift)} places."
            yield "FAIL", f"{said} Make a backup with the version that created it, then run `idp setup`, which upgrades it."
            return
        state = "is that of a later version, on which this one works" if is_later else "is up to date"
        yield "ok", f"The database answers, and its schema {state}."
        db.session.connection(execution_options={"read_only": True})
        vault.open_all_peppers()
        now = clock.now()
        for realm in realms.list_realms():
            active = [key for key in keys.list_keys(realm) if key.state(now) is keys.KeyState.ACTIVE]
            for key in active:
                vault.unseal(key.sealed_private_key, context=f"signing key {key.uid} of realm {realm.uid}")
            if mute := applications.list_mute(realm, _NAMED + 1):
                names = ", ".join(mute[:_NAMED]) + (" and more" if len(mute) > _NAMED else "")
                verdict = f"Applications of realm {realm.name} hold administrative roles: {names}. Their tokens are not meant for"
                yield (
                    "warn",
                    f"{verdict} any particular API. To let them administer, add {settings.issuer(realm.name)} to their audience.",
                )
            for missing in sorted(set(SIGNING_ALGORITHMS) - {key.algorithm for key in active}):
                yield "FAIL", f"Realm {realm.name} has no active {missing} key. Run: idp keys rotate --realm {realm.name}"
        yield "ok", "The master key opens every pepper and every active signing key."
        yield from _examine_trails()
        yield from _examine_keysets()
        yield from _examine_mail(settings)
        yield from _examine_unmade_realms(settings)
        db.session.rollback()


def _examine_trails() -> Iterator[tuple[str, str]]:
    from idp import trail

    if not trail.is_guarded():
        said = "The triggers that protect the audit trail from changes are missing from the database: somebody has dropped them."
        yield (
            "FAIL",
            f"{said} Find out who, run `idp audit verify`, and restore a backup that has them with `idp restore`.",
        )
    names = trail.trail_names()
    broken = [(name, problem) for name in names if (problem := trail.look_at_end(name))]
    for name, problem in broken:
        yield "FAIL", f"The audit trail of {name or 'the server'} is not intact: {problem} Run: idp audit verify"
    if not broken:
        yield (
            "ok",
            f"The ends of {len(names)} audit trails are as they were sealed and signed. `idp audit verify` checks them entirely.",
        )


def _examine_keysets() -> Iterator[tuple[str, str]]:
    from idp import keysets

    found = [(realm.name, row.name, row.uid, damaged) for realm, row, damaged in keysets.check_keysets()]
    damaged = [f"{name} ({uid}) of realm {realm}" for realm, name, uid, is_damaged in found if is_damaged]
    if damaged:
        verdict = f"{len(damaged)} of {len(found)} keysets are damaged: {'; '.join(damaged[:_NAMED])}."
        yield "FAIL", f"{verdict} Enter new values with `idp keysets replace`, or restore a backup."
    elif found:
        yield "ok", f"Keysets checked: {len(found)}. None is damaged."


def _examine_mail(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import mail

    waiting, number = mail.list_waiting(1_000), mail.count_waiting()
    count = "1 email waits" if number == 1 else f"{number} emails wait"
    refused = [each for each in waiting if each.last_error]
    if not settings.smtp_host:
        verdict = (
            f"No mail server is configured (IDP_SMTP_HOST), so nobody gets invitations, resets or notices; {count} in the outbox."
        )
        yield "warn", verdict
    elif refused:
        yield "warn", f"{count} in the outbox. The mail server said: {refused[-1].last_error}"
    else:
        yield "ok", f"{settings.smtp_host} accepts email; {count} in the outbox."


def _examine_realm_files(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import manifest

    if not settings.realms_dir.exists():
        yield "warn", f"There is no folder of realm files {settings.realms_dir.absolute()} (IDP_REALMS_DIR)."
        return
    files, problems = manifest.read_folder(settings.realms_dir)
    for problem in problems:
        yield "FAIL", str(problem)
    if not problems:
        yield "ok", f"The realm files in {settings.realms_dir.absolute()} are valid ({len(files)})."


def _examine_unmade_realms(settings: "Settings") -> Iterator[tuple[str, str]]:
    from idp import manifest, realms

    there = realms.existing_names()
    for file in manifest.read_folder(settings.realms_dir)[0]:
        if file.realm.name not in there:
            yield (
                "warn",
                f"Realm {file.realm.name} of {file.path} does not exist yet. Create it with: idp realms apply {file.path}",
            )
