"""Names as other systems' clients give them: kept as they are shown, with a name of ours inside, found again by either."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import manifest, realms
from idp.errors import ConflictError, InvalidValueError
from idp.realms import called
from tests.factories import Factory, session_of

UM = "/cloudapi/v6/um"


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user("admin@example.test", roles=("administrator",))
    return {"Authorization": f"Bearer {session_of(client, 'admin@example.test')['Authorization']}"}


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("developers", "developers"),
        ("Developers", "developers"),
        (" Group Example ", "group-example"),
        ("Entwickler Übersee", "entwickler-ubersee"),
        ("3M", "group-3m"),
        ("a_b", "a_b"),
    ],
)
def test_letters_and_digits_make_the_name(shown: str, name: str) -> None:
    assert called("group", shown).name == name
    assert called("group", shown).shown == shown.strip()


@pytest.mark.parametrize("shown", ["Team 東京", "Team 大阪", "開発者", "!!", "x" * 90, "Ж" * 200])
def test_a_hash_tells_apart_what_letters_and_digits_do_not(shown: str) -> None:
    found = called("group", shown)
    assert realms.check_name("a group", found.name) == found.name
    assert found.name != called("group", f"{shown[:-1]}1").name
    assert found == called("group", shown), "the same name is always the same"


@pytest.mark.parametrize("shown", ["", "  ", "two\nlines", "\x1b[31m", "x" * 201])
def test_what_is_no_line_of_text_is_no_name(shown: str) -> None:
    with pytest.raises(InvalidValueError):
        called("group", shown)


def test_group_is_shown_as_its_maker_called_it(client: FlaskClient, admin: dict[str, str]) -> None:
    made = client.post(f"{UM}/groups", json={"properties": {"name": "Group Example"}}, headers=admin)
    assert (made.status_code, made.json["properties"]["name"]) == (202, "Group Example")
    uid = made.json["id"]
    native = client.get("/v1/groups/group-example", headers=admin).json
    assert (native["metadata"]["uid"], native["spec"]["displayName"]) == (uid, "Group Example")
    assert client.get("/auth/v1/groups/?name=Group%20Example", headers=admin).json["results"][0]["id"] == uid
    assert client.get("/auth/v1/groups/?name=Group", headers=admin).json["results"] == [], "a name is all of it"
    for again in ("Group Example", "group example", "GROUP-EXAMPLE", "group-example", "Group, example!"):
        refused = client.post(f"{UM}/groups", json={"properties": {"name": again}}, headers=admin)
        assert refused.status_code == 422, again
        assert "'group-example', shown as 'Group Example'" in refused.json["messages"][0]["message"]


def test_renaming_changes_what_a_group_is_shown_as(client: FlaskClient, admin: dict[str, str]) -> None:
    first, other = (
        client.post(f"{UM}/groups", json={"properties": {"name": name}}, headers=admin).json["id"] for name in ("Crew", "Others")
    )
    url = f"{UM}/groups/{first}"
    assert client.put(url, json={"properties": {"name": "Others"}}, headers=admin).status_code == 422
    assert (
        client.put(url, json={"properties": {"name": "Night Shift"}}, headers=admin).json["properties"]["name"] == "Night Shift"
    )
    found = client.get(f"{UM}/groups?filter.name=NIGHT", headers=admin).json["items"]
    assert [each["id"] for each in found] == [first]
    assert client.get(f"{UM}/groups?filter.name=crew", headers=admin).json["items"] == [], "it is not shown so any more"
    assert client.post(f"{UM}/groups", json={"properties": {"name": "night shift"}}, headers=admin).status_code == 422
    assert client.get("/v1/groups/crew", headers=admin).json["spec"]["displayName"] == "Night Shift"
    change = {"spec": {"displayName": ""}}
    assert client.patch(f"/v1/groups/{first}", json=change, headers=admin).status_code == 204
    assert client.get(url, headers=admin).json["properties"]["name"] == "crew"
    taken = client.patch(f"/v1/groups/{first}", json={"spec": {"displayName": "others"}}, headers=admin)
    assert taken.status_code == 409, taken.text
    assert client.get(f"{UM}/groups/{other}", headers=admin).json["properties"]["name"] == "Others"


def test_project_is_shown_as_its_maker_called_it(client: FlaskClient, admin: dict[str, str]) -> None:
    made = client.post("/auth/v1/projects/", json={"name": "Team Blue", "description": ""}, headers=admin)
    assert (made.status_code, made.json["name"]) == (201, "Team Blue")
    listed = client.get("/auth/v1/projects/?name=Team%20Blue", headers=admin).json
    assert [(each["id"], each["name"]) for each in listed["results"]] == [(made.json["id"], "Team Blue")]
    assert client.get("/auth/v1/projects/?name=Nobody", headers=admin).json["results"] == []
    assert client.get("/v1/projects/team-blue", headers=admin).json["spec"] == {"displayName": "Team Blue"}
    org = client.get("/orgs/", headers=admin).json[0]["pk"]
    workspaces = client.get(f"/orgs/{org}/workspaces/", headers=admin).json
    assert ("Team Blue", "team-blue") in {(each["name"], each["slug"]) for each in workspaces}
    renamed = client.put(f"/auth/v1/projects/{made.json['id']}/", json={"name": "Team Red"}, headers=admin)
    assert renamed.json["name"] == "Team Red"
    assert client.get("/auth/v1/projects/?q=team%20r", headers=admin).json["count"] == 1


def test_realm_file_keeps_what_things_are_shown_as(client: FlaskClient, admin: dict[str, str], context: Flask) -> None:
    assert client.post(f"{UM}/groups", json={"properties": {"name": "Group Example"}}, headers=admin).status_code == 202
    text = manifest.export_realm(realms.get_realm("acme"))
    assert '[groups.group-example]\ndisplay_name = "Group Example"' in text


def test_names_are_told_apart_natively_too(make: Factory) -> None:
    from idp import users

    make.do(lambda realm: users.create_group(realm, "night", users.GroupSheet(display_name="Night Shift")))
    with pytest.raises(ConflictError):
        make.do(lambda realm: users.create_group(realm, "other", users.GroupSheet(display_name="NIGHT SHIFT")))
