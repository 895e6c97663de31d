"""Pages cost what they show, however much there is: found by an index, counted up to a bound, drawn once. No clock is asked."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from idp import access, apikeys, applications, clock, realms, runtime, text_search, users
from idp.app import close_app, create_app
from idp.console import kept_numbers, lists
from idp.db import db
from idp.settings import Settings
from tests import seed
from tests.bench.pages import Console
from tests.conftest import copy_template
from tests.console.surfing import Surfer
from tests.factories import Factory, set_application
from tests.serving import PROJECT, wait_until

BASE = "/console/realms/acme"
LARGEST = 100_000

FEW = seed.Sizes(applications=30, users=30, keys=30, events=200, groups=30, projects=30, roles=10, keysets=30, apis=12)
MANY = seed.Sizes(applications=200, users=200, keys=200, events=2_000, groups=120, projects=120, roles=20, keysets=60, apis=12)


def filled(template: Path, folder: Path, sizes: seed.Sizes) -> Iterator[Console]:
    copy_template(template, folder)
    app = create_app(Settings.load(data_dir=folder, realms_dir=PROJECT / "realms", public_url="http://localhost:8080"))
    with app.app_context():
        realm = realms.get_realm("acme")
        seed.add_administrators(realm)
        seed.fill(realm, sizes)
    yield Console(app)
    close_app(app)


@pytest.fixture(scope="module")
def few(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    yield from filled(template, tmp_path_factory.mktemp("few") / "data", FEW)


@pytest.fixture(scope="module")
def many(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    yield from filled(template, tmp_path_factory.mktemp("many") / "data", MANY)


def test_no_page_of_a_busy_organisation_is_larger_than_100_kilobytes(many: Console) -> None:
    sizes = {url: len(many.get(url)) for url in dict.fromkeys(many.urls())}
    assert len(sizes) > 300
    assert {url: size for url, size in sizes.items() if size > LARGEST} == {}


LISTS = (
    "applications", "users", "groups", "roles", "projects", "access", "api-keys", "keysets", "leases", "sessions",
    "personal-tokens", "registration-tokens", "apis", "audit", "signing-keys", "linked-people",
)  # fmt: skip # a list of words


@pytest.mark.parametrize("path", ["", *(f"/{each}" for each in LISTS), "/find?q=a&part=1", "/suggest?kind=holder&q=a"])
def test_a_page_asks_the_database_as_often_in_a_large_organisation_as_in_a_small_one(
    few: Console, many: Console, path: str
) -> None:
    counts = []
    for console in (few, many):
        console.get(BASE + path)  # what a worker learns once
        console.statements = 0
        console.get(BASE + path)
        counts.append(console.statements)
    assert 0 < counts[1] <= counts[0] + 1, counts  # one that counts the rest of a list that does not fit into a page


@pytest.mark.parametrize("kind", ["groups", "projects", "roles", "users"])
def test_a_page_of_one_thing_does_not_grow_with_all_that_belongs_to_it(few: Console, many: Console, kind: str) -> None:
    counts = []
    for console in (few, many):
        (url,) = {
            f"{BASE}/{kind}/{each}"
            for each in console.things[next(k for k in console.things if k.startswith(f"{BASE}/{kind}/"))][:1]
        }
        console.get(url)
        console.statements = 0
        console.get(url)
        counts.append(console.statements)
    assert abs(counts[1] - counts[0]) <= 2, counts


def plan_of(act: Any) -> str:
    """Return how SQLite finds what is asked for meanwhile."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    connection = db.session.connection()
    plans = [
        connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        for statement, values in asked
        if "SELECT" in statement
    ]
    return "\n".join(row[3] for plan in plans for row in plan)


@pytest.fixture
def some(app: Flask, make: Factory) -> None:
    def fill(realm: realms.Realm) -> None:
        for number in range(60):
            sheet = applications.ApplicationSheet(description=f"Sorts the invoices of branch {number:03}")
            row = applications.create_application(realm, f"bot-{number:03}", sheet)
            until = clock.now() + timedelta(days=number + 1) if number % 10 == 0 else None
            access.grant_role(realm, applications.holder_of(row), "viewer", until=until)

    make.do(fill)
    with app.app_context():
        db.session.execute(text("ANALYZE"))
        db.session.commit()


