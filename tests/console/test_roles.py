"""What a role permits, chosen in a table."""

import re

from flask import Flask

from idp import access, realms
from idp.access import PERMISSIONS
from idp.console.roles import RESOURCES, VERBS
from tests.console.surfing import Surfer

BASE = "/console/realms/acme"


def test_every_permission_has_a_box_with_its_name_and_meaning_in_the_row_of_its_resource(ann: Surfer) -> None:
    page = ann.open(f"{BASE}/new-role").text
    assert set(RESOURCES) == {name.partition(":")[0] for name in PERMISSIONS}
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', page, re.DOTALL))
    assert list(rows) == list(RESOURCES.values())
    for name, meaning in PERMISSIONS.items():
        resource, _, verb = name.partition(":")
        cells = rows[RESOURCES[resource]].split("<td>")[1:]
        cell = cells[list(VERBS).index(verb if verb in VERBS else "")]
        label = re.search(rf'value="{name}" id="([^"]+)">\s*<label class="form-check-label" for="([^"]+)">(.*?)</label>', cell)
        assert label, cell
        assert label[1] == label[2]
        assert re.sub("<[^>]*>", "", label[3]).replace("&#39;", "'") == f"{meaning} {name}"


def test_a_role_is_created_and_changed_with_what_was_ticked(app: Flask, ann: Surfer) -> None:
    ann.open(f"{BASE}/new-role").send("Create", {"name": "clerk", "permissions": ["users:read", "keysets:lease"]})
    assert ann.status == 200
    ann.open(f"{BASE}/roles/clerk")
    ticked = [value for name, value in ann.form("Save").values if name == "permissions"]
    assert ticked == ["users:read", "keysets:lease"]
    ann.send("Save", {"permissions": ["audit:read"]})
    with app.app_context():
        assert access.get_role(realms.get_realm("acme"), "clerk").permissions == ["audit:read"]
