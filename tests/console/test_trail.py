"""The trail as pages show it: when exactly, who, what and why, each row with all that is known of it; and its charts."""

import re
from datetime import UTC, datetime

from flask import Flask

from idp import access, apikeys, audit, realms
from idp.audit import Tag
from idp.console.charts import REFUSALS, USES, Chart
from idp.db import commit
from tests.console.surfing import Surfer
from tests.console.test_usage import flush
from tests.factories import Factory, Made, ask_token

BASE = "/console/realms/acme"


def rows(text: str) -> list[str]:
    """Return what stands in each row of a list of events, without what opens."""
    found = re.findall(r'<summary>(<span class="outcome.*?)</summary>', text)
    return [re.sub(r"\s+", " ", re.sub("<[^>]+>", "|", each)) for each in found]


def test_a_row_says_the_second_in_the_zone_of_the_reader(app: Flask, ann: Surfer) -> None:
    with app.app_context():
        audit.record(Tag.ROLE_CREATE, "acme", "role:viewer")
        commit()
        now: datetime = audit.list_events("acme", tag="admin:role", limit=1)[0].at
    text = ann.open(f"{BASE}/audit?tag=admin:role").text
    assert f"|{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}|" in rows(text)[0]
    assert "<span>Time (UTC)</span><span>Event</span><span>Actor</span><span>Target</span>" in text
    ann.client.set_cookie("realmgate-zone", "Asia/Kathmandu")
    assert "<span>Time (Asia/Kathmandu)</span>" in ann.open(f"{BASE}/audit?tag=admin:role").text
    assert f"|{now.astimezone(UTC):%Y-%m-%d %H:%M:%S}|" not in rows(ann.text)[0]


def test_who_is_not_signed_in_is_called_so_and_the_details_have_the_word_of_the_trail(
    app: Flask, ann: Surfer, make: Factory
) -> None:
    make.application()
    ask_token(app.test_client(), Made("ci-bot", "idp_cs_wrong", ""))
    flush(app)
    text = ann.open(f"{BASE}/audit?outcome=refused").text
    (row,) = [each for each in rows(text) if "|application:ci-bot|" in each]
    assert "|not signed in|" in row
    assert "|unauthenticated|" not in row
    assert "<dt>Actor</dt><dd>unauthenticated</dd>" in text
    (own,) = [each for each in rows(ann.open(f"{BASE}/applications/ci-bot?tab=activity").text) if "refuse" in each]
    assert "a wrong, expired or retired secret, or no such application|" in own
    assert "application:ci-bot" not in own, "the page is its own"


def test_who_and_what_the_details_name_are_links_to_pages_of_this_organisation(app: Flask, ann: Surfer) -> None:
    targets = ("application:ci-bot", "application:(unknown)", "session:1", "user:ann@example.test", "project:speech")
    with app.app_context():
        for target in targets:
            audit.record(Tag.ROLE_CREATE, "acme", target)
        commit()
    text = ann.open(f"{BASE}/audit?tag=admin:role").text
    linked = re.findall(r'<dd><a href="([^"]+)">([^<]+)</a></dd>', text)
    assert set(linked) == {
        (f"{BASE}/applications/ci-bot", "application:ci-bot"),
        (f"{BASE}/users/ann%40example.test", "user:ann@example.test"),
        (f"{BASE}/projects/speech", "project:speech"),
    }


