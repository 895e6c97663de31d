"""Protected APIs, edited on their pages."""

import re
from typing import Any

import pytest
from flask import Flask

from idp import access, protected_apis, realms
from tests.console.surfing import Surfer
from tests.factories import Factory, set_api

BASE = "/console/realms/acme"
QUERY = {
    "rules-0-path": "/api/v1/query",
    "rules-0-methods": ["GET", "HEAD"],
    "rules-0-roles": "viewer, researcher",
    "rules-0-project": "vision",
}


def stored(app: Flask) -> tuple[str, list[dict[str, Any]]]:
    with app.app_context():
        api = protected_apis.get_api(realms.get_realm("acme"), "billing")
        return api.audience, api.rules


def create(ann: Surfer, **values: object) -> Surfer:
    wanted = {"name": "billing", "audience": "https://billing.example"} | QUERY | values
    return ann.open(f"{BASE}/new-api").send("Create", wanted)


def shown_rules(ann: Surfer) -> list[tuple[str, bool, str]]:
    """Return the number of each rule, whether it is open, and what its line says besides."""
    found = re.findall(r'<details class="rule"( open)?>\s*<summary><strong>Rule (\d+)</strong>(.*?)</summary>', ann.text)
    return [(number, bool(opened), " ".join(re.sub("<[^>]*>", " ", line).split())) for opened, number, line in found]


def test_each_rule_is_a_line_until_it_is_edited(ann: Surfer, make: Factory) -> None:
    rules = [
        {"methods": ["GET", "HEAD"], "path": "/query", "roles": ["researcher", "viewer"], "project": "vision"},
        {"methods": ["POST"], "path": "/write", "roles": ["editor"], "project": ""},
        {"methods": ["GET"], "path": "/who", "roles": [], "project": ""},
        {"methods": ["GET"], "path": "/docs", "open": True},
    ]
    make.do(lambda realm: set_api(realm, "billing", audience="https://billing.example", rules=rules))
    closed = [
        ("1", False, "GET HEAD /query researcher viewer on vision"),
        ("2", False, "POST /write editor"),
        ("3", False, "GET /who every caller who is identified"),
        ("4", False, "GET /docs open to everybody"),
    ]
    assert shown_rules(ann.open(f"{BASE}/apis/billing")) == [*closed, ("5", True, "new")]
    ann.send("Save", {"rules-1-path": "/write/"})
    assert (ann.status, [opened for _, opened, _ in shown_rules(ann)]) == (400, [False, True, False, False])
    ann.open(f"{BASE}/apis/billing").send("Save", {"audience": ""})
    assert (ann.status, [opened for _, opened, _ in shown_rules(ann)]) == (400, [False] * 4)


def test_a_rule_is_removed_by_its_box(app: Flask, ann: Surfer) -> None:
    create(ann, **{"rules-1-path": "/docs", "rules-1-methods": ["GET"], "rules-1-open": "y"})
    assert ann.open(f"{BASE}/apis/billing").text.count("Remove this rule") == 2
    ann.send("Save", {"rules-0-remove": "y"})
    assert stored(app)[1] == [{"methods": ["GET"], "path": "/docs", "roles": [], "project": "", "open": True}]


def test_an_api_is_created_changed_and_deleted(app: Flask, ann: Surfer) -> None:
    assert "billing" not in ann.open(f"{BASE}/apis").text
    create(ann)
    assert "/gateway/check/acme/billing" in ann.text
    rule = {"methods": ["GET", "HEAD"], "path": "/api/v1/query", "roles": ["researcher", "viewer"], "project": "vision"}
    assert stored(app) == ("https://billing.example", [rule])
    ann.open(f"{BASE}/apis/billing")
    ann.send("Save", {"rules-1-path": "/docs", "rules-1-methods": ["GET"], "rules-1-open": "y", "audience": "https://t.example"})
    opened = {"methods": ["GET"], "path": "/docs", "roles": [], "project": "", "open": True}
    assert stored(app) == ("https://t.example", [rule, opened])
    assert '<td class="number">2</td>' in ann.open(f"{BASE}/apis").text
    ann.open(f"{BASE}/apis/billing").send(
        "Save", {"rules-0-path": "", "rules-0-methods": [], "rules-0-roles": "", "rules-0-project": ""}
    )
    assert stored(app)[1] == [opened]
    ann.open(f"{BASE}/apis/billing/delete").send("Delete", {"typed": "billing"})
    assert (ann.url, "billing" in ann.text) == (f"{BASE}/apis", False)


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({"rules-0-path": "/api/"}, 400, "Rule 1: path must be a plain path"),
        ({"rules-0-path": ""}, 400, "Rule 1: path must be a plain path"),
        ({"rules-0-methods": []}, 400, "Rule 1: methods must be some of"),
        ({"rules-0-roles": "nobody"}, 404, "nobody"),
        ({"rules-0-project": "nowhere"}, 404, "nowhere"),
        ({"rules-0-open": "y"}, 400, "an open rule does not identify the caller"),
        ({"audience": ""}, 400, "not valid"),
        ({"name": "Not A Name"}, 400, "name"),
    ],
)
def test_what_cannot_be_is_refused_and_stays_typed(
    app: Flask, ann: Surfer, values: dict[str, Any], status: int, said: str
) -> None:
    create(ann, **values)
    assert (ann.status, said in ann.text) == (status, True), ann.text
    with app.app_context():
        assert [api.name for api in protected_apis.list_apis(realms.get_realm("acme"))] == ["telemetry"]
    assert 'value="vision"' in ann.text or values.get("rules-0-project") == "nowhere"


