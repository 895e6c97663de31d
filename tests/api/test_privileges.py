"""Nobody grows: by no call, and by no sequence of calls, does anybody get what they could not give themselves."""

import secrets
import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from idp import access, apikeys, applications, realms, users
from idp.access import HolderKind
from idp.app import close_app, create_app
from idp.compat.rafay.key_forms import plain_key
from idp.db import db
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import (
    PASSWORD,
    Factory,
    Made,
    ask,
    ask_token,
    at_once,
    claims_of,
    session_of,
    set_api,
    set_key,
    set_realm,
    set_user,
    sign_in,
)
from tests.serving import PATIENCE

PERMITTING = {
    "helper": ["users:read", "users:write"],
    "key-desk": ["api-keys:read", "api-keys:write", "users:read"],
    "giver": ["grants:read", "grants:write", "users:read"],
    "app-desk": ["applications:read", "applications:write", "grants:read"],
    "role-smith": ["roles:read", "roles:write", "users:read", "users:write"],
}


def held_of(make: Factory, uid: str) -> set[tuple[str, str, str]]:
    """Return every permission that somebody has: (project, permission), and the roles themselves."""

    def read(realm: realms.Realm) -> set[tuple[str, str, str]]:
        user = users.find_user_by_uid(realm, uid)
        if user is None:
            return set()
        groups = [group.id for group in users.groups_of(user)]
        held = access.read_held_roles(db.session(), HolderKind.USER, user.id, groups)
        found = {("role", each.project, each.role) for each in held}
        for project in ("", *{each.project for each in held}):
            found |= {("permission", project, each) for each in access.permissions_on(held, project)}
        return found

    return make.do(read)


@pytest.fixture
def roles(make: Factory) -> None:
    for name, permissions in PERMITTING.items():
        make.do(
            lambda realm, name=name, permissions=permissions: access.create_role(
                realm, name, access.RoleSheet(permissions=list(permissions))
            )
        )


@pytest.mark.spec("T108")
def test_who_may_do_what_by_role(client: FlaskClient, make: Factory) -> None:
    target = make.user("target@example.test")
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    speech = make.do(lambda realm: access.get_project(realm, "speech").uid)
    for name, held in {
        "admin": {"roles": ("administrator",)},
        "auditor": {"roles": ("auditor",)},
        "project-admin": {"projects": (("vision", "project-administrator"),)},
        "viewer": {"roles": ("viewer",)},
        "nobody": {},
    }.items():
        make.user(f"{name}@example.test", **held)
    calls: dict[str, Any] = {
        "list users": lambda h: client.get("/v1/users", headers=h),
        "see a user": lambda h: client.get(f"/v1/users/{target}", headers=h),
        "list keys": lambda h: client.get("/v1/apiKeys?scope=all", headers=h),
        "list sessions": lambda h: client.get("/v1/sessions?scope=all", headers=h),
        "make a user": lambda h: client.post(
            "/v1/users", headers=h, json={"spec": {"machineName": f"m{abs(hash(str(h))) % 10**9}"}}
        ),
        "change a user": lambda h: client.patch(f"/v1/users/{target}", headers=h, json={"firstName": "T"}),
        "start a reset": lambda h: client.patch(f"/v1/users/{target}/password/reset", headers=h),
        "give viewer on the realm": lambda h: client.put(f"/v1/users/{target}/roles", headers=h, json={"roles": ["viewer"]}),
        "give administrator": lambda h: client.put(f"/v1/users/{target}/roles", headers=h, json={"roles": ["administrator"]}),
        "give researcher on vision": lambda h: client.put(
            f"/v1/users/{target}/projects", headers=h, json={"projects": [{"projectUid": vision, "roles": ["researcher"]}]}
        ),
        "give researcher on speech": lambda h: client.put(
            f"/v1/users/{target}/projects", headers=h, json={"projects": [{"projectUid": speech, "roles": ["researcher"]}]}
        ),
        "make a key for them": lambda h: client.post("/v1/apiKeys", headers=h, json={"spec": {"userUid": target}}),
    }
    allowed: dict[str, set[str]] = {}
    for who in ("nobody", "viewer", "auditor", "project-admin", "admin"):
        header = session_of(client, f"{who}@example.test")
        allowed[who] = {name for name, call in calls.items() if call(header).status_code < 400}
    assert allowed["nobody"] == allowed["viewer"] == set()
    assert allowed["auditor"] == {"list users", "see a user", "list keys", "list sessions"}
    assert allowed["project-admin"] == {"list users", "see a user", "give researcher on vision"}
    assert allowed["admin"] == set(calls)


