"""`idp users`, `groups`, `api-keys`, `sessions`, and grants to all of them, run as programs."""

import contextlib
import json
import sqlite3
import subprocess

import pytest

from tests.factories import PASSWORD
from tests.serving import Server, send


@pytest.fixture
def acme(own_server: Server) -> Server:
    own_server.idp("setup")
    return own_server


def idp_with_input(server: Server, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return server.run(*arguments, typed=text)


def test_person_is_made_with_a_password_from_standard_input(acme: Server) -> None:
    command = (
        "users",
        "create",
        "--realm",
        "acme",
        "--email",
        "User@example.test",
        "--role",
        "administrator",
        "--password-stdin",
        "--json",
    )
    done = idp_with_input(acme, PASSWORD + "\n", *command)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["uid"]
    assert (made["name"], made["has_password"]) == ("user@example.test", True)
    assert PASSWORD not in done.stdout
    again = idp_with_input(acme, PASSWORD, *command)
    assert (again.returncode, "exists" in again.stderr or "already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("short", "8 to 1024"), ("password1", "most common"), ("USER@example.test", "name of the account"), ("", "8 to 1024")],
)
def test_weak_password_is_refused_and_nobody_made(acme: Server, password: str, reason: str) -> None:
    done = idp_with_input(
        acme, password, "users", "create", "--realm", "acme", "--email", "user@example.test", "--password-stdin"
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert not password or password not in done.stderr
    assert "user@example.test" not in acme.idp("users", "list", "--realm", "acme")


def test_uid_at_the_command_line_means_that_user_and_not_one_who_is_called_so(acme: Server) -> None:
    realm = ("--realm", "acme")
    ann = json.loads(acme.idp("users", "create", *realm, "--email", "ann@example.test", "--json"))["uid"]
    robot = json.loads(acme.idp("users", "create", *realm, "--machine", "robot", "--json"))["uid"]
    with contextlib.closing(sqlite3.connect(acme.data_dir / "realmgate.db")) as database:
        database.execute("UPDATE user_account SET name = ? WHERE uid = ?", (ann, robot))
        database.commit()
    acme.idp("grants", "add", *realm, f"user:{ann}", "viewer")
    acme.idp("groups", "create", *realm, "crew")
    acme.idp("groups", "add", *realm, "crew", ann.upper())
    acme.idp("api-keys", "create", *realm, f"user:{ann}", "laptop")
    shown = json.loads(acme.idp("users", "show", *realm, ann, "--json"))
    assert (shown["name"], shown["groups"], shown["grants"][0]["role"]) == ("ann@example.test", ["crew"], "viewer")
    assert json.loads(acme.idp("api-keys", "list", *realm, "--json"))[0]["owner"] == "user:ann@example.test"
    acme.idp("users", "delete", *realm, "--yes", robot)
    assert acme.idp("users", "list", *realm).count(ann) == 1, "and whoever is called so goes by their own uid"


def test_life_of_a_person_at_the_command_line(acme: Server) -> None:
    realm = ("--realm", "acme")
    made = json.loads(acme.idp("users", "create", *realm, "--email", "bob@example.test", "--json"))
    assert made["invitation"].startswith("idp_ol_")
    assert "invited" in acme.idp("users", "list", *realm)
    acme.idp("groups", "create", *realm, "crew", "--description", "Everybody aboard.")
    acme.idp("groups", "add", *realm, "crew", "bob@example.test")
    acme.idp("grants", "add", *realm, "group:crew", "auditor")
    acme.idp("grants", "add", *realm, "user:bob@example.test", "researcher", "--project", "vision")
    shown = json.loads(acme.idp("users", "show", *realm, "bob@example.test", "--json"))
    assert shown["groups"] == ["crew"]
    assert shown["grants"] == [{"role": "researcher", "project": "vision", "until": None}]
    assert [each["name"] for each in json.loads(acme.idp("groups", "members", *realm, "crew", "--json"))] == ["bob@example.test"]
    assert "group:crew" in acme.idp("grants", "list", *realm)
    assert "one-time code" in acme.idp("users", "invite", *realm, "bob@example.test")
    code = json.loads(acme.idp("users", "reset-password", *realm, "bob@example.test", "--json"))["code"]
    assert code.startswith("idp_ol_")
    acme.idp("users", "disable", *realm, "bob@example.test")
    assert "disabled" in acme.idp("users", "list", *realm)
    assert "Enable it first" in acme.idp("users", "invite", *realm, "bob@example.test", status=1)
    acme.idp("users", "enable", *realm, "bob@example.test")
    acme.idp("grants", "remove", *realm, "user:bob@example.test", "researcher", "--project", "vision")
    acme.idp("groups", "remove", *realm, "crew", "bob@example.test")
    acme.idp("groups", "delete", *realm, "crew")
    acme.idp("users", "delete", *realm, "bob@example.test", "--yes")
    assert "no user" in acme.idp("users", "show", *realm, "bob@example.test", status=1)


def test_machine_user_has_keys_and_no_password(acme: Server) -> None:
    realm = ("--realm", "acme")
    acme.idp("users", "create", *realm, "--machine", "robot", "--role", "viewer")
    assert "machine user" in acme.idp("users", "invite", *realm, "robot", status=1)
    made = json.loads(
        acme.idp("api-keys", "create", *realm, "user:robot", "night", "--hours", "48", "--project", "vision", "--json")
    )
    assert made["api_key"].startswith(made["key"])
    assert made["projects"] == ["vision"]
    new = json.loads(acme.idp("api-keys", "rotate", *realm, made["uid"], "--overlap-hours", "1", "--json"))
    assert new["projects"] == ["vision"]
    listed = {each["key"]: each for each in json.loads(acme.idp("api-keys", "list", *realm, "--json"))}
    assert listed[made["key"]]["replaced_by"] == new["key"]
    acme.idp("api-keys", "deactivate", *realm, new["key"])
    acme.idp("api-keys", "activate", *realm, new["key"])
    acme.idp("api-keys", "revoke", *realm, new["key"], "--reason", "lost laptop")
    assert "revoked permanently" in acme.idp("api-keys", "activate", *realm, new["key"], status=1)
    acme.idp("api-keys", "delete", *realm, made["key"])
    table = acme.idp("api-keys", "list", *realm)
    assert "revoked" in table
    assert made["api_key"] not in table


def test_sessions_are_listed_and_ended(acme: Server) -> None:
    done = idp_with_input(
        acme, PASSWORD, "users", "create", "--realm", "acme", "--email", "cleo@example.test", "--password-stdin"
    )
    assert done.returncode == 0, done.stderr
    acme.start()
    body = json.dumps({"emailId": "cleo@example.test", "password": PASSWORD}).encode()
    answer = send(f"{acme.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"})
    assert answer.status == 200
    (session,) = json.loads(acme.idp("sessions", "list", "--realm", "acme", "--json"))
    assert (session["user"], session["address"]) == ("cleo@example.test", "127.0.0.1")
    acme.idp("sessions", "end", "--realm", "acme", "--sid", session["sid"])
    assert "Nobody is signed in" in acme.idp("sessions", "list", "--realm", "acme")
    assert send(f"{acme.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"}).status == 200
    acme.idp("sessions", "end", "--realm", "acme", "--user", "cleo@example.test")
    assert json.loads(acme.idp("sessions", "list", "--realm", "acme", "--json")) == []