def test_a_key_is_found_by_its_beginning_by_the_index(app: Flask, make: Factory) -> None:
    make.user("ann@example.test")
    key = make.key("ann@example.test")
    make.key("ann@example.test", name="next", description=f"Replaces {key.public_part}")
    with app.app_context():
        realm = realms.get_realm("acme")

        def names(text: str) -> list[str]:
            listing = apikeys.key_listing(realm, containing=text)
            return [row.name for row in listing.take("name", descending=False, after=None, limit=51)]

        assert names(key.public_part[:-1]) == ["ci", "next"]
        plan = plan_of(lambda: names(key.public_part))
        assert names(key.public_part) == ["ci"]
        assert plan.count("(public_part=?)") == 2, plan


def test_who_holds_a_role_is_asked_by_its_number(realm: realms.Realm) -> None:
    with_role = applications.application_listing(realm, role="viewer").query
    assert "role.name" not in str(with_role)
    assert applications.application_listing(realm, role="no-such-role").count() == 0


@pytest.mark.usefixtures("some")
def test_a_search_finds_applications_by_the_index(realm: realms.Realm) -> None:
    def find() -> None:
        listing = applications.application_listing(realm, containing="BRANCH 017")
        assert [row.name for row in listing.take("name", descending=False, after=None, limit=51)] == ["bot-017"]

    plan = plan_of(find)
    assert "SCAN application_text VIRTUAL TABLE INDEX" in plan
    assert "SEARCH application USING INTEGER PRIMARY KEY" in plan
    assert "SCAN application\n" not in f"{plan}\n"


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("filters", "order", "index"),
    [
        ({}, "holder", "ix_access_grant_realm_id_holder_name (realm_id=?)"),
        ({"state": "ended"}, "", "ix_access_grant_realm_id_until (realm_id=? AND until<?)"),
    ],
)
def test_the_access_review_finds_grants_by_an_index(realm: realms.Realm, filters: dict[str, str], order: str, index: str) -> None:
    plan = plan_of(lambda: access.grant_listing(realm, **filters).take(order, descending=False, after=None, limit=51))
    assert index in plan
    assert order == "" or "TEMP B-TREE" not in plan, "in the order of the index, and not sorted"


@pytest.mark.usefixtures("some")
def test_the_page_of_a_project_shows_some_of_those_who_work_in_it_and_how_many_there_are(ann: Surfer, make: Factory) -> None:
    def grant(realm: realms.Realm) -> None:
        for row in applications.list_applications(realm, containing="bot-"):
            access.grant_role(realm, applications.holder_of(row), "viewer", project="speech")

    make.do(grant)
    page, everywhere = ann.open(f"{BASE}/projects/speech").text.split("Who has access through the whole organisation", 1)
    assert len(re.findall(r">bot-\d+</a>", page)) < 30
    assert re.search(r"6\d in total", page)
    assert len(re.findall(r">bot-\d+</a>", everywhere)) <= 50


@pytest.mark.usefixtures("some")
def test_the_members_of_a_large_group_are_a_list_in_pages(ann: Surfer, make: Factory) -> None:
    for number in range(60):
        make.user(f"p{number:02}@example.test", password=False)

    def fill(realm: realms.Realm) -> None:
        group = users.get_group(realm, "modellers")
        for number in range(60):
            users.add_member(realm, group, users.get_user(realm, f"p{number:02}@example.test"))

    make.do(fill)
    page = ann.open(f"{BASE}/groups/modellers").text
    assert (page.count("p10@"), page.count("p59@")) != (0, 0)
    assert len(set(re.findall(r"p\d\d@", page))) < 60
    found = ann.open(f"{BASE}/groups/modellers?search=p59").text
    assert set(re.findall(r"p\d\d@", found)) == {"p59@"}
    ann.send("Remove")
    assert "p59@" not in ann.open(f"{BASE}/groups/modellers?search=p59@").text.partition("<main")[2].replace("p59@”", "").replace(
        'value="p59@"', ""
    )


