"""The web application of docs/integrations/spring-sign-in.md: Spring Security signs people in, in Chromium."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.factories import PASSWORD
from tests.interop.built import PAGES, write_files
from tests.interop.built.browsing import page  # noqa: F401 (a fixture)
from tests.interop.built.jvm import MISSING, build, running
from tests.serving import Server, free_port

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing here: {MISSING}")

PERSON = "spring-shopper@acme.example"


@pytest.fixture(scope="module")
def jar(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spring-sign-in")
    write_files("spring-sign-in", folder, {"https://id.example.com/auth/realms/acme": served.issuer()})
    build(folder)
    return folder / "target" / "shop.jar"


def test_spring_security_signs_people_in(
    jar: Path,
    served: Server,
    page: Page,
    client: Callable[[str, str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = re.search(r"starter-parent</artifactId>\s*<version>([0-9.]+)<", (PAGES / "spring-sign-in.md").read_text())
    assert version is not None
    client("Spring Boot, with Spring Security's oauth2Login", version[1], "signs people in and out, in Chromium")
    done = served.run("users", "create", "--realm", "acme", "--email", PERSON, "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    port = free_port()
    own = f"http://localhost:{port}"
    redirect = ("--redirect-uri", f"{own}/login/oauth2/code/realmgate", "--post-logout-redirect-uri", f"{own}/")
    made = served.create_application("shop", "--kind", "web", *redirect)
    monkeypatch.setenv("CLIENT_SECRET", made["client_secret"])
    with running(jar, port="server.port", address="server.address", number=port, answers="/"):
        page.goto(f"{own}/orders")
        page.fill("#name", PERSON)
        page.fill("#password", PASSWORD)
        page.click("button")
        page.wait_for_selector("text=The orders of")
        page.goto(f"{own}/")
        assert f"Hello {PERSON}" in page.content()
        page.click("text=Sign out")
        page.wait_for_url(f"{own}/")
        page.click("text=Sign in")
        page.wait_for_selector("#password")