def test_there_is_one_of_a_name(ann: Surfer) -> None:
    create(ann)
    create(ann)
    assert (ann.status, "already has a protected API" in ann.text) == (409, True)


def test_another_rule_is_offered_and_nothing_is_stored(app: Flask, ann: Surfer) -> None:
    ann.open(f"{BASE}/new-api").send("Create", {"name": "billing", "more": "1"} | QUERY)
    names = {name for form in ann.read().forms for name, _ in form.values}
    assert {"rules-0-path", "rules-1-path"} <= names
    assert "rules-2-path" not in names
    with app.app_context():
        assert [api.name for api in protected_apis.list_apis(realms.get_realm("acme"))] == ["telemetry"]


def test_two_who_change_it_are_told(app: Flask, ann: Surfer) -> None:
    create(ann)
    ann.open(f"{BASE}/apis/billing")
    other = Surfer(app).sign_in()
    other.open(f"{BASE}/apis/billing").send("Save", {"rules-0-roles": "viewer"})
    ann.send("Save", {"rules-0-roles": "editor"})
    assert (ann.status, "Currently stored" in ann.text) == (409, True)
    assert stored(app)[1][0]["roles"] == ["viewer"]


@pytest.mark.parametrize(("role", "sees"), [("auditor", True), ("researcher", False)])
def test_only_who_may_change_the_realm_changes_it(app: Flask, ann: Surfer, make: Factory, role: str, sees: bool) -> None:
    create(ann)
    before = stored(app)
    make.user("eve@example.test", roles=(role,))
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/apis/billing")
    assert (eve.status == 200, "Save" in eve.text) == (sees, False)
    for url in (f"{BASE}/apis/billing", f"{BASE}/new-api", f"{BASE}/apis/billing/delete"):
        headers = {"Origin": eve.origin, "Sec-Fetch-Site": "same-origin"}
        assert eve.client.post(url, data={"audience": "https://evil.example"}, headers=headers).status_code in {400, 403}
    assert stored(app) == before


def test_a_page_edits_a_hundred_rules_and_shows_more(app: Flask, ann: Surfer, make: Factory) -> None:
    rules = [{"methods": list(protected_apis.METHODS), "path": f"/a{number}", "roles": ["viewer"]} for number in range(101)]
    make.do(lambda realm: set_api(realm, "billing", audience="https://old.example", rules=rules[:100]))
    ann.open(f"{BASE}/apis/billing").send("Save", {"audience": "https://new.example"})
    assert (ann.status, stored(app)[0], len(stored(app)[1])) == (200, "https://new.example", 100)
    ann.open(f"{BASE}/apis/billing").send("Save", {"rules-100-path": "/one-more", "rules-100-methods": ["GET"]})
    assert (ann.status, "at most 100 rules" in ann.text) == (400, True)
    make.do(lambda realm: set_api(realm, "billing", audience="https://old.example", rules=rules))
    text = ann.open(f"{BASE}/apis/billing").text
    assert ("/a100" in text, "use a realm file" in text, ">Save<" in text) == (True, True, False)


def test_refusals_count_rules_as_the_page_shows_them_and_conflicts_name_what_differs(ann: Surfer, make: Factory) -> None:
    empty = {"rules-0-path": "", "rules-0-methods": [], "rules-0-roles": "", "rules-0-project": ""}
    create(
        ann, **empty, **{"rules-1-path": "/good", "rules-1-methods": ["GET"], "rules-3-path": "/bad/", "rules-3-methods": ["GET"]}
    )
    assert ann.status == 400
    assert "Rule 2: path" in ann.text
    assert [number for number, _, _ in shown_rules(ann)] == ["1", "2"]
    create(ann)
    ann.open(f"{BASE}/apis/billing")
    rules = [{"methods": ["GET", "HEAD"], "path": "/api/v1/query", "roles": ["researcher", "viewer"], "project": "vision"}]
    make.do(lambda realm: set_api(realm, "billing", audience="https://other.example", rules=rules))
    ann.send("Save", {"rules-0-roles": "researcher viewer"})
    assert (ann.status, "Currently stored: <code>https://other.example" in ann.text) == (409, True)
    assert "Currently stored: <code>GET" not in ann.text


def test_projects_are_named_to_those_who_may_see_them(app: Flask, ann: Surfer, make: Factory) -> None:
    create(ann)
    make.do(lambda realm: access.create_role(realm, "reader", access.RoleSheet(permissions=["realm:read"])))
    make.user("eve@example.test", roles=("reader",))
    suggested = "/console/realms/acme/suggest?kind=project&q=spee"
    assert 'data-suggest="project"' in ann.open(f"{BASE}/apis/billing").text
    assert ann.open(suggested).page.json == ["speech"]
    eve = Surfer(app).sign_in("eve@example.test")
    assert "speech" not in eve.open(f"{BASE}/apis/billing").text
    assert eve.open(suggested).page.json == []
