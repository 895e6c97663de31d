"""Keysets and leases at the console."""

import re

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import text

from idp import access, keysets
from idp.db import commit, db
from tests.console.surfing import Surfer
from tests.factories import Factory, set_application
from tests.keysets.lending import AWS_VALUES, borrower, take, token_of

BASE = "/console/realms/acme"
TYPED = {
    "name": "prod aws",
    "description": "for builds",
    "projects": ["vision"],
    "max_lease_seconds": "600",
    "value_pub": AWS_VALUES["pub"],
    "value_pvt": AWS_VALUES["pvt"],
}


@pytest.fixture
def near(ann: Surfer) -> Surfer:
    """Ann at the machine itself: values do not travel over a network without HTTPS."""
    ann.client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    return ann


def make_keyset(surfer: Surfer, **typed: object) -> str:
    surfer.open(f"{BASE}/new-keyset?kind=provider:aws").send("Create", TYPED | typed)
    assert "Created." in surfer.text, surfer.text
    found = re.search(r"/keysets/([0-9a-f-]{36})", surfer.url)
    assert found is not None
    return found[1]


def test_a_keyset_is_kept_lent_replaced_and_deleted(app: Flask, near: Surfer, make: Factory) -> None:
    assert "No keysets yet" in near.open(f"{BASE}/keysets").text
    assert "/new-keyset?kind=solution:sysdig" in near.open(f"{BASE}/new-keyset").text
    uid = make_keyset(near)
    for page in (near.text, near.open(f"{BASE}/keysets").text, near.open(f"{BASE}/keysets/{uid}/replace").text):
        assert "prod aws" in page
        assert "canary" not in page
    client = app.test_client()
    bot = token_of(client, borrower(make))
    lease = take(client, bot, "prod aws", "deploys build 71").json
    assert lease["values"] == AWS_VALUES
    assert "deploys build 71" in near.open(f"{BASE}/keysets/{uid}?tab=leases").text
    near.open(f"{BASE}/keysets/{uid}/replace").send("Replace", {"value_pub": "second", "value_pvt": "second secret"})
    assert "New leases receive the new values" in near.text
    assert "1 lease, the last until" in near.text
    near.open(f"{BASE}/leases").open(f"{BASE}/leases/{lease['uid']}/end").send("End lease", {"reason": "replaced"})
    assert "Ended." in near.text
    assert "no longer leased" in near.open(f"{BASE}/keysets/{uid}").text
    assert "replaced" in near.open(f"{BASE}/leases?over=yes").text
    assert "already ended" in near.open(f"{BASE}/leases/{lease['uid']}/end").text
    near.open(f"{BASE}/keysets/{uid}").send("Save", {"name": "prod aws 2", "projects": ["speech"], "max_lease_seconds": "60"})
    assert "Saved." in near.text
    assert "prod aws 2" in near.open(f"{BASE}/keysets?search=AWS").text
    assert take(client, bot, "prod aws 2").status_code == 404
    near.open(f"{BASE}/keysets/{uid}/delete").send("Delete", {"typed": "prod aws 2"})
    assert "Deleted." in near.text
    assert near.open(f"{BASE}/keysets/{uid}").status == 404


def test_version_control_is_kept_here_only(near: Surfer) -> None:
    near.open(f"{BASE}/new-keyset?kind=vcs:github").send("Create", {"name": "repos", "value_token": "canary"})
    assert near.status == 200
    assert "<dd>GitHub <code>github</code>" in near.text
    near.open(near.url).send("Save", {"description": "all repositories"})
    assert "all repositories" in near.whole(near.url)


def test_a_refusal_keeps_what_was_typed_but_no_value(near: Surfer) -> None:
    near.open(f"{BASE}/new-keyset?kind=provider:aws").send("Create", TYPED | {"name": " ", "max_lease_seconds": "90000"})
    assert near.status == 400
    near.open(f"{BASE}/new-keyset?kind=provider:aws").send("Create", TYPED | {"max_lease_seconds": "90000"})
    assert near.status == 400
    assert "for builds" in near.text
    assert "canary" not in near.text
    near.open(f"{BASE}/new-keyset?kind=provider:gce").send("Create", {"name": "g", "value_other": "canary\n" + "x" * 16_384})
    assert near.status == 400
    assert "canary" not in near.text
    assert near.open(f"{BASE}/new-keyset?kind=provider:none").status == 404


