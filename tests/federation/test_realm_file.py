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
