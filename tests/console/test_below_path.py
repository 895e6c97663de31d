"""Below a path of a host (`https://id.example/idp`): nothing leads out of it, whether the proxy strips the path or not."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from idp.app import close_app, create_app
from idp.cli import main
from idp.console import assets
from idp.public_url import OWN_PATHS
from idp.settings import Settings, SettingsError
from tests.console.surfing import Surfer
from tests.console.test_every_page import furnished  # noqa: F401 (a fixture)
from tests.factories import PASSWORD, Factory, session_of

PATH = "/idp"
PUBLIC = f"https://id.example.test{PATH}"


@dataclass
class Proxy:
    """A proxy on whose host the server has one path: all else is another server's."""

    app: Callable[..., Iterable[bytes]]
    strips: bool
    strayed: list[str] = field(default_factory=list)
    """What led out of the path."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = environ["PATH_INFO"]
        if not is_below(asked):
            self.strayed.append(f"request {asked}")
            start_response("418 Another Server", [])
            return []
        if self.strips:
            environ["PATH_INFO"] = asked.removeprefix(PATH) or "/"

        def respond(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            for name, value in headers:
                if name == "Location" and not is_below(value):
                    self.strayed.append(f"Location {value} of {asked}")
                if name == "Set-Cookie" and not re.search(rf"; Path={PATH}(;|$)", value):
                    self.strayed.append(f"cookie {value} of {asked}")
            return start_response(status, headers, *more)

        return self.app(environ, respond)


class References(HTMLParser):
    """Everything in a page that a browser may follow or fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found += [
            value or "" for name, value in attrs if name in {"href", "src", "action", "formaction", "data-description"}
        ]


def is_below(url: str) -> bool:
    """Tell whether a URL of a page or of a header stays below the path; one that names no path does."""
    path = url.removeprefix("https://id.example.test") if url.startswith(PUBLIC) else url
    return path == "" or path[0] in "#?" or re.match(rf"{PATH}(?![^/?#])", path) is not None


@pytest.fixture
def mounted(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"public_url": PUBLIC}))
    yield app
    close_app(app)


@pytest.fixture
def make(mounted: Flask) -> Factory:
    return Factory(mounted)


@pytest.fixture(params=[True, False], ids=["stripped", "not stripped"])
def proxy(request: pytest.FixtureRequest, mounted: Flask) -> Proxy:
    proxy = Proxy(mounted.wsgi_app, request.param)
    mounted.wsgi_app = proxy  # type: ignore[method-assign]
    return proxy


