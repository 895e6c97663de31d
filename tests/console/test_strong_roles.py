"""Forms that give roles tell what they permit, and ask before a strong one is given on the whole organisation."""

import html
import re
from datetime import timedelta

import pytest
from flask import Flask

from idp import access, applications, clock, realms, users
from idp.access import PERMISSIONS
from idp.db import commit
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"
STRONG = "administrator is a strong role."


def add_group(make: Factory, *roles: str, project: str | None = None) -> None:
    """Make a group that holds roles."""

    def add(realm: realms.Realm) -> None:
        holder = users.group_holder(users.create_group(realm, "crew"))
        for role in roles:
            access.grant_role(realm, holder, role, project=project)

    make.do(add)


def boxes(surfer: Surfer) -> list[str]:
    """Return the answers that the page asks for, with whether they are given."""
    return re.findall(r'<input[^>]*name="sure"[^>]*>', surfer.text)


def holds(app: Flask, name: str) -> set[str]:
    """Return the names of the roles that an application or a user holds, and of the groups that a user is in."""
    with app.app_context():
        realm = realms.get_realm("acme")
        user = users.find_user(realm, name)
        if user is None:
            application = applications.find_application(realm, name)
            holder = applications.holder_of(application) if application is not None else None
        else:
            holder = users.holder_of(user)
        held = {grant.role.name for grant in access.list_grants(realm, holder=holder)} if holder is not None else set()
        return held | {group.name for group in users.groups_of(user)} if user is not None else held


FORMS = [
    pytest.param("new-application", "Create", {"name": "bot", "credential": "secret", "roles": "administrator"}, "bot", id="application"),
    pytest.param("new-user", "Create", {"kind": "person", "name": "new@example.test", "role": "administrator"}, "new@example.test", id="user"),
    pytest.param("access/give", "Assign", {"holder": "bob@example.test", "role": "administrator"}, "bob@example.test", id="role"),
    pytest.param("groups/crew", "Add member", {"user": "bob@example.test"}, "bob@example.test", id="group"),
]  # fmt: skip # a table


@pytest.mark.parametrize(("url", "button", "values", "holder"), FORMS)
def test_a_strong_role_is_asked_about_with_what_it_permits_and_given_once_that_is_answered(
    app: Flask, ann: Surfer, make: Factory, url: str, button: str, values: dict[str, str], holder: str
) -> None:
    make.user("bob@example.test", roles=())
    add_group(make, "administrator")
    given = "crew" if url.startswith("groups") else "administrator"
    ann.open(f"{BASE}/{url}")
    assert boxes(ann) == []
    ann.send(button, values)
    assert STRONG in ann.text
    alert = ann.text.partition('id="problem"')[2].partition("</div>")[0]
    for meaning in PERMISSIONS.values():
        assert meaning in html.unescape(alert)
    assert given not in holds(app, holder), "nothing is done before it is answered"
    assert boxes(ann), "there is a box for the answer"
    assert "checked" not in boxes(ann)[0]
    kept = dict(ann.form(button).values)
    assert {name: kept[name].strip() for name in values} == values
    ann.send(button, {"sure": "administrator"})
    assert ann.status == 200
    assert given in holds(app, holder)


@pytest.mark.parametrize(("url", "button", "values", "holder"), FORMS)
def test_a_yes_counts_for_what_was_asked_about_alone(
    app: Flask, ann: Surfer, make: Factory, url: str, button: str, values: dict[str, str], holder: str
) -> None:
    make.user("bob@example.test", roles=())
    make.do(lambda realm: access.create_role(realm, "clerk", access.RoleSheet(permissions=["users:write"])))
    add_group(make, "administrator")
    for answer in ("y", "clerk", "administrator clerk"):
        ann.open(f"{BASE}/{url}").send(button, {**values, "sure": answer})
        assert STRONG in ann.text
        assert "checked" not in boxes(ann)[0]
        assert not holds(app, holder)


