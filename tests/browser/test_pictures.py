"""The pictures of docs/console.md: taken here, and true for as long as the pages say what they said then.

`make pictures` takes them anew. Otherwise each page is compared, by what somebody who hears it is told, with what it said when
its picture was taken; times, ids, ports and secrets apart.
"""

import os
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from idp import clock, users
from tests.browser.conftest import Console, shoot
from tests.factories import Made, ask_token
from tests.keysets.lending import lend_a_keyset
from tests.serving import PROJECT, wait_until

PICTURES = PROJECT / "docs" / "pictures"
SAID = PROJECT / "tests" / "vectors" / "pictures"
WIDTH, HIGHEST = 1200, 1000
"""Of the pictures; what is longer is cut."""

TAKE = os.environ.get("PICTURES") == "take"

_DIFFERENT_EACH_TIME = (
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"idp_(cs|ak)_\w+", r"idp_\1_SECRET"),
    (r"eyJ[\w.-]+", "TOKEN"),
    (r"\b[0-9a-f]{32}\b", "JTI"),
    (r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::|%3A)\d\d(?::\d\d)?)?(?: UTC)?", "TIME"),
    (r"\b\d\d-\d\d\b", "DAY"),
    (r"\(?(?:(?:just )?now|in \d+ \w+|\d+ \w+ ago)\)?", "AWAY"),
    (r"\d+ (?:seconds?|minutes?|hours?|days?)\b", "SPAN"),
    (r"\d\d:\d\d", "HOUR"),
    (r"[0-9a-f]{8}…", "ID…"),
    (r"\b1[67]\d{8}\b", "SECONDS"),
    (r"\d+ events are sealed", "EVENTS are sealed"),
    (r'status: "Suggestions: \d+"', "status"),  # they come when they come
    (r'(?s)(row "credential )([\w-]{11})( .*?cell ")\2(":\s*- code: )\2', r"\1NAME\3NAME\4NAME"),
    (r"Mozilla/[^\n]*", "BROWSER"),
)


@pytest.fixture(scope="module")
def acme(console: Console) -> Console:
    """A realm on an ordinary day."""
    make = console.make
    make.user("ann@example.test", roles=("administrator",), first_name="Ann")
    make.user("root@example.test", realm="master", roles=("administrator",))
    night = make.application(
        "nightly-build",
        roles=("viewer",),
        projects=("vision",),
        until=clock.now() + timedelta(days=90),
        description="Builds and tests what was merged",
    )
    make.application("report-mailer", roles=(), description="Mails the weekly figures")
    make.key("ann@example.test", name="laptop", hours=200)
    for name in ("globex", "initech", "umbrella"):
        make.realm(name)
    client = make.app.test_client()
    for _ in range(42):
        assert ask_token(client, night).status_code == 200
    for _ in range(3):
        ask_token(client, Made("report-mailer", "idp_cs_wrong", ""))
    with make.app.app_context():
        from idp import runtime, tokens

        tokens.usage(runtime.current()).flush()
    make.do(lambda realm: users.add_member(realm, users.get_group(realm, "modellers"), users.get_user(realm, "ann@example.test")))
    lend_a_keyset(make)
    return console


def new_application(page: Page) -> None:
    page.goto("/console/realms/acme/new-application")
    page.fill("#name", "train-bot")
    page.fill("#description", "Starts the training jobs")
    page.select_option("#credential", "secret")
    roles = page.get_by_role("combobox", name="Roles on the whole organisation")
    roles.fill("researcher")
    roles.press("Enter")
    page.locator("summary", has_text="Projects").click()
    page.fill("#projects-0-project", "vision")
    page.select_option("#projects-0-role", "ml-engineer")
    page.fill("#projects-0-until", "2030-01-31T12:00")
    page.locator("summary", has_text="Audience").click()
    page.fill("#audience", "https://jobs.acme.example")


def secret(page: Page) -> None:
    new_application(page)
    page.click("button:has-text('Create')")
    expect(page.get_by_text("shown only once")).to_be_visible()


def trial(page: Page) -> None:
    page.click("button:has-text('Try it')")
    expect(page.get_by_text("It works: the token endpoint")).to_be_visible()


def at(url: str) -> Callable[[Page], None]:
    return lambda page: page.goto(url) and None


def keyset(page: Page) -> None:
    page.goto("/console/realms/acme/keysets")
    page.get_by_role("link", name="backups aws").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()


def audit_trail(page: Page) -> None:
    def sealed() -> bool:
        page.goto("/console/realms/acme/audit?tag=admin:application")
        page.locator(".trust summary").click()
        return page.get_by_text("are sealed in a hash chain, up to").is_visible()

    wait_until(sealed, "the first sealing")


SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    # before a token is fetched, which is counted a second later
    "overview": ("ann@example.test", at("/console/realms/acme")),
    "new-application": ("ann@example.test", new_application),
    "secret": ("ann@example.test", secret),
    "trial": ("ann@example.test", trial),
    "application": ("ann@example.test", at("/console/realms/acme/applications/nightly-build")),
    "access": ("ann@example.test", at("/console/realms/acme/access")),
    "audit": ("ann@example.test", audit_trail),
    "keys": ("ann@example.test", at("/console/my/keys")),
    "keyset": ("ann@example.test", keyset),
    "delete": ("ann@example.test", at("/console/realms/acme/applications/nightly-build/delete")),
    "organisations": ("root@example.test", at("/console/organisations")),
}


def said_by(page: Page) -> str:
    """Return what a page tells somebody who hears it, without what is different each time."""
    text = page.locator("main").aria_snapshot()
    for pattern, stands_for in _DIFFERENT_EACH_TIME:
        text = re.sub(pattern, stands_for, text)
    return text.strip() + "\n"


def test_pictures_show_what_the_pages_say(acme: Console) -> None:
    page = acme.sign_in(acme.visitor(viewport={"width": WIDTH, "height": 800}))
    operator = acme.sign_in(acme.visitor(viewport={"width": WIDTH, "height": 800}), "root@example.test", "master")
    differ = []
    for name, (who, arrange) in SCENES.items():
        shown = operator if who.startswith("root") else page
        arrange(shown)
        said = said_by(shown)
        shoot(shown, f"picture {name}")
        if TAKE:
            take(shown, name, said)
        elif not (SAID / f"{name}.txt").exists() or (SAID / f"{name}.txt").read_text() != said:
            (PROJECT / "build" / f"{name}.txt").write_text(said)
            differ.append(name)
    assert differ == [], f"run `make pictures`: {', '.join(differ)} (what they say now is in build/)"
    assert acme.violations == []


def take(page: Page, name: str, said: str) -> None:
    for folder in (PICTURES, SAID):
        folder.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")  # the bar at the top goes along with what is scrolled
    height = min(page.evaluate("document.documentElement.scrollHeight"), HIGHEST)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    (SAID / f"{name}.txt").write_text(said)


def test_the_page_shows_every_picture_and_no_other() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(pictures/([a-z-]+)\.png\)", (PROJECT / "docs" / "console.md").read_text())
    assert sorted(shown) == sorted(SCENES)
    assert {path.stem for path in PICTURES.glob("*.png")} == set(SCENES)
