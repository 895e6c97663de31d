"""People sign in, in Chromium, to applications of libraries that nobody here wrote, as the pages in docs/integrations have them."""

import contextlib
import os
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
from tests.prepare import INTEROP, node_clients_missing
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
            wait_until(lambda: _answers(process, port, output), f"an answer of {command}")
            yield
        finally:
            process.terminate()


def _answers(process: subprocess.Popen[bytes], port: int, output: Path) -> bool:
    assert process.poll() is None, f"it ended:\n{output.read_text()}"
    try:
        return send(f"http://localhost:{port}/").status == 200
    except OSError:
        return False


def register(realm: Realm, name: str, port: int, path: str = "/signed-in", *, after: str = "/") -> str:
    """Register the application of a page, and return its secret.

    :param path: where the application takes codes.
    :param after: where people land who have signed out.
    """
    own = f"http://localhost:{port}"
    spec = {"kind": "web", "redirectUris": [f"{own}{path}"], "postLogoutRedirectUris": [f"{own}{after}"]}
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


@pytest.mark.skipif(node_clients_missing() is not None, reason=node_clients_missing() or "")
def test_node_and_openid_client(browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path) -> None:
    port = free_port()
    secret = register(realm_of_apis, "shop-node", port)
    write_files("node", tmp_path, {ISSUER: served.issuer(), "'shop', process": "'shop-node', process"})
    (tmp_path / "node_modules").symlink_to(INTEROP / "node_modules")
    with running(["node", "shop.mjs"], tmp_path, port, CLIENT_SECRET=secret, PORT=str(port)):
        go_through(browser.new_context().new_page(), port, person)


@pytest.mark.skipif(node_clients_missing() is not None, reason=node_clients_missing() or "")
def test_express_and_express_openid_connect(
    browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path
) -> None:
    """Its page for those signed in sends whoever is not to sign in, and back."""
    port = free_port()
    secret = register(realm_of_apis, "shop-express", port, "/callback", after="")
    write_files("express-sign-in", tmp_path, {ISSUER: served.issuer(), "clientID: 'shop'": "clientID: 'shop-express'"})
    (tmp_path / "node_modules").symlink_to(INTEROP / "node_modules")
    with running(["node", "shop.mjs"], tmp_path, port, CLIENT_SECRET=secret, PORT=str(port)):
        page = browser.new_context().new_page()
        go_through(page, port, person)
        page.goto(f"http://localhost:{port}/orders")
        page.fill("#name", person)
        page.fill("#password", PASSWORD)
        page.click("button")
        page.wait_for_selector("text=The orders of")


@pytest.mark.skipif(node_clients_missing() is not None, reason=node_clients_missing() or "")
def test_page_and_oidc_client_ts(browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path) -> None:
    """Its page is of another origin, so it reads the token endpoint as a browser lets it (CORS)."""
    port = free_port()
    own = f"http://localhost:{port}"
    spec = {"kind": "browser", "redirectUris": [f"{own}/"], "postLogoutRedirectUris": [f"{own}/"], "webOrigins": [own]}
    assert realm_of_apis.create("shop-page", spec)["client_secret"] == ""
    write_files("browser", tmp_path, {ISSUER: served.issuer(), "'shop'": "'shop-page'"})
    (tmp_path / "node_modules").symlink_to(INTEROP / "node_modules")
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "localhost"]
    with running(command, tmp_path, port):
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{own}/")
        page.click("text=Sign in")
        page.fill("#name", person)
        page.fill("#password", PASSWORD)
        page.click("button")
        page.wait_for_selector(f"text=Hello {person}")
        assert page.url == f"{own}/"
        page.click("text=Renew")
        page.wait_for_selector("text=Renewed.")
        page.click("text=Sign out")
        page.wait_for_selector("button:has-text('Sign in')")
        page.click("text=Sign in")
        page.wait_for_selector("#password")


def test_django_and_mozilla_django_oidc(
    browser: Browser, served: Server, realm_of_apis: Realm, person: str, tmp_path: Path
) -> None:
    port = free_port()
    secret = register(realm_of_apis, "shop-django", port, "/oidc/callback/")
    own_id = {'OIDC_RP_CLIENT_ID="shop"': 'OIDC_RP_CLIENT_ID="shop-django"'}
    write_files("django-sign-in", tmp_path, {ISSUER: served.issuer()} | own_id)
    settings = {"CLIENT_SECRET": secret, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "shop.py", "migrate", "--verbosity=0"], cwd=tmp_path, env=os.environ | settings, check=True)
    command = [sys.executable, "shop.py", "runserver", f"localhost:{port}", "--noreload", "--skip-checks"]
    with running(command, tmp_path, port, **settings):
        go_through(browser.new_context().new_page(), port, person)
