"""What every answer of every edge tells a browser."""

import http.client
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.routing import Rule

from idp.app import close_app, create_app
from idp.settings import Settings
from tests.factories import Factory, ask_token
from tests.serving import PATIENCE, Server, free_port, wait_until


@pytest.fixture(params=["http://localhost:8080", "https://id.example"])
def public(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"public_url": request.param}))
    yield app
    close_app(app)


def check(headers: Headers, *, https: bool) -> None:
    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert headers.getlist("Strict-Transport-Security") == (["max-age=31536000"] if https else [])


def address_of(rule: Rule) -> str:
    """Return a URL that leads to a rule, or is at least like it."""
    one_of_some = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)
    return re.sub(r"<[^>]*>", "x", re.sub(r"<int:[^>]*>", "1", one_of_some))


def test_every_url_answers_with_the_headers_once(public: Flask) -> None:
    client = public.test_client()
    with public.app_context():
        https = client.application.extensions["realmgate"].settings.public_url.startswith("https")
    rules = list(public.url_map.iter_rules())
    assert len(rules) > 200
    for rule in rules:
        for method in ("GET", "POST"):
            answer = client.open(address_of(rule), method=method)
            check(answer.headers, https=https)
    for path in ("/nowhere", "/v1/nowhere", "/console/nowhere", "/auth/realms/nowhere/.well-known/openid-configuration"):
        check(client.get(path).headers, https=https)
        check(client.open(path, method="BREW").headers, https=https)
    assert client.get("/").status_code in {302, 303, 308}, "a redirect is among them"


def test_tokens_and_refusals_come_with_them(public: Flask) -> None:
    client: FlaskClient = public.test_client()
    https = public.extensions["realmgate"].settings.public_url.startswith("https")
    made = Factory(public).application()
    for answer, status in ((ask_token(client, made), 200), (ask_token(client, made, client_secret="wrong"), 401)):
        assert answer.status_code == status
        check(answer.headers, https=https)


def test_served_program_and_its_management_port_have_them(own_server: Server) -> None:
    port = free_port()
    own_server.settings["IDP_MANAGEMENT_PORT"] = str(port)
    own_server.start()
    asked = [(own_server.port, "GET", "/health/live"), (own_server.port, "PUT", "/nowhere")]
    asked += [(port, "GET", "/health/live"), (port, "GET", "/metrics"), (port, "GET", "/nowhere"), (port, "PUT", "/metrics")]
    for where, method, path in asked:

        def answers(where: int = where, method: str = method, path: str = path) -> http.client.HTTPResponse | None:
            connection = http.client.HTTPConnection("127.0.0.1", where, timeout=PATIENCE)
            try:
                connection.request(method, path)
                return connection.getresponse()
            except OSError:
                return None
            finally:
                connection.close()

        answer = wait_until(answers, f"an answer to {method} {path}")
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], (method, path)
