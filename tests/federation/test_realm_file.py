"""A realm in which no program has a secret: six issuers and twelve applications, from one file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from idp import manifest, realms
from idp.applications import Application, ApplicationSecret
from idp.db import db
from tests.cli.test_commands import Run, run  # noqa: F401 (a fixture)
from tests.factories import Factory, claims_of
from tests.federation.issuing import Issuer, github, kubernetes
from tests.federation.test_admission import ask_with
from tests.serving import PROJECT

FILE = PROJECT / "docs/examples/workloads.toml"
REALM = "http://localhost:8080/auth/realms/workloads"

CLUSTER = kubernetes()
ISSUERS = {
    "hub": github(),
    "lab": Issuer(url="https://gitlab.example.com", claims={"sub": "project_path:acme/site:ref_type:branch:ref:main"}),
    "cluster": CLUSTER,
    "cloud": Issuer(url="https://accounts.google.com", claims={"sub": "104512340000"}),
    "terraform": Issuer(
        url="https://app.terraform.io", claims={"sub": "organization:acme:project:core:workspace:net:run_phase:apply"}
    ),
    "mesh": Issuer(url="", key=ECKey.generate_key("P-256"), algorithm="ES256"),
}
POD = CLUSTER.claims["kubernetes.io"]

SAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "web-deployer": ("hub", {"repository_id": "710011"}),
    "api-deployer": ("hub", {"repository_id": "710012", "environment": "production"}),
    "nightly-tests": ("hub", {"repository_owner_id": "4242", "ref": "refs/heads/release-7"}),
    "site-builder": ("lab", {"project_id": "311", "ref": "main", "ref_protected": "true"}),
    "docs-builder": ("lab", {"project_id": "312"}),
    "trainer": (
        "cluster",
        {"kubernetes.io": POD | {"serviceaccount": {"name": "trainer", "uid": "0b6f5f7e-3f0a-4c0a-9d53-1d2f3a4b5c01"}}},
    ),
    "scheduler": (
        "cluster",
        {"kubernetes.io": POD | {"serviceaccount": {"name": "scheduler", "uid": "0b6f5f7e-3f0a-4c0a-9d53-1d2f3a4b5c02"}}},
    ),
    "exporter": ("cloud", {"sub": "104512340001"}),
    "importer": ("cloud", {"sub": "104512340002"}),
    "network-plan": ("terraform", {"terraform_workspace_id": "ws-1", "terraform_run_phase": "plan"}),
    "network-apply": ("terraform", {"terraform_workspace_id": "ws-1", "terraform_run_phase": "apply"}),
    "billing": ("mesh", {"sub": "spiffe://acme.example/ns/shop/billing"}),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The example of the documentation, with key sets of issuers that run here."""
    text = FILE.read_text()
    for name, issuer in ISSUERS.items():
        head = f"[trusted_issuers.{name}]"
        before, found, rest = text.partition(head)
        assert found, name
        table, blank, after = rest.partition("\n\n")
        text = before + head + _uploaded(table, json.dumps(issuer.jwks)) + blank + after
    found_at = tmp_path / "workloads.toml"
    found_at.write_text(text)
    return found_at


def _uploaded(table: str, jwks: str) -> str:
    lines = [line for line in table.splitlines() if not re.match(r"(key_source|jwks_url|jwks)\b", line)]
    return "\n".join([*lines, 'key_source = "uploaded"', f"jwks = '{jwks}'"])


def test_the_example_is_short() -> None:
    assert len(FILE.read_text().splitlines()) <= 120


@pytest.mark.usefixtures("make")
def test_twelve_programs_get_tokens_and_none_has_a_secret(client: FlaskClient, make: Factory, file: Path) -> None:
    with make.app.app_context():
        found = manifest.read_file(file)
        manifest.prepare_keys([found])
        assert manifest.apply_plan(found, manifest.make_plan(found)) == [], "no secret was made"
        db.session.commit()
    make.forget()
    for name, (issuer, claims) in SAYS.items():
        without = ("iss",) if issuer == "mesh" else ()
        audience = [REALM] if issuer == "cluster" else REALM
        assertion = ISSUERS[issuer].sign(without=without, **({"aud": audience} | claims))
        answer = ask_with(client, assertion, realm="workloads")
        assert answer.status_code == 200, (name, answer.text)
        assert claims_of(answer.json["access_token"])["client_id"] == name

    with make.app.app_context():
        of_realm = select(Application.id).where(Application.realm_id == realms.get_realm("workloads").id)
        count = select(func.count()).select_from(ApplicationSecret).where(ApplicationSecret.application_id.in_(of_realm))
        assert (db.session.scalar(count), len(db.session.scalars(of_realm).all())) == (0, 12)


def test_the_file_says_what_is_there_and_an_export_says_it_again(run: Run, file: Path, tmp_path: Path) -> None:
    run("realms", "apply", "--yes", str(file))
    assert "Realm workloads matches" in run("realms", "plan", str(file))
    exported = tmp_path / "exported.toml"
    exported.write_text(run("realms", "export", "workloads"))
    assert "Realm workloads matches" in run("realms", "plan", str(exported))
    changed = file.read_text().replace('value = "710011"', 'value = "710099"')
    file.write_text(changed)
    planned = run("realms", "plan", str(file))
    assert "~ federation rule" in planned
    assert "710099" in planned