@pytest.mark.spec("T108")
def test_who_gives_roles_gives_none_that_permits_more_than_they_may(client: FlaskClient, make: Factory, roles: None) -> None:
    uid = make.user("giver@example.test", roles=("giver",))
    make.user("lead@example.test", projects=(("vision", "project-administrator"),))
    giver, lead = session_of(client, "giver@example.test"), session_of(client, "lead@example.test")
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    for role, status in (("ml-engineer", 204), ("administrator", 403), ("auditor", 403), ("helper", 403), ("viewer", 403)):
        answer = client.put(f"/v1/users/{uid}/roles", headers=giver, json={"roles": ["giver", role]})
        assert answer.status_code == status, role
        body = {"projects": [{"projectUid": vision, "roles": [role]}]}
        allowed = role in {"ml-engineer", "viewer"}
        assert client.put(f"/v1/users/{uid}/projects", headers=lead, json=body).status_code == (204 if allowed else 403), role


@pytest.mark.spec("T108")
def test_mail_address_of_somebody_with_more_roles_cannot_be_taken_over(client: FlaskClient, make: Factory, roles: None) -> None:
    bob = make.user("bob@example.test", roles=("data-steward",))
    make.user("helper@example.test", roles=("helper",))
    helper = session_of(client, "helper@example.test")
    assert client.patch(f"/v1/users/{bob}", headers=helper, json={"emailId": "evil@example.test"}).status_code == 403
    assert client.patch(f"/v1/users/{bob}/password/reset", headers=helper).status_code == 403


@pytest.mark.spec("T108")
def test_open_link_dies_when_the_mail_address_changes(client: FlaskClient, make: Factory, roles: None, context: Flask) -> None:
    zed = make.user("zed@example.test")
    make.user("helper@example.test", roles=("helper",))
    helper = session_of(client, "helper@example.test")
    assert client.patch(f"/v1/users/{zed}", headers=helper, json={"emailId": "evil@example.test"}).status_code == 204
    code = make.do(lambda realm: users.send_link(realm, users.get_user(realm, zed), users.LinkPurpose.RESET))
    make.do(lambda realm: set_user(realm, users.get_user(realm, zed), email="zed@example.test"))
    assert client.patch(f"/v1/auth/password/{code}/reset", json={"password": "another good one"}).status_code == 401


def test_deactivated_key_of_a_more_powerful_person_stays_so(client: FlaskClient, make: Factory, roles: None) -> None:
    make.user(roles=("administrator",))
    make.user("desk@example.test", roles=("key-desk",))
    key = make.key()
    assert client.patch(f"/v1/apiKeys/{key.uid}", headers=session_of(client), json={"isActive": False}).status_code == 204
    desk = session_of(client, "desk@example.test")
    assert client.patch(f"/v1/apiKeys/{key.uid}", headers=desk, json={"isActive": True}).status_code == 403


@pytest.mark.spec("T108")
def test_key_that_is_made_for_somebody_does_not_grow_with_them(client: FlaskClient, make: Factory, roles: None) -> None:
    bob = make.user("bob@example.test", projects=(("vision", "editor"),))
    make.user("desk@example.test", roles=("key-desk",), projects=(("vision", "editor"),))
    desk = session_of(client, "desk@example.test")
    own = make.key("bob@example.test")
    made = [
        client.post("/v1/apiKeys", headers=desk, json={"spec": {"userUid": bob} | more})
        for more in ({}, {"roles": ["editor", "administrator"]})
    ]
    assert client.put(f"/v1/apiKeys/{made[0].json['uid']}", headers=desk, json={"spec": {"roles": []}}).status_code == 204
    rotated = client.post(f"/v1/apiKeys/{own.uid}/rotate", headers=desk, json={})
    again = client.post(f"/v1/apiKeys/{rotated.json['uid']}/rotate", headers={"apiKey": rotated.json["apiKey"]}, json={})
    child = client.post("/v1/apiKeys", headers={"apiKey": made[1].json["apiKey"]}, json={})
    plain = [answer.json["apiKey"] for answer in (*made, rotated, again, child)]

    def promote(realm: realms.Realm) -> None:
        for role, project in (("administrator", None), ("editor", None), ("researcher", "vision")):
            access.grant_role(realm, users.holder_of(users.get_user(realm, bob)), role, project=project)

    make.do(promote)
    for key in plain:
        token = claims_of(client.post("/v1/auth/exchange", headers={"apiKey": key}).json["Authorization"])
        assert token["realm_access"]["roles"] == []
        assert [(each["name"], each["roles"]) for each in token["projects"]] == [("vision", ["editor"])]
    assert "administrator" in client.get("/v1/users/info", headers=own.header).json["roles"], "one's own key grows"


