"""Clients of Run:ai's control plane: each row of the contract's tables."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, users
from tests.factories import Factory, Made, claims_of, session_of

API = "/api/v1"


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user("admin@example.test", roles=("administrator",))
    return {"Authorization": f"Bearer {session_of(client, 'admin@example.test')['Authorization']}"}


@pytest.mark.parametrize(
    "names",
    [
        ("grantType", "clientID", "clientSecret"),
        ("grantType", "clientId", "clientSecret"),
        ("grantType", "AppId", "AppSecret"),
        ("granttype", "appID", "appSecret"),
        ("grant_type", "client_id", "client_secret"),
    ],
)
def test_token_call_matches_names_in_whatever_case(client: FlaskClient, make: Factory, names: tuple[str, str, str]) -> None:
    bot: Made = make.application()
    for kind in ("app_token", "client_credentials"):
        for client_id in (bot.client_id, f"acme/{bot.client_id}"):
            answer = client.post(f"{API}/token", json=dict(zip(names, (kind, client_id, bot.secret), strict=True)))
            assert answer.status_code == 200, answer.text
            assert answer.json.keys() == {"accessToken", "idToken", "refreshToken", "expiresIn"}
            assert answer.json["expiresIn"] == 36000
            assert claims_of(answer.json["accessToken"])["client_id"] == bot.client_id
    header = {"Authorization": f"Bearer {answer.json['accessToken']}"}
    assert client.get(f"{API}/me/access-rules", headers=header).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"grantType": "password", "username": "x", "password": "y"},
        {"grantType": "client_credentials", "clientID": "ci-bot", "clientSecret": "wrong"},
        {"grantType": "client_credentials", "clientID": "nobody", "clientSecret": "wrong"},
        {"grantType": "client_credentials", "clientID": "other/ci-bot", "clientSecret": "wrong"},
        {"grantType": "client_credentials", "clientID": 7, "clientSecret": "wrong"},
        {"grantType": "external_token_exchange", "externalToken": "x"},
        {},
    ],
)
def test_token_call_refuses_in_the_form_of_the_contract(client: FlaskClient, make: Factory, body: dict[str, Any]) -> None:
    make.application()
    answer = client.post(f"{API}/token", json=body)
    assert answer.status_code in {400, 404}
    assert answer.json["code"] == answer.status_code
    assert isinstance(answer.json["message"], str)


def test_newer_token_call_is_the_token_endpoint(client: FlaskClient, make: Factory) -> None:
    bot = make.application()
    form = {"grant_type": "client_credentials", "scope": "openid", "client_id": bot.client_id, "client_secret": bot.secret}
    answer = client.post("/api/v2/token", data=form)
    assert answer.status_code == 200
    assert {"access_token", "token_type", "expires_in", "id_token"} <= answer.json.keys()
    wrong = client.post("/api/v2/token", data=form | {"client_secret": "x"})
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    make.realm("other")
    assert client.post("/api/v2/token", data=form).json["error"] == "invalid_request"
    assert client.post("/api/v2/token", data=form | {"client_id": f"acme/{bot.client_id}"}).status_code == 200


@pytest.mark.parametrize(("path", "member"), [("apps", "secret"), ("service-accounts", "clientSecret")])
def test_applications(client: FlaskClient, make: Factory, admin: dict[str, str], path: str, member: str) -> None:
    made = client.post(f"{API}/{path}", json={"name": "my-app"}, headers=admin)
    assert made.status_code == 201
    assert {"id", "name", member, "clientId"} <= made.json.keys()
    assert client.post(f"{API}/{path}", json={"name": "my-app"}, headers=admin).status_code == 409
    assert client.post(f"{API}/{path}", json={"name": "My App"}, headers=admin).status_code == 400
    url = f"{API}/{path}/{made.json['id']}"
    shown = client.get(url, headers=admin).json
    assert {"id", "clientId", "name", "enabled", "tenantId", "createdBy", "createdAt", "updatedAt", "lastLogin"} == shown.keys()
    assert isinstance(client.get(f"{API}/{path}", headers=admin).json, list)

    def works(secret: str) -> int:
        body = {"grantType": "app_token", "appID": "my-app", "appSecret": secret}
        make.forget()
        return client.post(f"{API}/token", json=body).status_code

    assert works(made.json[member]) == 200
    renewed = client.post(f"{url}/secret", headers=admin)
    assert (renewed.status_code, list(renewed.json)) == (200, [member])
    assert (works(made.json[member]), works(renewed.json[member])) == (400, 200)
    assert client.patch(url, json={"enabled": False}, headers=admin).json["enabled"] is False
    assert works(renewed.json[member]) == 400
    assert client.delete(url, headers=admin).status_code == 204
    assert client.get(url, headers=admin).status_code == 404


def test_access_keys_are_keys_of_a_user_that_get_tokens(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    for path, member in (("access-keys", "clientSecret"), ("user-applications", "secret")):
        made = client.post(f"{API}/{path}", json={"name": "laptop"}, headers=admin)
        assert made.status_code == 201
        assert {"id", "clientId", "name", member, "createdAt"} <= made.json.keys()
        body = {"grantType": "client_credentials", "clientId": made.json["clientId"], "clientSecret": made.json[member]}
        answer = client.post(f"{API}/token", json=body)
        assert (answer.status_code, answer.json["expiresIn"]) == (200, 900)
        assert client.post(f"{API}/token", json=body | {"clientId": "other"}).status_code == 400
        url = f"{API}/{path}/{made.json['id']}"
        assert client.get(url, headers=admin).json["name"] == "laptop"
        listed = client.get(f"{API}/{path}", headers=admin)
        assert made.json[member] not in listed.text
        shown = listed.json["accessKeys"] if path == "access-keys" else listed.json
        assert [(key["id"], key["createdBy"]) for key in shown] == [(made.json["id"], "admin@example.test")]
        renewed = client.post(f"{url}/secret", headers=admin)
        assert (renewed.status_code, list(renewed.json)) == (200, [member])
        assert client.post(f"{API}/token", json=body).status_code == 400, "the old secret is over"
        again = client.post(f"{API}/token", json=body | {"clientSecret": renewed.json[member]})
        assert again.status_code == 200, "the new one is of the same key"
        assert client.delete(url, headers=admin).status_code == 204
        assert client.post(f"{API}/token", json=body | {"clientSecret": renewed.json[member]}).status_code == 400
    make.user()
    for path in ("administration/access-keys", "administration/user-applications"):
        other = make.key()
        assert client.get(f"{API}/{path}", headers=admin).status_code == 200
        assert client.delete(f"{API}/{path}/{other.uid}", headers=admin).status_code == 204


def test_users(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    made = client.post(f"{API}/users", json={"email": "new@example.test", "resetPassword": True, "notify": True}, headers=admin)
    assert made.status_code == 201
    assert {"id", "username", "tempPassword"} <= made.json.keys()
    url = f"{API}/users/{made.json['id']}"
    assert client.get(url, headers=admin).json["username"] == "new@example.test"
    assert isinstance(client.get(f"{API}/users?limit=500", headers=admin).json, list)
    assert client.get(f"{API}/users/count", headers=admin).json["count"] == len(make.do(users.list_users))
    assert client.post(f"{url}/logout", headers=admin).status_code == 200
    assert "tempPassword" in client.post(f"{url}/password", headers=admin).json
    assert client.delete(url, headers=admin).status_code == 204
    change = {"currentPassword": "wrong", "newPassword": "another good one"}
    assert client.post(f"{API}/me/password", json=change, headers=admin).status_code == 401


def test_access_rules(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.application("my-app", roles=())
    roles = client.get(f"{API}/authorization/roles", headers=admin).json
    researcher = next(role for role in roles if role["name"] == "researcher")
    assert {"id", "name", "description", "permissions", "custom", "enabled", "effectiveEnabled", "createdBy"} <= researcher.keys()
    assert isinstance(researcher["id"], int)
    assert client.get(f"{API}/authorization/roles/{researcher['id']}", headers=admin).json == researcher
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    body = {
        "subjectId": "my-app",
        "subjectType": "app",
        "roleId": researcher["id"],
        "scopeId": vision,
        "scopeType": "project",
        "clusterId": "7d3a5b8e-3ee7-4d8f-8d41-9b7de1a0a6cf",
    }
    made = client.post(f"{API}/authorization/access-rules", json=body, headers=admin)
    assert made.status_code == 201, made.text
    assert isinstance(made.json["id"], int)
    again = client.post(f"{API}/authorization/access-rules", json=body, headers=admin)
    assert again.json == {"code": 409, "message": "Resource with this name already exists"}
    listed = client.get(f"{API}/authorization/access-rules?filterBy=subjectId==my-app", headers=admin).json
    assert (listed["totalRecords"], listed["displayRecords"]) == (1, 1)
    rule = listed["accessRules"][0]
    assert {
        "id",
        "subjectId",
        "subjectType",
        "roleId",
        "roleName",
        "scopeId",
        "scopeName",
        "scopeType",
        "tenantId",
        "createdBy",
        "createdAt",
        "updatedAt",
        "deletedAt",
        "status",
    } == rule.keys()
    assert (rule["subjectId"], rule["scopeId"], rule["createdBy"]) == ("my-app", vision, "admin@example.test")
    url = f"{API}/authorization/access-rules/{rule['id']}"
    assert client.get(url, headers=admin).json == rule
    assert client.delete(url, headers=admin).status_code == 204
    assert client.get(url, headers=admin).status_code == 404
    assert (
        client.post(f"{API}/authorization/access-rules", json=body | {"scopeType": "cluster"}, headers=admin).status_code == 400
    )
    assert client.get(f"{API}/authorization/permissions", headers=admin).json[0].keys() == {
        "resourceType",
        "displayName",
        "groupId",
        "actions",
    }
    assert client.get(f"{API}/authorization/me/access-rules", headers=admin).json["accessRules"]["totalRecords"] == 1
    assert client.get(f"{API}/authorization/me/access-rules/count", headers=admin).json == {"count": 1}


def test_batches_tell_one_by_one_what_could_not_be_done(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.application("my-app", roles=())
    roles = {role["name"]: role["id"] for role in client.get(f"{API}/authorization/roles", headers=admin).json}
    tenant, vision = make.do(lambda realm: (realm.uid, access.get_project(realm, "vision").uid))
    scopes = [{"scopeId": vision, "scopeType": "project"}, {"scopeId": tenant, "scopeType": "tenant"}]
    subjects = [{"subjectId": "my-app", "subjectType": "app"}, {"subjectId": "gone", "subjectType": "group"}]
    payload = {"roleId": roles["viewer"], "subjects": subjects, "scopes": scopes}
    url = f"{API}/authorization/access-rules"
    made = client.post(f"{url}/batch-create", json={"payload": payload}, headers=admin).json
    assert [rule["scopeType"] for rule in made["succeeded"]] == ["project", "tenant"]
    assert [(each["payload"]["subjectId"], each["code"]) for each in made["failed"]] == [("gone", 404)] * 2
    again = client.post(f"{url}/batch-create", json={"payload": payload}, headers=admin).json
    assert (again["succeeded"], {each["code"] for each in again["failed"]}) == ([], {404, 409})
    ids = [str(rule["id"]) for rule in made["succeeded"]]
    for action, left in (("validate_delete", 2), ("delete", 0)):
        answer = client.post(f"{url}/batch", json={"ids": [*ids, "x", "0"], "action": action}, headers=admin).json
        assert (answer["succeeded"], [each["id"] for each in answer["failed"]]) == (ids, ["x", "0"])
        assert client.get(f"{url}/count?filterBy=subjectId==my-app", headers=admin).json == {"count": left}
    for wrong in (
        {},
        {"payload": []},
        {"payload": payload | {"subjects": subjects * 200}},
        {"payload": payload | {"scopes": [1]}},
    ):
        assert client.post(f"{url}/batch-create", json=wrong, headers=admin).status_code == 400
    for wrong in (
        {"ids": ids},
        {"ids": ids, "action": "disable"},
        {"ids": [1], "action": "delete"},
        {"ids": ["1"] * 201, "action": "delete"},
    ):
        assert client.post(f"{url}/batch", json=wrong, headers=admin).status_code == 400


def test_batch_is_no_way_round_the_rules_of_giving_and_taking(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.user("lead@example.test", projects=(("vision", "project-administrator"),))
    lead = session_of(client, "lead@example.test")
    make.application("my-app", roles=("auditor",))
    url = f"{API}/authorization/access-rules"
    held = client.get(f"{url}?filterBy=subjectId==my-app", headers=admin).json["accessRules"][0]
    taken = client.post(f"{url}/batch", json={"ids": [str(held["id"])], "action": "delete"}, headers=lead).json
    assert (taken["succeeded"], taken["failed"][0]["code"]) == ([], 404)
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    payload = {
        "roleId": held["roleId"],
        "subjects": [{"subjectId": "my-app", "subjectType": "app"}],
        "scopes": [{"scopeId": vision, "scopeType": "project"}, {"scopeId": held["scopeId"], "scopeType": "tenant"}],
    }
    given = client.post(f"{url}/batch-create", json={"payload": payload}, headers=lead).json
    assert (given["succeeded"], [each["code"] for each in given["failed"]]) == ([], [403, 403])
    assert client.get(f"{url}/count?filterBy=subjectId==my-app", headers=admin).json == {"count": 1}


def test_permissions_and_scopes_are_those_of_the_caller(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.user("lead@example.test", projects=(("vision", "project-administrator"),))
    lead = session_of(client, "lead@example.test")
    tenant, vision = make.do(lambda realm: (realm.uid, access.get_project(realm, "vision").uid))
    nowhere = {"system": False, "tenants": [], "clusters": [], "departments": [], "projects": []}
    wanted = {"resourceType": "access_rules", "action": "create"}
    scopes = client.post(f"{API}/authorization/permitted-scopes", json=wanted, headers=lead).json
    assert scopes == {"create": nowhere | {"projects": [vision]}, "read": nowhere, "update": nowhere, "delete": nowhere}
    scopes = client.post(f"{API}/authorization/permitted-scopes", json=wanted, headers=admin).json
    assert scopes["create"] == nowhere | {"tenants": [tenant]}
    everything = client.post(f"{API}/authorization/permitted-scopes", json={"resourceType": "workloads"}, headers=admin).json
    assert list(everything.values()) == [nowhere] * 4, "there are no workloads here"
    permissions = client.get(f"{API}/authorization/permissions", headers=lead).json
    found = {each["resourceType"]: each["actions"] for each in permissions}
    assert found["access_rules"] == ["create", "read", "update", "delete"]
    assert found["users"] == ["read"]
    assert "credentials" not in found


def test_projects_and_the_rest(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    made = client.post(f"{API}/org-unit/projects", json={"name": "dev"}, headers=admin)
    assert made.status_code == 201
    first = client.get(f"{API}/org-unit/projects?limit=1", headers=admin).json
    assert (len(first["projects"]), first["next"]) == (1, 1)
    every = client.get(f"{API}/org-unit/projects", headers=admin).json
    assert "next" not in every, "there is no page after this"
    url = f"{API}/org-unit/projects/{made.json['id']}"
    changed = client.put(url, json={"description": "Ours.", "resources": []}, headers=admin)
    assert (changed.status_code, changed.json["description"], changed.json["name"]) == (200, "Ours.", "dev")
    assert client.get(url, headers=admin).json == changed.json
    assert client.put(url, json={"resources": []}, headers=admin).json["description"] == "Ours.", "what is left out is kept"
    assert client.delete(f"{API}/org-unit/projects/{made.json['id']}", headers=admin).status_code in {202, 204}
    assert client.get(f"{API}/idps", headers=admin).status_code == 200
    assert client.get(f"{API}/security/settings", headers=admin).status_code == 200


@pytest.mark.parametrize(
    ("filter_by", "names"),
    [
        ("name==b-2", ["b-2"]),
        ("name!=b-2", ["a-1", "b-1"]),
        ("name=@-1", ["a-1", "b-1"]),
        ("name!@-1", ["b-2"]),
        ("name=^b", ["b-1", "b-2"]),
        ("name=$-2", ["b-2"]),
        ("name>=b-1", ["b-1", "b-2"]),
        ("name<=a-1", ["a-1"]),
        ("name=^b,enabled==true", ["b-1", "b-2"]),
        ("enabled==false", []),
    ],
)
def test_filters(client: FlaskClient, make: Factory, admin: dict[str, str], filter_by: str, names: list[str]) -> None:
    for name in ("b-2", "a-1", "b-1"):
        make.application(name)
    query = {"filterBy": filter_by, "sortBy": "name"}
    made = {"a-1", "b-1", "b-2"}
    for order in ("asc", "desc"):
        listed = client.get(f"{API}/apps", query_string=query | {"sortOrder": order}, headers=admin).json
        found = [app["name"] for app in listed]
        assert found == sorted(found, reverse=order == "desc")
        assert [name for name in found if name in made] == (names if order == "asc" else names[::-1])


@pytest.mark.spec("T103", "T104")
@pytest.mark.parametrize("name", ["filterBy", "sortBy", "sortOrder", "limit", "offset"])
def test_injection_into_lists_changes_nothing(client: FlaskClient, make: Factory, admin: dict[str, str], name: str) -> None:
    make.application()
    for value in (
        "' OR 1=1 --",
        "name==' OR '1'='1",
        "name;DROP TABLE application",
        "-1",
        "1e9",
        "name==%27",
        "\x00",
        "9" * 40,
        "name=@%",
    ):
        answer = client.get(f"{API}/apps", query_string={name: value}, headers=admin)
        assert answer.status_code in {200, 400}, value
        if name == "filterBy" and answer.status_code == 200:
            assert answer.json == [], value
    assert len(client.get(f"{API}/apps", headers=admin).json) >= 1


def test_errors_have_code_and_message(client: FlaskClient, make: Factory) -> None:
    make.user()
    header = session_of(client)
    assert client.get(f"{API}/apps").json["code"] == 401
    denied = client.post(f"{API}/apps", json={"name": "x"}, headers=header)
    assert (denied.status_code, denied.json["message"][:40]) == (403, "You do not have sufficient permissions. "[:40])
    assert client.get(f"{API}/nothing", headers=header).json["code"] == 404
