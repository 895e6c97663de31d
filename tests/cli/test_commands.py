"""The command line, run as a program."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from idp.cli import main
from idp.settings import Settings
from tests.serving import PROJECT

Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in process on the test's database, and return its output."""
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("IDP_REALMS_DIR", str(PROJECT / "realms"))

    def run(*arguments: str, status: int = 0, answer: str = "") -> str:
        result = CliRunner().invoke(main, arguments, input=answer)
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.stdout if "--json" in arguments and status == 0 else result.output

    return run


def as_json(output: str) -> Any:
    return json.loads(output)


def test_create_prints_what_an_application_needs(run: Run) -> None:
    made = as_json(
        run("applications", "create", "--realm", "acme", "--role", "researcher", "--project", "vision", "--json", "ci-bot")
    )
    assert sorted(made) == ["client_id", "client_secret", "issuer", "uid"]
    shown = as_json(run("applications", "show", "--realm", "acme", "--json", "ci-bot"))
    assert shown["uid"] == made["uid"]
    assert [(grant["role"], grant["project"]) for grant in shown["grants"]] == [("researcher", None), ("researcher", "vision")]
    assert made["client_secret"] not in json.dumps(shown)
    text = run("applications", "create", "--realm", "acme", "other-bot")
    assert "curl -X POST 'http://127.0.0.1:8080/auth/realms/acme/protocol/openid-connect/token'" in text
    assert "shown only once" in text


def test_every_listing_has_text_and_json(run: Run) -> None:
    run(
        "applications",
        "create",
        "--realm",
        "acme",
        "--role",
        "viewer",
        "--project",
        "vision:editor",
        "--until",
        "2090-01-01",
        "ci-bot",
    )
    for command in (
        ["realms", "list"],
        ["realms", "show", "acme"],
        ["realms", "plan"],
        ["applications", "list", "--realm", "acme"],
        ["applications", "show", "--realm", "acme", "ci-bot"],
        ["applications", "secrets", "list", "--realm", "acme", "ci-bot"],
        ["roles", "list", "--realm", "acme"],
        ["projects", "list", "--realm", "acme"],
        ["grants", "list", "--realm", "acme"],
        ["keys", "list", "--realm", "acme"],
        ["audit", "list"],
    ):
        assert run(*command).strip()
        assert as_json(run(*command, "--json"))


def test_rotation_shows_which_secret_is_still_in_use(run: Run, app: Any) -> None:
    from tests.factories import Factory, Made, ask_token

    first = as_json(run("applications", "create", "--realm", "acme", "--json", "ci-bot"))["client_secret"]
    second = as_json(run("applications", "secrets", "add", "--realm", "acme", "--json", "ci-bot", "next"))["client_secret"]
    client = app.test_client()

    def use(secret: str) -> int:
        from idp import runtime, tokens

        Factory(app).forget()
        status: int = ask_token(client, Made("ci-bot", secret, "")).status_code
        with app.app_context():
            tokens.usage(runtime.current()).flush()
        return status

    assert [use(first), use(first), use(second)] == [200, 200, 200]
    listed = as_json(run("applications", "secrets", "list", "--realm", "acme", "--json", "ci-bot"))
    assert [(each["name"], each["use_count"], each["last_used_address"]) for each in listed] == [
        ("main", 2, "127.0.0.1"),
        ("next", 1, "127.0.0.1"),
    ]
    run("applications", "secrets", "retire", "--realm", "acme", "ci-bot", "main", status=1, answer="n\n")
    run("applications", "secrets", "retire", "--realm", "acme", "ci-bot", "main", answer="y\n")
    assert [use(first), use(second)] == [401, 200]
    assert "retired" in run("applications", "secrets", "list", "--realm", "acme", "ci-bot")


def test_disable_enable_delete(run: Run) -> None:
    run("applications", "create", "--realm", "acme", "ci-bot")
    run("applications", "disable", "--realm", "acme", "ci-bot")
    assert as_json(run("applications", "show", "--realm", "acme", "--json", "ci-bot"))["enabled"] is False
    run("applications", "enable", "--realm", "acme", "ci-bot")
    assert as_json(run("applications", "show", "--realm", "acme", "--json", "ci-bot"))["enabled"] is True
    run("applications", "delete", "--realm", "acme", "ci-bot", status=1, answer="\n")
    run("applications", "delete", "--realm", "acme", "--yes", "ci-bot")
    assert "has no application 'ci-bot'" in run("applications", "show", "--realm", "acme", "ci-bot", status=1)