@pytest.mark.usefixtures("some")
def test_what_is_searched_follows_what_is_changed(make: Factory) -> None:
    def found(wanted: str) -> list[str]:
        def look(realm: realms.Realm) -> list[str]:
            listing = applications.application_listing(realm, containing=wanted)
            return [row.name for row in listing.take("name", descending=False, after=None, limit=9)]

        names: list[str] = make.do(look)
        return names

    assert found("branch 005") == found("bot-005") == ["bot-005"]
    make.change(lambda owner, row: set_application(owner, row, description='Something "else" \u2011 entirely'), "bot-005")
    assert found("branch 005") == []
    assert found('"ELSE"') == found("\u2011 entirely") == ["bot-005"]
    make.change(applications.delete_application, "bot-005")
    assert found('"else"') == found("bot-005") == []


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("branch", 60),
        ("BOT-0", 60),
        ("-01", 10),
        ("17", 1),
        ("%", 0),
        ("_", 0),
        ("h 0%", 0),
        ("/", 0),
        ("\n\x00x", 0),
        ("nch 059", 1),
        ('" OR "', 0),
    ],
)
def test_the_index_finds_what_looking_through_everything_finds(
    realm: realms.Realm, monkeypatch: pytest.MonkeyPatch, wanted: str, count: int
) -> None:
    assert applications.application_listing(realm, containing=wanted).count() == count
    monkeypatch.setattr(text_search, "FEW", dict.fromkeys(text_search.FEW, 5))  # more than a few: looked for one after the other
    assert applications.application_listing(realm, containing=wanted).count() == count
    runtime.current().extensions["text search"] = {"application_text": False}  # as where SQLite was built without FTS5
    assert applications.application_listing(realm, containing=wanted).count() == count


@pytest.fixture
def people(make: Factory) -> None:
    for number in range(38):
        make.user(f"p{number:02}@people.test", password=False)
    make.user("x38@people.test", first_name="Ada", last_name="Lovelace", password=False)
    make.user("x39@people.test", first_name="Übermut", password=False)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("wanted", "count"),
    [("p1", 10), ("PEOPLE.TEST", 40), ("loveLACE", 1), ("ada", 1), ("p07@", 1), ("@p", 40), ("a\nL", 0), ("Ü", 1), ("Über", 1)],
)
def test_users_are_found_by_an_index_as_by_looking_through_all(
    realm: realms.Realm, monkeypatch: pytest.MonkeyPatch, wanted: str, count: int
) -> None:
    def found() -> int:
        return users.user_listing(realm, containing=wanted).count()

    assert found() == count
    has_index = len(wanted) >= 3 and wanted.isascii() and wanted.isprintable()
    assert ("user_account_text VIRTUAL TABLE INDEX" in plan_of(found)) == has_index
    monkeypatch.setattr(text_search, "FEW", dict.fromkeys(text_search.FEW, 5))
    assert found() == count
    runtime.current().extensions["text search"] = {"user_account_text": False}
    assert found() == count


@pytest.mark.usefixtures("some")
def test_a_long_list_is_counted_up_to_a_bound(ann: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1\u201350 of 60<" in ann.open(f"{BASE}/applications?search=bot-").text
    monkeypatch.setattr(lists, "MOST_COUNTED", 55)
    assert "1\u201350 of 55+<" in ann.open(f"{BASE}/applications?search=bot-").text
    assert "51\u201360 of 60<" in ann.open(re.findall(r'rel="next" href="([^"]+)"', ann.text)[0].replace("&amp;", "&")).text


@pytest.mark.usefixtures("some")
def test_a_large_organisation_is_counted_beside_the_page(app: Flask, ann: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Being counted" not in ann.open(BASE).text
    monkeypatch.setattr(kept_numbers, "LARGE", 10)
    with app.app_context():
        runtime.current().extensions.pop("console numbers")
    assert ann.open(BASE).text.count("Being counted") == 3
    with app.app_context():
        kept = runtime.current().extensions["console numbers"]
    wait_until(lambda: kept, "counting")
    assert "Being counted" not in ann.open(BASE).text
    assert re.search(r"<span>Applications</span><strong>6\d</strong>", ann.text)


def test_a_page_has_each_drawing_once(ann: Surfer, make: Factory) -> None:
    for number in range(3):
        make.application(f"bot-{number}")
    page = ann.open(f"{BASE}/access").text
    drawn = Counter(re.findall(r'<g id="(icon-[\w-]+)">', page))
    used = Counter(re.findall(r'<use href="#(icon-[\w-]+)"/>', page))
    assert set(drawn.values()) == {1}
    assert max(used.values()) >= 3
    assert used.keys() <= drawn.keys()
