"""Realm files: read, refused with line and reason, planned, applied, exported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask

from idp import access, applications, manifest, protected_apis, realms, runtime, users
from idp.access import HolderKind
from idp.db import commit, db
from idp.errors import InvalidMembersError
from idp.jose import read_unverified
from idp.manifest import RealmFileError
from tests.factories import Factory, Made, ask_token, key_pair, set_application, set_realm
from tests.serving import PROJECT

ACME = PROJECT / "realms" / "acme.toml"
SMALL = '[realm]\nname = "small"\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "realm.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def apply(path: Path) -> list[Any]:
    file = manifest.read_file(path)
    new = manifest.apply_plan(file, manifest.make_plan(file))
    commit()
    return new


def plan(path: Path) -> list[str]:
    return [str(change).partition("\n")[0] for change in manifest.make_plan(manifest.read_file(path))]


def test_shipped_example_is_in_force_after_the_first_start(context: Flask) -> None:
    assert plan(ACME) == []
    realm = realms.get_realm("acme")
    assert [project.name for project in access.list_projects(realm)] == ["speech", "vision"]
    assert {role.name for role in access.list_roles(realm)} >= {"administrator", "editor", "researcher", "viewer", "ml-engineer"}
    assert [each.name for each in applications.list_applications(realm)] == ["reporting", "train-scheduler"]


def test_every_setting_is_explained_in_the_example() -> None:
    from idp.manifest import parts

    text = ACME.read_text()
    for part in (
        parts.RealmPart,
        parts.RolePart,
        parts.ApplicationPart,
        parts.GrantPart,
        parts.SecretPart,
        parts.GroupPart,
        parts.UserPart,
        parts.ApiPart,
        parts.TrustedIssuerPart,
        parts.FederationRulePart,
        protected_apis.RuleSheet,
    ):
        for name in part.model_fields:
            assert f"{name} = " in text or f".{name}" in text, name


def test_export_applies_to_an_identical_realm(context: Flask, write: Callable[..., Path]) -> None:
    text = manifest.export_realm(realms.get_realm("acme"))
    assert plan(write(text)) == []
    copy = write(text.replace('name = "acme"', 'name = "copy"', 1), "copy.toml")
    new = apply(copy)
    assert sorted(each.application for each in new) == ["reporting", "train-scheduler"]
    assert plan(copy) == []
    assert manifest.export_realm(realms.get_realm("copy")) == text.replace('name = "acme"', 'name = "copy"', 1)


def test_export_holds_no_secret(context: Flask, write: Callable[..., Path]) -> None:
    made = Factory(context).application()
    text = manifest.export_realm(realms.get_realm("acme"))
    assert made.secret not in text
    assert made.secret[:15] not in text
    assert "idp_cs_" not in text


def test_export_keeps_public_keys_and_no_secrets(context: Flask, write: Callable[..., Path]) -> None:
    jwks = key_pair()[1]
    Factory(context).application(jwks=jwks, secret=False, resources=["https://api.example"])
    text = manifest.export_realm(realms.get_realm("acme"))
    assert plan(write(text)) == []
    assert apply(write(text.replace('"acme"', '"copy"', 1), "copy.toml")) != []
    copied = applications.get_application(realms.get_realm("copy"), "ci-bot")
    assert copied.jwks == jwks
    assert applications.list_secrets(copied) == []


def test_plan_shows_each_kind_of_drift_and_apply_mends_it(context: Flask) -> None:
    realm = realms.get_realm("acme")
    holder = applications.holder_of(applications.get_application(realm, "reporting"))
    access.create_role(realm, "by-hand")
    access.create_project(realm, "by-hand")
    access.update_project(realm, access.get_project(realm, "vision"), access.ProjectSheet(description="Changed."))
    access.remove_grant(realm, holder, "viewer")
    access.grant_role(realm, holder, "editor", project="speech")
    set_realm(realm, display_name="Other", key_rotation_days=7)
    applications.create_application(realm, "by-hand")
    set_application(realm, applications.get_application(realm, "train-scheduler"), enabled=False)
    commit()
    assert plan(ACME) == [
        "~ realm acme",
        "~ project vision",
        "~ application train-scheduler",
        "+ grant reporting: viewer on the realm",
        "- grant reporting: editor on project speech",
        "- application by-hand",
        "- project by-hand",
        "- role by-hand",
    ]
    changed = str(manifest.make_plan(manifest.read_file(ACME))[0])
    assert 'display_name: "Other" -> "Acme Research"' in changed
    assert "key_rotation_days: 7 -> 90" in changed
    apply(ACME)
    assert plan(ACME) == []


def test_plan_changes_nothing(context: Flask, write: Callable[..., Path]) -> None:
    path = write(SMALL + '[applications.app]\nroles = ["viewer"]\n')
    before = len(realms.list_realms())
    assert len(plan(path)) == 3
    db.session.rollback()
    assert len(realms.list_realms()) == before


def test_built_in_roles_are_neither_planned_nor_exported(context: Flask, write: Callable[..., Path]) -> None:
    apply(write(SMALL))
    assert plan(write(SMALL)) == []
    assert "viewer" not in manifest.export_realm(realms.get_realm("small"))


def test_secret_comes_from_the_environment_or_a_file(
    app: Flask, context: Flask, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("f" * 40 + "\n")
    monkeypatch.setenv("SMALL_APP_SECRET", "e" * 40)
    path = write(
        SMALL + '[applications.one.secrets.main]\nenv = "SMALL_APP_SECRET"\n'
        '[applications.two.secrets.main]\nfile = "secret.txt"\nexpires = 2099-01-01T00:00:00Z\n'
    )
    assert apply(path) == []
    client = app.test_client()
    Factory(app).forget()
    for name, secret in (("one", "e" * 40), ("two", "f" * 40)):
        assert ask_token(client, Made(name, secret, ""), realm="small").status_code == 200
    assert plan(path) == []
    monkeypatch.setenv("SMALL_APP_SECRET", "n" * 40)
    (change,) = manifest.make_plan(manifest.read_file(path))
    assert "hidden" in str(change)
    assert "nnnn" not in str(change)
    apply(path)
    Factory(app).forget()
    assert ask_token(client, Made("one", "e" * 40, ""), realm="small").status_code == 401
    assert ask_token(client, Made("one", "n" * 40, ""), realm="small").status_code == 200


def test_secrets_are_left_alone_when_the_file_names_none(context: Flask) -> None:
    realm = realms.get_realm("acme")
    applications.add_secret(realm, applications.get_application(realm, "reporting"), "second")
    commit()
    assert plan(ACME) == []


def test_secrets_are_managed_when_the_file_names_some(context: Flask, write: Callable[..., Path]) -> None:
    path = write(SMALL + "[applications.app.secrets.main]\n")
    (new,) = apply(path)
    assert new.plain_secret.startswith("idp_cs_")
    realm = realms.get_realm("small")
    application = applications.get_application(realm, "app")
    applications.add_secret(realm, application, "by-hand")
    commit()
    assert plan(path) == ["- secret app / by-hand"]
    apply(path)
    assert [each.name for each in applications.list_secrets(application) if each.retired_at is None] == ["main"]


def test_apply_is_all_or_nothing(context: Flask, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "too short")
    path = write(SMALL + '[applications.app]\n[applications.zzz.secrets.main]\nenv = "SHORT"\n')
    file = manifest.read_file(path)
    with pytest.raises(RealmFileError, match=r"realm\.toml:4: .*32 to 255"):
        manifest.apply_plan(file, manifest.make_plan(file))
    db.session.rollback()
    assert [realm.name for realm in realms.list_realms()] == ["acme", "master"]


BROKEN = {
    "no TOML": ('[realm]\nname = "x\n', 2, "is not TOML"),
    "no TOML at the end": ('[realm]\nname = "x"\na = [', 3, "is not TOML"),
    "no realm": ("[projects.a]\n", 1, "realm: is missing"),
    "no name": ("[realm]\nenabled = true\n", 1, "realm.name: is missing"),
    "unknown table": (SMALL + "[teams.alice]\n", 3, "teams: is not a setting"),
    "unknown setting": (SMALL + "colour = 'red'\n", 3, "realm.colour: is not a setting"),
    "unknown setting deep down": (
        SMALL + "[applications.a]\n\n[[applications.a.grants]]\nrole = 'viewer'\nuntill = 1\n",
        7,
        "untill",
    ),
    "wrong type": (SMALL + "enabled = 'yes'\n", 3, "realm.enabled: must be a valid boolean"),
    "number as text": (SMALL + "key_rotation_days = '9'\n", 3, "must be a valid integer"),
    "negative": (SMALL + "key_rotation_days = -1\n", 3, "use 1 to 3650 days, or 0"),
    "algorithm": (SMALL + "signing_algorithm = 'none'\n", 3, "must be 'RS256' or 'ES256'"),
    "bad realm name": ('[realm]\nname = "Big Corp"\n', 2, "cannot be the name of a realm"),
    "bad role name": (SMALL + "[roles.UPPER]\n", 3, "cannot be the name of a role"),
    "bad project name": (SMALL + '[projects."a b"]\n', 3, "cannot be the name of a project"),
    "bad application name": (SMALL + '[applications."-x"]\n', 3, "cannot be the name of an application"),
    "built-in role": (SMALL + "[roles.viewer]\n", 3, "is built in"),
    "unknown role": (SMALL + "[applications.a]\nroles = ['boss']\n", 4, "there is no role 'boss'"),
    "unknown project": (SMALL + "[[applications.a.grants]]\nrole = 'viewer'\nproject = 'x'\n", 3, "there is no project 'x'"),
    "second grant": (SMALL + "[[applications.a.grants]]\nrole='viewer'\n[[applications.a.grants]]\nrole='nobody'\n", 5, "nobody"),
    "granted twice": (
        SMALL + "[applications.a]\nroles=['viewer']\n[[applications.a.grants]]\nrole='viewer'\n",
        5,
        "granted twice",
    ),
    "date without a zone": (SMALL + "[[applications.a.grants]]\nrole='viewer'\nuntil=2027-01-01T00:00:00\n", 5, "with a zone"),
    "date alone": (SMALL + "[[applications.a.grants]]\nrole='viewer'\nuntil=2027-01-01\n", 5, "with a zone"),
    "keys that are not JSON": (SMALL + "[applications.a]\njwks = 'x'\n", 4, "JWK set"),
    "private keys": (SMALL + '[applications.a]\njwks = \'{"keys":[{"kty":"EC","d":"x"}]}\'\n', 4, "private"),
    "audience": (SMALL + "[applications.a]\naudience = ['a b']\n", 4, "visible ASCII"),
    "secret twice": (SMALL + "[applications.a.secrets.main]\nenv='A'\nfile='b'\n", 3, "env or file, not both"),
    "missing variable": (SMALL + "[applications.a.secrets.main]\nenv='NOT_SET_ANYWHERE'\n", 4, "is not set"),
    "missing file": (SMALL + "[applications.a.secrets.main]\nfile='nowhere'\n", 4, "cannot be read"),
    "nested deeply": (SMALL + "[applications.a]\njwks = '" + "[" * 30_000 + "'\n", 4, "JWK set"),
    "arrays in arrays": (SMALL + "x = " + "[" * 20_000 + "]" * 20_000 + "\n", 1, "cannot be read"),
    "enormous number": (SMALL + "key_rotation_days = " + "9" * 5_000 + "\n", 1, "cannot be read"),
    "time before time": (
        SMALL + "[[applications.a.grants]]\nrole='viewer'\nuntil=0001-01-01T00:00:00+14:00\n",
        5,
        "years 1 and 9999",
    ),
    "NUL in a path": (SMALL + '[applications.a.secrets.main]\nfile="\\u0000"\n', 4, "cannot be read"),
    "control characters": (SMALL + 'display_name = "a\\u0000b"\n', 3, "printable"),
    "forged line": (SMALL + '"x\\nError: all fine" = 1\n', 3, "x?Error: all fine"),
    "person without an address": (SMALL + "[users.alice]\n", 3, "is not an email address"),
    "machine user with an address": (SMALL + "[users.'a@b.test']\nkind = 'machine'\n", 3, "name of a machine user"),
    "machine user that looks like an application": (
        SMALL + "[users.service-account-x]\nkind = 'machine'\n",
        3,
        "service-account-",
    ),
    "unknown kind of user": (SMALL + "[users.'a@b.test']\nkind = 'robot'\n", 4, "must be 'person' or 'machine'"),
    "password in a file": (SMALL + "[users.'a@b.test']\npassword = 'x'\n", 4, "password: is not a setting"),
    "unknown group": (SMALL + "[users.'a@b.test']\ngroups = ['staff']\n", 4, "there is no group 'staff'"),
    "role that a user cannot have": (SMALL + "[users.'a@b.test']\nroles = ['boss']\n", 4, "there is no role 'boss'"),
    "role that a group cannot have": (SMALL + "[groups.staff]\nroles = ['boss']\n", 4, "there is no role 'boss'"),
    "unknown permission": (SMALL + "[roles.boss]\npermissions = ['world:rule']\n", 4, "is not a permission"),
    "bad group name": (SMALL + "[groups.'a b']\n", 3, "cannot be the name of a group"),
    "no session": (SMALL + "session_hours = 0\n", 3, "use 1 to 8760 hours"),
    "API without audience": (SMALL + "[apis.x]\n", 3, "apis.x.audience: is missing"),
    "API with a strange path": (SMALL + "[apis.x]\naudience='x'\nrules=[{methods=['GET'],path='/a/../b'}]\n", 5, "plain path"),
    "API with a strange method": (SMALL + "[apis.x]\naudience='x'\nrules=[{methods=['get'],path='/a'}]\n", 5, "methods must be"),
    "API for nobody": (SMALL + "[apis.x]\naudience='x'\nrules=[{methods=['GET'],path='/a',roles=['y']}]\n", 5, "no role 'y'"),
    "secret name": (SMALL + '[applications.a.secrets."BAD NAME"]\n', 3, "cannot be the name of a secret"),
    "service account": (SMALL + "[applications.service-account-x]\n", 3, "service-account-"),
    "line separators that are none": (SMALL + "# \u2028 \u0085\ncolour = 1\n", 4, "colour"),
    "after a text of several lines": (SMALL + 'display_name = """\\\na = [ \\\n"""\nenabled = 1\n', 6, "realm.enabled"),
    "after a list of several lines": (
        SMALL + "[applications.a]\naudience = [\n  'x', # [\n  'y',\n]\nenabled = 1\n",
        8,
        "enabled",
    ),
}


PEOPLE = (
    SMALL
    + """
[roles.helper]
permissions = ["users:read"]

[projects.vision]

[groups.staff]
roles = ["viewer"]
grants = [{ role = "helper", project = "vision" }]

[users."Ann@Example.test"]
first_name = "Ann"
api_key_hours = 48
groups = ["staff"]
roles = ["auditor"]

[users.robot]
kind = "machine"
email = "ops@example.test"

[apis.telemetry]
audience = "https://t.example"
rules = [{ methods = ["GET"], path = "/api/v1/query", roles = ["helper"], project = "vision" }]
"""
)


def test_users_groups_policies_and_apis_grow_from_a_file_and_go_back_into_one(context: Flask, write: Callable[..., Path]) -> None:
    path = write(PEOPLE)
    apply(path)
    realm = realms.get_realm("small")
    ann = users.get_user(realm, "ann@example.test")
    assert (ann.email, ann.api_key_hours, ann.password_hash) == ("Ann@Example.test", 48, "")
    assert [group.name for group in users.groups_of(ann)] == ["staff"]
    held = access.read_held_roles(db.session(), HolderKind.USER, ann.id, [group.id for group in users.groups_of(ann)])
    assert {(each.role, each.project) for each in held} == {("auditor", ""), ("viewer", ""), ("helper", "vision")}
    assert access.may(held, "users:read", "vision")
    assert not access.may(held[:0], "users:read", "vision")
    assert protected_apis.get_api(realm, "telemetry").rules[0]["project"] == "vision"
    assert plan(path) == []
    assert plan(write(manifest.export_realm(realm))) == []


def test_changes_of_people_in_a_file_are_made_and_no_others(context: Flask, write: Callable[..., Path]) -> None:
    apply(write(PEOPLE))
    changed = PEOPLE.replace('groups = ["staff"]\nroles = ["auditor"]', "enabled = false").replace("48", "72")
    assert plan(write(changed)) == [
        "~ user ann@example.test",
        "- grant user:ann@example.test: auditor on the realm",
    ]
    apply(write(changed))
    assert plan(write(changed)) == []
    assert not users.get_user(realms.get_realm("small"), "ann@example.test").enabled
    apply(write(PEOPLE.replace("[users.robot]", "[users.other-robot]")))
    assert [user.name for user in users.list_users(realms.get_realm("small"))] == ["ann@example.test", "other-robot"]


def test_file_with_users_and_without_groups_leaves_memberships_alone(context: Flask, write: Callable[..., Path]) -> None:
    path = write(SMALL + "[users.'bob@example.test']\n")
    apply(path)
    realm = realms.get_realm("small")
    users.add_member(realm, users.create_group(realm, "crew"), users.get_user(realm, "bob@example.test"))
    commit()
    assert plan(path) == []


def test_file_without_users_leaves_people_alone(context: Flask, write: Callable[..., Path]) -> None:
    apply(write(SMALL))
    realm = realms.get_realm("small")
    bob = users.create_user(realm, "bob@example.test")
    users.add_member(realm, users.create_group(realm, "crew"), bob)
    access.grant_role(realm, users.holder_of(bob), "viewer")
    commit()
    assert plan(write(SMALL)) == []
    assert plan(write(SMALL + "[users]\n[groups]\n")) == ["- user bob@example.test", "- group crew"]
    apply(write(SMALL + "[users]\n[groups]\n"))
    assert users.list_users(realm) == []


def test_long_file_is_read_in_time_that_grows_with_its_length(write: Callable[..., Path]) -> None:
    values = ",\n".join(f'  "https://api-{number}.example"' for number in range(20_000))
    with pytest.raises(RealmFileError, match=r"realm\.toml:4: .*at most 20 items"):
        manifest.read_file(write(SMALL + f"[applications.a]\naudience = [\n{values}\n]\n"))


def test_expired_and_single_use_secrets_are_neither_exported_nor_made(context: Flask, write: Callable[..., Path]) -> None:
    from datetime import timedelta

    from idp import clock

    realm = realms.get_realm("acme")
    application = applications.get_application(realm, "reporting")
    applications.add_secret(realm, application, "once", applications.SecretSheet(single_use=True))
    expired, _ = applications.add_secret(realm, application, "expired")
    expired.expires_at = clock.now() - timedelta(days=1)
    commit()
    text = manifest.export_realm(realm)
    assert "once" not in text
    assert "expired" not in text
    old = write(SMALL + "[applications.app.secrets.old]\nexpires = 2001-01-01T00:00:00Z\n")
    assert apply(old) == []
    assert plan(old) == []


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_whole_with_line_and_reason(context: Flask, write: Callable[..., Path], name: str) -> None:
    text, line, reason = BROKEN[name]
    path = write(text)
    with pytest.raises(RealmFileError) as caught:
        apply(path)
    db.session.rollback()
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert reason in str(caught.value)
    assert [realm.name for realm in realms.list_realms()] == ["acme", "master"]


def test_what_a_domain_refuses_is_told_with_the_key_that_it_is_about(
    context: Flask, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = '[realm]\nname = "small"\n\naudit_days = 5\n'
    with pytest.raises(RealmFileError, match=r"realm\.toml:4: realm\.audit_days: 5 is out of range: use 30 to"):
        apply(write(small))
    apply(write(SMALL))
    with pytest.raises(RealmFileError, match=r"realm\.toml:4: realm\.audit_days: 5 is out of range: use 30 to"):
        apply(write(small))
    several = InvalidMembersError([("audit_days", "Use more"), ("session_hours", "Use less")])
    monkeypatch.setattr(realms, "update_realm", Mock(side_effect=several))
    with pytest.raises(
        RealmFileError, match=r"toml:4: realm\.audit_days: update realm: audit_days: Use more; session_hours: Use less\.$"
    ):
        apply(write(small.replace("= 5", "= 400")))


def test_two_files_of_one_realm_are_refused(write: Callable[..., Path]) -> None:
    paths = [write(SMALL, "a.toml"), write(SMALL, "b.toml")]
    with pytest.raises(RealmFileError, match=r"b\.toml:2: .*a\.toml already defines realm 'small'"):
        manifest.read_files(paths)


def test_realm_from_a_file_issues_tokens(app: Flask, context: Flask, write: Callable[..., Path]) -> None:
    text = SMALL + 'signing_algorithm = "ES256"\n[projects.p]\n[applications.app]\naudience = ["https://x.example"]\n'
    text += '[[applications.app.grants]]\nproject = "p"\nrole = "editor"\n'
    (new,) = apply(write(text))
    Factory(app).forget()
    answer = ask_token(app.test_client(), Made("app", new.plain_secret, ""), realm="small")
    opened = read_unverified(answer.json["access_token"])
    assert opened.header["alg"] == "ES256"
    assert opened.claims["aud"] == "https://x.example"
    assert opened.claims["projects"][0]["roles"] == ["editor"]
    assert json.dumps(opened.claims)
    assert runtime.current().settings.issuer("small") == opened.claims["iss"]