def test_roles_projects_and_grants(run: Run) -> None:
    run("applications", "create", "--realm", "acme", "ci-bot")
    run("roles", "create", "--realm", "acme", "--description", "Tests.", "tester")
    run("projects", "create", "--realm", "acme", "robots")
    run("grants", "add", "--realm", "acme", "--project", "robots", "--until", "2090-01-01T12:00:00+02:00", "ci-bot", "tester")
    (grant,) = as_json(run("grants", "list", "--realm", "acme", "--application", "ci-bot", "--json"))
    assert (grant["project"], grant["role"], grant["until"]) == ("robots", "tester", "2090-01-01T10:00:00Z")
    run("grants", "add", "--realm", "acme", "--project", "robots", "ci-bot", "tester")
    assert as_json(run("grants", "list", "--realm", "acme", "--project", "robots", "--json"))[0]["until"] is None
    assert "remove them" in run("roles", "delete", "--realm", "acme", "tester", status=1)
    assert "remove them" in run("projects", "delete", "--realm", "acme", "robots", status=1)
    run("grants", "remove", "--realm", "acme", "--project", "robots", "ci-bot", "tester")
    for noun, name in (("roles", "tester"), ("projects", "robots")):
        run(noun, "describe", "--realm", "acme", name, "Changed.")
        assert "Changed." in run(noun, "list", "--realm", "acme")
        run(noun, "delete", "--realm", "acme", name)
        assert name not in run(noun, "list", "--realm", "acme")
    assert "built in" in run("roles", "delete", "--realm", "acme", "viewer", status=1)


def test_realms_are_made_approved_stopped_and_restored(run: Run) -> None:
    def state() -> str:
        (found,) = (each for each in json.loads(run("realms", "list", "--json")) if each["name"] == "globex")
        return str(found["state"])

    run("realms", "create", "globex", "--display-name", "Globex", "--pending")
    assert state() == "pending"
    assert "is pending" in run("realms", "activate", "globex", status=1)
    for verb, options, after in (
        ("approve", (), "active"),
        ("deactivate", ("--yes",), "inactive"),
        ("activate", (), "active"),
        ("delete", ("--yes",), "deleted"),
        ("restore", (), "inactive"),
    ):
        run("realms", verb, "globex", *options)
        assert state() == after, verb
    for verb in ("deactivate", "delete"):
        assert "belongs to the operators" in run("realms", verb, "master", "--yes", status=1)


def test_keys_rotate_and_revoke(run: Run) -> None:
    new = as_json(run("keys", "rotate", "--realm", "acme", "--json"))
    assert [key["state"] for key in new] == ["announced", "announced"]
    assert "already been announced" in run("keys", "rotate", "--realm", "acme", status=1)
    listed = as_json(run("keys", "list", "--realm", "acme", "--json"))
    active = next(key["kid"] for key in listed if key["state"] == "active")
    assert "signs in its place" in run("keys", "revoke", "--realm", "acme", "--reason", "leaked", "--yes", active)
    assert "revoked" in run("keys", "list", "--realm", "acme")


def test_realm_files_by_command(run: Run, tmp_path: Path) -> None:
    exported = tmp_path / "acme.toml"
    run("realms", "export", "acme", "--output", str(exported))
    assert "matches" in run("realms", "plan", str(exported))
    run("roles", "create", "--realm", "acme", "by-hand")
    assert "- role by-hand" in run("realms", "plan", str(exported))
    assert "add --yes" in run("realms", "apply", str(exported), status=1)
    assert "by-hand" in run("roles", "list", "--realm", "acme")
    run("realms", "apply", "--yes", str(exported))
    assert "by-hand" not in run("roles", "list", "--realm", "acme")
    new = tmp_path / "new.toml"
    new.write_text('[realm]\nname = "new"\n[applications.app]\n')
    assert "shown only once" in run("realms", "apply", str(new))
    assert "matches" in run("realms", "apply", str(new))
    new.write_text("[realm]\nname = 7\n")
    assert f"{new}:2: realm.name: must be a valid string" in run("realms", "apply", str(new), status=1)
    assert as_json(run("realms", "show", "new", "--json"))["applications"] == 1


