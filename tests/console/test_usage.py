"""Charts of use: what an application was issued and refused, and which applications were issued most in the time shown."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from idp import access, applications, clock, realms, runtime, tokens
from idp.applications import DayCount
from idp.db import commit
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, ask_token

BASE = "/console/realms/acme"


def flush(app: Flask) -> None:
    with app.app_context():
        tokens.usage(runtime.current()).flush()


def count(app: Flask, name: str, *, ago: int, issued: int, refused: int = 0) -> None:
    """Count for an application on a day of before."""
    with app.app_context():
        application = applications.get_application(realms.get_realm("acme"), name)
        day = applications.day_of(clock.now()) - timedelta(days=ago)
        applications.count_use({(application.id, day): DayCount(issued, refused)})
        commit()


def legend(text: str) -> list[str]:
    return re.findall(r'<li class="color-[\w-]+">([^<]+)</li>', text)


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of the table that stands for a chart, by the day."""
    found = re.findall(r'<tr><th scope="row">(\d\d-\d\d)</th>((?:<td>[\d,]+</td>)+)</tr>', text)
    return {day: re.findall(r"<td>([\d,]+)</td>", cells) for day, cells in found}


def test_an_application_shows_what_it_was_issued_and_refused_day_by_day(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application("one")
    other = make.application("two")
    client = app.test_client(use_cookies=False)
    for _ in range(3):
        assert ask_token(client, made).status_code == 200
    ask_token(client, Made("one", "idp_cs_wrong", ""))
    ask_token(client, other)
    flush(app)
    count(app, "one", ago=29, issued=1_500)
    count(app, "one", ago=30, issued=7)
    text = ann.open(f"{BASE}/applications/one").text
    assert legend(text) == ["Issued: 1,503", "Refused: 1"]
    table, today = rows(text), clock.now()
    assert (len(table), table[f"{today:%m-%d}"]) == (30, ["3", "1"])
    assert table[f"{today - timedelta(days=29):%m-%d}"] == ["1,500", "0"]
    assert sorted(values for values in table.values() if values != ["0", "0"]) == [["1,500", "0"], ["3", "1"]]
    assert "<title>" in text, "each bar says its value on hover"
    assert legend(ann.open(f"{BASE}/applications/two").text) == ["Issued: 1", "Refused: 0"]
    assert legend(ann.open(f"{BASE}/applications/one?tab=settings").text) == []


@pytest.mark.parametrize(
    ("held", "sees"), [({"roles": ("reader",)}, True), ({"projects": (("vision", "reader"),)}, False)], ids=["realm", "project"]
)
def test_who_may_read_applications_of_a_project_alone_sees_no_use(
    app: Flask, make: Factory, held: dict[str, Any], sees: bool
) -> None:
    make.application("one", projects=("vision",))
    make.do(lambda realm: access.create_role(realm, "reader", access.RoleSheet(permissions=["applications:read"])))
    make.user("eve@example.test", **held)
    eve = Surfer(app).sign_in("eve@example.test")
    text = eve.open(f"{BASE}/applications/one").text
    assert (eve.status, "No token was issued or refused in the last 30 days." in text) == (200, sees)


def test_the_overview_shows_who_was_issued_most_in_the_time_shown(app: Flask, ann: Surfer, make: Factory) -> None:
    for name in ("lately", "before", "long-ago", "never"):
        make.application(name)
    count(app, "lately", ago=0, issued=3)
    count(app, "before", ago=10, issued=1_200)
    count(app, "long-ago", ago=30, issued=9_000)
    count(app, "never", ago=0, issued=0, refused=4)

    def top(url: str) -> list[tuple[str, str]]:
        text = ann.open(url).text.partition('id="top"')[2].partition("</section>")[0]
        return re.findall(r'/applications/([a-z-]+)">[^<]+</a> <span>([\d,]+) ', text)

    assert top(BASE) == [("lately", "3")]
    assert "Counted by UTC day: yesterday and today." in ann.text
    assert top(f"{BASE}?span=month") == [("before", "1,200"), ("lately", "3")]
    assert "Counted by UTC day" not in ann.text
