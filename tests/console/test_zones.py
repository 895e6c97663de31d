"""Times are shown and typed in the zone of whoever reads them, and mean the same to everybody."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, g

from idp import access, clock, users
from idp.audit import AuditEvent, Tag, event_values
from idp.console import zones
from idp.db import commit, db
from tests.conftest import FrozenClock
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"
COOKIE = "realmgate-zone"
SUMMER, WINTER = datetime(2098, 7, 1, 22, 30, tzinfo=UTC), datetime(2099, 1, 1, 22, 30, tzinfo=UTC)


def grant(make: Factory, until: datetime, name: str = "bob@example.test") -> None:
    make.do(lambda realm: access.grant_role(realm, users.holder_of(users.get_user(realm, name)), "viewer", until=until))


def end_of_grant(make: Factory, name: str = "bob@example.test") -> datetime:
    end: datetime = make.do(lambda realm: access.list_grants(realm, holder=users.holder_of(users.get_user(realm, name)))[0].until)
    return end


@pytest.mark.parametrize(
    ("zone", "until", "shown"),
    [
        (None, SUMMER, "2098-07-01 22:30 UTC"),
        ("UTC", SUMMER, "2098-07-01 22:30 UTC"),
        ("Europe/Berlin", datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "2026-07-02 00:30 CEST"),
        ("Europe/Berlin", datetime(2027, 1, 1, 22, 30, tzinfo=UTC), "2027-01-01 23:30 CET"),
        ("America/New_York", datetime(2027, 1, 1, 2, 30, tzinfo=UTC), "2026-12-31 21:30 EST"),
        ("Asia/Kolkata", WINTER, "2099-01-02 04:00 IST"),
    ],
)
def test_times_are_shown_in_the_zone_of_the_cookie(app: Flask, zone: str | None, until: datetime, shown: str) -> None:
    headers = {"Cookie": f"{COOKIE}={zone}"} if zone else {}
    with app.test_request_context(headers=headers):
        assert zones.shown_time(until) == shown
        assert zones.zone_name() == (zone or "UTC")
        assert zones.is_zone_known() is (zone is not None)


@pytest.mark.parametrize(
    "zone",
    [
        *(
            "",
            "Nowhere/Land",
            "europe berlin",
            "../../../etc/passwd",
            "/etc/localtime",
            "Europe/../Europe/Berlin",
            "posixrules/x",
        ),
        *("Europe", "a" * 400, "<script>", "Europe/Berlin\x00", "é", "Europe/Berlin; x", "tzdata.zi", "zone.tab", "leapseconds"),
    ],
)
def test_wrong_zone_is_utc(app: Flask, zone: str) -> None:
    assert zones.zone_named(zone) is UTC
    with app.test_request_context():
        g.zone = zones.zone_named(zone)
        assert zones.shown_time(SUMMER) == "2098-07-01 22:30 UTC"


@pytest.mark.parametrize("zone", ["../../../etc/passwd", "Nowhere/Land", "<script>alert(1)</script>", "%00", "a" * 3000])
def test_page_with_a_hostile_cookie_is_in_utc(ann: Surfer, zone: str) -> None:
    ann.client.set_cookie(COOKIE, zone)
    ann.open(f"{BASE}/audit")
    assert ann.status == 200
    assert "All times are in UTC." in ann.text
    assert zone not in ann.text


def test_page_and_its_fields_are_in_the_zone(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    grant(make, datetime(2037, 7, 1, 22, 30, tzinfo=UTC))
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=viewer")
    assert "All times are in Europe/Berlin." in ann.text
    assert "(Europe/Berlin)" in ann.text
    form = dict(ann.form("Save").values)
    assert (form["until"], form["zone"]) == ("2037-07-02T00:30", "Europe/Berlin")
    ann.send("Save", {"until": "2037-01-02T00:30"})
    assert end_of_grant(make) == datetime(2037, 1, 1, 23, 30, tzinfo=UTC), "which is winter"


@pytest.mark.parametrize("later", ["UTC", "America/New_York", None])
def test_form_means_what_it_showed_when_the_zone_has_changed_since(ann: Surfer, make: Factory, later: str | None) -> None:
    make.user("bob@example.test")
    grant(make, datetime(2037, 7, 1, 22, 30, tzinfo=UTC))
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=viewer")
    if later is None:
        ann.client.delete_cookie(COOKIE)
    else:
        ann.client.set_cookie(COOKIE, later)
    ann.send("Save", {"until": "2037-07-02T00:45"})
    assert end_of_grant(make) == datetime(2037, 7, 1, 22, 45, tzinfo=UTC)


def test_form_that_is_shown_again_in_another_zone_means_the_same(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test")
    ann.client.set_cookie(COOKIE, "UTC")
    ann.send("Assign", {"role": "viewer", "project": "not-there", "until": "2037-07-02T00:45"})
    assert ann.status == 404
    assert dict(ann.form("Assign").values)["until"] == "2037-07-01T22:45"
    ann.send("Assign", {"project": ""})
    assert end_of_grant(make) == datetime(2037, 7, 1, 22, 45, tzinfo=UTC)


def test_time_that_cannot_be_read_is_shown_as_it_was_typed(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test")
    ann.client.set_cookie(COOKIE, "UTC")
    ann.send("Assign", {"role": "viewer", "until": "tomorrow"})
    assert ann.status == 400
    assert dict(ann.form("Assign").values)["until"] == "tomorrow"


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Nowhere/Land", "<b>", ""])
def test_form_of_a_wrong_zone_is_read_in_utc(ann: Surfer, make: Factory, zone: str) -> None:
    make.user("bob@example.test")
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test")
    ann.send("Assign", {"role": "viewer", "until": "2037-07-02T00:45", "zone": zone})
    assert end_of_grant(make) == datetime(2037, 7, 2, 0, 45, tzinfo=UTC)


def add_event(app: Flask, at: datetime) -> None:
    with app.app_context():
        db.session.add(AuditEvent(**event_values(at, "acme", Tag.TOKEN_ISSUE, "application:at-the-time", "t", "x", "success")))
        commit()


@pytest.mark.parametrize("cookie", ["Europe/Berlin", "UTC", "America/New_York"])
def test_range_of_the_trail_means_the_same_to_whoever_is_sent_its_url(app: Flask, ann: Surfer, cookie: str) -> None:
    add_event(app, datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    ann.client.set_cookie(COOKIE, cookie)
    found = f"{BASE}/audit?actor=application:at-the-time&zone=Europe/Berlin&since=2026-07-02T00:15&until=2026-07-02T00:45"
    ann.open(found)
    assert ann.text.count('<details class="event">') == 1
    assert ann.open(found.replace("Europe/Berlin", "UTC")).text.count('<details class="event">') == 0
    assert ann.open(found.replace("zone=Europe/Berlin&", "")).text.count('<details class="event">') == 0, "which is UTC"


def test_trail_shows_the_range_of_a_url_in_the_zone_of_the_reader(app: Flask, ann: Surfer) -> None:
    add_event(app, datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    ann.client.set_cookie(COOKIE, "America/New_York")
    ann.open(f"{BASE}/audit?zone=Europe/Berlin&since=2026-07-02T00:15&until=2026-07-02T00:45")
    form = dict(ann.form("Search").values)
    assert (form["since"], form["until"], form["zone"]) == ("2026-07-01T18:15", "2026-07-01T18:45", "America/New_York")
    export = next(link for link in ann.read().links if "audit.jsonl" in link)
    assert ann.open(export).text.count("\n") == 1
    assert '"at": "2026-07-01T22:30:00+00:00"' in ann.text, "a file has UTC"


@pytest.mark.parametrize(
    ("name", "title", "span"),
    [
        ("hour", "Last hour", timedelta(hours=1)),
        ("day", "Last 24 hours", timedelta(days=1)),
        ("week", "Last 7 days", timedelta(days=7)),
        ("month", "Last 30 days", timedelta(days=30)),
    ],
)
def test_range_of_the_trail_is_as_long_as_it_says_whenever_it_is_opened(
    app: Flask, ann: Surfer, frozen_clock: FrozenClock, name: str, title: str, span: timedelta
) -> None:
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    page = ann.open(f"{BASE}/audit?zone=UTC&since=2026-07-02T00:15&actor=application:at-the-time").text
    found = re.search(rf'href="([^"]*)">{title}</a>', page)
    assert found is not None
    link = found[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(link).query) == {"actor": ["application:at-the-time"], "range": [name]}
    frozen_clock.advance(minutes=9)
    now: datetime = frozen_clock.now()
    for seconds in (-1, 1):
        add_event(app, now - span + timedelta(seconds=seconds))
    ann.open(link)
    assert ann.text.count('<details class="event">') == 1, "what is a second older is not of it"
    assert re.search(rf'aria-current="true"[^>]*>{title}</a>', ann.text)
    since = datetime.fromisoformat(dict(ann.form("Search").values)["since"]).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert timedelta() <= now - span - since < timedelta(minutes=1), "the field has minutes"
    export = next(each for each in ann.read().links if "audit.jsonl" in each)
    assert ann.open(export).text.count("\n") == 1


def test_zone_is_chosen_and_told_by_the_browser_again(ann: Surfer) -> None:
    ann.client.set_cookie(COOKIE, "Europe/Berlin")
    ann.open(f"{BASE}/audit?outcome=refused")
    assert "data-zone-cookie" not in ann.text
    ann.send("UTC", {"zone": "UTC"})
    assert ann.page.request.full_path == f"{BASE}/audit?outcome=refused"
    assert "All times are in UTC." in ann.text
    assert "data-zone-cookie" not in ann.text, "it is chosen"
    ann.send("Local time", {"zone": ""})
    assert f'data-zone-cookie="{COOKIE}"' in ann.text, "a script has the browser tell it"
    ann.send("UTC", {"zone": "Nowhere/Land"})
    assert ann.client.get_cookie(COOKIE) is None


def test_length_of_a_day_on_which_clocks_are_set_is_the_zones(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": f"{COOKIE}=Europe/Berlin"}):
        before, after = datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        assert [zones.shown_time(each) for each in (before, after)] == ["2026-03-29 01:30 CET", "2026-03-29 03:30 CEST"]
        assert clock.now().tzinfo is UTC, "what is kept is in UTC"
