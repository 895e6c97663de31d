"""oauth2-proxy with the configuration of docs/integrations/oauth2-proxy.md, before an upstream that shows what it gets."""

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.factories import PASSWORD
from tests.interop.built import PAGES, write_files
from tests.interop.built.golang import go, needs_go, running
from tests.interop.built.issuer import issuing
from tests.interop.built.tokens import Kind, access_token, bearer, each_kind, id_token, revoke_key, tampered
from tests.serving import Answer, Server, free_port, send

pytestmark = needs_go

AUDIENCE = "https://jobs.acme.example"
FOR_IT = ("--audience", AUDIENCE)

Client = Callable[[str, str, str], None]
Serve = Callable[..., contextlib.AbstractContextManager[str]]


class _Mirror(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer the headers of the request."""
        body = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Address of an API that checks nothing and answers the headers it gets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def module() -> str:
    """The module and version that the page says to install."""
    match = re.search(r"go install (\S+)", (PAGES / "oauth2-proxy.md").read_text())
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, module: str) -> Path:
    folder = tmp_path_factory.mktemp("program")
    go(folder, "install", module, GOBIN=str(folder), GOFLAGS="")
    return folder / "oauth2-proxy"


@pytest.fixture(scope="module")
def serve(program: Path, served: Server, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Return what runs oauth2-proxy with the page's configuration, and says where."""

    @contextlib.contextmanager
    def serve(changes: dict[str, str] | None = None, more: str = "", issuer: str = served.url) -> Iterator[str]:
        folder, address = tmp_path_factory.mktemp("oauth2-proxy"), f"127.0.0.1:{free_port()}"
        own = {"https://id.example.com": issuer, "127.0.0.1:4180": address, "127.0.0.1:9090": upstream}
        write_files("oauth2-proxy", folder, own | (changes or {}))
        with (folder / "oauth2-proxy.cfg").open("a") as configuration:
            configuration.write(more)
        (folder / "cookie-secret").write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        command = ["sh", "-c", f"cd {folder} && exec {program} --config oauth2-proxy.cfg"]
        url = f"http://{address}"
        with running(command, os.environ, lambda: send(f"{url}/ping").status == 200, folder / "log"):
            yield url

    return serve


@pytest.fixture(scope="module")
def proxy(serve: Serve) -> Iterator[str]:
    with serve() as url:
        yield url


@pytest.fixture(scope="module")
def bot(served: Server) -> dict[str, str]:
    return served.create_application("proxied-bot", *FOR_IT, "--role", "researcher")


def ask(proxy: str, token: str, path: str = "/reports", **headers: str) -> Answer:
    return send(f"{proxy}{path}", headers=bearer(token) | headers)


@each_kind
def test_proxy_says_who_calls(proxy: str, module: str, served: Server, client: Client, kind: Kind) -> None:
    client(
        "oauth2-proxy",
        module.rpartition("@")[2],
        f"lets access tokens ({kind}) through; roles as groups",
    )
    application = kind.create_application(served, "proxied", *FOR_IT, "--role", "researcher", "--role", "viewer")
    token = access_token(served, application)
    forged = {"X-Forwarded-User": "somebody", "X_Forwarded_User": "somebody", "X-Forwarded-Groups": "administrator"}
    answer = ask(proxy, token, **forged)
    assert answer.status == 200, answer.body
    passed = {header: value for header, value in answer.json.items() if header.startswith(("Authorization", "X"))}
    assert passed == {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-User": application["uid"],
        "X-Forwarded-Email": f"service-account-{application['client_id']}",
        "X-Forwarded-Preferred-Username": f"service-account-{application['client_id']}",
        "X-Forwarded-Groups": "researcher,viewer",
        "X-Forwarded-For": "127.0.0.1",
    }
    assert ask(proxy, tampered(token)).status == 401


def test_proxy_refuses_what_is_not_for_it(proxy: str, served: Server, bot: dict[str, str]) -> None:
    assert send(f"{proxy}/reports").status == 401
    other = served.create_application("proxied-other", "--audience", "https://other.acme.example", "--role", "researcher")
    assert ask(proxy, access_token(served, other)).status == 401
    assert ask(proxy, id_token(served, bot)).status == 401
    mute = served.create_application("proxied-viewer", *FOR_IT, "--role", "viewer")
    assert ask(proxy, access_token(served, mute)).status == 403


def test_proxy_refuses_what_no_issuer_should_sign(serve: Serve) -> None:
    with issuing() as issuer, serve(issuer=issuer.base) as url:
        assert ask(url, issuer.sign(issuer.claims(AUDIENCE))).status == 200
        found = {what: ask(url, token).status for what, token in issuer.wrong_tokens(AUDIENCE).items()}
        assert set(found.values()) == {401}, found


def test_proxy_passes_over_what_a_token_is_bound_to(serve: Serve) -> None:
    """What the page warns of."""
    with issuing() as issuer, serve(issuer=issuer.base) as url:
        for bound in ({"jkt": "a key"}, {"x5t#S256": "a certificate"}):
            assert ask(url, issuer.sign(issuer.claims(AUDIENCE, cnf=bound))).status == 200


def test_proxy_answers_another_proxy(proxy: str, served: Server, bot: dict[str, str]) -> None:
    mute = served.create_application("proxied-mute", *FOR_IT)
    assert ask(proxy, access_token(served, bot), "/oauth2/auth").status == 202
    assert ask(proxy, tampered(access_token(served, bot)), "/oauth2/auth").status == 401
    assert ask(proxy, access_token(served, mute), "/oauth2/auth").status == 401


def test_proxy_refuses_an_id_token_for_want_of_roles_only(serve: Serve, served: Server) -> None:
    """What the page warns of."""
    fitting = served.create_application(
        "proxied-fitting", "--token-type", "JWT", "--audience", "proxied-fitting", "--role", "researcher"
    )
    name = {AUDIENCE: "proxied-fitting"}
    with serve(name) as url:
        assert ask(url, access_token(served, fitting)).status == 200
        assert ask(url, id_token(served, fitting)).status == 403
    with serve(name | {'allowed_groups = ["researcher"]': ""}) as url:
        assert ask(url, id_token(served, fitting)).status == 200


def test_proxy_can_answer_403_to_an_invalid_token(serve: Serve, served: Server, bot: dict[str, str]) -> None:
    with serve(more="bearer_token_login_fallback = false\n") as url:
        assert ask(url, tampered(access_token(served, bot))).status == 403
        assert ask(url, access_token(served, bot)).status == 200


def test_proxy_finds_no_roles_in_tokens_of_an_extra_issuer(serve: Serve, served: Server) -> None:
    operator = served.create_application("proxied-operator", *FOR_IT, "--role", "researcher", realm="master")
    token = access_token(served, operator, "master")
    with serve(more=f'extra_jwt_issuers = ["{served.issuer("master")}={AUDIENCE}"]\n') as url:
        assert ask(url, token).status == 403
        assert ask(url, tampered(token)).status == 401


def test_proxy_works_without_discovery(serve: Serve, served: Server, bot: dict[str, str]) -> None:
    more = f'skip_oidc_discovery = true\noidc_jwks_url = "{served.endpoint("certs")}"\n'
    with serve(more=more) as url:
        assert ask(url, access_token(served, bot)).status == 200
        assert ask(url, id_token(served, bot)).status == 401


def test_proxy_has_to_be_restarted_after_the_revocation_of_a_key(serve: Serve, served: Server) -> None:
    """What the page warns of."""
    operator = served.create_application("proxied-leak", *FOR_IT, "--role", "researcher", realm="master")
    token = access_token(served, operator, "master")
    with serve({"realms/acme": "realms/master"}) as url:
        assert ask(url, token).status == 200
        revoke_key(served, "master")
        assert ask(url, token).status == 200
    with serve({"realms/acme": "realms/master"}) as url:
        assert ask(url, token).status == 401


def test_people_sign_in_through_it(
    program: Path, module: str, served: Server, upstream: str, client: Client, tmp_path: Path
) -> None:
    client("oauth2-proxy", module.rpartition("@")[2], "signs people in, in Chromium")
    name, port = "dashboard-person@example.test", free_port()
    done = served.run("users", "create", "--realm", "acme", "--email", name, "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    own = f"http://localhost:{port}"
    made = served.create_application("dashboard", "--kind", "web", "--redirect-uri", f"{own}/oauth2/callback")
    write_files(
        "oauth2-proxy",
        tmp_path,
        {"https://id.example.com": served.url, "localhost:4180": f"localhost:{port}", "127.0.0.1:9090": upstream},
    )
    (tmp_path / "client-secret").write_text(made["client_secret"])
    (tmp_path / "cookie-secret").write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
    command = ["sh", "-c", f"cd {tmp_path} && exec {program} --config people.cfg"]
    with (
        running(command, os.environ, lambda: send(f"{own}/ping").status == 200, tmp_path / "log"),
        sync_playwright() as playwright,
    ):
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page()
        page.goto(f"{own}/reports")
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click("button")
        page.wait_for_url(f"{own}/reports")
        passed = json.loads(page.inner_text("body"))
        browser.close()
    assert passed["X-Forwarded-Email"] == name
    assert passed["X-Forwarded-Preferred-Username"] == name
