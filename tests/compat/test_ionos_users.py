"""Clients of the IONOS Cloud API: users, groups and contracts."""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import clock, users
from tests.factories import PASSWORD, Factory, session_of, set_user

UM = "/cloudapi/v6/um"


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user("admin@example.test", roles=("administrator",))
    return {"Authorization": f"Bearer {session_of(client, 'admin@example.test')['Authorization']}"}


def basic(name: str = "admin@example.test", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def check_collection(body: dict[str, Any]) -> None:
    assert {"id", "type", "href", "items"} <= body.keys()
    assert body["type"] == "collection"


@pytest.mark.parametrize("way", ["bearer", "basic"])
def test_users(client: FlaskClient, make: Factory, admin: dict[str, str], way: str) -> None:
    header = admin if way == "bearer" else basic()
    properties = {
        "firstname": "New",
        "lastname": "Person",
        "email": "new@example.test",
        "administrator": False,
        "password": "x" * 12,
        "forceSecAuth": False,
        "secAuthActive": False,
        "active": True,
    }
    made = client.post(f"{UM}/users", json={"properties": properties}, headers=header)
    assert made.status_code == 202, made.text
    url = f"{UM}/users/{made.json['id']}"
    shown = client.get(url, headers=header).json["properties"]
    assert shown["email"] == "new@example.test"
    assert shown.keys() == properties.keys() - {"password"}
    listed = client.get(f"{UM}/users?depth=1&limit=1&offset=0", headers=header).json
    check_collection(listed)
    assert len(listed["items"]) == 1
    changed = client.put(url, json={"properties": properties | {"administrator": True, "firstname": "Other"}}, headers=header)
    assert changed.status_code == 202, changed.text
    shown = client.get(url, headers=header).json["properties"]
    assert (shown["administrator"], shown["firstname"]) == (True, "Other")
    assert client.delete(url, headers=header).status_code == 202
    gone = client.get(url, headers=header)
    assert gone.status_code == 404
    assert gone.json["httpStatus"] == 404


def test_groups_and_their_privileges(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    uid = make.user("member@example.test")
    wanted = {"properties": {"name": "watchers", "accessAndManageMonitoring": True, "accessActivityLog": False}}
    made = client.post(f"{UM}/groups", json=wanted, headers=admin)
    assert made.status_code == 202, made.text
    assert made.json["properties"]["accessAndManageMonitoring"] is True
    url = f"{UM}/groups/{made.json['id']}"
    assert client.post(f"{url}/users", json={"id": uid}, headers=admin).status_code == 202
    members = client.get(f"{url}/users", headers=admin).json
    check_collection(members)
    assert [each["id"] for each in members["items"]] == [uid]
    make.forget()
    roles = client.get("/v1/users/info", headers=session_of(client, "member@example.test")).json["roles"]
    assert roles == ["access-and-manage-monitoring"], "the privilege reaches the tokens of its members"
    wanted = {"properties": {"name": "watchers", "accessActivityLog": True}}
    shown = client.put(url, json=wanted, headers=admin).json["properties"]
    assert (shown["accessAndManageMonitoring"], shown["accessActivityLog"]) == (False, True)
    assert [each["id"] for each in client.get(f"{UM}/users/{uid}/groups", headers=admin).json["items"]] == [made.json["id"]]
    check_collection(client.get(f"{UM}/groups", headers=admin).json)
    assert client.delete(f"{url}/users/{uid}", headers=admin).status_code == 202
    assert client.delete(url, headers=admin).status_code == 202
    assert client.get(url, headers=admin).status_code == 404


def test_contract(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    number = make.do(lambda realm: realm.contract_number)
    body = client.get("/cloudapi/v6/contracts", headers=admin | {"X-Contract-Number": str(number)}).json
    check_collection(body)
    assert body["items"][0]["properties"].keys() == {"contractNumber", "owner", "status", "regDomain", "resourceLimits"}
    assert body["items"][0]["properties"]["contractNumber"] == number
    assert client.get("/cloudapi/v6/contracts", headers=admin | {"X-Contract-Number": "7"}).status_code == 401


def test_refusals_have_the_body_of_the_contract(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.user()
    nobody = client.get(f"{UM}/users")
    assert (nobody.status_code, nobody.json["messages"][0]["errorCode"]) == (401, "315")
    assert client.get(f"{UM}/users", headers=basic(password="wrong")).status_code == 401
    assert client.get(f"{UM}/users", headers=basic("ann@example.test")).status_code == 403
    assert client.post(f"{UM}/users", json={}, headers=admin).status_code == 422


def test_no_answer_is_wider_than_the_question(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    uids = [make.user(f"{name}@example.test", first_name=name.title()) for name in ("zoe", "azoe", "zed")]
    make.do(lambda realm: set_user(realm, users.get_user(realm, uids[2]), enabled=False))

    def found(query: str) -> list[str]:
        return [
            each["properties"]["email"].partition("@")[0]
            for each in client.get(f"{UM}/users?{query}", headers=admin).json["items"]
        ]

    assert found("filter.email=ZOE") == ["azoe", "zoe"]
    assert found("filter.firstname=zed&filter.active=false") == ["zed"]
    assert "admin" in found("filter.active=true&filter.administrator=true")
    assert found("filter.administrator=false&filter.firstname=z&orderBy=firstname") == ["azoe", "zed", "zoe"]
    assert found("filter.email=example.test&orderBy=administrator")[-1] == "admin"
    assert (
        found("filter.forceSecAuth=true") == found("filter.s3CanonicalUserId=x") == found("filter.createdDate=2001-01-01") == []
    )
    today = clock.now().date().isoformat()
    assert found(f"filter.createdDate={today}&filter.firstname=z") == ["azoe", "zed", "zoe"]
    assert (
        found("maxResults=2&filter.firstname=z&orderBy=lastLogin&offset=1") == found("filter.firstname=z&orderBy=lastLogin")[1:]
    )
    page = client.get(f"{UM}/users?filter.email=zoe&limit=1", headers=admin).json
    assert "filter.email=zoe" in page["_links"]["next"], "the next part is of the same question"
    rest = client.get(page["_links"]["next"].removeprefix("http://localhost:8080"), headers=admin).json
    assert ([each["id"] for each in rest["items"]], "next" in rest["_links"]) == ([uids[0]], False)
    for refused in (
        "filter.nothing=x",
        "filter.active=perhaps",
        "orderBy=password",
        "filter.createdDate=soon",
        "filter.createdDate=9999-12-31",
        "q=ann",
        "limit=x",
    ):
        answer = client.get(f"{UM}/users?{refused}", headers=admin)
        assert (answer.status_code, answer.json["httpStatus"]) == (422, 422), refused


def test_privileges_filter_and_order_groups(client: FlaskClient, admin: dict[str, str]) -> None:
    for name, privilege in (("One", True), ("Two", False)):
        wanted = {"properties": {"name": name, "manageRegistry": privilege}}
        assert client.post(f"{UM}/groups", json=wanted, headers=admin).status_code == 202

    def found(query: str) -> list[str]:
        return [each["properties"]["name"] for each in client.get(f"{UM}/groups?{query}", headers=admin).json["items"]]

    assert found("filter.manageRegistry=true") == ["One"]
    assert found("filter.manageRegistry=false&filter.name=two") == ["Two"]
    assert found("filter.manageDBaaS=true") == []
    assert found("orderBy=manageRegistry")[-1] == "One"


def test_contract_can_be_named_in_either_way(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    number = make.do(lambda realm: realm.contract_number)
    assert client.get(f"{UM}/users?contractNumber={number}", headers=admin).status_code == 200
    assert client.get(f"{UM}/users?contractNumber=7", headers=admin).status_code == 401
    both = client.get(f"{UM}/users?contractNumber=7", headers=admin | {"X-Contract-Number": str(number)})
    assert both.status_code == 422