PEOPLE = """[realm]
name = "small"

[users."Ann@Example.test"]
[users."bob@example.test"]
[users.robot]
kind = "machine"

[trusted_issuers.login]
issuer = "https://login.example"

[trusted_issuers.login.people]
00u1 = "ann@example.test"
"auth|2" = "BOB@example.test"

[trusted_issuers.other]
issuer = "https://other.example"
"""


def test_people_whom_an_issuer_knows_come_from_the_file_and_go_back_into_one(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "small.toml"

    def planned(text: str) -> list[str]:
        file.write_text(text)
        return [line.strip() for line in run("realms", "plan", str(file)).splitlines() if "login" in line or "user:" in line]

    def apply(text: str) -> set[tuple[str, str, str]]:
        file.write_text(text)
        run("realms", "apply", "--yes", str(file))
        assert "Realm small matches" in run("realms", "plan", str(file))
        rows = json.loads(run("federation", "people", "list", "--realm", "small", "--json"))
        return {(row["issuer"], row["subject"], row["user"]) for row in rows}

    both = {("login", "00u1", "ann@example.test"), ("login", "auth|2", "bob@example.test")}
    assert apply(PEOPLE) == both
    run("federation", "people", "link", "--realm", "small", "other", "7", "ann@example.test")
    exported = run("realms", "export", "small")
    assert apply(exported) == both | {("other", "7", "ann@example.test")}

    table = PEOPLE[PEOPLE.index("[trusted_issuers.login.people]") : PEOPLE.index("[trusted_issuers.other]")]
    changed = PEOPLE.replace('"auth|2" = "BOB', '"auth|3" = "BOB').replace('00u1 = "ann', '00u1 = "bob')
    assert planned(changed) == [
        "~ federated person login / 00u1",
        'user: "ann@example.test" -> "bob@example.test"',
        "+ federated person login / auth|3",
        'user: "bob@example.test"',
        "- federated person login / auth|2",
    ]
    assert planned(PEOPLE.replace(table, "")) == [], "the file says nothing of them"
    assert planned(PEOPLE.split("[trusted_issuers", maxsplit=1)[0]) == []
    now = {("login", "00u1", "bob@example.test"), ("login", "auth|3", "bob@example.test"), ("other", "7", "ann@example.test")}
    assert apply(changed) == now
    assert apply(PEOPLE.replace(table, "[trusted_issuers.login.people]\n")) == {("other", "7", "ann@example.test")}
    assert apply(PEOPLE.split("[trusted_issuers", maxsplit=1)[0] + "[trusted_issuers]\n") == set()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"ann@example.test"', '"eve@example.test"', "there is no user 'eve@example.test': add [users.\"eve@example.test\"]"),
        ('"ann@example.test"', '"robot"', "'robot' is no person"),
        ("00u1", '"a\\u0007"', "A subject has 1 to 255 printable characters."),
        ("00u1", f'"{"x" * 256}"', "A subject has 1 to 255 printable characters."),
    ],
)
def test_people_who_are_not_right_are_named_with_their_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    file = tmp_path / "small.toml"
    file.write_text(PEOPLE.replace(old, new))
    with pytest.raises(manifest.RealmFileError) as refused:
        manifest.read_file(file)
    assert str(refused.value).startswith(f"{file}:13: trusted_issuers.login.people."), refused.value
    assert problem in str(refused.value)


@pytest.mark.usefixtures("context")
def test_a_user_who_is_not_there_is_named_as_the_file_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text('[realm]\nname = "small"\n' + PEOPLE[PEOPLE.index("[trusted_issuers.login]") :])
    found = manifest.read_file(file)
    with pytest.raises(
        manifest.RealmFileError, match=r"small\.toml:7: trusted_issuers\.login\.people\.00u1: create federated_person"
    ):
        manifest.apply_plan(found, manifest.make_plan(found))


def test_the_example_of_a_realm_file_is_one_with_its_comments_taken_off(tmp_path: Path) -> None:
    before, found, about = (PROJECT / "realms/acme.toml").read_text().partition("# [trusted_issuers.hub]")
    without = re.sub(r"^# jwks.*\n", "", about, flags=re.MULTILINE)  # which go with other sources of keys
    text = re.sub(r"^# (?=[a-z_]+ = |\[|\")", "", found + without, flags=re.MULTILINE)
    file = tmp_path / "acme.toml"
    file.write_text(before + text)
    read = manifest.read_file(file)
    assert (read.trusted_issuers or {})["login"].people == {"00u1a2b3c4": "ann@acme.example"}
    assert (read.federation_rules or {})["schedule"].application == "train-scheduler"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('issuer = "hub"', 'issuer = "nowhere"', "there is no trusted issuer 'nowhere': add [trusted_issuers.nowhere]"),
        ('application = "trainer"', 'application = "nobody"', "there is no application 'nobody'"),
        ('preset = "github"', 'preset = "nothing"', "preset"),
        ('value = "refs/heads/release-*"', 'value = "*"', "would hold for any value"),
    ],
)
def test_what_is_not_right_is_named_with_its_line(file: Path, old: str, new: str, problem: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(manifest.RealmFileError) as refused:
        manifest.read_file(file)
    assert problem in str(refused.value)
    assert re.match(rf"{re.escape(str(file))}:\d+: ", str(refused.value))
