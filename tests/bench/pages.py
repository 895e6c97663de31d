"""What pages of the console cost in a large realm: server time and size of every page, measured at the application itself.

The pages are those of the map of URLs, with things that the realm has; of each list, what its page offers (every filter, every
order, what comes far down), and searches that find much, little and nothing. `python -m tests.bench.pages FOLDER` measures a
folder that `python -m tests.seed` has filled, and prints the dearest pages.
"""

import argparse
import html
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text

from idp import realms, runtime, sessions, users
from idp.access import Grant, Project, Role
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.applications import Application, ApplicationSecret
from idp.audit import AuditEvent
from idp.console.render import part
from idp.db import commit, db
from idp.federation import FederatedPerson, FederationRule, TrustedIssuer
from idp.keys import SigningKey
from idp.keysets import Keyset, Lease
from idp.personal_tokens import PersonalToken
from idp.protected_apis import ProtectedApi
from idp.realms import Realm
from idp.registrations.models import RegistrationToken
from idp.settings import Settings
from idp.users import Group, User
from tests import seed
from tests.factories import PASSWORD
from tests.faults.surroundings import postgres
from tests.serving import PROJECT, Server, wait_until

REALM = "acme"
BASE = f"/console/realms/{REALM}"
LARGEST, LONGEST = 100, 150
"""Kilobytes and milliseconds of server time that a page may take."""

NOT_MEASURED = {
    "/console/design": "of everything, for developers",
    "/console/assets/<digest>/<name>": "a file",
    "/console/accents/<digest>/<colour>": "a file",
    f"{BASE}/access.csv": "a download, in pieces; see tests/bench/downloads.py",
    f"{BASE}/audit.jsonl": "a download, in pieces",
    "/console/invitation/<code>": "of a link in an email",
    "/console/reset/<code>": "of a link in an email",
    "/console/sign-up": "refused where it is not allowed, as here",
    "/console/sign-up/<code>": "of a link in an email",
    "/console/confirm-address/<code>": "of a link in an email",
}
"""Pages of which nothing is to be known, by their rule, and why."""

WITH_QUERY = (f"{BASE}/access/give", f"{BASE}/access/take")
"""Pages that are about a role that somebody holds, which their query names."""


@dataclass
class Cost:
    """What a page costs: the least of the rounds, since other programs can only add to a time."""

    milliseconds: float
    kilobytes: float
    statements: int