def acts(run: Any) -> list[Any]:
    """Return what the trail holds of acts, without what reading it adds."""
    return [event for event in json.loads(run("audit", "list", "--json")) if event["tag"] != "admin:audit:read"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["applications", "create", "--realm", "nowhere", "x"], "There is no realm 'nowhere'"),
        (["applications", "create", "--realm", "acme", "Bad Name"], "cannot be the name of an application"),
        (["applications", "create", "--realm", "acme", "reporting"], "already has an application 'reporting'"),
        (["applications", "create", "--realm", "acme", "--role", "boss", "x"], "has no role 'boss'"),
        (["applications", "create", "--realm", "acme", "--project", "vision", "x"], "needs a role"),
        (["applications", "create", "--realm", "acme", "--project", "x:viewer", "x"], "has no project 'x'"),
        (["applications", "create", "--realm", "acme", "--audience", "a b", "x"], "visible ASCII"),
        (["applications", "create", "--realm", "acme", "service-account-x"], "cannot begin with service-account-"),
        (["applications", "secrets", "add", "--realm", "acme", "reporting", "main"], "has a live secret 'main'"),
        (["applications", "secrets", "add", "--realm", "acme", "--expires", "2001-01-01", "reporting", "x"], "has passed"),
        (["applications", "secrets", "retire", "--realm", "acme", "reporting", "x"], "has no live secret 'x'"),
        (["grants", "add", "--realm", "acme", "--until", "2001-01-01", "reporting", "viewer"], "has passed"),
        (["grants", "remove", "--realm", "acme", "reporting", "editor"], "does not hold role 'editor'"),
        (["keys", "revoke", "--realm", "acme", "--reason", "x", "--yes", "nokey"], "has no key 'nokey'"),
        (["realms", "show", "nowhere"], "There is no realm 'nowhere'"),
        (["realms", "plan", "/nowhere.toml"], "/nowhere.toml:1: cannot be read"),
        (
            ["token", "--realm", "acme", "--client-id", "x", "--client-secret", "y", "--url", "http://127.0.0.1:1"],
            "No server listens on http://127.0.0.1:1 (connection refused)",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals_are_one_sentence_and_status_1(run: Run, arguments: list[str], sentence: str) -> None:
    before = acts(run)
    output = run(*arguments, status=1)
    assert sentence in output
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert "Traceback" not in output
    assert acts(run) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["applications", "create"],
        ["applications", "create", "x"],
        ["keys", "rotate", "--realm", "acme", "--algorithm", "none"],
        ["grants", "add", "--realm", "acme", "--until", "tomorrow", "a", "b"],
        ["grants", "add", "--realm", "acme", "--until", "2030-01-01T10:00", "a", "b"],
        ["audit", "list", "--limit", "0"],
        ["audit", "list", "--before", "9" * 30],
        ["grants", "add", "--realm", "acme", "--until", "0001-01-01T00:00:00+14:00", "a", "b"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_status_2(run: Run, arguments: list[str]) -> None:
    assert "Usage:" in run(*arguments, status=2)


def test_help_teaches(run: Run) -> None:
    assert "\n    idp serve  " in run("--help")
    assert "\\b" not in run("--help") + run("applications", "create", "--help") + run("token", "--help")
    assert "Example" in run("applications", "create", "--help")
    assert "idp applications secrets retire" in run("applications", "secrets", "--help")


def test_nothing_set_up_says_what_to_do(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_DATA_DIR", str(tmp_path / "empty"))
    assert "For a new one, run `idp serve` or `idp setup` here" in run("realms", "list", status=1)
    assert not (tmp_path / "empty").exists()


def test_doctor_finds_what_is_wrong(run: Run, app: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_PUBLIC_URL", "http://127.0.0.1:1")
    report = run("doctor")
    assert "FAIL" not in report
    assert "Start it with `idp serve`" in report
    settings.data_dir.chmod(0o755)
    assert f"chmod 700 {settings.data_dir}" in run("doctor", status=1)
    settings.data_dir.chmod(0o700)
    with app.app_context():
        from idp import keys, realms
        from idp.db import commit

        keys.list_keys(realms.get_realm("acme"))[0].sealed_private_key = "v1.damaged"
        commit()
    assert "signing key" in run("doctor", status=1)
    monkeypatch.setenv("IDP_PROT", "8080")
    assert "IDP_PROT is not a setting and has no effect" in run("doctor", status=1)
    settings.master_key_file.write_text("k1:" + "A" * 43 + "=\n")
    assert "encrypted with master key" in run("doctor", status=1)
    settings.master_key_file.unlink()
    assert "but no master key" in run("doctor", status=1)
    assert not settings.master_key_file.exists()


def test_acts_are_recorded_with_the_operators_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import pwd

    monkeypatch.setenv("LOGNAME", "somebody-else")
    run("applications", "create", "--realm", "acme", "--role", "viewer", "ci-bot")
    events = as_json(run("audit", "list", "--realm", "acme", "--limit", "3", "--json"))
    assert [event["tag"] for event in events] == ["admin:secret:create", "admin:grant:create", "admin:application:create"]
    assert {event["actor"] for event in events} == {f"operator:{pwd.getpwuid(os.getuid()).pw_name}"}
    assert {event["address"] for event in events} == {"local"}


def test_long_lists_are_paged(run: Run) -> None:
    for number in range(3):
        run("applications", "create", "--realm", "acme", f"app-{number}")
    page = run("applications", "list", "--realm", "acme", "--limit", "2")
    assert "2 of 5 are shown. For the next ones, add --after app-1. Without --limit, the list is complete." in page
    assert "app-2" not in page
    assert "app-2" in run("applications", "list", "--realm", "acme", "--after", "app-1")
    assert "2 are shown, and there are more. For the next ones, add --before" in run("audit", "list", "--limit", "2")


@pytest.mark.parametrize("text", ["a\x1b[31mred", "two\nlines", "\x00", "\u202e", "\ud800"])
def test_control_characters_are_refused(run: Run, text: str) -> None:
    for command in (["applications", "create"], ["roles", "create"], ["projects", "create"]):
        assert "printable" in run(*command, "--realm", "acme", "--description", text, "x", status=1)


def test_commands_that_read_keep_no_writer_waiting(run: Run, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a list is being printed, and while a question waits for its answer, somebody else can write."""
    import click

    from tests.factories import Factory

    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    run("applications", "create", "--realm", "acme", "ci-bot")
    made: list[str] = []

    def write(*_arguments: Any, **_options: Any) -> bool:
        made.append(Factory(app).application(f"meanwhile-{len(made)}").client_id)
        return True

    real_echo = click.echo

    def echo_and_write(*arguments: Any, **options: Any) -> None:
        write()
        real_echo(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(click, "echo", echo_and_write)
        run("applications", "list", "--realm", "acme")
    with monkeypatch.context() as patch:
        patch.setattr(click, "confirm", write)
        run("applications", "delete", "--realm", "acme", "ci-bot")
    assert len(made) > 1


def test_database_password_is_not_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("mysql://u:S3cretPw@h/db", "postgresql+psycopg://u:S3cretPw@h:port/db", "postgresql://u:12/S3cretPw@h/db"):
        monkeypatch.setenv("IDP_DATABASE_URL", url)
        output = run("realms", "list", status=1)
        assert "IDP_DATABASE_URL" in output
        assert "S3cretPw" not in output
    for url, place in (
        ("postgresql+psycopg://u:S3cretPw@h:5432/db", "://***@h:5432/db"),
        ("postgres://u:S3cretPw@h:1,[::1]:2/db?sslpassword=S3cretPw", "://***@h:1,[::1]:2/db?***"),
    ):
        monkeypatch.setenv("IDP_DATABASE_URL", url)
        shown = run("settings")
        assert "S3cretPw" not in shown
        assert place in shown


def test_database_without_its_tables_says_what_to_do(run: Run, settings: Settings) -> None:
    assert settings.sqlite_path is not None
    for path in settings.data_dir.glob("realmgate.db*"):
        path.unlink()
    settings.sqlite_path.touch()
    assert "no such table: realm. Run `idp doctor`, which tells you what to do" in run("realms", "list", status=1)
    settings.sqlite_path.write_text("this is no database " * 100)
    assert "The database cannot be used" in run("realms", "list", status=1)


def test_expired_secret_makes_room_for_one_of_its_name(run: Run, app: Any) -> None:
    from datetime import timedelta

    from idp import applications, clock
    from tests.factories import Factory

    run("applications", "create", "--realm", "acme", "ci-bot")

    def expire(realm: Any, application: Any) -> None:
        secret = applications.find_secret(application, "main")
        assert secret is not None
        secret.expires_at = clock.now() - timedelta(days=1)

    Factory(app).change(expire)
    run("applications", "secrets", "add", "--realm", "acme", "ci-bot", "main")
    states = [each["state"] for each in as_json(run("applications", "secrets", "list", "--realm", "acme", "--json", "ci-bot"))]
    assert states == ["retired", "live"]
