"""A page of another origin, in a real browser, uses what it may and reads nothing else (Fetch standard, CORS protocol)."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.serving import Server

_ASK = """async ([url, options]) => {
    try { const answer = await fetch(url, options); return [answer.status, await answer.json()]; }
    catch (error) { return [0, String(error)]; }
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    """A page on another port, which is another origin, and that origin."""
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<!doctype html><title>site</title>")
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{site.server_port}"
    visitor = browser.new_page()
    visitor.goto(origin)
    yield visitor, origin
    visitor.close()
    site.shutdown()
    site.server_close()
    thread.join()


def test_page_reads_public_documents_and_what_its_application_is_answered(page: tuple[Page, str], served: Server) -> None:
    visitor, origin = page

    def ask(url: str, **options: Any) -> list[Any]:
        answer: list[Any] = visitor.evaluate(_ASK, [url, options])
        return answer

    for document in (f"{served.issuer()}/.well-known/openid-configuration", served.endpoint("certs")):
        assert ask(document)[0] == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for name, options, status in (("page-bot", ["--web-origin", origin], 200), ("other-bot", [], 0)):
        bot = served.create_application(name, *options)
        body = f"grant_type=client_credentials&scope=openid&client_id={name}&client_secret={bot['client_secret']}"
        assert ask(served.endpoint("token"), method="POST", headers=form, body=body)[0] == status
        token = served.token(bot, scope="openid").json["access_token"]
        # the header Authorization has the browser ask first
        told = ask(served.endpoint("userinfo"), headers={"Authorization": f"Bearer {token}"})
        assert told[0] == status
        assert not status or told[1]["sub"] == bot["uid"]
    assert ask(f"{served.url}/v1/applications", headers={"Authorization": "Bearer x"})[0] == 0
