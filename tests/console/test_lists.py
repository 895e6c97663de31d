"""Lists: searched, narrowed, put in order, paged both ways, and acted on, in one way for all of them."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from idp import applications, clock, users
from idp.db import commit, db
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"


def names(surfer: Surfer) -> list[str]:
    """Return what the first column of the list says, row by row."""
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r'<th scope="row">(.*?)</th>', surfer.text, re.DOTALL)]


def position(surfer: Surfer) -> tuple[int, ...]:
    """Return the numbers of the first row and of the last one, and how many there are."""
    (found,) = re.findall(r"<span>([\d,]+)\u2013([\d,]+) of ([\d,]+)</span>", surfer.text)
    return tuple(int(number.replace(",", "")) for number in found)


def link(surfer: Surfer, rel: str) -> str:
    (url,) = re.findall(rf'rel="{rel}" href="([^"]+)"', surfer.text)
    return str(url).replace("&amp;", "&")


@pytest.fixture
def many(make: Factory) -> list[str]:
    made = [f"bot-{number:03}" for number in range(130)]

    def fill(realm: object) -> None:
        for name in made:
            applications.create_application(realm, name, applications.ApplicationSheet())  # type: ignore[arg-type]

    make.do(fill)
    return made


@pytest.mark.usefixtures("many")
def test_pages_go_forwards_and_back_and_say_where_they_are(ann: Surfer) -> None:
    ann.open(f"{BASE}/applications?search=bot-")
    assert position(ann) == (1, 50, 130)
    first = names(ann)
    ann.open(link(ann, "next"))
    assert position(ann) == (51, 100, 130)
    second = names(ann)
    ann.open(link(ann, "next"))
    assert position(ann) == (101, 130, 130)
    assert 'rel="next"' not in ann.text
    third = names(ann)
    assert [*first, *second, *third] == [f"bot-{number:03}" for number in range(130)]
    ann.open(link(ann, "prev"))
    assert (position(ann) == (51, 100, 130), names(ann)) == (True, second)
    ann.open(link(ann, "prev"))
    assert (position(ann) == (1, 50, 130), names(ann)) == (True, first)
    assert 'rel="prev"' not in ann.text


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("size", [25, 50])
def test_the_order_and_the_size_are_those_of_the_url_on_each_page(ann: Surfer, size: int) -> None:
    ann.open(f"{BASE}/applications?search=bot-&sort=-name&size={size}")
    assert names(ann)[0] == "bot-129"
    assert len(names(ann)) == size
    ann.open(link(ann, "next"))
    assert names(ann)[0] == f"bot-{129 - size:03}"
    assert 'aria-sort="descending"' in ann.text


def test_what_was_never_used_comes_last_by_last_use_whichever_way_one_pages(app: Flask, ann: Surfer, make: Factory) -> None:
    for number in range(60):
        make.application(f"bot-{number:02}", roles=())
    with app.app_context():
        for number in range(0, 60, 3):
            row = db.session.scalars(db.select(applications.Application).filter_by(name=f"bot-{number:02}")).one()
            row.last_used_at = clock.now() - timedelta(minutes=number)
        commit()
    shown = []
    ann.open(f"{BASE}/applications?search=bot-&sort=-used&size=25")
    shown += names(ann)
    for _ in range(2):
        ann.open(link(ann, "next"))
        shown += names(ann)
    assert shown[:20] == [f"bot-{number:02}" for number in range(0, 60, 3)]
    assert sorted(shown) == [f"bot-{number:02}" for number in range(60)]
    ann.open(link(ann, "prev"))
    assert names(ann) == shown[25:50]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "place",
    [
        "x",
        "WzFd",
        "WyJhIiwiYiJd",
        "WyJhIixudWxsXQ",
        "bnVsbA",
        "W10",
        "W3sidGltZSI6IngifSwxXQ",
        "WyJhIiwxLDJd",
        "WzEsMTAwMDAwMDAwMDAwMDAwMDAwMDAwXQ",
        "%00",
    ],
)
def test_a_place_that_no_list_gave_out_is_refused(ann: Surfer, place: str) -> None:
    ann.open(f"{BASE}/applications?after={place}")
    assert ann.status == 400
    assert "This list has no such page" in ann.text


def test_what_makes_no_sense_in_the_url_is_left_out(ann: Surfer, make: Factory) -> None:
    make.application()
    ann.open(f"{BASE}/applications?sort=secret_hash&size=100000&state=none&columns=x&from=-1&role=nobody")
    assert ann.status == 200
    assert "ci-bot" in names(ann)
    assert 'aria-sort="ascending"' in ann.text, "by name, as if nothing had been asked for"
    assert "secret_hash" not in re.sub(r'(href|value|formaction)="[^"]*"', "", ann.text)


def test_lists_are_narrowed_and_told_so(ann: Surfer, make: Factory) -> None:
    make.application("reader", roles=("viewer",))
    make.application("worker", roles=(), projects=("vision",))
    make.change(
        lambda realm, row: applications.update_application(
            realm, row, applications.ApplicationSheet.of(row).changed({"enabled": False})
        ),
        "worker",
    )
    assert names(ann.open(f"{BASE}/applications?role=viewer&search=er")) == ["reader"]
    assert names(ann.open(f"{BASE}/applications?state=disabled")) == ["worker"]
    assert names(ann.open(f"{BASE}/applications?project=vision&search=worker")) == ["worker"]
    ann.open(f"{BASE}/applications?search=<b>nothing</b>")
    assert "Nothing in this list matches “&lt;b&gt;nothing&lt;/b&gt;”" in ann.text
    assert f'href="{BASE}/applications">Show all' in ann.text


def test_columns_are_chosen(ann: Surfer, make: Factory) -> None:
    made = make.application()
    assert made.uid not in ann.open(f"{BASE}/applications").text
    ann.open(f"{BASE}/applications?columns=name&columns=id")
    assert made.uid in ann.text
    assert "Last used</a>" not in ann.text


def test_several_are_disabled_at_once_after_a_question(app: Flask, ann: Surfer, make: Factory) -> None:
    for name in ("one", "two", "three"):
        make.application(name, roles=())
    ann.open(f"{BASE}/applications").send("Disable", {"act": "disable", "picked": ["one", "two"]})
    assert "Disable 2 applications" in ann.text
    assert "Can be undone" in ann.text
    with app.app_context():
        assert all(row.enabled for row in db.session.scalars(db.select(applications.Application)))
        db.session.rollback()
    ann.send("Disable")
    assert "Done: 2 disabled" in ann.text
    with app.app_context():
        rows = {row.name: row.enabled for row in db.session.scalars(db.select(applications.Application))}
        db.session.rollback()
    assert (rows["one"], rows["two"], rows["three"]) == (False, False, True)


def test_of_several_what_is_refused_is_told_and_the_rest_is_done(ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    ann.open(f"{BASE}/applications").send("Delete", {"act": "delete", "picked": ["one", "gone"]}).send("Delete")
    assert "1 deleted, 1 not" in ann.text
    assert "no application" in ann.text
    assert "one" not in names(ann.open(f"{BASE}/applications"))


def test_who_loses_their_rights_by_the_first_act_does_no_second_one(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    ann.open(f"{BASE}/users").send("Disable", {"act": "disable", "picked": ["ann@example.test", "bob@example.test"]})
    ann.send("Disable")
    enabled = make.do(lambda realm: {row.name: row.enabled for row in users.list_users(realm)})
    assert (enabled["ann@example.test"], enabled["bob@example.test"]) == (False, True)


def test_nothing_is_done_to_several_without_a_choice_or_by_another_name(ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    ann.open(f"{BASE}/applications").send("Delete", {"act": "delete"})
    assert "Nothing was selected" in ann.text
    ann.open(f"{BASE}/applications").send("Delete", {"act": "explode", "picked": ["one"]})
    assert ann.status == 400
    ann.open(f"{BASE}/applications").send("Delete", {"act": "delete", "picked": [f"bot-{number}" for number in range(201)]})
    assert ann.status == 400


def test_who_may_only_look_is_offered_no_act_and_cannot_do_one(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    make.user("eve@example.test", roles=("auditor",))
    eve = Surfer(app).sign_in("eve@example.test")
    assert 'name="picked"' not in eve.open(f"{BASE}/applications").text
    form = dict(eve.form("Sign out").values)
    answer = eve.client.post(
        f"{BASE}/several-applications",
        data={"form": form["form"], "act": "delete", "picked": "one", "confirmed": "yes"},
        headers={"Origin": eve.origin, "Sec-Fetch-Site": "same-origin"},
    )
    assert "0 deleted, 1 not" in answer.text
    assert "one" in names(ann.open(f"{BASE}/applications"))


@pytest.mark.parametrize(
    "path", ["users", "groups", "roles", "projects", "access", "api-keys", "keysets", "leases", "sessions", "personal-tokens"]
)
def test_every_list_is_of_the_same_make(ann: Surfer, make: Factory, path: str) -> None:
    make.key("ann@example.test")
    ann.open(f"{BASE}/{path}?search=zzz-nothing")
    assert ann.status == 200
    assert "Nothing found" in ann.text
    assert 'name="search"' in ann.text
    assert ">Columns</summary>" in ann.text


@pytest.mark.parametrize(
    ("path", "title"),
    [("api-keys", "Last used"), ("sessions", "Last used"), ("access", "Since"), ("applications", "Name"), ("users", "Name")],
)
def test_a_list_says_what_its_order_is(ann: Surfer, make: Factory, path: str, title: str) -> None:
    make.key("ann@example.test", hours=10)
    make.application("some-bot")
    ann.open(f"{BASE}/{path}")
    (sorted_by,) = re.findall(r'aria-sort="\w+">(.*?)</th>', ann.text, re.DOTALL)
    assert re.sub(r"<[^>]+>", "", sorted_by).strip() == title
