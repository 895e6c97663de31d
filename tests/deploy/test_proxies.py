"""The proxies of deploy/proxies, each for real: what they pass on, what they keep inside, and what they ask twice."""

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import pytest
import yaml

from tests.prepare import program_missing
from tests.proxies import ask_over_tls, example, make_certificate, start_caddy, start_haproxy, start_nginx, stop
from tests.serving import PROJECT, Answer, Server, free_port, wait_until

HOST = "id.example.com"
CLIENT, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of clients; the proxy has 127.0.0.1, which is the one that is trusted."""

FILES = {"nginx": "nginx.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg"}
STARTS = {"nginx": start_nginx, "caddy": start_caddy, "haproxy": start_haproxy}
SECOND = {
    "nginx": {
        "max_fails=1": "max_fails=0",
        "# server 127.0.0.1:8081": "server 127.0.0.1:8081",
    },
    "caddy": {"reverse_proxy 127.0.0.1:8080": "reverse_proxy 127.0.0.1:8080 127.0.0.1:8081"},
    "haproxy": {"# server node2 ": "server node2 ", "# server node2-anyway": "server node2-anyway"},
}
"""How an example gets a second node; with nginx both are asked however often one has failed."""

ASKED = 12
"""Requests of each kind: of the nodes, proxies choose one by turns or by chance."""

Ask = Callable[..., Answer]


@contextlib.contextmanager
def proxy(name: str, folder: Path, *nodes: int) -> Iterator[Ask]:
    """Run a proxy in front of one node or two, and yield what asks it."""
    if missing := program_missing(name):
        pytest.skip(missing)
    port = free_port()
    make_certificate(folder, HOST)
    if name == "haproxy":
        with (folder / "realmgate.pem").open("ab") as both:
            both.write((folder / "realmgate.key").read_bytes())
    files = {"/etc/ssl/realmgate.pem": f"{folder}/realmgate.pem"}
    if name != "haproxy":
        files["/etc/ssl/realmgate.key"] = f"{folder}/realmgate.key"
    own = {f"{HOST}:8443" if name == "caddy" else "127.0.0.1:8443": f"{HOST if name == 'caddy' else '127.0.0.1'}:{port}"}
    second = SECOND[name] | {"127.0.0.1:8081": f"127.0.0.1:{nodes[1]}"} if len(nodes) > 1 else {}
    process = STARTS[name](
        folder, example(f"deploy/proxies/{FILES[name]}", files | own | second | {"127.0.0.1:8080": f"127.0.0.1:{nodes[0]}"})
    )

    def ask(path: str, method: str = "GET", source: str = CLIENT, body: str | None = None, **headers: str) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        return ask_over_tls(HOST, port, folder, method, path, kind | headers, body, source)

    def listens() -> bool:
        assert process.poll() is None, f"{name} ended"
        try:
            return ask("/health/live").status == 200
        except OSError:
            return False

    try:
        wait_until(listens, f"the start of {name}")
        yield ask
    finally:
        stop(process)


@pytest.fixture(scope="module")
def realmgate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"IDP_PUBLIC_URL": f"https://{HOST}", "IDP_TRUSTED_PROXIES": "127.0.0.1"}
    server = Server(tmp_path_factory.mktemp("realmgate"), settings=settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=list(FILES))
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, realmgate: Server) -> Iterator[Ask]:
    with proxy(request.param, tmp_path_factory.mktemp(request.param), realmgate.port) as ask:
        yield ask


@pytest.fixture(scope="module")
def application(realmgate: Server) -> dict[str, str]:
    return realmgate.create_application("ci-bot")


@pytest.fixture(scope="module")
def bound(realmgate: Server, application: dict[str, str]) -> dict[str, str]:
    """The header of a key that works from one client's address only."""
    command = ("api-keys", "create", "--realm", "acme", "ci-bot", "bound", "--address", CLIENT, "--json")
    return {"apiKey": json.loads(realmgate.idp(*command))["api_key"]}


def test_a_token_comes_through(proxied: Ask, application: dict[str, str]) -> None:
    form = {"grant_type": "client_credentials", **{name: application[name] for name in ("client_id", "client_secret")}}
    token = proxied("/auth/realms/acme/protocol/openid-connect/token", "POST", body=urlencode(form))
    assert token.status == 200, token.body
    assert token.json["access_token"].count(".") == 2
    assert proxied("/auth/realms/acme/.well-known/openid-configuration").json["issuer"] == f"https://{HOST}/auth/realms/acme"


def test_what_a_client_forges_does_not_come_through(proxied: Ask, bound: dict[str, str]) -> None:
    path = "/v1/applications"
    assert proxied(path, **bound).status in {200, 403}, "the key works"
    forged = {"X-Forwarded-For": CLIENT, "X-Real-IP": CLIENT, "Forwarded": f"for={CLIENT}", "X_Forwarded_For": CLIENT}
    assert proxied(path, source=OTHER, **bound, **forged).status == 401
    chosen = {"X-Request-Id": "chosen-by-the-client", "X_Request_Id": "chosen-by-the-client", "X-Forwarded-Proto": "http"}
    answer = proxied(path, **bound, **chosen)
    assert answer.status in {200, 403}
    assert answer.headers["X-Request-Id"] not in {None, "chosen-by-the-client"}


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/health/ready",
        "/health//ready",
        "/%68ealth/ready",
        "/gateway/check/acme/telemetry?method=GET&uri=/",
        "//gateway/check/acme/telemetry?method=GET&uri=/",
        "/%67ateway/check/acme/telemetry?method=GET&uri=/",
        "/gateway%2Fcheck/acme/telemetry?method=GET&uri=/",
    ],
)
def test_what_is_for_the_inside_is_refused_however_it_is_written(proxied: Ask, realmgate: Server, path: str) -> None:
    answer = proxied(path)
    assert answer.status == 404
    assert "X-Request-Id" not in answer.headers, "the server was asked"


