"""Nobody gives somebody power because a page had it chosen already."""

import re

import pytest
from flask import Flask

from idp import access, applications, users
from idp.console import components
from tests.console.surfing import Surfer
from tests.console.test_forms import PARTS
from tests.factories import Factory

BASE = "/console/realms/acme"
STORED = {f"{BASE}/settings", f"{BASE}/applications/ci-bot"}
"""Pages whose lists show what is stored."""

POWERLESS = ("credential", "preset", "key_source", "mode")
"""Fields that give nobody anything, whatever is chosen."""

SELECT = re.compile(rf'<select(?![^>]* name="(?:{"|".join(POWERLESS)})")[^>]*>(.*?)</select>', re.DOTALL)
FORM = re.compile(r'<form method="post".*?</form>', re.DOTALL)


def test_no_page_has_something_chosen_beforehand(app: Flask, operator: Surfer, make: Factory) -> None:
    make.application()
    make.user()
    seen = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/console") or not {"GET", "POST"} <= (rule.methods or set()):
            continue
        if rule.rule == components.URL:
            continue  # whose forms do nothing
        url = re.sub(r"<(\w+)>", lambda part: PARTS[part[1]], rule.rule)
        page = operator.open(f"{url}?holder=user:ann@example.test&role=administrator&kind=provider:aws").text
        for options in (options for form in FORM.findall(page) for options in SELECT.findall(form)):
            seen += 1
            assert url in STORED or re.match(r'\s*<option( selected)? value="">', options), url
            assert url in STORED or not re.search(r'selected value="[^"]', options), url
    assert seen >= 6


@pytest.mark.parametrize(
    ("url", "button", "typed", "field"),
    [
        ("access/give", "Assign", {"holder": "user:ann@example.test"}, "role"),
        ("access/give?holder=user:ann@example.test&role=auditor", "Assign", {}, "role"),
        ("new-user", "Create", {"name": "new@example.test"}, "kind"),
        ("new-application", "Create", {"name": "new-bot", "projects-0-project": "vision"}, "projects-0-role"),
        ("new-application", "Create", {"name": "new-bot", "projects-1-role": "viewer"}, "projects-1-project"),
    ],
)
def test_what_was_not_chosen_is_an_error_at_its_field(
    ann: Surfer, make: Factory, url: str, button: str, typed: dict[str, str], field: str
) -> None:
    before = make.do(state)
    ann.open(f"{BASE}/{url}").send(button, typed)
    assert ann.status == 400
    assert re.search(rf'<div class="field-error" id="{field}-error">(Choose one|Name the project)', ann.text), ann.text
    assert re.search(rf'<(select|input)[^>]*aria-invalid="true"[^>]*id="{field}"', ann.text)
    assert make.do(state) == before


def state(realm: object) -> tuple[int, int, int]:
    return len(access.list_grants(realm)), len(users.list_users(realm)), len(applications.list_applications(realm))  # type: ignore[arg-type]
