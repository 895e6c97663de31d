"""The first start: complete, private, repeatable, and able to go on wherever an earlier one was killed."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from idp import applications, audit, clock, master_keys, migrations, realms, setup
from idp.app import close_app, create_app
from idp.db import db
from idp.errors import IdpError
from idp.settings import Settings
from idp.setup import SetupReport
from tests import forking
from tests.serving import PROJECT, Server, run_idp, wait_until


def set_up(settings: Settings) -> tuple[Flask, SetupReport]:
    """Set up, and see that connections are given back when the test is over."""
    app, report = setup.set_up(settings)
    _apps.append(app)
    return app, report


_apps: list[Flask] = []


@pytest.fixture(autouse=True)
def _close_apps() -> Iterator[None]:
    yield
    while _apps:
        close_app(_apps.pop())


def fresh(tmp_path: Path) -> Settings:
    return Settings.load(data_dir=tmp_path / "data", realms_dir=PROJECT / "realms")


def test_first_start_makes_everything_and_shows_secrets_once(tmp_path: Path) -> None:
    settings = fresh(tmp_path)
    app, report = set_up(settings)
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.master_key_file.stat().st_mode) == 0o600
    assert report.created_realms == ["acme"]
    assert [new.application for new in report.new_secrets] == ["administrator", "train-scheduler", "reporting"]
    with app.app_context():
        for new in report.new_secrets:
            db.session.add(new.secret)
        applications.mark_secrets_shown(report.new_secrets)
        db.session.commit()
        (secret,) = applications.list_secrets(applications.get_application(realms.get_realm("master"), "administrator"))
        assert secret.single_use
        assert secret.expires_at is not None
        assert (secret.expires_at - secret.created_at).total_seconds() == pytest.approx(86_400, abs=60)


@pytest.mark.spec("R108", "T109")
def test_second_start_changes_nothing(tmp_path: Path, own_server: Server) -> None:
    own_server.start()
    own_server.stop()
    before = own_server.idp("audit", "list", "--json", "--tag", "system", "--limit", "1000")
    acts = own_server.idp("audit", "list", "--json", "--tag", "admin:re", "--limit", "1000")
    exported = own_server.idp("realms", "export", "acme")
    assert "administrator's one-time secret" in "".join(own_server.output)
    own_server.output.clear()
    own_server.start()
    own_server.stop()
    assert "shown only once" not in "".join(own_server.output)
    assert own_server.idp("audit", "list", "--json", "--tag", "system", "--limit", "1000") == before
    assert own_server.idp("audit", "list", "--json", "--tag", "admin:re", "--limit", "1000") == acts
    assert own_server.idp("realms", "export", "acme") == exported


@pytest.mark.spec("R108", "T109")
def test_one_time_secret_fetches_one_administrators_token(own_server: Server) -> None:
    from tests.factories import claims_of

    own_server.start()
    found = re.search(r"administrator's one-time secret, shown only once:\n    (idp_cs_\w+)\n", "".join(own_server.output))
    assert found is not None
    application = {"client_id": "administrator", "client_secret": found[1]}
    first = own_server.token(application, "master")
    assert first.status == 200
    assert claims_of(first.json["access_token"])["realm_access"]["roles"] == ["administrator"]
    assert own_server.token(application, "master").status == 401


def test_schema_is_what_the_models_say(tmp_path: Path) -> None:
    app, _ = set_up(fresh(tmp_path))
    with app.app_context(), db.engine.connect() as connection:
        assert migrations.drift(connection) == []


def test_secrets_that_were_never_shown_are_made_anew(tmp_path: Path) -> None:
    first = set_up(fresh(tmp_path))[1]
    second = set_up(fresh(tmp_path))[1]
    assert [new.application for new in second.new_secrets] == [new.application for new in first.new_secrets]
    plain = {new.plain_secret for new in first.new_secrets + second.new_secrets}
    assert len(plain) == 6
    assert second.created_realms == []


def test_killed_first_starts_are_completed(tmp_path: Path) -> None:
    """Kill first starts at all kinds of moments; whatever they leave, the next start completes it."""
    for number in range(12):
        data_dir = tmp_path / f"data-{number}"
        environment = {"IDP_DATA_DIR": str(data_dir), "IDP_REALMS_DIR": str(PROJECT / "realms"), "PATH": os.environ["PATH"]}
        process = forking.start(["setup"], environment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02 + number * 0.04)
        process.kill()
        process.finish()
        done = run_idp("setup", environment=environment)
        assert done.returncode == 0, done.stderr
        app, report = set_up(Settings.load(data_dir=data_dir, realms_dir=PROJECT / "realms"))
        assert report.new_secrets == []
        with app.app_context():
            assert [realm.name for realm in realms.list_realms()] == ["acme", "master"]
            assert len(audit.list_events(tag="admin:realm:create")) == 2
            for realm in realms.list_realms():
                for application in applications.list_applications(realm):
                    assert len(applications.list_secrets(application)) == 1


def test_two_first_starts_at_once_make_one_set_up(tmp_path: Path) -> None:
    environment = {"IDP_DATA_DIR": str(tmp_path / "data"), "IDP_REALMS_DIR": str(PROJECT / "realms"), "PATH": os.environ["PATH"]}
    both = [forking.start(["setup"], environment) for _ in range(2)]
    outputs = [process.finish() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("Created realm acme" in output for output in outputs) == 1


def test_lost_master_key_is_not_replaced(tmp_path: Path) -> None:
    settings = fresh(tmp_path)
    set_up(settings)
    settings.master_key_file.unlink()
    with pytest.raises(IdpError, match="no master key"):
        set_up(settings)
    assert not settings.master_key_file.exists()


def test_foreign_master_key_stops_the_start(tmp_path: Path) -> None:
    settings = fresh(tmp_path)
    set_up(settings)
    settings.master_key_file.write_text("other:" + "A" * 43 + "=\n")
    with pytest.raises(IdpError, match="is not in the master key file"):
        set_up(settings)


def test_database_of_a_later_version_stops_the_start(tmp_path: Path) -> None:
    from sqlalchemy import text

    settings = fresh(tmp_path)
    app, _ = set_up(settings)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE schema_floor SET oldest = '9998'"))
    with pytest.raises(IdpError, match="schema 9999, which this version does not know"):
        set_up(settings)


def test_database_of_the_next_version_that_serves_this_one_is_served_as_it_is(tmp_path: Path) -> None:
    from sqlalchemy import text

    settings = fresh(tmp_path)
    app, _ = set_up(settings)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))  # which says that it serves this one's
        connection.execute(text("ALTER TABLE application ADD COLUMN colour VARCHAR DEFAULT 'red' NOT NULL"))
    again, report = set_up(settings)
    assert not report.created_realms
    with again.app_context(), db.engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_broken_realm_file_stops_a_first_start_with_nothing_to_serve_and_the_mended_one_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "realms"
    folder.mkdir()
    settings = Settings.load(data_dir=tmp_path / "data", realms_dir=folder)
    (folder / "later.toml").write_text('[realm]\nname = "later"\ncolour = 1\n')
    (folder / "twice.toml").write_text('[realm]\nname = "twice"\n[applications.a]\nsecrets.main.env = "NOT_SET_HERE"\n')
    for _ in range(2):
        with pytest.raises(IdpError) as caught:
            set_up(settings)
        first, second = str(caught.value).splitlines()
        assert re.search(r"later\.toml:3: realm\.colour: is not a setting", first)
        assert re.search(r"twice\.toml:4: .*the environment variable NOT_SET_HERE is not set", second)
    (folder / "later.toml").write_text('[realm]\nname = "later"\n')
    app, report = set_up(settings)
    assert (report.created_realms, len(report.problems)) == (["later"], 1)
    assert [new.application for new in report.new_secrets] == ["administrator"]
    with app.app_context():
        assert realms.existing_names() == {"later", "master"}, "nothing is left of the realm that could not be made"


SLIPS: dict[str, Callable[[Path], object]] = {
    "a slip in its text": lambda file: file.write_text('[realm]\nname = "good"\ncolour = 1\n'),
    "no TOML": lambda file: file.write_text('[realm\nname = "good"\n'),
    "no UTF-8": lambda file: file.write_bytes(b'[realm]\nname = "good"\ndisplay_name = "\xff"\n'),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere.toml")),
    "a second file of the realm": lambda file: file.with_name("good-2.toml").write_text('[realm]\nname = "good"\n'),
    "another realm's broken file": lambda file: file.with_name("later.toml").write_text('[realm]\nname = "later"\nx = 1\n'),
    "another realm that cannot be made": lambda file: file.with_name("gone.toml").write_text('[realm]\nname = "gone"\n'),
    "no folder of files": lambda file: (file.unlink(), file.parent.rmdir(), file.parent.write_text("")),
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_slip_in_a_realm_file_keeps_nobody_from_being_served(tmp_path: Path, slip: Callable[[Path], object]) -> None:
    file = tmp_path / "realms" / "good.toml"
    file.parent.mkdir()
    file.write_text('[realm]\nname = "good"\n')
    settings = Settings.load(data_dir=tmp_path / "data", realms_dir=file.parent)
    app, report = set_up(settings)
    with app.app_context():
        db.session.add(realms.PurgedRealm(name="gone", uid="gone", purged_at=clock.now()))
        for new in report.new_secrets:
            db.session.add(new.secret)
        applications.mark_secrets_shown(report.new_secrets)
        db.session.commit()
    slip(file)
    report = set_up(settings)[1]
    assert report.created_realms == []
    (problem,) = report.problems
    assert str(tmp_path / "realms") in str(problem)
    shutil.rmtree(file.parent) if file.parent.is_dir() else file.parent.unlink()
    file.parent.mkdir()
    file.with_name("later.toml").write_text('[realm]\nname = "later"\n')
    report = set_up(settings)[1]
    assert (report.created_realms, report.problems) == (["later"], []), "the realm is made once its file is right"


def test_server_warns_of_a_broken_realm_file_and_serves(own_server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "realms"
    shutil.copytree(PROJECT / "realms", folder)
    own_server.settings["IDP_REALMS_DIR"] = str(folder)
    own_server.idp("setup")
    (folder / "acme.toml").write_text((folder / "acme.toml").read_text() + "\n[roles.viewer]\n")
    (folder / "later.toml").write_text('[realm]\nname = "later"\n[roles.x]\ncolour = 1\n')
    warnings = own_server.idp("setup", both=True)
    assert re.search(r"^Warning: .*/acme\.toml:\d+: roles\.viewer: is built in", warnings, re.MULTILINE)
    assert re.search(r"^Warning: .*/later\.toml:4: roles\.x\.colour: is not a setting", warnings, re.MULTILINE)
    own_server.start()
    own_server.create_application("ci-bot")
    assert "Warning: " in "".join(own_server.output)
    said = own_server.idp("doctor", status=1, both=True)
    assert re.search(r"^FAIL .*/acme\.toml:\d+: roles\.viewer: is built in", said, re.MULTILINE)
    assert re.search(r"^FAIL .*/later\.toml:4: roles\.x\.colour", said, re.MULTILINE)
    (folder / "later.toml").write_text('[realm]\nname = "later"\n')
    (folder / "acme.toml").unlink()
    assert "Realm later of " in own_server.idp("doctor")


@pytest.mark.parametrize(
    ("name", "value"),
    [("IDP_PORT", "http"), ("IDP_DATA_DIR", "/proc/nowhere"), ("IDP_DATABASE_URL", "oracle://x"), ("IDP_WORKERS", "-1")],
)
def test_wrong_setting_stops_the_program_with_one_sentence(own_server: Server, name: str, value: str) -> None:
    output = own_server.idp("serve", status=1, **{name: value})
    assert output.startswith("Error: ")
    assert name in output
    assert output.count("\n") == 1


def test_taken_port_is_said(own_server: Server, tmp_path: Path) -> None:
    own_server.start()
    second = Server(tmp_path / "second", port=own_server.port)
    assert "IDP_PORT" in second.idp("serve", status=1)


def test_stop_is_graceful(own_server: Server) -> None:
    own_server.start()
    application = own_server.create_application("ci-bot")
    wait_until(lambda: own_server.token(application).status == 200, "a token")
    for _ in range(10):
        assert own_server.token(application).status == 200
    own_server.stop()
    assert own_server.process is not None
    assert own_server.process.returncode == 0
    shown = own_server.idp("applications", "show", "--realm", "acme", "ci-bot")
    assert "token_count        11" in shown


def test_schemas_are_known_by_the_names_of_their_files_as_alembic_reads_them() -> None:
    from alembic.script import ScriptDirectory

    found = [each.revision for each in ScriptDirectory.from_config(migrations.alembic_config()).walk_revisions()]
    assert tuple(reversed(found)) == migrations.known_revisions()


def make_first_schema() -> None:
    """Make a database as the version before people had it, with a realm that has a role called as a new one is."""
    import alembic.command
    from sqlalchemy import text

    config = migrations.alembic_config()
    with db.engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
        now = "'2026-01-01 00:00:00+00:00'"
        for number, name in enumerate(("master", "old"), 1):
            connection.execute(
                text(
                    "INSERT INTO realm (id, uid, name, display_name, enabled, signing_algorithm, key_rotation_days, created_at, updated_at) "
                    f"VALUES ({number}, '{name}-uid', '{name}', '', true, 'RS256', 90, {now}, {now})"
                )
            )
        roles = [(1, "administrator", True), (2, "administrator", True), (2, "viewer", True), (2, "auditor", False)]
        for number, (realm, role, built_in) in enumerate(roles, 1):
            connection.execute(
                text(
                    "INSERT INTO role (uid, created_at, realm_id, name, description, built_in) "
                    f"VALUES ('role-{number}', {now}, {realm}, '{role}', '', {str(built_in).lower()})"
                )
            )


def check_upgraded_schema() -> None:
    """See that the upgrade has given realms numbers and policies, and roles permissions, and has taken nothing."""
    from idp import access, realms

    with db.engine.connect() as connection:
        assert migrations.drift(connection) == []
    old = realms.get_realm("old")
    assert (old.contract_number, old.api_key_hours, old.personal_token_limit) == (10_000_002, 2160, 50)
    roles = {role.name: role for role in access.list_roles(old)}
    assert set(roles) == {"administrator", "viewer", "auditor", "project-administrator"}
    assert set(roles["administrator"].permissions) == set(access.PERMISSIONS)
    assert (roles["auditor"].built_in, roles["auditor"].permissions) == (False, []), "a role of one's own stays what it was"
    assert "grants:write" in roles["project-administrator"].permissions
    for name, (_, permissions) in access.BUILT_IN_ROLES.items():
        if name in roles and roles[name].built_in:
            assert roles[name].permissions == sorted(permissions), name


def test_database_of_the_first_schema_is_upgraded(tmp_path: Path) -> None:
    settings = fresh(tmp_path)
    setup.make_data_dir(settings.data_dir)
    master_keys.create_master_key(settings.master_key_file)
    app = create_app(settings)
    with app.app_context():
        make_first_schema()
        setup.upgrade_schema()
        check_upgraded_schema()
    close_app(app)
