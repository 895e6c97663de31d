"""Clients of Rafay's controller: each row of the contract's table, and what their scripts and providers count on."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import access, mail, users
from idp.app import close_app, create_app
from idp.compat.rafay.key_forms import foreign_key, plain_key
from idp.settings import Settings
from tests.factories import PASSWORD, Factory, session_of

KEY = re.compile(r"ra2\.[0-9a-f]{40}\.[0-9a-f]{64}")


@pytest.fixture
def partner(client: FlaskClient, make: Factory) -> dict[str, str]:
    """Header of an operator, as a partner of the contract has it."""
    make.user("partner@example.test", realm="master", roles=("administrator",))
    return session_of(client, "partner@example.test", org="master")


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user("admin@example.test", roles=("administrator",))
    return session_of(client, "admin@example.test")


def login(client: FlaskClient, **body: str) -> TestResponse:
    return client.post("/auth/v1/login/", json={"username": "admin@example.test", "password": PASSWORD} | body)


def test_sign_in_gives_two_cookies_and_changes_take_both(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    assert client.post("/auth/v1/prelogin/", json={"username": "who@ever.test", "organization": ""}).status_code == 200
    assert login(client, password="wrong").status_code == 401
    answer = login(client, organization="acme", usertype="internal")
    assert answer.status_code == 200
    cookies = {name: client.get_cookie(name).value for name in ("rsid", "csrftoken")}  # type: ignore[union-attr]
    assert "HttpOnly" in next(each for each in answer.headers.getlist("Set-Cookie") if each.startswith("rsid="))
    assert client.get("/auth/v1/users/-/current/").json["username"] == "admin@example.test"
    body = {"name": "dev", "description": "Development"}
    assert client.post("/auth/v1/projects/", json=body).status_code == 403, "the cookie alone changes nothing"
    assert client.post("/auth/v1/projects/", json=body, headers={"X-CSRFToken": "0" * 32}).status_code == 403
    foreign = {"X-CSRFToken": cookies["csrftoken"], "Origin": "https://evil.example"}
    assert client.post("/auth/v1/projects/", json=body, headers=foreign).status_code == 403
    made = client.post("/auth/v1/projects/", json=body, headers={"X-CSRFToken": cookies["csrftoken"]})
    assert made.status_code == 201, made.text
    assert client.get(f"/auth/v1/projects/{made.json['id']}/").json["name"] == "dev"
    assert client.post("/auth/v1/logout/", headers={"X-CSRFToken": cookies["csrftoken"]}).status_code == 200
    client.set_cookie("rsid", cookies["rsid"])
    assert client.get("/auth/v1/users/-/current/").status_code == 401


def test_life_of_an_organisation(client: FlaskClient, make: Factory, partner: dict[str, str]) -> None:
    made = client.post("/auth/v1/organizations/", json={"name": "Globex Corporation", "approved": False}, headers=partner)
    assert (made.status_code, made.json["slug"]) == (201, "globex-corporation")
    url = f"/auth/v1/organizations/{made.json['id']}/"
    expected = {
        "id",
        "name",
        "description",
        "settings",
        "billing_address",
        "active",
        "approved",
        "type",
        "address_line1",
        "address_line2",
        "city",
        "state",
        "country",
        "partner_id",
        "phone",
        "zipcode",
        "is_private",
        "is_totp_enabled",
        "referer",
        "external_id",
        "created_at",
        "modified_at",
        "partner",
    }
    shown = client.get(url, headers=partner).json
    assert expected <= shown.keys()
    assert (shown["active"], shown["approved"]) == (False, False)
    shown = client.put(url, json=shown | {"approved": True}, headers=partner).json
    assert (shown["active"], shown["approved"]) == (True, True), "the whole object goes back, with one thing changed"
    shown = client.put(url, json=shown | {"active": False}, headers=partner).json
    assert shown["active"] is False
    assert client.put(url, json=shown | {"active": True}, headers=partner).json["active"] is True
    listed = client.get("/auth/v1/organizations/?limit=1&offset=0&name=globex", headers=partner).json
    assert (listed["count"], listed["results"][0]["name"]) == (1, "Globex Corporation")
    assert client.delete(url, headers=partner).status_code == 204
    assert client.get(url, headers=partner).status_code == 404


def test_users_and_keys_of_an_organisation(client: FlaskClient, make: Factory, partner: dict[str, str]) -> None:
    acme = make.do(lambda realm: realm.uid)
    roles = client.get(f"/auth/v1/organizations/{acme}/accountroles/", headers=partner).json["results"]
    admin_role = next(role for role in roles if role["name"] == "ADMIN")
    assert {"id", "name", "is_global", "scope"} <= admin_role.keys()
    body = {
        "account": {"username": "new@example.test", "first_name": "First", "last_name": "Last", "phone": ""},
        "role": {"id": "r1", "name": "ADMIN", "is_global": True, "scope": "ORGANIZATION"},
        "roles": [
            {"role": {"id": "r1", "name": "ADMINISTRATOR_READ_ONLY", "is_global": True, "scope": "ORGANIZATION"}},
            {
                "role": {"name": "PROJECT_ADMIN"},
                "project": {"id": make.do(lambda realm: access.get_project(realm, "vision").uid)},
            },
        ],
    }
    added = client.post(f"/auth/v1/organizations/{acme}/adduser/", json=body, headers=partner)
    assert added.status_code == 201, added.text
    uid = added.json["id"]
    held = make.do(
        lambda realm: [g.role.name for g in access.list_grants(realm, holder=users.holder_of(users.get_user(realm, uid)))]
    )
    assert sorted(held) == ["auditor", "project-administrator"]
    assert "invitation" in make.do(lambda _: [message.template for message in mail.list_waiting()])
    found = client.get("/auth/v2/users?options.name=new@", headers=partner | {"X-ORGANIZATION-ID": acme}).json
    assert [account["id"] for account in found["accounts"]] == [uid]
    wish = {"name": "ci", "never_expire": False, "validity_hour": 720}
    made = client.post(f"/auth/v1/users/{uid}/apikey/", json=wish, headers=partner)
    assert made.status_code == 201, made.text
    assert KEY.fullmatch(made.json["key"])
    assert made.json["secret"] == made.json["key"].split(".")[2]
    by_key = {"X-API-KEY": made.json["key"]}
    assert client.get("/auth/v1/users/-/profile", headers=by_key).json["organization"]["id"] == acme
    assert client.get("/auth/v1/projects/", headers=by_key).status_code == 200
    listed = client.get(f"/auth/v1/users/{uid}/apikeys/", headers=by_key).json
    cut = ".".join(made.json["key"].split(".")[:2])
    assert [key["key"] for key in listed] == [cut], "a provider cuts its key to find it in the list"
    assert made.json["secret"] not in str(listed)
    wrong = made.json["key"][:-1] + ("0" if made.json["key"][-1] != "0" else "1")
    assert client.get("/auth/v1/projects/", headers={"X-API-KEY": wrong}).status_code == 401
    assert client.delete(f"/auth/v1/apikeys/{listed[0]['id']}/", headers=by_key).status_code == 204
    assert client.get("/auth/v1/projects/", headers=by_key).status_code == 401


def test_expired_key_says_so(client: FlaskClient, make: Factory, frozen_clock: Any) -> None:
    make.user()
    key = make.key(hours=1)
    assert plain_key(foreign_key(key.plain)) == key.plain
    frozen_clock.advance(hours=2)
    answer = client.get("/auth/v1/projects/", headers={"X-API-KEY": foreign_key(key.plain)})
    assert answer.status_code == 401
    assert "expired" in answer.json["error"]


@pytest.mark.parametrize(
    "key", ["", "x", "ra2.", "ra2.0.0", f"ra2.{'0' * 40}.{'0' * 64}", f"ra2.{'f' * 40}.{'f' * 64}", "ra2." + "é" * 40]
)
def test_nonsense_keys_are_refused(client: FlaskClient, key: str) -> None:
    assert client.get("/auth/v1/projects/", headers={"X-API-KEY": key}).status_code == 401


def test_projects_and_groups(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    listed = client.get("/auth/v1/projects/?limit=2&offset=1&order=ASC&orderby=name&q=", headers=admin).json
    assert listed["count"] == len(make.do(access.list_projects))
    assert listed["results"] == listed["items"]
    assert {"id", "name", "organization_id", "description", "createdAt", "modifiedAt"} <= listed["results"][0].keys()
    project = client.post("/auth/v1/projects/", json={"name": "gone", "description": ""}, headers=admin).json["id"]
    assert client.delete(f"/auth/v1/projects/{project}/", headers=admin).status_code == 204
    gone = client.get(f"/auth/v1/projects/{project}/", headers=admin)
    assert gone.status_code == 404
    assert "not found" in gone.json["error"]
    group = client.post("/auth/v1/groups/", json={"name": "crew", "description": "A"}, headers=admin).json["id"]
    assert client.get(f"/auth/v1/groups/{group}/", headers=admin).json["description"] == "A"
    assert client.put(f"/auth/v1/groups/{group}/", json={"name": "crew", "description": "B"}, headers=admin).status_code == 200
    assert [each["description"] for each in client.get("/auth/v1/groups/?q=crew", headers=admin).json["results"]] == ["B"]
    assert client.delete(f"/auth/v1/groups/{group}/", headers=admin).status_code == 204


def test_nobody_manages_organisations_but_operators(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.realm("other")
    acme, other = make.do(lambda realm: realm.uid), make.do(lambda realm: realm.uid, "other")
    assert client.post("/auth/v1/organizations/", json={"name": "x"}, headers=admin).status_code == 403
    assert [each["id"] for each in client.get("/auth/v1/organizations/", headers=admin).json["results"]] == [acme]
    for method, url in (("GET", other), ("PUT", other), ("GET", f"{other}/accountroles"), ("POST", f"{other}/adduser")):
        answer = client.open(f"/auth/v1/organizations/{url}/", method=method, json={"active": False}, headers=admin)
        assert answer.status_code == 404, url
    assert client.put(f"/auth/v1/organizations/{acme}/", json={"active": False}, headers=admin).status_code == 403
    assert client.delete(f"/auth/v1/organizations/{acme}/", headers=admin).status_code == 403


def sent_code(app: Flask, template: str) -> str:
    """Return the one-time code of the newest mail of a kind."""
    import json

    from idp import vault

    with app.app_context():
        message = [each for each in mail.list_waiting(1000) if each.template == template][-1]
        code: str = json.loads(vault.unseal(message.sealed, context=f"mail {message.occasion}"))["values"]["code"]
        return code


SIGN_UP = {
    "username": "boss@globex.test",
    "organization_name": "Globex",
    "first_name": "B",
    "last_name": "O",
    "password": PASSWORD,
    "role": "ADMIN",
}


def test_sign_up_is_off_by_default(client: FlaskClient) -> None:
    assert client.post("/auth/v1/signup/organization/", json=SIGN_UP).status_code == 403


def test_sign_up_verifies_the_mail_and_waits_for_approval(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"sign_up": "approval"}))
    client, make = app.test_client(), Factory(app)
    answer = client.post("/auth/v1/signup/organization/", json=SIGN_UP)
    assert answer.status_code == 201, answer.text
    assert client.post("/v1/auth/authenticate", json={"emailId": "boss@globex.test", "password": PASSWORD}).status_code == 401
    code = sent_code(app, "sign-up")
    chosen = {"password": PASSWORD}
    assert client.patch(f"/v1/auth/signup/{code}/verify", json=chosen).json == {"orgName": "globex", "state": "pending"}
    assert client.patch(f"/v1/auth/signup/{code}/verify", json=chosen).status_code == 401, "a code works once"
    assert client.post("/auth/v1/signup/organization/", json=SIGN_UP).status_code == 409
    session = {"emailId": "boss@globex.test", "password": PASSWORD, "org": "globex"}
    assert client.post("/v1/auth/authenticate", json=session).status_code == 401, "nobody has approved it"
    make.user("partner@example.test", realm="master", roles=("administrator",))
    partner = session_of(client, "partner@example.test", org="master")
    globex = client.get("/auth/v1/organizations/?name=globex", headers=partner).json["results"][0]
    assert client.put(f"/auth/v1/organizations/{globex['id']}/", json=globex | {"approved": True}, headers=partner).json["active"]
    assert client.post("/v1/auth/authenticate", json=session).status_code == 200
    assert "organisation-approved" in make.do(lambda _: [message.template for message in mail.list_waiting()])
    close_app(app)


def test_older_clients_show_the_whole_key_in_another_header(client: FlaskClient, make: Factory) -> None:
    make.user("admin@example.test", roles=("administrator",))
    other = foreign_key(make.key("admin@example.test", name="other").plain)
    key = foreign_key(make.key("admin@example.test").plain)
    signature = 'Signature keyId="{}",algorithm="hmac-sha256",headers="content-md5 date host nonce",signature="eA=="'
    signed = {"date": "1700000000", "content-md5": "x", "nonce": "1"}

    def status(**headers: str) -> int:
        return client.get(
            "/auth/v1/projects/", headers={name.replace("_", "-"): each for name, each in headers.items()}
        ).status_code

    assert status(X_RAFAY_API_KEYID=key) == 200
    assert status(X_RAFAY_API_KEYID=key, X_API_KEY=key) == 200
    assert status(X_RAFAY_API_KEYID=key, Authorization=signature.format(key), **signed) == 200
    public = key.rpartition(".")[0]
    assert status(X_RAFAY_API_KEYID=public) == 401, "an id alone proves nothing"
    assert status(X_RAFAY_API_KEYID=public, Authorization=signature.format(public), **signed) == 401
    assert status(Authorization=signature.format(key), **signed) == 400
    assert status(X_RAFAY_API_KEYID=key, X_API_KEY=other) == 400
    assert status(X_RAFAY_API_KEYID=key, Authorization=signature.format(other)) == 400
    assert status(X_RAFAY_API_KEYID=key, Authorization=f"Bearer {key}") == 400
    assert status(X_RAFAY_API_KEYID=key, apiKey=key) == 400
    assert status(X_RAFAY_API_KEYID="") == 401


def test_lists_are_never_wider_than_the_question(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    uids = [make.user(f"{name}@example.test") for name in ("zoe", "a-zoe")]
    found = client.get("/auth/v2/users?options.name=zoe@example.test", headers=admin).json["accounts"]
    assert [each["id"] for each in found] == [uids[0]], "clients take the first"
    listed = client.get("/auth/v1/users/?q=zoe", headers=admin).json
    assert listed["users"] == listed["results"], "scripts read either"
    assert {each["account"]["id"] for each in listed["users"]} == set(uids)
    assert client.get("/auth/v2/users?options.name=", headers=admin).json["accounts"] == [], (
        "a variable that is empty is no wish for all"
    )
    for path in ("users", "projects", "groups", "roles"):
        assert client.get(f"/auth/v1/{path}/?name=", headers=admin).json["results"] == [], path
    assert client.get("/auth/v1/users/?name=zoe@example.test", headers=admin).json["count"] == 1
    assert client.get("/auth/v1/roles/?name=viewer", headers=admin).json["count"] == 1
    names = [each["name"] for each in client.get("/auth/v1/projects/?order=DESC&orderby=name", headers=admin).json["results"]]
    assert names == sorted(names, reverse=True)
    for refused in ("projects/?orderby=id", "projects/?order=up", "users/?filter=x", "organizations/?q=x", "groups/?limit=x"):
        answer = client.get(f"/auth/v1/{refused}", headers=admin)
        assert answer.status_code == 400, refused
        assert answer.json["details"][0]["detail"] == answer.json["error"]


def test_audit_trail_is_for_those_who_may_read_it_and_tells_who_did(
    client: FlaskClient, make: Factory, admin: dict[str, str]
) -> None:
    make.user()
    assert client.get("/auth/v1/audit/", headers=session_of(client)).status_code == 403
    first = client.get("/auth/v1/audit/?limit=2", headers=admin).json["results"]
    assert len(first) == 2
    again = client.get("/auth/v1/audit/", headers=admin).json["results"]
    assert "user:admin@example.test" in {each["actor"] for each in again if each["type"] == "admin:audit:read"}
