"""The overview: each number leads to a list of just what it counts, and what expires comes in the order of its end."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from idp import access, apikeys, applications, audit, clock, realms, runtime, users
from idp.db import commit
from idp.posture import OF_APPLICATIONS, OF_KEYS, Question
from tests import seed
from tests.console.surfing import Surfer
from tests.console.test_speed import BASE, FEW
from tests.console.test_usage import flush
from tests.factories import Factory, ask_token, set_user


def nothing(_app: Flask, _make: Factory) -> None:
    """An organisation with nothing but its administrator."""


def some_of_each(app: Flask, make: Factory) -> None:
    """Things that a question is about, beside others that only look like it."""
    for project in ("one", "two", "three", "four"):
        make.do(lambda realm, project=project: access.create_project(realm, project))
    make.user("ben@example.test", roles=())
    make.application("idle", roles=("administrator",))
    make.application("several")
    make.application("off", roles=("administrator",), projects=("one", "two", "three", "four"))
    make.application("everywhere", projects=("one", "two", "three", "four"))
    for days in (5, 20, 40):
        make.key(name=f"for-{days}", hours=24 * days)
    make.key("ben@example.test", name="of-nobody", hours=24 * 20)
    make.key(name="endless", never=True)
    make.key(name="narrow", never=True, roles=["administrator"])
    revoked = make.key(name="revoked", never=True)
    with app.app_context():
        realm, now = realms.get_realm("acme"), clock.now()
        apikeys.revoke_key(realm, apikeys.get_key(realm, revoked.uid), "tested")
        several, off = (applications.get_application(realm, name) for name in ("several", "off"))
        for row, days in ((several, 5), (several, 20), (several, 40), (several, 45), (off, 5)):
            sheet = applications.SecretSheet(expires_at=now + timedelta(days=days))
            applications.add_secret(realm, row, f"for-{days}", sheet)
        idle = applications.get_application(realm, "idle")
        (old,) = applications.list_secrets(idle)
        idle.created_at = old.created_at = now - timedelta(days=400)
        old.public_part = ""
        set_user(realm, users.get_user(realm, "ben@example.test"), enabled=False)
        realms.update_realm(realm, realms.RealmSettings.of(realm).changed({"key_rotation_days": 0}))
        applications.update_application(realm, off, applications.ApplicationSheet.of(off).changed({"enabled": False}))
        commit()


def many(app: Flask, _make: Factory) -> None:
    """An organisation as it may be after years."""
    with app.app_context():
        seed.fill(realms.get_realm("acme"), FEW)


def forget_numbers(app: Flask) -> None:
    """Have everything counted anew, as it is once a minute."""
    with app.app_context():
        runtime.current().extensions.pop("console numbers", None)


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def rows_behind(ann: Surfer, url: str) -> int:
    """Return how many rows a list has; of the trail, how often what it tells of has happened."""
    if "/audit" in url:
        count = 0
        while url:
            page = ann.open(url).text
            for event in re.findall(r'<details class="event">(.*?)</details>', page, re.DOTALL):
                told = re.search(r"<dt>count</dt><dd><code>(\d+)</code>", event)
                count += int(told[1]) if told else 1
            further = re.search(r'rel="next" href="([^"]+)"', page)
            url = html.unescape(further[1]) if further else ""
        return count
    page = ann.open(url).text
    assert ann.status == 200
    told = re.search(r"[\d,]+\N{EN DASH}[\d,]+ of ([\d,]+)", page)
    assert told or "Nothing found" in page, page
    return number(told[1]) if told else 0


@pytest.mark.parametrize("fill", [nothing, some_of_each, many])
@pytest.mark.parametrize("span", ["day", "month"])
def test_each_number_leads_to_as_many_rows(
    app: Flask, ann: Surfer, make: Factory, fill: Callable[[Flask, Factory], None], span: str
) -> None:
    fill(app, make)
    forget_numbers(app)
    page = ann.open(f"{BASE}?span={span}").text.partition("<main")[2]
    figures = re.findall(r'<li><a href="([^"]+)"><span>[^<]+</span><strong>([\d,]+)</strong>', page)
    counted = re.findall(r'<a href="([^"]+)"(?: class="state state-warn")?>([\d,]+) (?:application|API key)s?<span', page)
    links = [(html.unescape(url), number(count)) for url, count in figures + counted]
    assert len({url for url, _ in links}) >= (17 if fill is some_of_each else 6)
    assert {url: rows_behind(ann, url) for url, _ in links} == dict(links)


def test_each_question_has_something_among_some_of_each(app: Flask, ann: Surfer, make: Factory) -> None:
    some_of_each(app, make)
    forget_numbers(app)
    links = {html.unescape(url) for url in ann.open(BASE).read().links}
    asked = {f"{BASE}/applications?review={each.value}" for each in OF_APPLICATIONS if each is not Question.THIRD_PARTIES}
    assert asked | {f"{BASE}/api-keys?review={each.value}" for each in OF_KEYS} <= links


def test_a_number_of_what_goes_on_leads_to_the_events_that_it_counts(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application()
    for _ in range(3):
        assert ask_token(app.test_client(), made).status_code == 200
    assert ask_token(app.test_client(), replace(made, secret="not this one")).status_code == 401
    flush(app)
    page = ann.open(BASE).text
    for title, count in (("Tokens and calls", 3), ("Refusals", 1)):
        found = re.search(rf'<a href="([^"]+)"><span>{title}</span><strong>(\d+)</strong>', page)
        assert found
        assert int(found[2]) == count
        assert rows_behind(ann, html.unescape(found[1])) == count


def test_what_expires_first_comes_first(ann: Surfer, make: Factory) -> None:
    make.application("soon")
    make.change(
        lambda realm, row: applications.add_secret(
            realm, row, "next", applications.SecretSheet(expires_at=clock.now() + timedelta(days=3))
        ),
        "soon",
    )
    for days in (9, 2):
        make.key(name=f"for-{days}", hours=24 * days)
    panel = ann.open(BASE).text.partition('id="expiring"')[2]
    places = [panel.index(text) for text in ("for-2 of ann", "soon: next", "for-9 of ann")]
    assert places == sorted(places)


def test_a_trend_is_told_of_the_time_before(app: Flask, ann: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    for hours, count in ((30, 4), (0, 3)):
        monkeypatch.setattr(clock, "now", lambda hours=hours: now - timedelta(hours=hours))
        with app.app_context():
            audit.count_one(audit.Tag.TOKEN_ISSUE, "acme", number=count)
            commit()
    assert "\N{MINUS SIGN}25% vs previous 24 hours" in ann.open(BASE).text
    assert "none in the previous period" in ann.open(f"{BASE}?span=month").text