class Visitor(Surfer):
    """Somebody with a browser, which says `https`."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.origin = "https://id.example.test"
        self.client.environ_base |= {"wsgi.url_scheme": "https", "HTTP_HOST": "id.example.test"}

    def open(self, url: str, **options: Any) -> "Surfer":
        super().open(url, base_url="https://id.example.test", **options)
        self.url = self.page.request.root_path + self.page.request.path
        return self

    def send(self, button: str, values: dict[str, Any] | None = None, follow: bool = True, **options: Any) -> "Surfer":
        found = self.form(button)
        assert is_below(found.action), found.action
        return super().send(button, values, follow, base_url="https://id.example.test", **options)


def crawl(surfer: Surfer, *starts: str) -> dict[str, list[str]]:
    """Open every page, asset and form that pages lead to, one of each shape of URL; return what each leads to."""
    waiting, shapes, pages = deque(starts), set[str](), dict[str, list[str]]()
    while waiting:
        url = waiting.popleft()
        shape = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|after=.*", "_", url)
        if shape in shapes:
            continue
        shapes.add(shape)
        surfer.open(url)
        assert surfer.status < 400 or surfer.status == 405, (url, surfer.status)  # what takes forms only is there
        pages[url] = References(surfer.text).found if surfer.page.mimetype == "text/html" else []
        waiting.extend(found for found in pages[url] if found.startswith("/"))
    return pages


@pytest.mark.usefixtures("furnished")
def test_nothing_in_any_page_leads_out_of_the_path(mounted: Flask, make: Factory, proxy: Proxy) -> None:
    make.user(roles=("administrator",))
    make.user("root@example.test", realm="master", roles=("administrator",))
    pages: dict[str, list[str]] = crawl(
        Visitor(mounted), *(f"{PATH}{end}" for end in ("", "/", "/console", "/docs", "/docs/life-cycle"))
    )
    for name, realm in (("ann@example.test", "acme"), ("root@example.test", "master")):
        surfer = Visitor(mounted)
        surfer.open(f"{PATH}/console/sign-in").send("Sign in", {"name": name, "organisation": realm, "password": PASSWORD})
        assert "Sign out" in surfer.text
        pages |= crawl(surfer, f"{PATH}/console/")
        surfer.open(f"{PATH}/console/nothing-here")
        pages[f"{name}'s error"] = References(surfer.text).found
        surfer.open(f"{PATH}/console/").send("Sign out")
        assert "You have signed out" in surfer.text
    assert len(pages) > 120, sorted(pages)
    leading_out = {(page, url) for page, found in pages.items() for url in found if not is_below(url)}
    assert not leading_out
    assert not proxy.strayed


def test_assets_name_no_place_of_their_own() -> None:
    for name in assets.ASSETS._files:
        content = assets.ASSETS._asset(name).content.decode()
        assert set(re.findall(r"url\(['\"]?([^'\")]{5})", content)) <= {"data:"}, name
        assert not re.findall(r"['\"`]/(?:console|docs|v1|auth|gateway)", content), name


def test_page_that_was_wanted_is_led_to_after_the_sign_in(mounted: Flask, make: Factory, proxy: Proxy) -> None:
    make.user(roles=("administrator",))
    surfer = Visitor(mounted)
    surfer.open(f"{PATH}/console/realms/acme/roles?search=view")
    assert surfer.url == f"{PATH}/console/sign-in"
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    assert surfer.url == f"{PATH}/console/realms/acme/roles"
    surfer.open(f"{PATH}/console/realms/acme/new-role").send("Create", {"name": "reader"})
    assert "Created." in surfer.text
    assert not proxy.strayed


def test_cookies_of_the_console_are_for_the_path_and_a_planted_one_is_not_taken(
    mounted: Flask, make: Factory, proxy: Proxy
) -> None:
    make.user(roles=("administrator",))
    surfer = Visitor(mounted)
    surfer.open(f"{PATH}/console/sign-in")
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD}, follow=False)
    (cookie,) = [each for each in surfer.page.headers.getlist("Set-Cookie") if "realmgate-session=" in each]
    assert cookie.startswith("__Secure-")
    assert {"Secure", "HttpOnly", "Path=/idp", "SameSite=Lax"} <= set(cookie.split("; "))
    surfer.open(f"{PATH}/console/realms/acme")
    assert "Sign out" in surfer.text
    surfer.client.set_cookie("__Secure-realmgate-session", "planted", path=f"{PATH}/console", domain="id.example.test")
    surfer.open(f"{PATH}/console/realms/acme")
    assert "Sign out" not in surfer.text, "of two it cannot be told which is the browser's own"
    assert not proxy.strayed


def test_api_and_discovery_stay_below_the_path(mounted: Flask, make: Factory, proxy: Proxy) -> None:
    make.user(roles=("administrator",))
    client = mounted.test_client(use_cookies=False)
    ann = session_of(Below(client))  # type: ignore[arg-type]
    proxy.strayed.clear()  # the cookie of the API is for every API of the host
    made = client.post(f"{PATH}/v1/roles", json={"metadata": {"name": "reader"}}, headers=ann)
    assert made.status_code == 201, made.text
    assert client.get(made.headers["Location"], headers=ann).json["metadata"]["name"] == "reader"
    described = client.get(f"{PATH}/v1/openapi.json").json
    assert described["servers"] == [{"url": PUBLIC}]
    discovery = client.get(f"{PATH}/auth/realms/acme/.well-known/openid-configuration").json
    urls = {value for value in discovery.values() if isinstance(value, str) and "://" in value}
    assert len(urls) > 4
    assert all(url.startswith(f"{PUBLIC}/auth/realms/acme") for url in urls)
    for url in urls:
        assert client.get(url.removeprefix("https://id.example.test")).status_code != 404, url
    assert not proxy.strayed


class Below:
    """A client that calls below the path what it is told to call."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def post(self, path: str, **options: Any) -> Any:
        return self._client.post(PATH + path, **options)


@pytest.mark.parametrize("path", ["/console", "/auth", "/v1/x", "/docs", "/gateway"])
def test_path_that_is_one_of_the_servers_own_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("IDP_PUBLIC_URL", f"https://id.example.test{path}")
    with pytest.raises(
        SettingsError, match=f"takes another path, such as /idp: URLs of the server itself begin with /{path.split('/')[1]}"
    ):
        Settings.load()
    monkeypatch.setenv("IDP_DATA_DIR", str(tmp_path / "data"))
    result = CliRunner().invoke(main, ["setup"])
    assert result.exit_code == 1
    assert "takes another path, such as /idp" in result.output
    assert not (tmp_path / "data").exists()


def test_all_beginnings_of_the_servers_own_urls_are_known(app: Flask) -> None:
    assert {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""} == OWN_PATHS