@pytest.mark.spec("T108")
def test_frozen_key_carries_what_is_live_and_no_longer_than_it_was(
    client: FlaskClient, make: Factory, roles: None, frozen_clock: FrozenClock
) -> None:
    make.do(
        lambda realm: access.create_role(
            realm, "granter", access.RoleSheet(permissions=[*PERMITTING["key-desk"], *PERMITTING["giver"]])
        )
    )
    bob, zed = make.user("bob@example.test"), make.user("zed@example.test")
    soon = frozen_clock.now() + timedelta(minutes=1)
    later = frozen_clock.now() + timedelta(hours=1)

    def give(realm: realms.Realm, name: str, role: str, until: Any = None) -> None:
        access.grant_role(realm, users.holder_of(users.get_user(realm, name)), role, until=until)

    make.user("desk@example.test", roles=("granter",))
    make.do(lambda realm: give(realm, bob, "administrator", soon))
    make.do(lambda realm: give(realm, bob, "giver", later))
    frozen_clock.advance(minutes=2)
    desk = session_of(client, "desk@example.test")
    keys = [client.post("/v1/apiKeys", headers=desk, json={"spec": {"userUid": uid}}).json["apiKey"] for uid in (bob, zed)]
    for uid in (bob, zed):
        make.do(lambda realm, uid=uid: give(realm, uid, "administrator"))
    make.do(lambda realm: give(realm, bob, "giver"))

    def carried(key: str) -> list[str]:
        token = claims_of(client.post("/v1/auth/exchange", headers={"apiKey": key}).json["Authorization"])
        found: list[str] = token["realm_access"]["roles"]
        return found

    assert [carried(key) for key in keys] == [["giver"], []], "ended roles and later ones are not in them"
    frozen_clock.advance(hours=2)
    assert carried(keys[0]) == [], "a grant that is prolonged is not prolonged for the key"


def test_call_that_is_refused_after_a_right_password_is_no_failed_sign_in(client: FlaskClient, make: Factory) -> None:
    import base64

    make.user()
    basic = {"Authorization": "Basic " + base64.b64encode(f"ann@example.test:{PASSWORD}".encode()).decode()}
    statuses = {client.get("/auth/v1/tokens/generate?ttl=1", headers=basic).status_code for _ in range(12)}
    assert statuses == {422}
    change = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": "acme", "org": "acme"}
    assert {client.patch("/v1/users/password/change", json=change).status_code for _ in range(12)} == {400}
    assert sign_in(client).status_code == 200


def test_successor_that_a_thief_has_made_dies_with_the_report(client: FlaskClient, make: Factory) -> None:
    make.user()
    for act in ("report", "delete"):
        key = make.key()
        url = f"/v1/apiKeys/{key.uid}"
        successor = client.post(f"{url}/rotate", headers=key.header, json={"overlapHours": 0 if act == "report" else 24}).json
        assert client.get("/v1/users/info", headers={"apiKey": successor["apiKey"]}).status_code == 200
        if act == "report":
            client.post("/v1/auth/credentials/report", json={"credential": key.plain})
        else:
            assert client.delete(url, headers=session_of(client)).status_code == 204
        assert client.get("/v1/users/info", headers={"apiKey": successor["apiKey"]}).status_code == 401, act


def test_successor_of_an_expired_key_outlives_its_removal(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    key = make.key()
    successor = client.post(f"/v1/apiKeys/{key.uid}/rotate", headers=key.header, json={"overlapHours": 1}).json
    frozen_clock.advance(hours=2)
    assert client.delete(f"/v1/apiKeys/{key.uid}", headers=session_of(client)).status_code == 204
    assert client.get("/v1/users/info", headers={"apiKey": successor["apiKey"]}).status_code == 200


@pytest.mark.spec("R114")
@pytest.mark.parametrize("how", ["password change", "logout", "sign out everywhere", "disable"])
def test_session_that_is_over_makes_no_personal_token_on_a_worker_that_does_not_know_yet(
    settings: Settings, make: Factory, how: str
) -> None:
    from idp.audit import Tag

    uid = make.user()
    first, second = create_app(settings), create_app(settings)
    header = session_of(second.test_client())
    assert second.test_client().get("/v1/users/info", headers=header).status_code == 200
    acts: dict[str, Any] = {
        "password change": lambda realm: users.set_password(realm, users.get_user(realm, uid), "x", Tag.PASSWORD_CHANGE),
        "sign out everywhere": lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, uid)),
        "disable": lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False),
    }
    if how == "logout":
        assert first.test_client().post("/v1/auth/logout", headers=header).status_code == 204
    else:
        make.do(acts[how])
    assert second.test_client().get("/auth/v1/tokens/generate", headers=header).status_code == 401
    for app in (first, second):
        close_app(app)


