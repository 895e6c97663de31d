"""A real browser at the console's public address: a TLS-ending nginx on the default port, and below a path."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.browser.conftest import PATIENCE, factory_for
from tests.factories import PASSWORD
from tests.prepare import program_missing
from tests.proxies import example, make_certificate, start_nginx, stop
from tests.serving import Server, free_port, wait_until


@dataclass(frozen=True)
class Place:
    """Where a server is for browsers."""

    setting: str
    public_url: str
    location: str = "location / {"
    stripping: str = ""


PLACES = {
    "with the default port": Place("https://id.example.com:443", "https://id.example.com"),
    "stripped": Place(
        "https://strips.example.com/idp", "https://strips.example.com/idp", "location /idp/ {", "rewrite ^/idp(/.*)$ $1 break; "
    ),
    "not stripped": Place("https://keeps.example.com/idp/", "https://keeps.example.com/idp", "location /idp/ {"),
}


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """A port of each place's proxy, where the browser finds port 443 of its host."""
    return {place.public_url.split("/")[2]: free_port() for place in PLACES.values()}


@pytest.fixture(scope="module")
def browser(ports: dict[str, int]) -> Iterator[Browser]:
    """A browser that takes the hosts' port 443 for those of the proxies."""
    for program in ("chromium", "nginx"):
        if missing := program_missing(program):
            pytest.skip(missing)
    rules = ", ".join(f"MAP {host}:443 127.0.0.1:{port}" for host, port in ports.items())
    arguments = [f"--host-resolver-rules={rules}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield found
        found.close()


@pytest.fixture(params=list(PLACES))
def page(request: pytest.FixtureRequest, tmp_path: Path, browser: Browser, ports: dict[str, int]) -> Iterator[Page]:
    """A page of a browser, with the public address of a server behind a proxy as its base."""
    place = PLACES[request.param]
    host = place.public_url.split("/")[2]
    settings = {"IDP_PUBLIC_URL": place.setting, "IDP_TRUSTED_PROXIES": "127.0.0.1"}
    server = Server(tmp_path / "data", settings=settings)
    server.start()
    make_certificate(tmp_path, host)
    files = {f"/etc/ssl/realmgate.{end}": f"{tmp_path}/realmgate.{end}" for end in ("pem", "key")}
    addresses = {
        "127.0.0.1:8080": f"127.0.0.1:{server.port}",
        "127.0.0.1:8443": f"127.0.0.1:{ports[host]}",
        "id.example.com;": f"{host};",
    }
    below = {"location / {": place.location, "proxy_pass http://realmgate;": f"{place.stripping}proxy_pass http://realmgate;"}
    process = start_nginx(tmp_path, example("deploy/proxies/nginx.conf", files | addresses | below))
    making = factory_for(server.data_dir, place.public_url)
    try:
        next(making).user(roles=("administrator",))
        context = browser.new_context(base_url=f"{place.public_url}/", ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        opened = context.new_page()
        wait_until(lambda: _listens(opened, place.public_url), "the start of nginx")
        yield opened
        context.close()
    finally:
        next(making, None)
        stop(process)
        server.stop()


def _listens(page: Page, url: str) -> bool:
    try:
        answer = page.goto(f"{url}/health/live")
    except Error:
        return False
    return answer is not None and answer.status == 200


def test_the_console_and_the_docs_work_at_the_public_address(page: Page) -> None:
    public_url = page.url.removesuffix("/health/live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("console/realms/acme/roles")
    page.fill("#organisation", "acme")
    page.fill("#name", "ann@example.test")
    page.fill("#password", PASSWORD)
    page.click("button:has-text('Sign in')")
    expect(page.locator("h1")).to_have_text("Roles")
    page.get_by_role("link", name="New role").click()
    page.fill("#name", "reader")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status").first).to_contain_text("Created.")
    (session,) = [each for each in page.context.cookies(page.url) if each["name"].endswith("realmgate-session")]
    assert session["secure"]
    page.locator("details.own summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status").first).to_contain_text("You have signed out")
    page.goto("docs")
    expect(page.locator(".opblock-tag").first).to_be_visible()
    leading_out = [url for url in asked if not url.startswith(f"{public_url}/") and not url.startswith("data:")]
    assert not leading_out
