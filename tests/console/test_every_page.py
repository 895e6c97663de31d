"""What holds for every page: it is there, is small, says what a browser may do, and changes nothing by being looked at."""

import re
from collections import deque
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from idp import clock, federation, personal_tokens, realms, runtime, users
from idp.db import db
from idp.federation import TrustedIssuerSheet
from tests.console.surfing import Surfer
from tests.factories import Factory
from tests.keysets.lending import administrator, borrower, keep, take, token_of

LARGEST = 100_000


@pytest.fixture
def furnished(make: Factory) -> None:
    """A realm in which every kind of thing is there."""
    make.application(projects=("vision",), until=clock.now() + timedelta(days=3), description="builds <b>things</b>")
    make.user("bob@example.test", projects=(("vision", "researcher"),), first_name="Bob")
    make.user("robot", password=False)
    make.key("bob@example.test", hours=100)
    make.key("ci-bot", name="of-application")
    client = make.app.test_client()
    keep(client, administrator(make, client, "keeper@example.test"), projects=["vision"])
    assert take(client, token_of(client, borrower(make)), "prod aws").status_code == 201
    make.do(lambda realm: users.add_member(realm, users.get_group(realm, "modellers"), users.get_user(realm, "bob@example.test")))

    def known_elsewhere(realm: realms.Realm) -> None:
        federation.create_issuer(realm, "login", TrustedIssuerSheet(issuer="https://login.example"))
        federation.link_person(realm, "login", "00u1", "bob@example.test")

    make.do(known_elsewhere)

    def token(realm: realms.Realm) -> None:
        known = realms.known_realm(runtime.current(), realm.name)
        assert known is not None
        owner = users.known_user(known, users.get_user(realm, "bob@example.test").uid)
        assert owner is not None
        personal_tokens.create_personal_token(known, owner)

    make.do(token)


def crawl(surfer: Surfer) -> dict[str, Surfer]:
    """Open every page that can be reached by links, each shape of URL a few times."""
    waiting, seen, shapes = deque(["/console/"]), set(), dict[str, int]()
    pages = {}
    while waiting:
        url = waiting.popleft()
        path = url.partition("?")[0]
        shape = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<uid>", url)
        if url in seen or shapes.get(shape, 0) >= 2 or not path.startswith("/console") or "/assets/" in path:
            continue
        seen.add(url)
        shapes[shape] = shapes.get(shape, 0) + 1
        surfer.open(url)
        pages[url] = surfer.page
        if surfer.page.mimetype == "text/html":
            waiting.extend(link for link in surfer.read().links if link.startswith("/"))
    return pages  # type: ignore[return-value]


def dump() -> dict[str, object]:
    """Return everything that is stored, but for the time when the session was last used."""
    connection = db.session.connection()
    tables = db.Model.metadata.sorted_tables
    rows = {table.name: [tuple(row) for row in connection.execute(table.select())] for table in tables}
    rows["user_session"] = [tuple(row) for row in connection.execute(text("SELECT id, ended_at, expires_at FROM user_session"))]
    # that the trail was read, or a list taken as a file, is the one thing that looking leaves behind
    looked = ("admin:audit:read", "user:list:export")
    rows["audit_event"] = [row for row in rows["audit_event"] if not any(tag in row for tag in looked)]
    db.session.rollback()
    return rows


@pytest.mark.spec("T100", "R17", "R18", "R122")
@pytest.mark.usefixtures("furnished")
def test_every_page_is_there_and_small_and_strict_and_changes_nothing(app: Flask, ann: Surfer) -> None:
    with app.app_context():
        before = dump()
    pages = crawl(ann)
    assert len(pages) > 60, sorted(pages)
    assert "/console/realms/acme/linked-people" in pages
    for url, page in pages.items():
        assert page.status_code == 200, (url, page.text)
        assert len(page.data) < LARGEST, url
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy, url
        assert "unsafe" not in policy, url
        assert page.headers["X-Frame-Options"] == "DENY", url
        assert page.headers["Cache-Control"] == "no-store", url
        assert page.headers["Vary"] == "Cookie, Accept-Language", url
        assert page.headers["Referrer-Policy"] == "same-origin", url
        if page.mimetype == "text/html":
            assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son[a-z]+=|<style", page.text), url
            assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!localhost:8080)', page.text), url
            assert page.text.count("<h1>") == 1, url
    with app.app_context():
        assert dump() == before


@pytest.mark.usefixtures("furnished")
def test_every_page_of_operators_is_there(operator: Surfer) -> None:
    pages = crawl(operator)
    assert {"/console/organisations", "/console/realms/acme/applications/ci-bot"} <= pages.keys()
    assert {page.status_code for page in pages.values()} == {200}


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize("role", ["auditor", "project-administrator", "researcher", "editor"])
def test_pages_that_are_linked_are_pages_that_one_may_see(app: Flask, make: Factory, role: str) -> None:
    make.user("eve@example.test", roles=(role,) if role in {"auditor", "editor"} else (), projects=(("vision", role),))
    surfer = Surfer(app).sign_in("eve@example.test")
    refused = [url for url, page in crawl(surfer).items() if page.status_code != 200]
    assert refused == []
