"""A uid in an address means what has that uid, whatever else is called: no name may look like one."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from idp import access, manifest, users
from idp.access import Project, Role
from idp.applications import Application, ApplicationSecret
from idp.db import Identified, db
from idp.keysets import Keyset
from idp.realms import Realm
from idp.users import Group, User
from tests.console.surfing import Surfer
from tests.factories import Factory, session_of
from tests.keysets.lending import borrower, keep, take, token_of, wish

UID = "c3a1f0de-8a4e-4f7e-9d55-6a4c6f1f2b10"
"""It begins with a letter, as a name does."""


def call_it(make: Factory, table: type[Identified], uid: str, name: str, realm: str = "acme") -> None:
    """Give something a name that it was given before such names were refused."""
    make.do(lambda _: db.session.execute(update(table).where(table.uid == uid).values(name=name)), realm)


def test_no_name_looks_like_a_uid(client: FlaskClient, admin: dict[str, str], operator: dict[str, str]) -> None:
    named = {"metadata": {"name": UID}}
    paths = ("roles", "projects", "groups", "teams", "applications", "applications/reporting/secrets")
    wishes = {
        **{f"/v1/{path}": named for path in paths},
        "/v1/realms": named,
        "/v1/users": {"spec": {"machineName": UID}},
        "/v1/keysets": wish(UID.upper()),
        "/auth/v1/groups": {"name": UID},
        "/auth/v1/projects": {"name": UID},
        "/auth/v1/organizations": {"name": UID},
        "/api/v1/apps": {"name": UID},
        "/api/v1/org-unit/projects": {"name": UID},
    }
    for path, body in wishes.items():
        header = operator if path in {"/v1/realms", "/auth/v1/organizations"} else admin
        answer = client.post(path, json=body, headers=header)
        assert answer.status_code == 400, f"{path}: {answer.text}"
        assert "form of a uid" in answer.text, path


def test_realm_file_with_a_name_that_looks_like_a_uid_is_refused_by_line(tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(f'[realm]\nname = "acme"\n\n[groups.{UID}]\n')
    with pytest.raises(manifest.RealmFileError, match=r":4: .*form of a uid"):
        manifest.read_file(file)


@pytest.fixture
def ann(make: Factory) -> str:
    """A person whose uid is what a machine user is called."""
    uid = make.user()
    robot = make.user("robot")
    call_it(make, User, robot, uid)
    return uid


def robot_of(make: Factory, name: str) -> str:
    return str(make.do(lambda realm: users.get_user_by_name(realm, name).uid))


def held(make: Factory, uid: str) -> set[str]:
    def read(realm: Realm) -> set[str]:
        user = users.find_user_by_uid(realm, uid)
        assert user is not None
        return {grant.role.name for grant in access.list_grants(realm, holder=users.holder_of(user))}

    found: set[str] = make.do(read)
    return found


@pytest.mark.parametrize("written", [str, str.upper])
def test_uid_of_a_person_means_that_person_wherever_somebody_can_be_named(
    client: FlaskClient, make: Factory, admin: dict[str, str], ann: str, written: Any
) -> None:
    named = written(ann)
    grant = {"spec": {"holder": {"kind": "user", "uid": named}, "role": "viewer"}}
    assert client.post("/v1/grants", json=grant, headers=admin).status_code == 201
    project = client.post("/v1/projects", json={"metadata": {"name": "dev"}}, headers=admin).json["uid"]
    on_project = {"users": [{"userId": named, "roles": ["researcher"]}]}
    assert client.put(f"/v1/projects/{project}/users", json=on_project, headers=admin).status_code == 204
    rule = {"subjectType": "user", "subjectId": named, "roleId": role_number(make, "editor"), "scopeType": "tenant"}
    assert client.post("/api/v1/authorization/access-rules", json=rule, headers=admin).status_code == 201
    assert held(make, ann) == {"viewer", "researcher", "editor"}
    assert held(make, robot_of(make, ann)) == set()


def role_number(make: Factory, name: str) -> int:
    return int(make.do(lambda realm: access.get_role(realm, name).id))


def test_uid_of_a_person_means_that_person_on_every_page(app: Flask, make: Factory, ann: str) -> None:
    make.user("boss@example.test", roles=("administrator",))
    surfer = Surfer(app).sign_in("boss@example.test")
    base = "/console/realms/acme"
    assert "ann@example.test" in surfer.open(f"{base}/users/{ann}").page.text
    make.do(lambda realm: users.create_group(realm, "crew"))
    surfer.open(f"{base}/groups/crew").send("Add member", {"user": ann})
    assert make.do(lambda realm: [user.uid for user in users.list_members(users.get_group(realm, "crew"))]) == [ann]
    surfer.open(f"{base}/access/give?holder=user:{ann}").send("Assign", {"role": "viewer"})
    assert held(make, ann) == {"viewer"}
    surfer.open(f"{base}/users/{ann}/delete").send("Delete", {"typed": "ann@example.test"})
    assert make.do(lambda realm: users.find_user_by_uid(realm, ann)) is None


def test_who_is_called_like_a_uid_is_reached_and_managed_by_their_own(
    app: Flask, client: FlaskClient, make: Factory, admin: dict[str, str], ann: str
) -> None:
    robot = robot_of(make, ann)
    grant = {"spec": {"holder": {"kind": "user", "uid": robot}, "role": "viewer"}}
    assert client.post("/v1/grants", json=grant, headers=admin).status_code == 201
    assert client.get(f"/v1/users/{robot}", headers=admin).json["spec"]["loginName"] == ann
    surfer = Surfer(app).sign_in("admin@example.test")
    base = "/console/realms/acme"
    links = surfer.open(f"{base}/access?holder={ann}").read().links
    assert f"{base}/users/{robot}" in links, "the review leads to who holds the role"
    assert f"{base}/users/{ann}" not in links
    for page in (f"{base}/access?holder={ann}", f"{base}/users/{robot}?tab=access"):
        take = next(link for link in surfer.open(page).read().links if "/access/take" in link)
        assert robot in take, "and so does taking it away"
    surfer.open(take).send("Remove")
    assert held(make, robot) == set()
    assert client.delete(f"/v1/users/{robot}", headers=admin).status_code == 204
    assert client.get(f"/v1/users/{ann}", headers=admin).status_code == 200


def test_realm_file_that_leaves_such_a_machine_user_out_removes_it_and_not_the_person(
    make: Factory, ann: str, tmp_path: Path
) -> None:
    robot = robot_of(make, ann)
    file = tmp_path / "acme.toml"
    file.write_text('[realm]\nname = "acme"\n\n[users."ann@example.test"]\n')
    read = manifest.read_file(file)

    def apply(realm: Realm) -> tuple[Any, Any]:
        gone = [change for change in manifest.make_plan(read) if change.kind == "user"]
        manifest.apply_plan(read, gone)
        return users.find_user_by_uid(realm, ann), users.find_user_by_uid(realm, robot)

    person, machine = make.do(apply)
    assert person is not None
    assert machine is None


def test_uid_means_that_thing_for_everything_that_has_a_name(
    client: FlaskClient, make: Factory, admin: dict[str, str], operator: dict[str, str]
) -> None:
    tables: dict[str, tuple[type[Identified], str]] = {
        "roles": (Role, "/v1/roles"),
        "projects": (Project, "/v1/projects"),
        "groups": (Group, "/v1/groups"),
        "applications": (Application, "/v1/applications"),
    }
    for noun, (table, path) in tables.items():
        meant, other = (client.post(path, json={"metadata": {"name": f"{noun}-{n}"}}, headers=admin).json["uid"] for n in "ab")
        call_it(make, table, other, meant)
        assert client.get(f"{path}/{meant}", headers=admin).json["metadata"]["name"] == f"{noun}-a"
        assert client.get(f"{path}/{meant.upper()}", headers=admin).json["metadata"]["name"] == f"{noun}-a"
        unknown = str(uuid.uuid4())
        call_it(make, table, other, unknown)
        assert client.get(f"{path}/{unknown}", headers=admin).status_code == 404, "a uid is no name"
        assert client.get(f"{path}/{other}", headers=admin).json["metadata"]["name"] == unknown
        assert client.delete(f"{path}/{other}", headers=admin).status_code == 204, "and stays manageable"


def test_uid_of_a_secret_means_that_secret(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    path = "/v1/applications/reporting/secrets"
    meant, other = (client.post(path, json={"metadata": {"name": name}}, headers=admin).json["uid"] for name in "ab")
    call_it(make, ApplicationSecret, other, meant)
    assert client.delete(f"{path}/{meant}", headers=admin).status_code == 204
    states = {each["metadata"]["uid"]: each["status"]["state"] for each in client.get(path, headers=admin).json["items"]}
    assert (states[meant], states[other]) == ("retired", "live")
    assert client.get(f"{path}/{other}", headers=admin).json["metadata"]["uid"] == other


def test_uid_of_a_keyset_means_that_keyset_when_it_is_lent(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    meant, other = (keep(client, admin, name=name, projects=["vision"]) for name in ("one", "two"))
    call_it(make, Keyset, other, meant)
    token = token_of(client, borrower(make))
    assert take(client, token, meant).json["keyset"] == {"uid": meant, "name": "one"}
    assert take(client, token, other).json["keyset"]["uid"] == other
    unknown = str(uuid.uuid4())
    call_it(make, Keyset, other, unknown)
    assert take(client, token, unknown).status_code == 404


def test_organisation_called_like_the_uid_of_another_does_not_stand_in_for_it(
    client: FlaskClient, make: Factory, operator: dict[str, str]
) -> None:
    make.realm("globex")
    acme = UID
    make.do(lambda realm: setattr(realm, "uid", acme))
    globex = make.do(lambda realm: realm.uid, "globex")
    call_it(make, Realm, globex, acme)
    make.user("boss@globex.test", realm=acme, roles=("administrator",))
    boss = session_of(client, "boss@globex.test", org=acme)
    assert client.get(f"/v1/realms/{acme}", headers=operator).json["metadata"]["name"] == "acme"
    assert client.get(f"/v1/realms/{globex}", headers=operator).json["metadata"]["uid"] == globex
    assert client.get(f"/auth/v1/organizations/{acme}", headers=operator).json["slug"] == "acme"
    named = {"X-Organization-Id": acme}
    assert client.get("/v1/users", headers=boss | named).status_code == 403, "that is another organisation's uid"
    assert client.get("/v1/users", headers=boss | {"X-Organization-Id": globex}).status_code == 200
    listed = client.get("/v1/users", headers=operator | named).json["items"]
    assert "boss@globex.test" not in json.dumps(listed)
