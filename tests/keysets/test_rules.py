"""Who may what: every permission, on the realm or on one project, against keysets for every choice of projects."""

import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, applications, keysets
from idp.db import db
from tests.factories import Factory, Made
from tests.keysets.lending import administrator, keep, take, token_of, wish

PLACES = ("", "vision", "speech")
PERMISSIONS = ("keysets:read", "keysets:write", "keysets:lease")
FOR: dict[str, tuple[str, ...]] = {
    "whole": (),
    "of vision": ("vision",),
    "of speech": ("speech",),
    "of both": ("vision", "speech"),
}


def counts_for_some(place: str, projects: tuple[str, ...]) -> bool:
    """Tell whether a role there counts for a keyset: one on the realm for all, one on a project for those of that project."""
    return not place or place in projects


def counts_for_all(place: str, projects: tuple[str, ...]) -> bool:
    """Tell whether a role there counts for all that a keyset is for."""
    return not place or projects == (place,)


@pytest.fixture
def sets(make: Factory, client: FlaskClient) -> dict[str, tuple[str, int]]:
    """The uid and the number of a keyset for each choice of projects."""
    root = administrator(make, client)
    uids = {name: keep(client, root, name=name, projects=list(projects)) for name, projects in FOR.items()}
    return {name: (uid, make.do(lambda realm, uid=uid: keysets.find_keysets(realm, uid)[0].id)) for name, uid in uids.items()}


def actor(make: Factory, client: FlaskClient, permission: str, place: str) -> dict[str, str]:
    """Make an application that holds one permission in one place, and return the header of its token."""
    name = f"{permission.partition(':')[2]}-{place or 'realm'}"
    made: Made = make.application(name, roles=())

    def grant(realm: Any) -> None:
        access.create_role(realm, f"only-{name}", access.RoleSheet(permissions=[permission]))
        holder = applications.holder_of(applications.get_application(realm, name))
        access.grant_role(realm, holder, f"only-{name}", project=place or None)

    make.do(grant)
    return token_of(client, made)


@pytest.mark.spec("T73", "T108")
@pytest.mark.parametrize(("permission", "place"), list(itertools.product(PERMISSIONS, PLACES)))
def test_each_permission_in_each_place(
    client: FlaskClient, make: Factory, sets: dict[str, tuple[str, int]], permission: str, place: str
) -> None:
    header = actor(make, client, permission, place)
    org = f"/orgs/{make.do(lambda realm: realm.id)}/keysets"
    sees = {name: permission != "keysets:write" and counts_for_some(place, projects) for name, projects in FOR.items()}
    for name, (uid, number) in sets.items():
        shown = 200 if sees[name] else 404
        # to write takes seeing, which write alone does not give
        written = 403 if sees[name] else 404
        lent = permission == "keysets:lease" and sees[name]
        assert client.get(f"/v1/keysets/{uid}", headers=header).status_code == shown, name
        assert client.get(f"/v1/keysets/{uid}/versions", headers=header).status_code == shown, name
        assert client.get(f"{org}/{number}", headers=header).status_code == shown, name
        assert client.patch(f"/v1/keysets/{uid}", json={"metadata": {"name": "x"}}, headers=header).status_code == written
        assert client.patch(f"{org}/{number}", json={"name": "x"}, headers=header).status_code == written
        assert client.delete(f"/v1/keysets/{uid}", headers=header).status_code == written
        assert client.delete(f"{org}/{number}", headers=header).status_code == written
        taken = take(client, header, uid).status_code
        assert taken == (201 if lent else 404 if permission == "keysets:lease" else 403), name
    listed = client.get("/v1/keysets", headers=header)
    found = {item["metadata"]["name"] for item in listed.json.get("items", [])}
    assert found == {name for name, seen in sees.items() if seen}
    numbers = client.get(org, headers=header)
    if numbers.status_code == 200:
        assert {each["name"] for each in numbers.json} == found
    else:
        assert (listed.status_code, numbers.status_code) == (403, 403)


@pytest.mark.spec("T73", "T108")
@pytest.mark.parametrize("place", PLACES)
def test_writing_takes_the_permission_for_all_that_a_keyset_is_for(
    client: FlaskClient, make: Factory, sets: dict[str, tuple[str, int]], place: str
) -> None:
    def keeper(realm: Any) -> None:
        access.create_role(realm, "keeper", access.RoleSheet(permissions=["keysets:read", "keysets:write"]))
        holder = applications.holder_of(applications.get_application(realm, "keeper"))
        access.grant_role(realm, holder, "keeper", project=place or None)

    made = make.application("keeper", roles=())
    make.do(keeper)
    header, org = token_of(client, made), f"/orgs/{make.do(lambda realm: realm.id)}/keysets"
    for name, (uid, number) in sets.items():
        allowed, seen = counts_for_all(place, FOR[name]), counts_for_some(place, FOR[name])
        for target, projects in FOR.items():
            answer = client.patch(f"/v1/keysets/{uid}", json={"spec": {"projects": list(projects)}}, headers=header)
            may = allowed and counts_for_all(place, projects)
            # a project for which the caller may decide nothing is not there
            hidden = allowed and not may and projects
            assert answer.status_code == (204 if may else 404 if hidden or not seen else 403), (name, target)
        back = client.patch(f"/v1/keysets/{uid}", json={"spec": {"projects": list(FOR[name])}}, headers=header)
        assert back.status_code == (204 if allowed else 403 if seen else 404), name
        made_new = client.post("/v1/keysets", json=wish(f"new {name}", projects=list(FOR[name])), headers=header)
        assert made_new.status_code == (201 if allowed else 404 if FOR[name] else 403), name
        # the contract knows owners and administrators of the whole organisation only
        contract = client.patch(f"{org}/{number}", json={"name": f"renamed {name}"}, headers=header)
        assert contract.status_code == (200 if not place else 403 if seen else 404), name
    assert make.do(lambda _: db.session.query(keysets.Lease).count()) == 0
