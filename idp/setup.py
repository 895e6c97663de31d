"""The first start: data folder, master key, schema, realm `master`, the realm files, the one-time administrator secret.

Each step is whole or not there, and each start does what is missing: a start that was killed anywhere is completed by the
next one, and a start that finds everything changes nothing.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import inspect, text

from idp import (
    access,
    apikeys,
    applications,
    audit,
    authorizations,
    client_documents,
    clock,
    clock_trust,
    federation,
    feed,
    kept_answers,
    keys,
    keysets,
    mail,
    manifest,
    master_keys,
    migrations,
    nodes,
    organisations,
    proofs,
    ratelimit,
    realms,
    recall,
    registrations,
    runtime,
    sessions,
    signals,
    spent_assertions,
    tokens,
    trail,
    users,
    vault,
)
from idp.applications import NewSecret
from idp.callers import ADMINISTRATOR
from idp.clock_trust import ClockError
from idp.db import commit, db, make_engine_apart, storage_errors
from idp.errors import IdpError
from idp.manifest import RealmFileError
from idp.opening import close_app, open_app
from idp.settings import Settings

FIRST_SECRET_LIFETIME = timedelta(hours=24)
FORGET_LINKS_AFTER = timedelta(days=30)
TIDY_EVERY = 60
"""Seconds between two looks for what is due by date."""

FIRST_WITH_MARKS = "0006"
"""The schema since which it is kept how far each audit trail has come."""

FIRST_WITH_AUDIENCES = "0007"
"""The schema since which tokens are for this server only if their application says so."""

_log = logging.getLogger(__name__)


class SetupError(IdpError):
    """The server cannot be set up; the sentence says what to do."""


@dataclass
class SetupReport:
    """What a start has done, for the person who started it."""

    created_realms: list[str] = field(default_factory=list)
    new_secrets: list[NewSecret] = field(default_factory=list)
    """Secrets to show now. Call `applications.mark_secrets_shown` once they are printed."""
    problems: list[RealmFileError] = field(default_factory=list)
    """What is wrong with realm files. The server serves what there is; a realm is made once its file is right."""


def set_up(settings: Settings) -> tuple[Flask, SetupReport]:
    """Do what is missing, and return the application. Two starts at once take turns.

    :raises IdpError: what cannot be done, and what to do about it.
    """
    make_data_dir(settings.data_dir)
    report = SetupReport()
    with _alone(settings.data_dir):
        with _alone_with_database(settings):
            app = _set_up(settings, report)
        try:
            with app.app_context(), storage_errors():
                migrations.build_slow_indexes(db.engine, _log.warning)
        except BaseException:
            close_app(app)
            raise
    return app, report


def _set_up(settings: Settings, report: SetupReport) -> Flask:
    if not settings.master_key_file.exists():
        _create_first_key(settings)
    app = open_app(settings)
    try:
        with app.app_context(), audit.acting_as(audit.SYSTEM), storage_errors():
            _complete(settings, report)
    except BaseException:
        close_app(app)
        raise
    return app


def _complete(settings: Settings, report: SetupReport) -> None:
    former = upgrade_schema()
    vault.ensure_pepper()
    if former is not None and former < FIRST_WITH_MARKS:
        trail.begin_marks()
    if former is not None and former < FIRST_WITH_AUDIENCES:
        applications.settle_all_audiences(settings.issuer)
    commit()
    _create_master_realm()
    _apply_new_realms(settings.realms_dir, report)
    # Only now are secrets made that can be shown: had an earlier start been killed before it printed its own, nobody
    # would know them, so those that were never shown are made anew.
    report.new_secrets = applications.renew_unshown_secrets(FIRST_SECRET_LIFETIME)
    _refuse_to_serve_nothing(report)
    commit()
    do_what_is_due()


def make_data_dir(path: Path) -> None:
    """Make the data folder, for its owner only. One that is there is left as it is; `idp doctor` looks at its mode.

    :raises SetupError: it cannot be made or written.
    """
    os.umask(0o077)  # whatever this process makes from now on, the database too, is for its owner only
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"The data folder {path} cannot be used ({error.strerror}). Set IDP_DATA_DIR.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SetupError(f"The data folder {path} cannot be written. Set IDP_DATA_DIR to a folder that this user can write.")


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Wait for other starts on this machine to finish; a killed one holds no lock."""
    with (data_dir / "setup.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _alone_with_database(settings: Settings) -> Iterator[None]:
    """Wait for starts on other machines that share the database: the first of them makes the key that seals it."""
    engine = make_engine_apart(settings)
    try:
        with contextlib.ExitStack() as stack:
            with storage_errors():
                stack.enter_context(migrations.database_lock(engine))
            yield
    finally:
        engine.dispose()


def _create_first_key(settings: Settings) -> None:
    """Make the master key that is to seal a new database. One that would open nothing is not left for the next start to find.

    :raises SetupError: there is a database that was sealed under another.
    :raises SchemaError: there is an unfinished copy of one.
    """
    if is_sealed(settings):
        raise SetupError(lost_key(settings))
    if settings.sqlite_path is None:
        engine = make_engine_apart(settings)
        try:
            with storage_errors(), engine.connect() as connection:
                migrations.refuse_unfinished(connection)
        finally:
            engine.dispose()
    master_keys.create_master_key(settings.master_key_file, settings.outside)


def is_sealed(settings: Settings) -> bool:
    """Tell whether there is a database that was sealed under a master key: a new key would open nothing of it.

    :raises StorageUnavailableError: that cannot be found out now.
    """
    file = settings.sqlite_path
    if file is not None:
        return file.exists() and file.stat().st_size > 0  # the key is made before the database
    engine = make_engine_apart(settings)
    try:
        with storage_errors(), engine.connect() as connection:
            has_table = inspect(connection).has_table("pepper")
            return has_table and connection.execute(text("SELECT 1 FROM pepper LIMIT 1")).first() is not None
    finally:
        engine.dispose()


def lost_key(settings: Settings) -> str:
    """Return what to do about a database without its master key."""
    return (
        f"There is a database ({settings.show('database_url')}) but no master key ({settings.master_key_file}). Restore the key "
        "file from its backup or from another machine that serves this database, or set IDP_MASTER_KEY_FILE to where it is. A "
        "new key could not decrypt anything in the database."
    )


def upgrade_schema() -> str | None:
    """Bring the schema up to date, in one transaction.

    :returns: the schema that there was; None if there was none.
    :raises SchemaError: the database was made by a later version, or is an unfinished copy.
    """
    with db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # a migration may take its time
        return migrations.upgrade(connection)


def _create_master_realm() -> None:
    if realms.MASTER in realms.existing_names():
        return
    keys.prepare()
    trail.begin_trail("")
    realm = manifest.create_empty_realm(realms.MASTER, realms.RealmSheet(display_name="Operators"))
    application = applications.create_application(
        realm,
        ADMINISTRATOR,
        applications.ApplicationSheet(
            description="Holds the one-time secret of the first start: one token with the role administrator."
        ),
    )
    access.grant_role(realm, applications.holder_of(application), "administrator")
    db.session.flush()
    applications.settle_audience(realm, application, runtime.current().settings.issuer(realms.MASTER))
    secret, _ = applications.add_secret(realm, application, "first-start", applications.SecretSheet(single_use=True))
    secret.shown = False
    audit.record(audit.Tag.SERVER_SETUP, "", "server:realmgate")
    commit()


def _apply_new_realms(folder: Path, report: SetupReport) -> None:
    """Make each realm that does not exist yet from its file, whole. Existing ones are left to `idp realms apply`.

    A file that is not right keeps nobody from being served.
    """
    files, report.problems = manifest.read_folder(folder)
    existing = realms.existing_names()
    for file in files:
        if file.realm.name in existing:
            continue
        keys.prepare()
        try:
            made = manifest.apply_plan(file, manifest.make_plan(file))
        except RealmFileError as error:
            db.session.rollback()
            report.problems.append(error)
            continue
        for new in made:
            new.secret.shown = False
        commit()
        report.created_realms.append(file.realm.name)


def _refuse_to_serve_nothing(report: SetupReport) -> None:
    """End a first start for which there is no realm but the operators' own, as realm files are not right.

    :raises SetupError: what is wrong with them.
    """
    is_first = any(new.realm == realms.MASTER for new in report.new_secrets)  # nobody has ever seen the first secret
    if is_first and report.problems and realms.existing_names() == {realms.MASTER}:
        raise SetupError("\n".join(map(str, report.problems)))


def do_what_is_due(*, in_turn: bool = False) -> None:
    """Do what is due by date, as far as this machine's clock can be trusted with that. Every worker may call it.

    :param in_turn: leave it to others if one of them has begun it less than a minute ago.
    """
    try:
        is_believed = clock_trust.is_believed()
    except ClockError as error:
        _log.error("%s", error)
        return
    if is_believed and (not in_turn or nodes.take_turn("tidying", TIDY_EVERY - 1)):
        rotate_keys_and_tidy()


def rotate_keys_and_tidy() -> None:
    """Announce successors to signing keys, and remove what has expired, by this machine's clock."""
    with audit.acting_as(audit.SYSTEM):
        keys.rotate_due_keys()
        apikeys.send_notices()
        apikeys.remove_long_expired()
    applications.forget_expired_assertions()
    federation.forget_used_assertions()
    spent_assertions.forget_spent()
    proofs.forget_used_proofs()
    tokens.forget_expired_revocations()
    recall.forget_old_causes()
    sessions.forget_old_sessions()
    authorizations.forget_old()
    authorizations.forget_pushed()
    authorizations.forget_devices()
    registrations.remove_abandoned()
    client_documents.remove_unused()
    with audit.acting_as(audit.SYSTEM):
        signals.end_stuck_streams()
    keysets.tidy_leases()
    applications.forget_old_use()
    users.forget_old_links(clock.now() - FORGET_LINKS_AFTER)
    ratelimit.forget_old_attempts()
    mail.give_up_outdated()
    mail.forget_old_mail()
    audit.forget_old_activity()
    organisations.forget_old_sign_ups()
    kept_answers.forget_old_answers()
    trail.forget_clear_destinations()
    feed.forget_old_changes()
    commit()
    with audit.acting_as(audit.SYSTEM):
        organisations.purge_due_realms()