def test_latest_refusals_of_the_overview_lead_to_whom_they_are_about(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application()
    key = make.key("ann@example.test", hours=24)
    with app.app_context():
        for actor, target in (
            ("unauthenticated", "application:ci-bot"),
            ("unauthenticated", f"api-key:{key.public_part}"),
            ("unauthenticated", "user:ann@example.test"),
            ("unauthenticated", "application:(unknown)"),
            ("user:ann@example.test", "role:administrator"),
        ):
            with audit.acting_as(audit.Actor(actor)):
                audit.record(Tag.ROLE_CREATE, "acme", target, outcome="refused")
        commit()
    refused = ann.open(BASE).text.partition('<ul class="plain-list refused">')[2].partition("</ul>")[0]
    linked = re.findall(r'<a href="([^"]+)">([^<]+)</a>', refused)
    assert sorted(name for _, name in linked) == [
        f"api-key:{key.public_part}", "application:ci-bot", "user:ann@example.test", "user:ann@example.test"
    ]  # fmt: skip # one a row
    assert "</code> application:(unknown)" in refused
    for url, _ in linked:
        assert ann.open(url).status == 200, url


def test_who_may_not_open_a_page_gets_no_link_to_it(app: Flask, make: Factory) -> None:
    make.do(lambda realm: access.create_role(realm, "trail-reader", access.RoleSheet(permissions=["audit:read"])))
    make.user("eve@example.test", roles=("trail-reader",))
    with app.app_context():
        audit.record(Tag.ROLE_CREATE, "acme", "application:ci-bot")
        commit()
    text = Surfer(app).sign_in("eve@example.test").open(f"{BASE}/audit?tag=admin:role").text
    assert "<dd>application:ci-bot</dd>" in text


def test_a_key_has_its_events_its_owner_and_what_was_said_when_it_was_revoked(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application("one")
    made = make.key("one", hours=24)
    text = ann.open(f"{BASE}/api-keys/{made.uid}").text
    assert f'<a href="{BASE}/applications/one">one</a>' in text
    assert "<dd>Never used</dd>" in text
    assert "Reason for revoking" not in text
    with app.app_context():
        realm = realms.get_realm("acme")
        apikeys.revoke_key(realm, apikeys.get_key(realm, made.uid), "It was found in a log.")
        commit()
    text = ann.open(f"{BASE}/api-keys/{made.uid}").text
    assert "<dt>Reason for revoking</dt><dd>It was found in a log.</dd>" in text
    assert {re.split(r"\|+", each)[3] for each in rows(ann.open(f"{BASE}/api-keys/{made.uid}?tab=activity").text)} == {
        "user:api-key:create",
        "user:api-key:revoke",
    }


def test_a_project_does_not_name_itself_in_each_row_and_folds_what_is_long(ann: Surfer, make: Factory) -> None:
    make.application("here", roles=(), projects=("speech",))
    text = ann.open(f"{BASE}/projects/speech").text.partition("<main")[2]
    first, _, second = text.partition("Who has access through the whole organisation")
    assert "Where" not in first
    assert f'<th scope="row" class="who"><a href="{BASE}/applications/here">' in re.sub(r">\s+<", "><", first)
    assert first.rstrip().endswith('<details class="panel folded" open><summary><h2>')
    told = re.search(r'<span class="state[^"]*">(\d+)</span></summary>', second)
    assert told
    assert int(told[1]) == second.partition("What these roles permit")[0].count('<th scope="row">')
    assert '<details class="panel folded" open><summary><h2>What these roles permit' in second
    for number in range(10):
        make.do(lambda realm, number=number: access.create_role(realm, f"role-{number}", access.RoleSheet()))
        make.application(f"bot-{number}", roles=(f"role-{number}",))
    text = ann.open(f"{BASE}/projects/speech").text
    for title in ("Who has access through the whole organisation", "What these roles permit"):
        assert f'<details class="panel folded"><summary><h2>{title}' in text, "what is long is closed"


def test_red_and_orange_are_for_refusals_alone(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application()
    ask_token(app.test_client(), made)
    ask_token(app.test_client(), Made("ci-bot", "idp_cs_wrong", ""))
    flush(app)
    for page in ("", "/applications/ci-bot"):
        text = ann.open(BASE + page).text
        colours = dict(re.findall(r'<li class="color-([\w-]+)">([^:]+):', text))
        refused = {name for colour, name in colours.items() if colour.startswith("refused-")}
        assert refused == ({"Refused"} if page else {"Applications", "API keys", "Sign-ins"})
        assert len(colours) == (2 if page else 7)
        drawn = set(re.findall(r'class="series serie-\d color-([\w-]+)"', text))
        assert drawn == set(colours)


def test_a_chart_of_nothing_is_a_sentence(ann: Surfer, make: Factory) -> None:
    make.application()
    for page, said in (
        ("", "No token was issued and no API key used"),
        ("/applications/ci-bot", "No token was issued or refused"),
    ):
        text = ann.open(BASE + page).text
        assert said in text
        assert "<figure" not in text
    assert Chart(["a"], {"b": [0]}, "c").is_empty
    assert not Chart(["a"], {"b": [0], "c": [1]}, "d").is_empty
    assert not set(USES) & set(REFUSALS)