class Node(ThreadingHTTPServer):
    """A node that notes what it is asked. One that breaks off answers nothing but probes; one that is not ready says so to them."""

    def __init__(self, *, breaks_off: bool = False, is_ready: bool = True) -> None:
        self.asked: dict[str, list[str]] = defaultdict(list)
        self.headers: list[tuple[str, str]] = []
        self.breaks_off = breaks_off
        self.probes = 0
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if number := self.headers["X-Number"]:
                    node.asked[self.command].append(number)
                    node.headers = self.headers.items()
                    if node.breaks_off:
                        self.close_connection = True
                        return
                is_probe = self.path == "/health/ready"
                node.probes += is_probe
                self.send_response(503 if is_probe and not is_ready else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (the library's names)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.mark.parametrize("name", FILES)
def test_a_node_is_told_what_the_proxy_saw(name: str, tmp_path: Path) -> None:
    forged = (
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Uri",
        "X-Real-IP",
        "Forwarded",
        "X-Request-Id",
    )
    both = [*forged, *(header.replace("-", "_") for header in forged if "-" in header)]
    with Node() as node, proxy(name, tmp_path, node.server_port) as ask:
        assert ask("/v1/realms", **{"X-Number": "1", **dict.fromkeys(both, "forged.example")}).status == 200
    arrived = defaultdict(list)
    for header, value in node.headers:
        arrived[header.lower()].append(value)
    assert (arrived["x-forwarded-for"], arrived["x-forwarded-proto"]) == ([CLIENT], ["https"])
    assert len(arrived["x-request-id"]) == 1
    assert not [header for header, values in arrived.items() if "forged.example" in values]
    assert not [header for header in arrived if "_" in header]


@pytest.mark.parametrize("name", FILES)
def test_only_what_can_be_asked_twice_is(name: str, tmp_path: Path) -> None:
    with (
        Node(breaks_off=True) as broken,
        Node() as whole,
        proxy(name, tmp_path, broken.server_port, whole.server_port) as ask,
    ):
        for number in range(ASKED):
            assert ask("/v1/realms", **{"X-Number": str(number)}).status == 200
        assert broken.asked["GET"], "the one that breaks off was asked, too"
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answers = [ask("/v1/realms", method, body="a=b", **{"X-Number": str(number)}).status for number in range(ASKED)]
            assert broken.asked[method], method
            assert not set(broken.asked[method]) & set(whole.asked[method]), f"{name} has sent a {method} twice"
            assert sorted(broken.asked[method] + whole.asked[method], key=int) == [str(n) for n in range(ASKED)], "each once"
            assert answers.count(502) == len(broken.asked[method]), answers


@pytest.mark.parametrize("name", FILES)
def test_a_node_that_has_gone_is_passed_over(name: str, tmp_path: Path) -> None:
    with Node() as whole, proxy(name, tmp_path, free_port(), whole.server_port) as ask:
        for method in ("GET", "POST"):
            assert {ask("/v1/realms", method, body="a=b", **{"X-Number": "1"}).status for _ in range(ASKED)} == {200}, method


@pytest.mark.parametrize("name", FILES)
def test_nodes_are_asked_though_none_is_ready(name: str, tmp_path: Path) -> None:
    with (
        Node(is_ready=False) as first,
        Node(is_ready=False) as second,
        proxy(name, tmp_path, first.server_port, second.server_port) as ask,
    ):
        if name == "haproxy":
            assert wait_until(lambda: min(first.probes, second.probes) >= 3, "the checks of HAProxy")
        assert {ask("/v1/realms", **{"X-Number": "1"}).status for _ in range(ASKED)} == {200}


def test_envoys_configuration_says_the_same() -> None:
    """Envoy is not run here; `make charts` reads the file with Envoy's own types."""
    read = yaml.safe_load((PROJECT / "deploy/proxies/envoy.yaml").read_text())["static_resources"]
    chain = read["listeners"][0]["filter_chains"][0]
    manager = chain["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    inside, repeated, others = host["routes"]
    assert inside["direct_response"]["status"] == 404
    assert others["route"]["retry_policy"]["retry_on"] == "connect-failure"
    assert repeated["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|HEAD"
    written = {each["header"]["key"]: each["append_action"] for each in host["request_headers_to_add"]}
    assert written == dict.fromkeys(["X-Forwarded-For", "X-Forwarded-Proto"], "OVERWRITE_IF_EXISTS_OR_ADD")
    assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "DROP_HEADER"
    assert (manager["use_remote_address"], manager["skip_xff_append"], manager["preserve_external_request_id"]) == (
        True,
        True,
        False,
    )
    assert (manager["normalize_path"], manager["merge_slashes"]) == (True, True)