class Console:
    """Somebody who may see everything, at an application in this process."""

    def __init__(self, app: Flask) -> None:
        """Sign an operator in, and find out what the pages of the realm are."""
        self.app, self.client = app, _signed_in(app)
        self.statements = 0
        with app.app_context():
            self.is_sqlite = db.engine.dialect.name == "sqlite"
            if not self.is_sqlite:  # one on this machine, then
                self.postmaster = psutil.Process(db.session.scalar(text("SELECT pg_backend_pid()"))).parent()
            event.listen(db.engine, "before_cursor_execute", lambda *_arguments: self._count())
            self.things = _things(realms.get_realm(REALM))

    def _count(self) -> None:
        self.statements += 1

    def time(self) -> float:
        """Return the processor time of this thread and of the database's own processes: what others do meanwhile is not in it."""
        return time.thread_time() + sum(_seconds_run(pid) for pid in self._backends())

    def _backends(self) -> list[int]:
        return [] if self.is_sqlite else [process.pid for process in self.postmaster.children()]

    def get(self, url: str) -> bytes:
        """Return a page.

        One that says why something cannot be done is a page, too.

        :raises RuntimeError: it is not there.
        """
        with self.app.app_context():  # nothing that was counted for the page before is shown again
            runtime.current().extensions.pop("console counts", None)
        answer = self.client.get(url)
        if answer.status_code not in {200, 303, 409}:
            raise RuntimeError(f"{url}: {answer.status_code}")
        return answer.data

    def cost(self, url: str, rounds: int) -> Cost:
        """Return what a page costs."""
        times = []
        size = len(self.get(url))
        with self.app.app_context():
            extensions = runtime.current().extensions
        wait_until(lambda: not extensions.get("console numbers being counted"), "counting beside the page")
        for _ in range(rounds):
            self.statements = 0
            started = self.time()
            self.get(url)
            times.append(self.time() - started)
        return Cost(round(min(times) * 1e3, 1), round(size / 1e3, 1), self.statements)

    def urls(self) -> Iterator[str]:
        """Return every page: all rules that there are for GET, and what the pages of lists offer."""
        for rule in sorted({each.rule for each in self.app.url_map.iter_rules() if "GET" in (each.methods or ())}):
            filled = rule.replace("<realm>", REALM)
            if not rule.startswith("/console") or filled in NOT_MEASURED:
                continue
            blank = re.match(r"[^<]*(<\w+>|$)", filled)
            for value in self.things[blank[0]] if blank and blank[1] else [""]:
                url = filled.replace(blank[1], value).replace("<secret>", "main") if blank and value else filled
                url += self.things["query"][0] if filled in WITH_QUERY else ""
                yield url
                yield from self._offered(url)

    def _offered(self, url: str) -> Iterator[str]:
        """Return further forms of a page, by what it says itself, and what is searched for."""
        page = self.get(url).decode()
        yield from sorted(set(re.findall(rf'href="({re.escape(url)}\?tab=[\w-]+)"', page)))
        if url == BASE:
            yield f"{url}?span=month"
        if url.endswith("/suggest"):
            yield from (
                f"{url}?kind={kind}&q={text}" for kind in ("holder", "owner", "project", "role") for text in ("a", "0001", "zzz")
            )
        if url.endswith("/find"):
            yield from (f"{url}?part=1&q={text}" for text in ("", *self.things["texts"]))
        if url.endswith("/audit"):
            yield from self._of_the_trail(url)
        if 'class="toolbar"' in page:
            yield from self._of_the_list(url, page)

    def _of_the_list(self, url: str, page: str) -> Iterator[str]:
        yield from (f"{url}?search={text}" for text in self.things["texts"])
        orders = {each.lstrip("-") for each in re.findall(r"[?&;]sort=(-?[\w-]+)", page)}
        for order in sorted(orders):
            for direction in ("", "-"):
                yield f"{url}?sort={direction}{order}"
                yield f"{url}?sort={direction}{order}&search={self.things['texts'][0]}"
                yield from self._far_down(f"{url}?sort={direction}{order}")
        for name, options in re.findall(r'<select[^>]*name="([\w-]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
            for value in re.findall(r'<option value="([^"]+)"', options)[:8]:
                yield f"{url}?{name}={value}"
                yield from (f"{url}?{name}={value}&sort=-{order}" for order in sorted(orders)[:1])
        for name in re.findall(r'<input class="form-control" id="filter-([\w-]+)"', page):
            yield from (f"{url}?{name}={value}" for value in (*self.things.get(name, ())[:1], "nothing"))
        yield f"{url}?size=50"

    def _far_down(self, url: str) -> Iterator[str]:
        page = self.get(url).decode()
        for _ in range(3):
            following = re.findall(r'rel="next" href="([^"]+)"', page)
            if not following:
                return
            url = html.unescape(following[0])
            page = self.get(url).decode()
        yield url

    def _of_the_trail(self, url: str) -> Iterator[str]:
        name, user = self.things["client_id"][0], self.things["holder"][1]
        yield from (f"{url}?target={each}" for each in (f"application:{name}", name, "nothing"))
        yield from (f"{url}?actor={each}" for each in (f"application:{name}", user, "nothing"))
        yield from (f"{url}?tag={each}" for each in ("admin", "admin:grant", "client:token", "user", "system"))
        yield from (f"{url}?outcome={each}" for each in ("refused", "success"))
        yield f"{url}?since=2020-01-01T00:00&outcome=refused&actor={name}"
        yield f"{url}?until=2020-01-01T00:00"
        yield f"{url}?after={self.things['event'][0]}"


def _seconds_run(pid: int) -> float:
    """Return how long a process has run, to the nanosecond; 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def _signed_in(app: Flask) -> FlaskClient:
    with app.app_context():
        master = realms.get_realm("master")
        sid = sessions.begin_session(master, users.get_user(master, seed.OPERATOR))
        cookie = sessions.seal_session("master", sid)
        commit()
    client = app.test_client()
    client.set_cookie("realmgate-session", cookie)
    return client


def _things(realm: Realm) -> dict[str, list[str]]:
    """Return what URLs are filled with, by how they begin, and what is searched for."""

    def names(table: Any, column: Any, *conditions: Any) -> list[str]:
        """Return one from the beginning, and one from the middle."""
        rows = select(column).where(table.realm_id == realm.id, *conditions).order_by(table.id)
        count = db.session.scalar(select(func.count()).select_from(rows.subquery())) or 0
        found = [db.session.scalar(rows.offset(place).limit(1)) for place in sorted({count // 3, count // 2})]
        return [part(each) if column.key == "uid" else each for each in found if each is not None]

    with_secret = select(ApplicationSecret.application_id).where(
        ApplicationSecret.retired_at.is_(None), ApplicationSecret.name == "main"
    )
    programs = names(Application, Application.name, Application.id.in_(with_secret))
    largest = db.session.scalar(select(Group.name).where(Group.realm_id == realm.id, Group.name.endswith("000000")))
    used = db.session.scalars(
        select(Role.name)
        .join(Grant, Grant.role_id == Role.id)
        .where(Role.realm_id == realm.id)
        .group_by(Role.name)
        .order_by(func.count().desc())
        .limit(1)
    ).all()
    grant = db.session.scalars(
        select(Grant).where(Grant.realm_id == realm.id, Grant.holder_kind == "application", Grant.project_id.is_(None)).limit(1)
    ).one()
    return {
        "query": [f"?holder=application:{grant.holder_name}&role={grant.role.name}"],
        f"{BASE}/applications/<name>": programs,
        f"{BASE}/users/<key>": names(User, User.uid),
        f"{BASE}/groups/<name>": [*([largest] if largest else []), *names(Group, Group.name)[:1]],
        f"{BASE}/roles/<name>": [*used, *names(Role, Role.name)[:1]],
        f"{BASE}/projects/<name>": names(Project, Project.name),
        f"{BASE}/api-keys/<uid>": names(ApiKey, ApiKey.uid),
        f"{BASE}/issuers/<name>": names(TrustedIssuer, TrustedIssuer.name),
        f"{BASE}/federation-rules/<name>": names(FederationRule, FederationRule.name),
        f"{BASE}/linked-people/<uid>": names(FederatedPerson, FederatedPerson.uid),
        f"{BASE}/apis/<name>": names(ProtectedApi, ProtectedApi.name),
        f"{BASE}/keysets/<uid>": names(Keyset, Keyset.uid),
        f"{BASE}/personal-tokens/<uid>": names(PersonalToken, PersonalToken.uid),
        f"{BASE}/leases/<uid>": names(Lease, Lease.uid),
        f"{BASE}/registration-tokens/<uid>": names(RegistrationToken, RegistrationToken.uid),
        f"{BASE}/signing-keys/<algorithm>": names(SigningKey, SigningKey.algorithm),
        f"{BASE}/signing-keys/<kid>": names(SigningKey, SigningKey.uid),
        "holder": [f"application:{programs[0]}", f"user:{seed.ADMINISTRATOR}"],
        "role": list(used),
        "project": names(Project, Project.name)[:1],
        "client_id": programs[:1],
        "texts": ["billing", "-000123", programs[-1], "zzz-nothing", "e", "production", "Ann@", "xy"],
        "event": [str(db.session.scalar(select(func.max(AuditEvent.id))) // 2)],
    }


def measure(settings: Settings, rounds: int) -> dict[str, Cost]:
    """Return what each page costs, by its URL."""
    app = create_app(settings)
    try:
        console = Console(app)
        return {url: console.cost(url, rounds) for url in dict.fromkeys(console.urls())}
    finally:
        close_app(app)


KINDS = {
    "overview": rf"{BASE}(\?span=month)?",
    "applications, in each order, near and far": rf"{BASE}/applications(\?(sort|size|state|role|project)=[^&]*(&after.*|&sort=.*)?)?",
    "applications, searches": rf"{BASE}/applications\?.*search=.*",
    "one application, with its parts": rf"{BASE}/applications/.*",
    "palette and suggestions": rf"{BASE}/(find|suggest).*",
    "access review": rf"{BASE}/access\b.*",
    "users and groups": rf"{BASE}/(users|groups)\b.*",
    "API keys": rf"{BASE}/api-keys\b.*",
    "roles and projects": rf"{BASE}/(roles|projects)\b.*",
    "audit trail": rf"{BASE}/audit.*",
    "all others": r".*",
}
"""What the pages are put together as; each is of the first kind that fits it."""


def by_kind(costs: dict[str, Cost]) -> dict[str, dict[str, Any]]:
    """Return of each kind how many pages there are, what they cost in the middle and at the most, and which one that is."""
    found: dict[str, dict[str, Cost]] = {name: {} for name in KINDS}
    for url, cost in costs.items():
        found[next(name for name, pattern in KINDS.items() if re.fullmatch(pattern, url))][url] = cost
    return {name: _summary(each) for name, each in found.items() if each}


def _summary(costs: dict[str, Cost]) -> dict[str, Any]:
    slowest = max(costs, key=lambda url: costs[url].milliseconds)
    return {
        "pages": len(costs),
        "median_ms": round(statistics.median(each.milliseconds for each in costs.values()), 1),
        "most_ms": costs[slowest].milliseconds,
        "most_kilobytes": max(each.kilobytes for each in costs.values()),
        "most_statements": max(each.statements for each in costs.values()),
        "slowest": slowest,
    }


def bench_pages(folder: Path, rounds: int, count_applications: int) -> dict[str, Any]:
    """Return what pages cost on both databases, by their kind, and when a browser first shows something of them."""
    sizes = seed.Sizes(applications=count_applications, events=count_applications * 10)
    result: dict[str, Any] = {"applications": sizes.applications, "events": sizes.events}
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    settings = Settings.load(data_dir=folder / "sqlite", realms_dir=PROJECT / "realms")
    seed.fill_database(settings, REALM, sizes, 1, lambda _line: None)
    result["sqlite"] = by_kind(measure(settings, rounds))
    result["first_paint_ms"] = first_paints(folder / "sqlite", rounds)
    with postgres() as make:
        url = make().create().url()
        settings = Settings.load(data_dir=folder / "postgresql", realms_dir=PROJECT / "realms", database_url=url)
        seed.fill_database(settings, REALM, sizes, 1, lambda _line: None)
        result["postgresql"] = by_kind(measure(settings, rounds))
    result["slowest_ms"] = max(each["most_ms"] for name in ("sqlite", "postgresql") for each in result[name].values())
    result["largest_kb"] = max(each["most_kilobytes"] for name in ("sqlite", "postgresql") for each in result[name].values())
    return result


PAINTED = ("", "/applications", "/applications?search=billing", "/access", "/audit", "/users", "/api-keys")


def first_paints(folder: Path, rounds: int) -> dict[str, float]:
    """Return milliseconds to the first contentful paint in Chromium, on loopback, by the end of the URL: the least of the rounds.

    The browser knows nothing of the pages, each time, and scripts are switched on.
    """
    from playwright.sync_api import sync_playwright

    server = Server(folder)
    server.start()
    found: dict[str, float] = {}
    try:
        with sync_playwright() as playwright:
            options = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
            page = browser.new_context(base_url=server.url).new_page()
            page.goto("/console/sign-in")
            page.fill("#organisation", REALM)
            page.fill("#name", seed.ADMINISTRATOR)
            page.fill("#password", PASSWORD)
            page.click("button:has-text('Sign in')")
            page.wait_for_selector("nav.sidebar")
            kept = page.context.cookies()
            for end in PAINTED:
                times = []
                for _ in range(rounds):
                    context = browser.new_context(base_url=server.url)
                    context.add_cookies(kept)
                    fresh = context.new_page()
                    fresh.goto(BASE + end)
                    times.append(fresh.evaluate(_PAINT))
                    context.close()
                found[end or "overview"] = round(min(times), 1)
            browser.close()
    finally:
        server.stop()
    return found


_PAINT = """() => new Promise(done => new PerformanceObserver(list => done(list.getEntries()[0].startTime))
    .observe({type: "paint", buffered: true}))""".replace(
    "list.getEntries()[0].startTime", "(list.getEntriesByName('first-contentful-paint')[0] || list.getEntries()[0]).startTime"
)


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the figures for people."""
    pages = result["pages"]
    return [
        ("slowest page of the console, ms", pages["slowest_ms"], f"at most {LONGEST}"),
        ("largest page of the console, KB", pages["largest_kb"], f"at most {LARGEST}"),
        ("latest first paint, ms", max(pages["first_paint_ms"].values()), "at most 500"),
    ]


def dearest(costs: dict[str, Cost], count: int) -> dict[str, Cost]:
    """Return the pages that take longest, and the largest ones."""
    by_time = sorted(costs, key=lambda url: -costs[url].milliseconds)[:count]
    by_size = sorted(costs, key=lambda url: -costs[url].kilobytes)[:count]
    return {url: costs[url] for url in dict.fromkeys([*by_time, *by_size])}


def main() -> None:
    """Measure a folder or a database that has been filled."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("folder", type=Path, help="data folder that python -m tests.seed has filled")
    parser.add_argument("--database-url", default="", help="PostgreSQL instead of SQLite in the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--show", type=int, default=30, help="how many of the dearest pages are shown")
    options = parser.parse_args()
    given = {"database_url": options.database_url} if options.database_url else {}
    costs = measure(Settings.load(data_dir=options.folder, realms_dir=PROJECT / "realms", **given), options.rounds)
    for name, each in by_kind(costs).items():
        print(f"| {name} | {' | '.join(str(value) for value in each.values())} |")
    print(f"{len(costs)} pages\n| page | ms | KB | statements |\n|---|---|---|---|")
    for url, cost in dearest(costs, options.show).items():
        print(f"| {url} | {cost.milliseconds} | {cost.kilobytes} | {cost.statements} |")


if __name__ == "__main__":
    sys.exit(main())