def test_lines_of_a_service_account_arrive_as_they_were(app: Flask, near: Surfer, make: Factory) -> None:
    account = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN"\n}'
    near.open(f"{BASE}/new-keyset?kind=provider:gce").send(
        "Create", {"name": "gce", "projects": ["vision"], "value_other": account.replace("\n", "\r\n") + "\r\n"}
    )
    client = app.test_client()
    assert take(client, token_of(client, borrower(make)), "gce").json["values"] == {"other": account}


def test_values_are_not_taken_over_a_network_without_https(ann: Surfer) -> None:
    ann.open(f"{BASE}/new-keyset?kind=provider:aws").send("Create", TYPED)
    assert ann.status == 403
    assert "HTTPS" in ann.text
    assert "No keysets yet" in ann.open(f"{BASE}/keysets").text


def test_damage_is_shown_and_mended(app: Flask, near: Surfer) -> None:
    uid = make_keyset(near)
    with app.app_context():
        db.session.execute(text("UPDATE keyset_key SET sealed_value = x'00' WHERE key_type = 'pvt'"))
        commit()
    assert "damaged in the database" in near.open(f"{BASE}/keysets/{uid}").text
    near.open(f"{BASE}/keysets/{uid}/replace").send("Replace", {"value_pub": "second", "value_pvt": "second secret"})
    assert "damaged" not in near.text


def test_who_may_what(app: Flask, near: Surfer, make: Factory) -> None:
    uid = make_keyset(near)
    make.user("auditor@example.test", roles=("auditor",))
    auditor = Surfer(app).sign_in("auditor@example.test")
    page = auditor.open(f"{BASE}/keysets/{uid}").text
    assert "Replace values" not in page
    assert "Save" not in page
    for path in ("new-keyset", "new-keyset?kind=provider:aws", f"keysets/{uid}/replace", f"keysets/{uid}/delete"):
        assert auditor.open(f"{BASE}/{path}").status == 403, path

    def keeper(realm: object) -> None:
        access.create_role(realm, "keeper", access.RoleSheet(permissions=["keysets:read", "keysets:write", "projects:read"]))  # type: ignore[arg-type]

    make.do(keeper)
    make.user("keeper@example.test", projects=(("speech", "keeper"),))
    local = Surfer(app).sign_in("keeper@example.test")
    local.client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    assert local.open(f"{BASE}/keysets/{uid}").status == 404
    local.open(f"{BASE}/new-keyset?kind=provider:aws").send("Create", TYPED | {"projects": []})
    assert local.status == 403
    own = make_keyset(local, projects=["speech"], name="of speech")
    assert own in local.open(f"{BASE}/keysets").text
    assert uid not in local.text
    make.user("viewer@example.test", roles=("viewer",))
    viewer = Surfer(app).sign_in("viewer@example.test")
    assert viewer.open(f"{BASE}/keysets").status == 403
    assert viewer.open(f"{BASE}/leases").status == 403
    assert "Keysets" not in viewer.open("/console/my/keys").text


def test_an_application_that_goes_says_what_it_holds(app: Flask, near: Surfer, make: Factory) -> None:
    make_keyset(near)
    client = app.test_client()
    take(client, token_of(client, borrower(make)), "prod aws")
    for act in ("disable", "delete"):
        assert "1 lease of keysets ends" in near.open(f"{BASE}/applications/deployer/{act}").text
    make.change(lambda realm, found: set_application(realm, found, enabled=False), "deployer")
    assert "lease of keysets" not in near.open(f"{BASE}/applications/deployer/delete").text


def test_kinds_are_called_as_they_call_themselves(near: Surfer) -> None:
    entities = {entity for kinds in keysets.CATEGORIES.values() for entity in kinds if entity}
    assert set(keysets.ENTITY_NAMES) == entities
    page = near.open(f"{BASE}/new-keyset").text
    for category, kinds in keysets.CATEGORIES.items():
        for entity in filter(None, kinds):
            name = escape(keysets.ENTITY_NAMES[entity])
            assert f'kind={category}:{entity}"><strong>{name}</strong> <code>{entity}</code>' in page
    uid = make_keyset(near)
    assert re.search(r"<td[^>]*>Amazon Web Services</td>", re.sub(r"\s*\n\s*", "", near.open(f"{BASE}/keysets").text))
    assert "<dd>Amazon Web Services <code>aws</code>" in near.open(f"{BASE}/keysets/{uid}").text
    assert "New keyset: Amazon Web Services" in near.open(f"{BASE}/new-keyset?kind=provider:aws").text
