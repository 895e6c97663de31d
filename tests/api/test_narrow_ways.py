"""Ways round the rules that were found by trying: each is shut, and stays so."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from idp import access, apikeys, organisations, realms, trail, users
from idp.cli.audit import read_checkpoints
from idp.db import commit, db
from idp.errors import ConflictError
from idp.organisations import purge
from idp.trail import AuditBatch, AuditDelivery
from tests.audit.test_chain import tamper, write
from tests.factories import Factory, MadeKey, session_of

DESK = ["users:read", "users:write", "api-keys:read", "api-keys:write", "applications:read", "applications:write"]


@pytest.fixture
def frozen(client: FlaskClient, make: Factory) -> tuple[dict[str, str], str, MadeKey]:
    """A key that is frozen at a small role `helper`, another holder of that role, and their key; then the role grows."""
    make.do(lambda realm: access.create_role(realm, "helper", access.RoleSheet(permissions=list(DESK))))
    make.do(lambda realm: access.create_role(realm, "desk", access.RoleSheet(permissions=[*DESK, "grants:read", "grants:write"])))
    make.user("mallory@example.test", roles=("desk",))
    victim = make.user("victim@example.test", roles=("helper",))
    wendy = make.user("wendy@example.test", roles=("helper",))
    mallory = session_of(client, "mallory@example.test")
    key = client.post("/v1/apiKeys", headers=mallory, json={"spec": {"userUid": victim}}).json["apiKey"]
    other = make.key("wendy@example.test")
    make.application("powerful", roles=("helper",))
    make.do(lambda realm: access.grant_role(realm, users.group_holder(users.create_group(realm, "crew")), "helper"))
    make.do(lambda realm: access.set_permissions(realm, "helper", list(access.PERMISSIONS)))
    return {"apiKey": key}, wendy, other


@pytest.mark.spec("T108")
def test_frozen_key_manages_nobody_whose_role_has_grown(
    client: FlaskClient, make: Factory, frozen: tuple[dict[str, str], str, MadeKey]
) -> None:
    header, wendy, other = frozen
    sock = make.user("sock@example.test")
    calls: tuple[tuple[str, str, Any], ...] = (
        ("PATCH", f"/v1/users/{wendy}", {"emailId": "m@evil.test"}),
        ("PATCH", f"/v1/users/{wendy}/password/reset", {}),
        ("POST", "/v1/groups/crew/members", {"uid": sock}),
        ("POST", "/v1/applications/powerful/secrets", {"metadata": {"name": "mine"}}),
        ("POST", f"/v1/apiKeys/{other.uid}/rotate", {}),
        ("POST", f"/api/v1/access-keys/{other.uid}/secret", None),
    )
    for method, path, body in calls:
        assert client.open(path, method=method, json=body, headers=header).status_code == 403, path


@pytest.mark.spec("T108")
def test_rotating_anothers_key_escapes_no_limit_of_ones_own(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    make.user("svc")
    other = make.key("svc", hours=8760)
    for limits in ({"addresses": ["127.0.0.1/32"]}, {"rate_per_minute": 60}, {"hours": 1}):
        own = make.key("root@example.test", **limits)
        assert client.post(f"/v1/apiKeys/{other.uid}/rotate", headers=own.header, json={}).status_code == 403, limits
    whole = make.key("root@example.test", never=True)
    assert client.post(f"/v1/apiKeys/{other.uid}/rotate", headers=whole.header, json={}).status_code == 201


def test_kept_answer_is_for_who_could_still_make_it(client: FlaskClient, make: Factory) -> None:
    uid = make.user("root@example.test", roles=("administrator",))
    key = make.key("root@example.test")
    once = {"Idempotency-Key": "deploy-1"}
    body = {"metadata": {"name": "app1"}}
    assert client.post("/v1/applications", headers=key.header | once, json=body).status_code == 201
    narrow = client.post("/v1/auth/exchange?scope=project:vision", headers=key.header)
    if narrow.status_code == 200:
        header = {"Authorization": narrow.json["Authorization"]}
        assert client.post("/v1/applications", headers=header | once, json=body).status_code == 403
    session = session_of(client, "root@example.test")
    assert client.post("/v1/applications", headers=session | once, json={"metadata": {"name": "app2"}}).status_code == 201
    make.do(lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, uid)), "administrator"))
    assert client.post("/v1/applications", headers=session | once, json={"metadata": {"name": "app2"}}).status_code == 403


def test_kept_answer_is_of_one_project(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    target = make.user("t@example.test")
    header = session_of(client, "root@example.test") | {"Idempotency-Key": "k"}
    vision, speech = (make.do(lambda realm, name=name: access.get_project(realm, name).uid) for name in ("vision", "speech"))
    body = {"spec": {"holder": {"kind": "user", "uid": target}, "role": "viewer"}}
    assert client.post("/v1/grants", headers=header | {"ProjectUid": vision}, json=body).status_code == 201
    assert client.post("/v1/grants", headers=header | {"ProjectUid": speech}, json=body).status_code == 422


def test_one_call_changes_no_more_than_others_can_wait_for(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    header = session_of(client, "root@example.test")
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    entries = [{"userId": f"u{n}", "roles": ["viewer", "editor"]} for n in range(100)]
    assert client.put(f"/v1/projects/{vision}/users", json={"users": entries}, headers=header).status_code == 400
    many = {
        "projects": [{"projectUid": vision, "roles": [f"r{n}" for n in range(100)]}, {"projectUid": "x", "roles": ["r"] * 100}]
    }
    assert client.put("/v1/groups/crew/projects", json=many, headers=header).status_code in {400, 404}


@pytest.mark.spec("R123")
def test_restore_during_a_purge_restores_nothing_half(
    client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.realm("other")
    make.user("ann@example.test", realm="other", roles=("administrator",))

    def rotated(realm: realms.Realm) -> None:
        from datetime import timedelta

        first = apikeys.create_key(
            realm, users.holder_of(users.get_user(realm, "ann@example.test")), apikeys.ApiKeySheet(name="a")
        )
        apikeys.rotate_key(realm, first.key, overlap=timedelta(hours=1), frozen=None)
        realms.delete_realm(realm)

    make.do(rotated, "other")
    monkeypatch.setattr(purge, "PIECE", 1)
    original, refused = purge._remove_with_parts, []

    def between(*arguments: Any) -> None:
        with make.app.app_context():
            try:
                realms.restore_realm(realms.get_realm("other"))
            except ConflictError as error:
                refused.append(str(error))
            db.session.rollback()
        original(*arguments)

    monkeypatch.setattr(purge, "_remove_with_parts", between)
    with make.app.app_context():
        organisations.purge_realm("other")
        assert realms.find_realm("other") is None
    assert refused
    assert "is being purged" in refused[0]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/auth/v1/login", {"username": "a@b.test", "password": "\ud800"}),
        ("POST", "/api/v1/token", {"grantType": "app_token", "appID": "x", "appSecret": "\udfff"}),
        (
            "POST",
            "/v1/grants",
            {"spec": {"holder": {"kind": "user", "uid": "x"}, "role": "viewer", "until": "9999-12-31T23:59:59-23:59"}},
        ),
        (
            "POST",
            "/v1/applications",
            {
                "metadata": {"name": "x"},
                "spec": {"projects": [{"projectUid": "x", "role": "y", "until": "9999-12-31T23:59:59-23:59"}]},
            },
        ),
        ("POST", "/v1/applications/ci/secrets", {"metadata": {"name": "x"}, "spec": {"expiry": "9999-12-31T23:59:59-23:59"}}),
        ("GET", "/v1/audit/events?since=0001-01-01T00:00:00%2B23:59", None),
        ("POST", "/cloudapi/v6/um/groups/x/users", {"id": "\ud800"}),
    ],
)
def test_odd_values_are_refused(client: FlaskClient, make: Factory, method: str, path: str, body: Any) -> None:
    make.user("root@example.test", roles=("administrator",))
    answer = client.open(path, method=method, json=body, headers=session_of(client, "root@example.test"))
    assert 400 <= answer.status_code < 500, answer.text


def test_project_administrators_see_applications_of_their_projects(client: FlaskClient, make: Factory) -> None:
    make.user("lead@example.test", projects=(("vision", "project-administrator"),))
    make.application("theirs", projects=("vision",))
    make.application("secretbot")
    lead = session_of(client, "lead@example.test")
    assert client.get("/v1/applications/theirs", headers=lead).status_code == 200
    for path in ("secretbot", "secretbot/secrets"):
        assert client.get(f"/v1/applications/{path}", headers=lead).status_code == 404


# -- the trail -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def chained(context: Flask) -> None:
    trail.seal_trail()
    write(5)
    trail.seal_trail()


def test_what_is_appended_later_takes_back_no_checkpoint(
    chained: None, context: Flask, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp.trail import push
    from idp.trail.chain import first_head, follow, unpack_ids
    from idp.trail.stored import read_entries

    path = tmp_path / "kept.jsonl"
    monkeypatch.setattr(push, "_destinations", lambda _: {"file:x": lambda lines: push.append(path, lines)})
    trail.push_checkpoints()
    keys = trail.read_keys(trail.public_keys("acme"))

    def problems(trusted: Any) -> list[Any]:
        lines = [line for line in path.read_text().splitlines() if json.loads(line)["realm"] == "acme"]
        return trail.verify_trail("acme", trusted, read_checkpoints(lines, trusted)).problems

    assert problems(keys) == problems(None) == []
    tamper("UPDATE audit_event SET actor = 'user:innocent' WHERE id = (SELECT max(id) FROM audit_event WHERE realm = 'acme')")
    batches = list(db.session.scalars(select(AuditBatch).where(AuditBatch.realm == "acme").order_by(AuditBatch.number)))
    entries = {entry.id: entry for entry in read_entries("acme", 1, 10**9)}
    last, before = batches[-1], bytes.fromhex(batches[-2].head) if len(batches) > 1 else first_head("acme")
    digests = [entries[number].digest() for number in unpack_ids(last.event_ids)]
    forged = {"digests": b"".join(digests), "head": follow(before, digests).hex(), "checkpoint": ""}
    db.session.execute(update(AuditBatch).where(AuditBatch.id == last.id).values(**forged))
    db.session.execute(delete(AuditDelivery))
    commit()
    db.session.expire_all()
    trail.push_checkpoints()  # as the server does by itself
    assert problems(keys)
    assert problems(None)


def test_entries_below_the_first_are_seen(chained: None) -> None:
    insert = (
        "INSERT INTO audit_event (id, at, realm, tag, actor, target, address, outcome, detail) VALUES "
        "(-7, '2020-01-01 00:00:00.000000', 'acme', 'admin:role:update', 'user:x', 'role:y', 'local', 'success', '{}')"
    )
    tamper(insert)
    problem = trail.verify_trail("acme").problems[0]
    assert (problem.kind.value, problem.entry) == ("inserted", -7)


@pytest.mark.parametrize("where", ["beside the genuine one", "before the first batch", "behind the end"])
def test_entries_where_none_belongs_are_seen_in_an_export(chained: None, where: str) -> None:
    lines = list(trail.export_trail("acme"))
    place = [number for number, line in enumerate(lines) if json.loads(line)["kind"] == "event"][-2]
    forged = json.loads(lines[place]) | {"actor": "user:forged"}
    if where == "beside the genuine one":
        lines.insert(place, json.dumps(forged))
    else:
        lines.insert(1 if "first" in where else len(lines), json.dumps(forged | {"id": 999_999}))
    assert trail.read_export(lines).problems


def test_key_made_with_a_key_that_got_another_secret_dies_with_it(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    session = session_of(client, "root@example.test")
    key = make.key("root@example.test")
    child = {"apiKey": client.post("/v1/apiKeys", headers=key.header, json={}).json["apiKey"]}
    assert client.post(f"/api/v1/access-keys/{key.uid}/secret", headers=session).status_code == 200
    make.forget()
    assert client.get("/v1/users/info", headers=key.header).status_code == 401
    assert client.get("/v1/users/info", headers=child).status_code == 200
    assert client.post(f"/v1/apiKeys/{key.uid}/revoke", headers=session, json={"reason": "leaked"}).status_code == 204
    make.forget()
    assert client.get("/v1/users/info", headers=child).status_code == 401