def test_several_strong_roles_are_asked_about_together(app: Flask, ann: Surfer, make: Factory) -> None:
    make.do(lambda realm: access.create_role(realm, "clerk", access.RoleSheet(permissions=["users:write"])))
    ann.open(f"{BASE}/new-application").send(
        "Create", {"name": "bot", "credential": "secret", "roles": "clerk\nviewer\nadministrator"}
    )
    assert "clerk is a strong role." in ann.text
    assert STRONG in ann.text
    assert "viewer is a strong role." not in ann.text
    assert "Tick “Yes, assign these roles” if that is what you mean." in ann.text
    assert 'value="administrator clerk"' in boxes(ann)[0]
    ann.send("Create", {"sure": "administrator clerk"})
    assert holds(app, "bot") == {"administrator", "clerk", "viewer"}


def test_what_is_not_strong_is_not_asked_about(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=())
    add_group(make, "auditor")
    ann.open(f"{BASE}/new-user").send("Create", {"kind": "machine", "name": "robot", "role": "auditor"})
    assert holds(app, "robot") == {"auditor"}
    ann.open(f"{BASE}/groups/crew").send("Add member", {"user": "bob@example.test"})
    assert holds(app, "bob@example.test") == {"crew"}
    on_project = {"projects-0-project": "vision", "projects-0-role": "administrator"}
    ann.open(f"{BASE}/new-application").send("Create", {"name": "bot", "credential": "secret", "roles": "viewer", **on_project})
    assert holds(app, "bot") == {"viewer", "administrator"}, "on a project it reaches no further"


def test_a_role_of_a_group_that_is_over_or_on_a_project_is_not_asked_about(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=())
    add_group(make, "administrator", project="vision")
    with app.app_context():
        realm = realms.get_realm("acme")
        holder, over = users.group_holder(users.get_group(realm, "crew")), clock.now() - timedelta(days=1)
        access.grant_role(realm, holder, "administrator", until=over, past_ok=True)
        commit()
    ann.open(f"{BASE}/groups/crew").send("Add member", {"user": "bob@example.test"})
    assert holds(app, "bob@example.test") == {"crew"}


def test_a_strong_role_that_is_over_is_asked_about_before_it_begins_again(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=())
    with app.app_context():
        realm = realms.get_realm("acme")
        bob, over = users.holder_of(users.get_user(realm, "bob@example.test")), clock.now() - timedelta(days=1)
        access.grant_role(realm, bob, "administrator", until=over, past_ok=True)
        commit()
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=administrator").send("Save", {"until": ""})
    assert STRONG in ann.text
    ann.send("Save", {"sure": "administrator"})
    assert "done=saved" in ann.page.request.full_path
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=administrator").send("Save", {"until": "2099-01-02T03:04"})
    assert "done=saved" in ann.page.request.full_path, "what is held is not given again"


def test_who_could_not_give_a_role_is_refused_and_learns_nothing_of_it(app: Flask, make: Factory) -> None:
    make.do(lambda realm: access.create_role(realm, "clerk", access.RoleSheet(permissions=["users:read", "users:write"])))
    make.user("eve@example.test", roles=("clerk",))
    make.user("bob@example.test", roles=())
    add_group(make, "administrator")
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/groups/crew").send("Add member", {"user": "bob@example.test"})
    assert eve.status == 403
    assert STRONG not in eve.text
    eve.open(f"{BASE}/new-user").send("Create", {"kind": "machine", "name": "robot", "role": "administrator"})
    assert eve.status == 403
    assert STRONG not in eve.text
    assert not holds(app, "robot")


@pytest.mark.parametrize(("url", "field"), [("new-application", "roles"), ("new-user", "role"), ("access/give", "role")])
def test_what_a_role_permits_is_there_to_be_shown_as_it_is_chosen(ann: Surfer, url: str, field: str) -> None:
    ann.open(f"{BASE}/{url}")
    told = ann.text.partition(f'<div data-roles-of="{field}">')[2].partition("</div></div>")[0]
    (viewer,) = re.findall(r'<div [^>]*data-role="viewer" hidden>(.*?)</div>', told + "</div>", re.DOTALL)
    assert PERMISSIONS["projects:read"] in viewer
    assert 'data-role="administrator"' in told


def test_a_group_tells_what_its_members_may_do(ann: Surfer, make: Factory) -> None:
    add_group(make, "viewer")
    told = ann.open(f"{BASE}/groups/crew").text.partition("What members of this group may do")[2].partition("</details>")[0]
    assert PERMISSIONS["projects:read"] in told
