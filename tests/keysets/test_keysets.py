"""Keysets in the native API: kept, never shown, changed, deleted."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from idp import access, keysets
from idp.db import db
from idp.keysets import Keyset, KeysetKey
from tests.factories import Factory, session_of
from tests.keysets.lending import AWS, OTHER_AWS, administrator, keep, wish

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO9xRJOwhjd7c0qMkKUixYpXrfI/yUx/92HOS67dBtcm ann@laptop"
"""Made for these tests; unlocks nothing."""

WEAK_KEY = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCtBGZUxMMk+VPrMVlK9FW5TYCm/KA7A+vC8JQNE8Wa8Kh2IKAg4RtFB5nZoh8zDApu8kCaQq6Bb9ulW0INALY"
    "YJXzvj372WzjFNofl0NTCuyV0trq0Csl0wt3cgf1skvLBPQ5eArFnLhaxK+p7dPdre8RSHYhbkKM6Woq3hFI5wQ=="
)


@pytest.fixture
def root(make: Factory, client: FlaskClient) -> dict[str, str]:
    return administrator(make, client)


def test_a_keyset_is_shown_without_its_values(client: FlaskClient, root: dict[str, str]) -> None:
    uid = keep(client, root, projects=["vision"], isDefault=True, maxLeaseSeconds=600)
    shown = client.get(f"/v1/keysets/{uid}", headers=root)
    assert shown.json["metadata"]["name"] == "prod aws"
    spec = shown.json["spec"]
    assert spec["keys"] == [{"type": "pub", "fingerprint": ""}, {"type": "pvt", "fingerprint": ""}]
    assert [each["name"] for each in spec["projects"]] == ["vision"]
    assert (spec["isDefault"], spec["maxLeaseSeconds"], spec["version"]) == (True, 600, 1)
    assert shown.json["status"] == {"damaged": False}
    listed = client.get("/v1/keysets", headers=root)
    assert [item["metadata"]["uid"] for item in listed.json["items"]] == [uid]
    versions = client.get(f"/v1/keysets/{uid}/versions", headers=root)
    for answer in (shown, listed, versions):
        assert "canary" not in answer.text
    assert client.get("/v1/keysets/prod aws", headers=root).json["metadata"]["uid"] == uid


@pytest.mark.parametrize(
    ("category", "entity"), [(category, entity) for category, found in keysets.CATEGORIES.items() for entity in found]
)
def test_every_entity_takes_exactly_its_keys(client: FlaskClient, root: dict[str, str], category: str, entity: str) -> None:
    types = list(keysets.key_types(category, entity))
    keys = [{"type": each, "value": "external" if each == "scope" else SSH_KEY} for each in types]
    right = client.post("/v1/keysets", json=wish(keys=keys, category=category, entity=entity), headers=root)
    assert right.status_code == (400 if category == "vcs" else 201), right.text
    wrong = [
        keys[1:],
        [*keys, keys[0]],
        [*keys[1:], {"type": "bogus", "value": "x"}],
        [*keys, {"type": "bogus", "value": "x"}],
        [],
    ]
    for number, each in enumerate(wrong):
        body = wish(f"wrong {number}", keys=each, category=category, entity=entity)
        answer = client.post("/v1/keysets", json=body, headers=root)
        assert answer.status_code == 400, (each, answer.text)
        assert "canary" not in answer.text
        assert SSH_KEY[20:40] not in answer.text
    assert client.get("/v1/keysets", headers=root).json["listmeta"]["count"] == (0 if category == "vcs" else 1)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"entity": "acme-cloud"}, "entity"),
        ({"category": "cloud"}, "spec.category"),
        ({"category": "storage"}, "entity"),
        ({"keys": [{"type": "pub", "value": ""}, {"type": "pvt", "value": "x"}]}, "keys"),
        ({"keys": [{"type": "pub", "value": "a\0b"}, {"type": "pvt", "value": "x"}]}, "keys"),
        ({"keys": [{"type": "pub", "value": "x" * 16_385}, {"type": "pvt", "value": "x"}]}, "spec.keys.0.value"),
        ({"keys": "AKIA"}, "spec.keys"),
        ({"keys": [{"type": "pub"}]}, "spec.keys.0.value"),
        ({"maxLeaseSeconds": 0}, "spec.maxLeaseSeconds"),
        ({"maxLeaseSeconds": 86_401}, "spec.maxLeaseSeconds"),
        ({"name": " padded "}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x" * 201}, "metadata.name"),
        ({"secret": "x"}, "spec.secret"),
    ],
)
def test_what_will_not_do_names_the_member_and_stores_nothing(
    client: FlaskClient, root: dict[str, str], changes: dict[str, Any], member: str
) -> None:
    answer = client.post("/v1/keysets", json=wish(**changes), headers=root)
    assert answer.status_code == 400, answer.text
    assert [each["member"] for each in answer.json["details"]["members"]] == [member]
    assert "canary" not in answer.text
    assert client.get("/v1/keysets", headers=root).json["listmeta"]["count"] == 0


def test_a_body_of_a_megabyte_is_refused_whole(client: FlaskClient, root: dict[str, str]) -> None:
    answer = client.post("/v1/keysets", json=wish(keys=[{"type": "pub", "value": "x" * 2**20}]), headers=root)
    assert (answer.status_code, answer.json["message"]) == (400, "The body is larger than 65536 bytes.")


def test_turbonomic_takes_one_scope_only(client: FlaskClient, root: dict[str, str]) -> None:
    keys = [{"type": each, "value": "x"} for each in ("url", "username", "password", "scope")]
    body = wish(keys=keys, category="solution", entity="turbonomic")
    assert "scope must be external" in client.post("/v1/keysets", json=body, headers=root).json["message"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "not a key at all",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 cut",
        WEAK_KEY,
        'command="x" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI',
        "ssh-dss AAAAB3NzaC1kc3MAAACBAA==",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO9xRJOwhjd7c0qMkKUixYpXrfI/yUx/92HOS67dBtcm a\nssh-ed25519 AAAA b",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIO9xRJOwhjd7c0qMkKUixYpXrfI/yUx/92HOS67dBtcm",
        "\N{GRINNING FACE} \N{GRINNING FACE}",
    ],
)
def test_an_ssh_key_that_is_none_is_refused(client: FlaskClient, root: dict[str, str], value: str) -> None:
    body = wish(keys=[{"type": "pub", "value": value}], category="user_ssh", entity="")
    answer = client.post("/v1/keysets", json=body, headers=root)
    assert answer.status_code == 400
    assert [each["member"] for each in answer.json["details"]["members"]] == ["keys"]
    assert not value or value not in answer.text


def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(client: FlaskClient, root: dict[str, str]) -> None:
    uid = keep(client, root, keys=[{"type": "pub", "value": SSH_KEY}], category="user_ssh", entity="")
    spec = client.get(f"/v1/keysets/{uid}", headers=root).json["spec"]
    assert spec["keys"] == [{"type": "pub", "fingerprint": "SHA256:2D65RwrjZFZZXbpMXRb9Rpn6ThYXq0Oy07fWU8eokVs"}]


def test_names_are_unique_in_category_and_entity(client: FlaskClient, root: dict[str, str]) -> None:
    keep(client, root)
    assert client.post("/v1/keysets", json=wish(), headers=root).status_code == 409
    keep(client, root, entity="eks")
    other = keep(client, root, name="another")
    renamed = client.patch(f"/v1/keysets/{other}", json={"metadata": {"name": "prod aws"}}, headers=root)
    assert renamed.status_code == 409
    assert client.get("/v1/keysets/prod aws", headers=root).status_code == 404  # two have this name


def test_a_change_leaves_the_values_and_a_new_version_leaves_the_rest(client: FlaskClient, root: dict[str, str]) -> None:
    uid = keep(client, root)
    etag = client.get(f"/v1/keysets/{uid}", headers=root).headers["ETag"]
    change = {"metadata": {"name": "renamed", "annotations": {"description": "for builds"}}, "spec": {"projects": ["vision"]}}
    assert client.patch(f"/v1/keysets/{uid}", json=change, headers=root | {"If-Match": etag}).status_code == 204
    assert client.patch(f"/v1/keysets/{uid}", json=change, headers=root | {"If-Match": etag}).status_code == 412
    made = client.post(f"/v1/keysets/{uid}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    assert (made.status_code, made.json) == (201, {"uid": uid, "version": 2})
    shown = client.get(f"/v1/keysets/{uid}", headers=root).json
    assert shown["metadata"]["name"] == "renamed"
    assert shown["spec"]["version"] == 2
    assert [each["name"] for each in shown["spec"]["projects"]] == ["vision"]
    assert client.put(f"/v1/keysets/{uid}", json=shown, headers=root).status_code == 204
    assert client.get(f"/v1/keysets/{uid}", headers=root).json["spec"] == shown["spec"]
    for spec in ({}, {"projects": [], "keys": OTHER_AWS}):  # for whom is said, and values are a version
        assert client.put(f"/v1/keysets/{uid}", json={"spec": spec}, headers=root).status_code == 400
    assert client.patch(f"/v1/keysets/{uid}", json={"spec": {"keys": OTHER_AWS}}, headers=root).status_code == 400
    moved = client.patch(f"/v1/keysets/{uid}", json={"spec": {"entity": "eks"}}, headers=root)
    assert moved.status_code == 400


def test_a_new_version_needs_all_keys_and_a_wrong_one_changes_nothing(client: FlaskClient, root: dict[str, str]) -> None:
    uid = keep(client, root)
    answer = client.post(f"/v1/keysets/{uid}/versions", json={"spec": {"keys": AWS[:1]}}, headers=root)
    assert answer.status_code == 400
    shown = client.get(f"/v1/keysets/{uid}", headers=root).json
    assert (shown["spec"]["version"], len(shown["spec"]["keys"]), shown["status"]["damaged"]) == (1, 2, False)


def test_there_is_one_default_for_each_category_and_entity(client: FlaskClient, root: dict[str, str]) -> None:
    first, elsewhere = keep(client, root, isDefault=True), keep(client, root, name="e", entity="eks", isDefault=True)
    second = keep(client, root, name="second", isDefault=True)
    answer = client.get("/v1/keysets?isDefault=true", headers=root)
    assert {item["metadata"]["uid"] for item in answer.json["items"]} == {second, elsewhere}
    client.patch(f"/v1/keysets/{first}", json={"spec": {"isDefault": True}}, headers=root)
    answer = client.get("/v1/keysets?isDefault=true", headers=root)
    assert {item["metadata"]["uid"] for item in answer.json["items"]} == {first, elsewhere}


def test_deleting_takes_the_keys_along(client: FlaskClient, root: dict[str, str], make: Factory) -> None:
    uid = keep(client, root, projects=["vision"])
    assert client.delete(f"/v1/keysets/{uid}", headers=root).status_code == 204
    assert client.get(f"/v1/keysets/{uid}", headers=root).status_code == 404
    assert make.do(lambda _: (db.session.scalars(select(KeysetKey)).all(), db.session.scalars(select(Keyset)).all())) == ([], [])


def test_a_project_that_keysets_are_for_cannot_go(client: FlaskClient, root: dict[str, str], make: Factory) -> None:
    make.do(lambda realm: access.create_project(realm, "short-lived"))
    uid = keep(client, root, projects=["short-lived"])
    refused = client.delete("/v1/projects/short-lived", headers=root)
    assert (refused.status_code, "1 keysets are for it" in refused.json["message"]) == (409, True)
    client.delete(f"/v1/keysets/{uid}", headers=root)
    assert client.delete("/v1/projects/short-lived", headers=root).status_code == 204


def test_lists_are_filtered_ordered_and_paged(client: FlaskClient, root: dict[str, str]) -> None:
    for number in range(7):
        entity = "aws" if number % 2 else "eks"
        keep(client, root, name=f"set {number}", entity=entity, projects=["vision"] if number < 3 else [])
    names, token = [], ""
    while True:
        page = client.get(f"/v1/keysets?limit=2&orderBy=-name&continue={token}", headers=root).json
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["listmeta"]["continue"]
        if not token:
            break
    assert names == [f"set {number}" for number in reversed(range(7))]
    for query, count in (("entity=aws", 3), ("project=vision", 3), ("name=SET 4", 1), ("category=storage", 0)):
        assert client.get(f"/v1/keysets?{query}", headers=root).json["listmeta"]["count"] == count, query


@pytest.mark.spec("T73")
def test_who_may_not_write_reads_and_another_realm_sees_nothing(client: FlaskClient, root: dict[str, str], make: Factory) -> None:
    uid = keep(client, root, projects=["vision"])
    make.user("auditor@example.test", roles=("auditor",))
    auditor = session_of(client, "auditor@example.test")
    assert client.get(f"/v1/keysets/{uid}", headers=auditor).status_code == 200
    change = {"metadata": {"name": "mine"}}
    for method, path, body in (
        ("POST", "/v1/keysets", wish("x")),
        ("PATCH", f"/v1/keysets/{uid}", change),
        ("PUT", f"/v1/keysets/{uid}", change),
        ("DELETE", f"/v1/keysets/{uid}", None),
        ("POST", f"/v1/keysets/{uid}/versions", {"spec": {"keys": AWS}}),
    ):
        assert client.open(path, method=method, json=body, headers=auditor).status_code == 403, (method, path)
    make.user("nobody@example.test", roles=("viewer",))
    viewer = session_of(client, "nobody@example.test")
    for project in ("vision", "no-such-project"):
        assert client.post("/v1/keysets", json=wish("x", projects=[project]), headers=viewer).status_code == 403
    assert client.get("/v1/keysets", headers=viewer).status_code == 403
    assert client.get(f"/v1/keysets/{uid}", headers=viewer).status_code == 404
    make.realm("other")
    make.user("boss@example.test", realm="other", roles=("administrator",))
    boss = session_of(client, "boss@example.test", org="other")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/versions"), ("PATCH", "")):
        assert client.open(f"/v1/keysets/{uid}{path}", method=method, json={}, headers=boss).status_code == 404
    assert client.get("/v1/keysets", headers=boss).json["items"] == []


def test_who_decides_over_a_project_decides_over_its_keysets_only(
    client: FlaskClient, root: dict[str, str], make: Factory
) -> None:
    def prepare(realm: Any) -> None:
        access.create_project(realm, "second")
        access.create_role(realm, "keeper", access.RoleSheet(permissions=["keysets:read", "keysets:write", "projects:read"]))

    make.do(prepare)
    make.user("keeper@example.test", projects=(("vision", "keeper"),))
    keeper = session_of(client, "keeper@example.test")
    mine = keep(client, keeper, name="mine", projects=["vision"])
    others = [keep(client, root, name="all"), keep(client, root, name="both", projects=["vision", "second"])]
    assert client.post("/v1/keysets", json=wish("x"), headers=keeper).status_code == 403
    for hidden in ("second", "no-such-project"):  # both alike
        assert client.post("/v1/keysets", json=wish("x", projects=["vision", hidden]), headers=keeper).status_code == 404
    assert client.post("/v1/keysets", json=wish("x", projects=["vision"], isDefault=True), headers=keeper).status_code == 403
    listed = client.get("/v1/keysets", headers=keeper).json["items"]
    assert {item["metadata"]["name"] for item in listed} == {"mine", "both"}
    assert client.patch(f"/v1/keysets/{mine}", json={"spec": {"projects": []}}, headers=keeper).status_code == 403
    assert client.patch(f"/v1/keysets/{others[1]}", json={"metadata": {"name": "n"}}, headers=keeper).status_code == 403
    assert client.get(f"/v1/keysets/{others[0]}", headers=keeper).status_code == 404
    assert client.patch(f"/v1/keysets/{mine}", json={"metadata": {"name": "n"}}, headers=keeper).status_code == 204


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 201),
        ({"REMOTE_ADDR": "::1"}, 201),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 201),
        ({"REMOTE_ADDR": "192.0.2.1"}, 403),
        ({"REMOTE_ADDR": ""}, 403),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_PROTO": "https"}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}, 403),
        ({"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "https"}, 201),
    ],
)
def test_values_travel_over_https_or_within_the_machine(
    client: FlaskClient, root: dict[str, str], environ: dict[str, str], status: int
) -> None:
    answer = client.post("/v1/keysets", json=wish(), headers=root, environ_overrides=environ)
    assert answer.status_code == status, answer.text
    assert status == 201 or answer.json["code"] == "HttpsRequired"


def test_a_create_that_is_repeated_makes_one_and_its_fingerprint_is_keyed(
    client: FlaskClient, root: dict[str, str], make: Factory
) -> None:
    import hashlib
    import json

    from idp.kept_answers import KeptAnswer

    body = json.dumps(wish())
    header = root | {"Idempotency-Key": "one", "Content-Type": "application/json"}
    first, second = (client.post("/v1/keysets", data=body, headers=header) for _ in range(2))
    assert first.json == second.json
    kept = make.do(lambda _: db.session.scalars(select(KeptAnswer.fingerprint)).all())
    assert kept != [hashlib.sha256(b"?\n" + body.encode()).hexdigest()]  # what anybody with the database could guess values by
