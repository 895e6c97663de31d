"""The pages on which people sign in to applications, in a real browser: by day and by night, at 360 px, with scripts and without."""

import http.server
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Console, shoot
from tests.factories import BASE, PASSWORD, set_realm
from tests.sign_in.conftest import challenge_of

VERIFIER = "v" * 43
LOGO = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class Application(http.server.ThreadingHTTPServer):
    """Where people are sent back to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Landing)
        self.told: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/done"


class _Landing(http.server.BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        self._tell(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._tell(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _tell(self, query: str) -> None:
        if not self.path.startswith("/done"):
            self.send_error(404)
            return
        self.server.told.append(parse_qs(query))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>There</title><h1>There</h1>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    found = Application()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(scope="module")
def furnished(console: Console, application: Application) -> Console:
    console.make.user("ann@example.test", roles=("viewer",), first_name="Ann", last_name="Archer")
    public = {"redirect_uris": [application.url], "roles": (), "secret": False, "kind": "native"}
    console.make.application("shop", display_name="The shop", **public)
    console.make.application("quiz", display_name="Quiz night", consent=True, **public)
    return console


def url(console: Console, application: Application, client: str = "shop", **changes: str) -> str:
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": application.url,
        "scope": "openid profile email offline_access",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "state": "a state",
    }
    return f"{console.server.url}{BASE.format(realm='acme')}auth?{urlencode(asked | changes)}"


def sign_in(page: Page) -> None:
    page.fill("#name", "ann@example.test")
    page.fill("#password", PASSWORD)
    page.click("button:has-text('Sign in')")


def arrived(page: Page, application: Application) -> dict[str, list[str]]:
    page.wait_for_selector("h1:has-text('There')")
    return application.told[-1]


def pages(console: Console, application: Application, page: Page) -> Iterator[str]:
    """Go through every page, and stop at each."""
    page.goto(url(console, application))
    yield "sign in"
    page.fill("#name", "ann@example.test")
    page.fill("#password", "wrong password")
    page.click("button")
    page.wait_for_selector("[role=alert]")
    yield "wrong password"
    sign_in(page)
    arrived(page, application)
    page.goto(url(console, application, "quiz", prompt="consent"))
    yield "consent"
    page.goto(url(console, application, prompt="select_account"))
    yield "account"
    page.goto(url(console, application, "nobody"))
    yield "refused"
    page.goto(f"{console.server.url}/device")
    yield "device"
    asked = console.make.app.test_client().post(f"{BASE.format(realm='acme')}auth/device", data={"client_id": "quiz"}).json
    page.goto(asked["verification_uri_complete"].replace("http://localhost:8080", console.server.url))
    page.goto(f"{console.server.url}/device?user_code={asked['user_code']}")
    page.click("button")
    page.wait_for_selector("h1:has-text('Allow this device?')")
    yield "device question"
    page.click("button:has-text('Allow') >> nth=0")
    page.wait_for_selector("h1:has-text('Device connected')")
    yield "device connected"
    page.goto(f"{console.server.url}{BASE.format(realm='acme')}logout")
    yield "sign out"
    page.click("button:has-text('Sign out')")
    page.wait_for_selector("h1:has-text('Signed out')")
    yield "signed out"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_and_nothing_is_too_wide(furnished: Console, application: Application, scheme: str) -> None:
    page = furnished.visitor(color_scheme=scheme, viewport={"width": 360, "height": 740})
    said = []
    for name in pages(furnished, application, page):
        shoot(page, f"signing in {name} {scheme}")
        found = Axe().run(page)
        if found.violations_count:
            said.append(f"{name}: {found.generate_report()}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        sizes = page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map(each => each.transferSize)"
        )
        assert sum(sizes) < 30_000, name
    assert said == [], "\n\n".join(said)
    assert furnished.violations == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_a_realm_can_be_read(furnished: Console, application: Application, scheme: str) -> None:
    own = {"brand_color": "#0b6e4f", "brand_logo": LOGO, "help_url": "https://a.example", "terms_url": "https://b.example"}
    furnished.make.do(lambda realm: set_realm(realm, **own))
    page = furnished.visitor(color_scheme=scheme, viewport={"width": 360, "height": 740})
    try:
        page.goto(url(furnished, application, ui_locales="de"))
        page.wait_for_function("document.images[0].naturalWidth == 1")
        shoot(page, f"signing in branded {scheme}")
        shown = page.evaluate("getComputedStyle(document.querySelector('button')).backgroundColor")
        assert (shown == "rgb(11, 110, 79)") is (scheme == "light")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    finally:
        furnished.make.do(lambda realm: set_realm(realm, **dict.fromkeys(own, "")))
    assert furnished.violations == []


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without"])
def test_every_way_leads_to_the_application(furnished: Console, application: Application, script: bool) -> None:
    page = furnished.visitor(java_script_enabled=script)
    page.goto(url(furnished, application))
    sign_in(page)
    first = arrived(page, application)
    assert (first["state"], first.keys()) == (["a state"], {"code", "state", "iss"})
    page.goto(url(furnished, application, "quiz", prompt="consent", response_mode="form_post"))
    page.click("button:has-text('Allow') >> nth=0")
    if not script:
        page.click("button:has-text('Continue')")
    posted = arrived(page, application)
    assert posted["code"] != first["code"]
    page.goto(url(furnished, application, "quiz", prompt="consent"))
    page.click("button:has-text('Do not allow')")
    assert arrived(page, application)["error"] == ["access_denied"]
    assert furnished.violations == []


@pytest.mark.spec("R17", "T96")
def test_pages_cannot_be_framed(furnished: Console, application: Application) -> None:
    """Clickjacking: a page that frames one of these shows nothing of it."""
    page = furnished.visitor()
    page.goto(application.url)
    page.set_content(f'<iframe src="{url(furnished, application)}"></iframe>')
    frame = page.frames[-1]
    frame.wait_for_load_state()
    assert frame.locator("#password").count() == 0
