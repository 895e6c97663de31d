"""People sign in, in Chromium, to applications of libraries that nobody here wrote, as the pages in docs/integrations have them."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PATIENCE, browser  # noqa: F401 (a fixture)
from tests.factories import PASSWORD
from tests.interop.apis import Realm
from tests.interop.pages import write_files
from tests.prepare import INTEROP
from tests.serving import Server, free_port, send, wait_until

ISSUER = "https://id.example.com/auth/realms/acme"
PERSON = "shopper@example.test"


@pytest.fixture(scope="module")
def person(served: Server) -> str:
    """Somebody who has a password."""
    done = served.run("users", "create", "--realm", "acme", "--email", PERSON, "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    return PERSON


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, port: int, **settings: str) -> Iterator[None]:
    output = folder / "output.txt"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | settings
    with output.open("w") as out, subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out) as process:
        try:
            wait_until(lambda: _answers(port), f"an answer of {command}")
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return send(f"http://localhost:{port}/").status == 200
    except OSError:
        return False


def register(realm: Realm, name: str, port: int) -> str:
    """Register the application of a page, and return its secret."""
    own = f"http://localhost:{port}"
    spec = {"kind": "web", "redirectUris": [f"{own}/signed-in"], "postLogoutRedirectUris": [f"{own}/"]}
    return realm.create(name, spec)["client_secret"]


def go_through(page: Page, port: int, person: str) -> None:
    """Sign in, be known without a password the next time, and sign out."""
    page.set_default_timeout(PATIENCE)
    own = f"http://localhost:{port}"
    page.goto(f"{own}/")
    page.click("text=Sign in")
    page.wait_for_selector("h1:has-text('Sign in')")
    page.fill("#name", person)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_url(f"{own}/")
    assert f"Hello {person}" in page.content()
    page.goto(f"{own}/sign-in")
    page.wait_for_url(f"{own}/")
    assert f"Hello {person}" in page.content(), "without being asked again"
    page.click("text=Sign out")
    page.wait_for_url(f"{own}/")
    page.click("text=Sign in")
    page.wait_for_selector("#password")


def test_flask_and_authlib(browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path) -> None:
    port = free_port()
    secret = register(realm_of_apis, "shop-flask", port)
    write_files("flask", tmp_path, {ISSUER: served.issuer(), 'client_id="shop"': 'client_id="shop-flask"'})
    command = [sys.executable, "-m", "flask", "--app", "shop", "run", "--port", str(port), "--host", "localhost"]
    with running(command, tmp_path, port, CLIENT_SECRET=secret):
        go_through(browser.new_context().new_page(), port, person)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_and_openid_client(browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path) -> None:
    port = free_port()
    secret = register(realm_of_apis, "shop-node", port)
    write_files("node", tmp_path, {ISSUER: served.issuer(), "'shop', process": "'shop-node', process"})
    (tmp_path / "node_modules").symlink_to(INTEROP / "node_modules")
    with running(["node", "shop.mjs"], tmp_path, port, CLIENT_SECRET=secret, PORT=str(port)):
        go_through(browser.new_context().new_page(), port, person)