def test_writes_with_an_exchanged_token_count_once(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make.key(rate_per_minute=4)
    header = {"Authorization": client.post("/v1/auth/exchange", headers=key.header).json["Authorization"]}
    statuses = [client.post("/v1/users/auth/tokens/revoke", headers=header, json={"tokens": []}).status_code for _ in range(4)]
    assert statuses == [204, 204, 204, 429]


def test_introspection_shows_no_more_than_the_key_carries(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer", "editor"))
    watcher = make.application("watcher", roles=(), resources=["http://localhost:8080/auth/realms/acme"])
    key = make.key()
    token = client.post("/v1/auth/exchange", headers=key.header).json["Authorization"]
    make.do(lambda realm: set_key(realm, apikeys.get_key(realm, key.uid), roles=["viewer"]))
    assert ask(client, "token/introspect", {"token": token, **watcher.form}).json["realm_access"] == {"roles": ["viewer"]}


def test_revocation_of_an_operators_key_is_recorded_where_the_keys_are(
    client: FlaskClient, make: Factory, context: Flask
) -> None:
    from idp import audit

    bob = make.user("bob@example.test")
    make.user("root@example.test", realm="master", roles=("administrator",))
    key = make.key("root@example.test", realm="master")
    made = client.post("/v1/apiKeys", headers=key.header | {"X-Organization-Id": "acme"}, json={"spec": {"userUid": bob}})
    assert made.status_code == 201, made.text
    make.do(lambda realm: apikeys.revoke_key(realm, apikeys.get_key(realm, key.uid), "x"), realm="master")
    assert client.get("/v1/users/info", headers={"apiKey": made.json["apiKey"]}).status_code == 401
    assert [event.realm for event in audit.list_events(tag="user:api-key:revoke")] == ["acme", "master"]


@pytest.mark.spec("T108")
def test_what_ends_cannot_be_made_endless(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    until = frozen_clock.now().replace(microsecond=0) + timedelta(hours=1)
    boss = make.user("boss@example.test", roles=("administrator",))
    other = make.user("other@example.test")
    temp = make.user("temp@example.test")
    make.do(lambda realm: access.grant_role(realm, users.holder_of(users.get_user(realm, temp)), "administrator", until=until))
    header = session_of(client, "temp@example.test")
    assert client.put(f"/v1/users/{other}/roles", headers=header, json={"roles": ["administrator"]}).status_code == 204
    assert client.put(f"/v1/users/{temp}/roles", headers=header, json={"roles": []}).status_code == 204
    header = session_of(client, "other@example.test")
    assert client.put(f"/v1/users/{temp}/roles", headers=header, json={"roles": ["administrator"]}).status_code == 204
    ends = make.do(
        lambda realm: {
            grant.until
            for grant in access.list_grants(realm)
            if grant.role.name == "administrator" and grant.holder_name != "boss@example.test"
        }
    )
    assert ends == {until}
    header = session_of(client, "temp@example.test")
    assert client.post("/v1/apiKeys", headers=header, json={"spec": {"userUid": boss}}).status_code == 403
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    twice = {"projects": [{"projectUid": vision, "roles": []}, {"projectUid": vision, "roles": ["viewer"]}]}
    assert client.put(f"/v1/users/{other}/projects", headers=header, json=twice).status_code == 400


@pytest.mark.spec("T108", "T73")
def test_key_of_a_deleted_application_does_not_revive_with_its_name(client: FlaskClient, make: Factory) -> None:
    make.application("robot", roles=("viewer",))
    key = make.key("robot")
    assert client.get("/v1/users/info", headers=key.header).status_code == 200
    make.change(applications.delete_application, "robot")
    assert client.get("/v1/users/info", headers=key.header).status_code == 401
    make.application("robot", roles=("administrator",))
    assert client.get("/v1/users/info", headers=key.header).status_code == 401


@pytest.mark.spec("R101")
def test_api_that_is_handed_a_token_does_not_become_its_caller_here(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    make, client = Factory(app), app.test_client()
    make.user(roles=("administrator",))
    backend = make.application("backend", roles=(), resources=["backend-api"])
    rules = [{"methods": ["GET"], "path": "/"}]
    make.do(lambda realm: set_api(realm, "backend", audience="backend-api", rules=rules))
    with pytest.raises(Exception, match="not the issuer"):
        make.do(lambda realm: set_api(realm, "own", audience=settings.issuer("acme"), rules=rules))
    url = "/gateway/check/acme/backend?method=GET&uri=/x"
    token = client.get(url, headers=make.key().header).headers["Authorization"].removeprefix("Bearer ")
    grant = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    for target in ("", settings.issuer("acme")):
        answer = ask(client, "token", {**grant, **backend.form, "audience": target})
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_target")
    assert client.get("/v1/users/info", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    close_app(app)


@pytest.mark.parametrize("event", ["password change", "disable", "delete"])
def test_old_password_does_not_win_a_race(
    client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    uid = make.user()
    works = users.Seat
    compared, goes_on = threading.Event(), threading.Event()
    verify = works.verify

    def slow(self: Any, stored: str, password: str) -> tuple[bool, str]:
        result = verify(self, stored, password)
        compared.set()
        assert goes_on.wait(PATIENCE)
        return result

    monkeypatch.setattr(works, "verify", slow)
    answers: list[Any] = []
    app = client.application
    thread = threading.Thread(target=lambda: answers.append(sign_in(app.test_client())))
    thread.start()
    assert compared.wait(PATIENCE)
    acts: dict[str, Any] = {
        "password change": lambda realm: users.set_password(realm, users.get_user(realm, uid), "new", _tag()),
        "disable": lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False),
        "delete": lambda realm: users.delete_user(realm, users.get_user(realm, uid)),
    }
    make.do(acts[event])
    goes_on.set()
    thread.join()
    assert answers[0].status_code == 401


def _tag() -> Any:
    from idp.audit import Tag

    return Tag.PASSWORD_CHANGE


@pytest.mark.spec("T108")
def test_role_that_was_taken_cannot_be_given_back_by_a_worker_that_does_not_know_yet(settings: Settings, make: Factory) -> None:
    bob = make.user("bob@example.test", roles=("administrator",))
    make.user(roles=("administrator",))
    first, second = create_app(settings), create_app(settings)
    bobs = session_of(second.test_client(), "bob@example.test")
    assert second.test_client().get("/v1/users", headers=bobs).status_code == 200
    anns = session_of(first.test_client())
    assert first.test_client().put(f"/v1/users/{bob}/roles", headers=anns, json={"roles": []}).status_code == 204
    again = second.test_client().put(f"/v1/users/{bob}/roles", headers=bobs, json={"roles": ["administrator"]})
    assert again.status_code == 403
    for app in (first, second):
        close_app(app)


def test_keys_that_a_leaked_key_has_made_die_with_it(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    key = make.key(hours=1)
    child = client.post("/v1/apiKeys", headers=key.header, json={}).json
    grandchild = client.post("/v1/apiKeys", headers={"apiKey": child["apiKey"]}, json={}).json
    successor = client.post(f"/v1/apiKeys/{key.uid}/rotate", headers=key.header, json={"expiryHours": 2160})
    assert successor.status_code == 201
    made = make.do(lambda realm: vars(apikeys.get_key(realm, successor.json["uid"])).copy())
    life = made["expires_at"] - made["created_at"]
    assert life <= timedelta(hours=1), "a key gives its successor no longer a life than its own"
    assert made["created_by"] == f"api-key:{key.public_part}"
    assert client.post("/v1/auth/credentials/report", json={"credential": key.plain}).status_code == 204
    for plain in (key.plain, child["apiKey"], grandchild["apiKey"], successor.json["apiKey"]):
        assert client.get("/v1/users/info", headers={"apiKey": plain}).status_code == 401


def test_keys_made_with_a_key_that_is_deleted_are_revoked(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make.key()
    child = client.post("/v1/apiKeys", headers=key.header, json={}).json
    assert client.delete(f"/v1/apiKeys/{key.uid}", headers=session_of(client)).status_code == 204
    assert client.get("/v1/users/info", headers={"apiKey": child["apiKey"]}).status_code == 401


def test_exchanged_token_keeps_the_addresses_and_the_rate_of_its_key(client: FlaskClient, make: Factory) -> None:
    make.user()
    bound = make.key(addresses=["192.0.2.0/24"])
    home = {"REMOTE_ADDR": "192.0.2.1"}
    token = client.post("/v1/auth/exchange", headers=bound.header, environ_base=home).json["Authorization"]
    header = {"Authorization": token}
    assert client.get("/v1/users/info", headers=header, environ_base=home).status_code == 200
    assert client.get("/v1/users/info", headers=header, environ_base={"REMOTE_ADDR": "198.51.100.1"}).status_code == 401
    slow = make.key(rate_per_minute=3)
    header = {"Authorization": client.post("/v1/auth/exchange", headers=slow.header).json["Authorization"]}
    assert [client.get("/v1/users/info", headers=header).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.spec("T91")
def test_personal_tokens_end_with_the_password_and_live_no_longer_than_what_made_them(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    import base64

    uid = make.user()
    make.do(lambda realm: set_realm(realm, personal_token_choice=True))
    basic = {"Authorization": "Basic " + base64.b64encode(f"ann@example.test:{PASSWORD}".encode()).decode()}
    short = client.get("/auth/v1/tokens/generate?ttl=60", headers=basic).json["token"]
    child = client.get("/auth/v1/tokens/generate", headers={"Authorization": f"Bearer {short}"}).json["token"]
    assert claims_of(child)["exp"] - claims_of(child)["iat"] == 60
    frozen_clock.advance(seconds=1)
    body = {"currentPassword": PASSWORD, "newPassword": "another good one"}
    assert client.patch(f"/v1/users/{uid}/password/change", headers=session_of(client), json=body).status_code == 204
    assert client.get("/v1/users/info", headers={"Authorization": f"Bearer {child}"}).status_code == 401


def test_rotations_at_once_make_one_successor(settings: Settings, make: Factory) -> None:
    make.user()
    key = make.key()
    nodes = [create_app(settings) for _ in range(2)]
    turn = iter(range(20))
    url = f"/v1/apiKeys/{key.uid}/rotate"
    statuses = at_once(20, lambda: nodes[next(turn) % 2].test_client().post(url, headers=key.header, json={}).status_code)
    for node in nodes:
        close_app(node)
    assert (statuses.count(201), statuses.count(409)) == (1, 19)


# The property: whatever a person calls, in whatever order, their own permissions and those of their accomplices stay within
# what they could have given.

ACTORS = {
    "project-admin": {"projects": (("vision", "project-administrator"),)},
    "helper": {"roles": ("helper",)},
    "key-desk": {"roles": ("key-desk",)},
    "giver": {"roles": ("giver",)},
    "editor": {"roles": ("editor",)},
    "auditor": {"roles": ("auditor",)},
    "app-desk": {"roles": ("app-desk",)},
    "role-smith": {"roles": ("role-smith",)},
}
NAMES = ["viewer", "researcher", "administrator", "auditor", "project-administrator", "giver", "helper", "ml-engineer"]


@pytest.fixture(scope="module")
def world(template, tmp_path_factory):  # type: ignore[no-untyped-def]
    """Several limited people, each with a machine user as accomplice, and somebody powerful."""
    import shutil

    folder = tmp_path_factory.mktemp("world") / "data"
    shutil.copytree(template, folder)
    app = create_app(Settings.load(data_dir=folder, rate_api=0, rate_failures=1_000_000))
    make = Factory(app)
    for name, permissions in PERMITTING.items():
        make.do(
            lambda realm, name=name, permissions=permissions: access.create_role(
                realm, name, access.RoleSheet(permissions=list(permissions))
            )
        )
    make.user("boss@example.test", roles=("administrator", "data-steward"))
    for actor, held in ACTORS.items():
        make.user(f"{actor}@example.test", **held)  # type: ignore[arg-type]
        make.user(f"{actor}-mate")
    yield app
    close_app(app)


STEP = st.tuples(st.integers(0, 15), *(st.integers(0, 7) for _ in range(3)), st.lists(st.sampled_from(NAMES), max_size=3))


@pytest.mark.spec("T108")
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(actor=st.sampled_from(list(ACTORS)), steps=st.lists(STEP, min_size=2, max_size=8))
def test_no_sequence_of_calls_gains_a_permission(world: Flask, actor: str, steps: list[Any]) -> None:
    make, client = Factory(world), world.test_client()
    names = (f"{actor}@example.test", f"{actor}-mate", "boss@example.test")
    uids = [make.do(lambda realm, name=name: users.get_user(realm, name).uid) for name in names]
    make.do(lambda realm: _restore(realm, names[0], ACTORS[actor]))
    projects = make.do(lambda realm: [project.uid for project in access.list_projects(realm)])
    limit = held_of(make, uids[0]) | _ceiling(make, uids[0])
    credentials = [session_of(client, names[0])]
    for call, which, whom, where, some_roles in steps:
        header, target = credentials[which % len(credentials)], uids[whom % 3]
        credentials += _step(client, call, header, target, projects[where % len(projects)], some_roles)
        make.forget()
        for shown in credentials:
            answer = client.get("/v1/users/info", headers=shown)
            if answer.status_code == 200:
                carried = {("role", "", role) for role in answer.json["roles"]}
                assert carried <= limit, (actor, shown.keys(), carried - limit)
        for uid in uids[:2]:
            assert held_of(make, uid) <= limit, (actor, held_of(make, uid) - limit)


def _restore(realm: realms.Realm, name: str, held: Any) -> None:
    holder = users.holder_of(users.get_user(realm, name))
    for role in held.get("roles", ()):
        access.grant_role(realm, holder, role)
    for project, role in held.get("projects", ()):
        access.grant_role(realm, holder, role, project=project)


def _step(
    client: FlaskClient, call: int, header: dict[str, str], target: str, project: str, some_roles: list[str]
) -> list[dict[str, str]]:
    """Make one call, and return the credentials that it gave."""
    if call == 0:
        client.put(f"/v1/users/{target}/roles", headers=header, json={"roles": some_roles})
    elif call == 1:
        body = {"projects": [{"projectUid": project, "roles": some_roles}]}
        client.put(f"/v1/users/{target}/projects", headers=header, json=body)
    elif call in {2, 3}:
        answer = client.post(
            "/v1/apiKeys", headers=header, json={"spec": {"userUid": target, "roles": some_roles[: 3 * (call - 2)]}}
        )
        return [{"apiKey": answer.json["apiKey"]}] if answer.status_code == 201 else []
    elif call == 4:
        answer = client.post("/v1/auth/exchange", headers=header)
        return [{"Authorization": answer.json["Authorization"]}] if answer.status_code == 200 else []
    elif call == 5:
        client.post("/v1/users", headers=header, json={"spec": {"machineName": f"m-{target[:8]}", "roles": some_roles}})
    elif call == 6:
        client.patch(f"/v1/users/{target}", headers=header, json={"emailId": "evil@example.test"})
    elif call > 7:
        return _newer_step(client, call, header, target, project, [*some_roles, "researcher"][0])
    else:
        keys = client.get("/v1/apiKeys?scope=all", headers=header).json.get("items", [])[:5]
        answers = [client.post(f"/v1/apiKeys/{key['metadata']['uid']}/rotate", headers=header, json={}) for key in keys]
        return [{"apiKey": answer.json["apiKey"]} for answer in answers if answer.status_code == 201]
    return []


def _newer_step(
    client: FlaskClient, call: int, header: dict[str, str], target: str, project: str, role: str
) -> list[dict[str, str]]:
    """Make one call of the resources beside users and keys, or of another contract."""
    match call:
        case 8:
            body = {"spec": {"holder": {"kind": "user", "uid": target}, "role": role, "projectUid": project}}
            client.post("/v1/grants", headers=header, json=body)
        case 9:
            client.post(
                "/v1/grants", headers=header, json={"spec": {"holder": {"kind": "group", "uid": "modellers"}, "role": role}}
            )
            client.post("/v1/groups/modellers/members", headers=header, json={"uid": target})
        case 10:
            client.put("/v1/groups/modellers/roles", headers=header, json={"roles": [role]})
            client.put(f"/v1/groups/modellers/members/{target}", headers=header)
        case 11:
            permissions = list(access.PERMISSIONS)[: len(role)]
            client.patch(f"/v1/roles/{role}", headers=header, json={"spec": {"permissions": permissions}})
            client.post(f"/v1/roles/{role}/clone", headers=header, json={"metadata": {"name": f"copy-{target[:6]}"}})
        case 12:
            spec = {"roles": [role], "projects": [{"projectUid": project, "role": role}]}
            made = client.post(
                "/v1/applications", headers=header, json={"metadata": {"name": f"a-{secrets.token_hex(4)}"}, "spec": spec}
            )
            return _token(client, made.json["clientId"], made.json["clientSecret"]) if made.status_code == 201 else []
        case 13:
            name = f"s-{secrets.token_hex(4)}"
            made = client.post("/v1/applications/train-scheduler/secrets", headers=header, json={"metadata": {"name": name}})
            return _token(client, "train-scheduler", made.json["clientSecret"]) if made.status_code == 201 else []
        case 14:
            made = client.post(f"/auth/v1/users/{target}/apikey/", headers=header, json={"name": "x", "validity_hour": 1})
            return [{"apiKey": plain_key(made.json["key"]) or ""}] if made.status_code == 201 else []
        case _:
            rule = {"subjectId": target, "subjectType": "user", "roleId": len(role), "scopeId": project, "scopeType": "project"}
            client.post("/api/v1/authorization/access-rules", headers=header, json=rule)
            client.put(f"/cloudapi/v6/um/users/{target}", headers=header, json={"properties": {"administrator": True}})
    return []


def _token(client: FlaskClient, client_id: str, secret: str) -> list[dict[str, str]]:
    answer = ask_token(client, Made(client_id, secret, ""))
    return [{"Authorization": f"Bearer {answer.json['access_token']}"}] if answer.status_code == 200 else []


def _ceiling(make: Factory, uid: str) -> set[tuple[str, str, str]]:
    """Return what somebody could give themselves by a direct grant: roles, and permissions within their own."""

    def read(realm: realms.Realm) -> set[tuple[str, str, str]]:
        user = users.get_user(realm, uid)
        held = access.read_held_roles(db.session(), HolderKind.USER, user.id)
        found: set[tuple[str, str, str]] = set()
        for project in ("", *(each.name for each in access.list_projects(realm))):
            for role in access.list_roles(realm):
                own = access.permissions_on(held, project)
                if "grants:write" in own and set(role.permissions) <= own:
                    found |= {("role", project, role.name)}
                    found |= {("permission", project, each) for each in role.permissions}
            found |= {("permission", project, each) for each in access.permissions_on(held, project)}
        return found

    return make.do(read)


def test_what_a_group_holds_its_members_hold_until_they_leave_or_it_goes(client: FlaskClient, make: Factory) -> None:
    uid = make.user()
    key = make.key(projects=["vision"])

    def carried() -> tuple[list[str], list[str]]:
        make.forget()
        by_key = claims_of(client.post("/v1/auth/exchange", headers=key.header).json["Authorization"])
        by_session = claims_of(session_of(client)["Authorization"])
        return by_session["realm_access"]["roles"], [project["name"] for project in by_key["projects"]]

    def join(realm: realms.Realm) -> None:
        group = users.create_group(realm, "crew")
        access.grant_role(realm, users.group_holder(group), "auditor")
        access.grant_role(realm, users.group_holder(group), "researcher", project="vision")
        users.add_member(realm, group, users.get_user(realm, uid))

    assert carried() == ([], [])
    make.do(join)
    assert carried() == (["auditor"], ["vision"])
    header = session_of(client)
    assert client.get("/v1/users", headers=header).status_code == 200
    inherited = client.get(f"/v1/users/{uid}/roles", headers=header).json["inheritedRoles"]
    assert [role["name"] for role in inherited] == ["auditor"]
    make.do(lambda realm: users.remove_member(realm, users.get_group(realm, "crew"), users.get_user(realm, uid)))
    assert client.get("/v1/users", headers=header).status_code == 403
    assert carried() == ([], [])
    make.do(lambda realm: users.add_member(realm, users.get_group(realm, "crew"), users.get_user(realm, uid)))
    assert carried() == (["auditor"], ["vision"])
    make.do(lambda realm: users.delete_group(realm, "crew"))
    assert carried() == ([], [])


def test_tokens_of_an_application_administer_within_its_roles(client: FlaskClient, make: Factory) -> None:
    boss = make.application("boss-bot", roles=("administrator",))
    small = make.application("small-bot", roles=("viewer",))
    for made, status in ((boss, 201), (small, 403)):
        wanted = ask_token(client, made, resource="http://localhost:8080/auth/realms/acme").json["access_token"]
        header = {"Authorization": f"Bearer {wanted}"}
        answer = client.post("/v1/users", headers=header, json={"spec": {"machineName": f"by-{made.client_id}"}})
        assert answer.status_code == status
    narrowed = ask_token(client, boss, scope="openid").json["access_token"]
    assert client.get("/v1/users", headers={"Authorization": f"Bearer {narrowed}"}).status_code == 200
