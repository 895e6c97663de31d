"""Every page in a real browser: no violation that axe-core finds, by day and by night; nothing too wide at 360 px."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from joserfc.jwk import OKPKey
from playwright.sync_api import Browser, Page, expect

from idp import clock, federation, users
from idp.realms import Realm
from tests import seed
from tests.browser.conftest import Console, serve_console, shoot
from tests.factories import ask_token
from tests.keysets.lending import lend_a_keyset

UNLINKED = (
    "/console/choose",  # linked only from who has several sessions
    "/console/design",  # for whoever develops the console
    "/console/realms/acme/apis/telemetry?method=GET&path=%2F..%2Fnowhere&roles=viewer",
)

OPEN_PAGES = ["/console/sign-in", "/console/first-start", "/console/forgotten", "/console/invitation/x"]


@pytest.fixture(scope="module")
def furnished(console: Console) -> Console:
    return furnish(console)


SIZES = seed.Sizes(
    applications=60, users=40, keys=40, events=400, groups=15, projects=20, roles=10, keysets=6, apis=4, sessions=20, tokens=20
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Console]:
    """An organisation with names and texts as long as they may be."""
    serving = serve_console(tmp_path_factory.mktemp("busy"), browser)
    console = furnish(next(serving))
    console.make.do(lambda realm: seed.fill(realm, SIZES))
    yield console
    next(serving, None)


def furnish(console: Console) -> Console:
    """Make something of every kind."""
    make = console.make
    make.user("ann@example.test", roles=("administrator",))
    make.user("root@example.test", realm="master", roles=("administrator",))
    made = make.application(
        "nightly-build", projects=("vision",), until=clock.now() + timedelta(days=9), description="builds at night"
    )
    make.user("bob@example.test", projects=(("vision", "researcher"),), first_name="Bob", last_name="Builder")
    make.key("bob@example.test", hours=100)
    make.key("ann@example.test", hours=1_000)
    make.do(lambda realm: users.add_member(realm, users.get_group(realm, "modellers"), users.get_user(realm, "bob@example.test")))
    make.do(trust_an_issuer)
    lend_a_keyset(make)
    for _ in range(5):
        assert ask_token(make.app.test_client(), made).status_code == 200
    return console


def trust_an_issuer(realm: Realm) -> None:
    """Have an issuer, whose keys need no network, vouch for a program and for a person."""
    key = OKPKey.generate_key("Ed25519", {"kid": "hub-1", "alg": "Ed25519", "use": "sig"})
    sheet = {"issuer": "https://hub.example", "key_source": "uploaded", "jwks": {"keys": [key.as_dict(private=False)]}}
    federation.create_issuer(realm, "hub", federation.TrustedIssuerSheet.read(sheet))
    lines = [federation.LineSheet(claim="sub", value="pipeline:4711")]
    rule = {"issuer": "hub", "application": "nightly-build", "lines": lines}
    federation.create_rule(realm, "nightly", federation.FederationRuleSheet.read(rule), frozen=None)
    federation.link_person(realm, "hub", "00u4711", "bob@example.test")


def links(page: Page) -> list[str]:
    return [
        str(href)
        for href in page.eval_on_selector_all("a[href^='/console']", "all => all.map(each => each.getAttribute('href'))")
    ]


def crawl(page: Page) -> list[str]:
    """Return a page of every shape that can be reached."""
    waiting, shapes, found = deque(["/console/"]), set(), []
    while waiting:
        url = waiting.popleft()
        shape = re.sub(
            r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/applications/)(?!new)[^/?]+|(?<=/roles/)(?!new)[^/?]+|(?<=/projects/)(?!new)[^/?]+"
            r"|(?<=/users/)[^/?]+|(?<=/groups/)[^/?]+|(?<=/apis/)[^/?]+|(?<=/issuers/)[^/?]+|(?<=/federation-rules/)[^/?]+",
            "_",
            url,
        )
        shape = re.sub(r"\?(?!tab=).*", "?", shape)
        if shape in shapes or ".jsonl" in url or ".csv" in url or "as=csv" in url:
            continue
        shapes.add(shape)
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 200, url
        found.append(url)
        waiting.extend(links(page))
    return found


@pytest.fixture(scope="module")
def urls(furnished: Console) -> list[str]:
    """A page of every shape, found by following links."""
    found = [*crawl(furnished.sign_in(furnished.visitor())), *UNLINKED]
    assert len(found) > 40, found
    assert {"/console/realms/acme/issuers/hub", "/console/realms/acme/federation-rules/nightly"} <= set(found)
    return found


def check(page: Page, urls: list[str], options: dict[str, Any]) -> list[str]:
    """Return what axe-core has against pages."""
    said = []
    for url in urls:
        page.goto(url)
        results = [Axe().run(page, options=options)]
        if page.evaluate(SHOW_ALL):
            results.append(Axe().run(page, options=COLOURS))
        for result in results:
            if result.violations_count:
                said.append(f"{url}: {result.generate_report()}")
                shoot(page, f"axe {url}")
    return said


EVERY_RULE: dict[str, Any] = {"resultTypes": ["violations"]}
COLOURS: dict[str, Any] = {"runOnly": ["color-contrast"], **EVERY_RULE}
SHOW_ALL = """() => {
    const closed = document.querySelectorAll("main [hidden], main details:not([open])");
    closed.forEach(each => { each.hidden = false; each.open = true; });
    return closed.length;
}"""
"""Show what a script or a click would show, whose colours count too; how much that was."""


@pytest.mark.parametrize(("scheme", "options", "locale"), [("light", EVERY_RULE, "en-GB"), ("dark", EVERY_RULE, "de-DE")])
def test_axe_finds_no_violation_on_any_page(
    furnished: Console, urls: list[str], scheme: str, options: dict[str, Any], locale: str
) -> None:
    visitor = furnished.visitor(color_scheme=scheme, locale=locale)
    said = check(visitor, OPEN_PAGES, options)
    assert visitor.locator("html").get_attribute("lang") == locale[:2]
    page = furnished.sign_in(visitor)
    said += check(page, urls, options)
    operator = furnished.sign_in(furnished.visitor(color_scheme=scheme, locale=locale), "root@example.test", "master")
    said += check(
        operator, ["/console/organisations", "/console/organisations/new", "/console/organisations/acme/delete"], options
    )
    assert said == [], "\n\n".join(said)
    assert furnished.violations == []


def test_pages_that_say_no_are_accessible_too(furnished: Console) -> None:
    page = furnished.sign_in(furnished.visitor())
    page.goto("/console/realms/acme/new-application")
    page.fill("#name", "Not A Name")
    page.click("button:has-text('Create')")
    page.wait_for_selector("#problem")
    assert Axe().run(page).violations_count == 0, Axe().run(page).generate_report()
    page.goto("/console/realms/acme/applications/missing")
    assert Axe().run(page).violations_count == 0


WIDTHS = (360, 768, 1280, 1920)

SPILLS = """() => [document.documentElement, ...document.querySelectorAll(".table-responsive, main, .panel, .topbar")]
    .filter(each => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1).map(each => each.className || each.tagName)"""
"""What is wider than the room it has."""


def test_no_page_and_no_list_is_wider_than_the_window(busy: Console) -> None:
    page = busy.sign_in(busy.visitor())
    too_wide = []
    for url in [*crawl(page), "/console/realms/acme/find?q=a"]:
        page.goto(url)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 740})
            spilt = page.evaluate(SPILLS)
            if spilt:
                too_wide.append((url, width, spilt))
                shoot(page, f"wide {width} {url}")
    assert too_wide == [], "\n".join(map(str, too_wide))
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/console/realms/acme/applications")
    page.click("text=All pages")
    page.click("nav >> text=Audit trail")
    assert page.locator("h1").inner_text() == "Audit trail"
    shoot(page, "audit at 360 px")
    assert busy.violations == []


def test_pages_bring_less_than_100_kilobytes_altogether(furnished: Console) -> None:
    page = furnished.sign_in(furnished.visitor())
    for url in ("/console/realms/acme", "/console/realms/acme/applications/nightly-build", "/console/realms/acme/audit"):
        fresh = furnished.visitor()
        fresh.context.add_cookies(page.context.cookies())
        fresh.goto(url)
        sizes = fresh.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map(each => [each.name, each.transferSize])"
        )
        assert sum(size for _, size in sizes) < 100_000, sizes
        hosts = {name.split("/")[2] for name, _ in sizes}
        assert hosts == {furnished.server.url.split("/")[2]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_component_is_photographed(furnished: Console, scheme: str) -> None:
    page = furnished.sign_in(furnished.visitor(color_scheme=scheme))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("/console/design")
        expect(page.get_by_role("heading", name="Disable or delete")).to_be_visible()
        shoot(page, f"design {scheme} {width}")
    assert furnished.violations == []
