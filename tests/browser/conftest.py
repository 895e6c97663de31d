"""A real Chromium on the served console. Screenshots of what went wrong, and of every page, are kept in build/screenshots."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from idp.app import close_app, create_app
from idp.settings import Settings
from tests import serving
from tests.factories import PASSWORD, Factory
from tests.prepare import program_missing
from tests.serving import PROJECT, Server

SCREENSHOTS = PROJECT / "build" / "screenshots"
PATIENCE = 1_000 * serving.PATIENCE
"""Milliseconds that a page may take on a busy machine before a test gives up."""

expect.set_options(timeout=PATIENCE)


@dataclass
class Console:
    """The served console, with a way to make things in its database."""

    server: Server
    make: Factory
    browser: Browser
    violations: list[str] = field(default_factory=list)
    """What browsers have said against the pages' policy, and errors of scripts."""

    def visitor(self, **options: object) -> Page:
        """Return a page of a browser of its own."""
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context: BrowserContext = self.browser.new_context(base_url=self.server.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        if options.get("java_script_enabled", True):
            context.expose_function("tell", lambda violation: self.violations.append(violation))  # noqa: PLW0108 (no built-in will do)
            context.add_init_script(
                "document.addEventListener('securitypolicyviolation', event => tell(`${event.violatedDirective} ${event.blockedURI}`));"
            )
        page = context.new_page()
        page.on("pageerror", lambda error: self.violations.append(f"script: {error}"))
        page.on("dialog", lambda dialog: (self.violations.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        return page

    def sign_in(self, page: Page, name: str = "ann@example.test", organisation: str = "acme") -> Page:
        """Sign in by password."""
        page.goto("/console/sign-in")
        page.fill("#organisation", organisation)
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.locator("main form button.btn-primary").click()
        page.wait_for_selector("nav.sidebar")
        return page


def shoot(page: Page, name: str) -> None:
    """Keep a picture of a page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower()).strip('-')}.png", full_page=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file: while it runs, no other test of this process can have an event loop."""
    missing = program_missing("chromium")
    if missing:
        pytest.skip(missing)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield found
        found.close()


def factory_for(data_dir: Path, url: str) -> Iterator[Factory]:
    """Return a way to make things in the database of a server that runs."""
    app = create_app(Settings.load(data_dir=data_dir, realms_dir=PROJECT / "realms", public_url=url))
    yield Factory(app)
    close_app(app)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Console]:
    """A console of its own for the tests of one file."""
    yield from serve_console(tmp_path_factory.mktemp("console"), browser)


def serve_console(folder: Path, browser: Browser) -> Iterator[Console]:
    """Serve a console on a data folder of its own, until it is not needed any more."""
    server = Server(folder, settings={"IDP_SIGN_IN_LIMIT_ACCOUNT": "1000"})
    server.start()
    making = factory_for(server.data_dir, server.url)
    yield Console(server, next(making), browser)
    next(making, None)
    server.stop()
