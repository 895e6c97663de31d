"""A real proxy asks the gateway for each request, and a real Prometheus stands behind it: nginx and Caddy from Debian."""

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp import access, protected_apis
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.factories import PASSWORD, Factory, set_api
from tests.prepare import program_missing
from tests.proxies import STARTS, example, stop
from tests.serving import PATIENCE, Answer, Server, free_port, send, wait_until

GROUPS = {
    "/api/v1/query": "?query=up",
    "/api/v1/query_range": "?query=up&start=1700000000&end=1700000060&step=15",
    "/api/v1/label": "/__name__/values",
    "/api/v1/metadata": "",
    "/api/v1/series": "?match[]=up",
}

Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def realmgate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("gateway"), settings={"IDP_WORKERS": "2", "IDP_TRUSTED_PROXIES": "127.0.0.1"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    missing = program_missing("prometheus")
    if missing:
        pytest.skip(missing)
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(
        f"scrape_configs:\n- job_name: self\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n"
    )
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _has_samples(port), "the first sample of Prometheus")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _has_samples(port: int) -> bool:
    try:
        answer = send(f"http://127.0.0.1:{port}/api/v1/query?query=up")
    except OSError:
        return False
    return answer.status == 200 and bool(answer.json["data"]["result"])


def _site(name: str, realmgate: Server, api: int, own: int) -> str:
    ports = {"127.0.0.1:8080": realmgate.port, "127.0.0.1:9090": api, "127.0.0.1:8443": own}
    file = {"nginx": "docs/examples/gateway/nginx.conf", "caddy": "docs/examples/gateway/Caddyfile"}[name]
    return example(file, {written: f"127.0.0.1:{port}" for written, port in ports.items()})


def _proxied(name: str, folder: Path, realmgate: Server, api: int) -> Iterator[Ask]:
    missing = program_missing(name)
    if missing:
        pytest.skip(missing)
    port = free_port()
    process = STARTS[name](folder, _site(name, realmgate, api, port))

    def ask(path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def listens() -> bool:
        assert process.poll() is None, f"{name} ended"
        try:
            return ask("/").status in {401, 403}
        except OSError:
            return False

    try:
        wait_until(listens, f"the start of {name}")
        yield ask
    finally:
        stop(process)


@pytest.fixture(scope="module", params=list(STARTS))
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, realmgate: Server, prometheus: int
) -> Iterator[Ask]:
    yield from _proxied(request.param, tmp_path_factory.mktemp(request.param), realmgate, prometheus)


@pytest.fixture(scope="module")
def shown(realmgate: Server) -> dict[str, dict[str, str]]:
    """Return headers that show each kind of credential of somebody with the role viewer."""
    bot = realmgate.create_application("dashboard", "--role", "viewer")
    key = json.loads(realmgate.idp("api-keys", "create", "--realm", "acme", "dashboard", "panel", "--json"))
    command = ("users", "create", "--realm", "acme", "--email", "grafana@example.test", "--role", "viewer", "--password-stdin")
    made = realmgate.run(*command, typed=PASSWORD)
    assert made.returncode == 0, made.stderr
    body = json.dumps({"emailId": "grafana@example.test", "password": PASSWORD}).encode()
    session = send(f"{realmgate.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"}).json["Authorization"]
    personal = send(f"{realmgate.url}/auth/v1/tokens/generate", headers={"Authorization": f"Bearer {session}"}).json["token"]
    return {
        "access token": {"Authorization": f"Bearer {realmgate.token(bot).json['access_token']}"},
        "API key": {"apiKey": key["api_key"]},
        "session token": {"Authorization": session},
        "cookie": {"Cookie": f"Authorization={session}"},
        "personal token": {"Authorization": f"Bearer {personal}"},
    }


@pytest.fixture(scope="module")
def largest(realmgate: Server) -> dict[str, dict[str, str]]:
    """Return what shows a token that is as long as one may be, and a key whose roles just fit the headers of the check."""
    wide = "w" * 60

    def furnish(realm: Any) -> None:
        for number in range(54):
            access.create_project(realm, f"project-{number:02}")
        access.create_project(realm, wide)
        for number in range(120):
            access.create_role(realm, f"role-{number:03}")

    app = create_app(Settings.load(data_dir=realmgate.data_dir, public_url=realmgate.url))
    make = Factory(app)
    make.do(furnish)
    long = make.application("long", roles=("viewer",), projects=tuple(f"project-{number:02}" for number in range(54)))
    make.user("wide@example.test", roles=("viewer",), projects=tuple((wide, f"role-{number:03}") for number in range(120)))
    key = make.key("wide@example.test")
    close_app(app)
    form = {"client_id": long.client_id, "client_secret": long.secret}
    token = wait_until(lambda: realmgate.token(form).json.get("access_token"), "a token with everything")
    assert 7_400 < len(token) <= 8_000, len(token)
    return {"longest token": {"Authorization": f"Bearer {token}"}, "widest roles": key.header}


def test_the_five_groups_answer_who_has_a_token(proxy: Ask, shown: dict[str, dict[str, str]]) -> None:
    for credential, header in shown.items():
        for path, rest in GROUPS.items():
            answer = proxy(path + rest, header)
            assert (answer.status, answer.json["status"]) == (200, "success"), (credential, path, answer.body)
    data: Any = proxy("/api/v1/query?query=up", shown["API key"]).json["data"]["result"]
    assert data[0]["value"][1] == "1"


def test_no_token_and_bad_tokens_are_challenged(proxy: Ask, shown: dict[str, dict[str, str]]) -> None:
    for header in (
        {},
        {"Authorization": "Bearer x.y.z"},
        {"apiKey": shown["API key"]["apiKey"][:-1]},
        {"Cookie": "Authorization=x"},
    ):
        for path, rest in GROUPS.items():
            answer = proxy(path + rest, header)
            assert answer.status == 401, (path, header)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert b"success" not in answer.body


def test_other_methods_and_paths_are_forbidden_with_a_token_too(proxy: Ask, shown: dict[str, dict[str, str]]) -> None:
    header = shown["access token"]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path, rest in GROUPS.items():
            assert proxy(path + rest, header, method).status in {403, 405}, (method, path)
    for path in (
        "/",
        "/metrics",
        "/api/v1/labels",
        "/api/v1/targets",
        "/api/v1/status/config",
        "/-/reload",
        "/graph",
        "/api/v1/querying",
        "/api/v1/query/../targets",
        "/api/v1/query/%2e%2e/targets",
        "/api/v1//query",
        "/api/v1/query%2f..%2ftargets",
    ):
        assert proxy(path, header).status in {400, 403, 404}, path


def test_headers_of_the_client_change_nothing(proxy: Ask, shown: dict[str, dict[str, str]]) -> None:
    """What names another request, in any spelling that could be taken for the proxy's own headers."""
    header = shown["access token"]
    for name in (
        "X-Forwarded-Uri",
        "X_Forwarded_Uri",
        "X-Original-URI",
        "X_Original_URI",
        "x_forwarded_uri",
        "X-Forwarded_Uri",
        "X_Forwarded-Uri",
    ):
        for method in ("X-Forwarded-Method", "X_Forwarded_Method"):
            forged = {name: "/api/v1/query?query=up", method: "GET"}
            assert proxy("/api/v1/targets", header | forged).status == 403, forged
            assert proxy("/api/v1/query?query=up", header | forged, "DELETE").status in {403, 405}, forged


@pytest.mark.parametrize("name", list(STARTS))
def test_api_sees_the_servers_identity_headers_and_none_of_the_clients(
    name: str, tmp_path: Path, realmgate: Server, shown: dict[str, dict[str, str]]
) -> None:
    from tests.flows.echo import Echo

    with Echo() as echo:
        for ask in _proxied(name, tmp_path, realmgate, echo.port):
            parts = ("Subject", "Realm", "Roles", "Projects", "Token")
            forged = {f"X-Auth-{part}": "root" for part in parts}
            forged |= {f"{auth}{part}": "root" for part in parts for auth in ("X_Auth_", "X-Auth_", "X_Auth-")}
            answer = ask("/api/v1/query?query=up", shown["API key"] | forged)
            assert answer.status == 200
            seen = {key.lower(): value for key, value in answer.json}
            assert (seen["x-auth-realm"], seen["x-auth-roles"]) == ("acme", "viewer")
            assert seen["authorization"].startswith("Bearer ")
            assert len(seen["authorization"].split(".")) == 3
            assert not seen.get("x-auth-token"), "the token is sent once"
            assert "apikey" not in seen
            assert "root" not in answer.body.decode()
            assert shown["API key"]["apiKey"] not in answer.body.decode()


@pytest.fixture(scope="module")
def open_docs(realmgate: Server) -> str:
    """Return a path that the rules leave open to everybody."""

    def open_it(realm: Any) -> None:
        api = protected_apis.get_api(realm, "telemetry")
        rules = [*api.rules, {"methods": ["GET", "OPTIONS"], "path": "/docs", "open": True}]
        set_api(realm, api.name, audience=api.audience, rules=rules)

    app = create_app(Settings.load(data_dir=realmgate.data_dir, public_url=realmgate.url))
    Factory(app).do(open_it)
    close_app(app)
    return "/docs/"


@pytest.mark.parametrize("name", list(STARTS))
def test_open_path_and_preflight_pass_without_a_caller_and_nobody_can_say_who_they_are(
    name: str, tmp_path: Path, realmgate: Server, shown: dict[str, dict[str, str]], open_docs: str
) -> None:
    from tests.flows.echo import Echo

    forged = {f"X-Auth-{part}": "root" for part in ("Subject", "Realm", "Roles", "Projects", "Token")}
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    with Echo() as echo:
        for ask in _proxied(name, tmp_path, realmgate, echo.port):
            wait_until(lambda ask=ask: ask(open_docs).status == 200, "the new rule")  # type: ignore[misc]
            for header in ({}, forged, forged | shown["access token"], {"Authorization": "Bearer x.y.z"}):
                answer = ask(open_docs, header)
                assert answer.status == 200, header
                seen = {key.lower(): value for key, value in answer.json}
                assert not any(seen.get(each) for each in ("authorization", *map(str.lower, forged)))
            assert ask(open_docs, preflight, "OPTIONS").status == 200
            assert ask(open_docs, shown["access token"], "POST").status in {403, 405}
            assert ask("/api/v1/query?query=up").status == 401


@pytest.mark.parametrize("name", list(STARTS))
def test_who_holds_as_much_as_fits_passes(
    name: str, tmp_path: Path, realmgate: Server, largest: dict[str, dict[str, str]]
) -> None:
    from tests.flows.echo import Echo

    with Echo() as echo:
        for ask in _proxied(name, tmp_path, realmgate, echo.port):
            for what, shown in largest.items():
                answer = ask("/api/v1/query?query=up", shown)
                assert answer.status == 200, (name, what, answer.status)
                size = sum(
                    len(key) + len(value) for key, value in answer.json if key.lower().startswith(("x-auth-", "authorization"))
                )
                assert size > 8_000, (name, what, size)


ANOTHER_REQUEST = (
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Forwarded-Method",
    "X-Forwarded-Uri",
    "X-Forwarded-Prefix",
    "X-Original-Method",
    "X-Original-URI",
    "X-Original-URL",
    "X-Original-Host",
    "X-Original-For",
    "X-Original-Proto",
    "X-Rewrite-URL",
)
ORIGIN = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port")


@pytest.mark.parametrize("name", list(STARTS))
def test_client_cannot_say_where_it_is_nor_make_another_request_of_the_checked_one(
    name: str, tmp_path: Path, realmgate: Server, shown: dict[str, dict[str, str]]
) -> None:
    from tests.flows.echo import Echo

    bound = ["api-keys", "create", "--realm", "acme", "dashboard", f"bound-{name}", "--address", "192.0.2.77", "--json"]
    key = {"apiKey": json.loads(realmgate.idp(*bound))["api_key"]}
    with Echo() as echo:
        for ask in _proxied(name, tmp_path, realmgate, echo.port):
            forged = dict.fromkeys((*ANOTHER_REQUEST, *ORIGIN), "DELETE") | {
                "X-Forwarded-For": "192.0.2.77",
                "X-Real-IP": "192.0.2.77",
            }
            answer = ask("/api/v1/query?query=up", shown["access token"] | forged)
            assert answer.status == 200
            seen = [(key.lower(), value) for key, value in answer.json]
            assert not {each.lower() for each in (*ANOTHER_REQUEST, "Forwarded")} & {key for key, _ in seen}
            assert [value for key, value in seen if key == "x-forwarded-for"] == ["127.0.0.1"]
            assert [value for key, value in seen if key == "x-forwarded-proto"] == ["http"]
            assert not any(word in answer.body for word in (b"DELETE", b"192.0.2.77"))
            assert ask("/api/v1/query?query=up", key | forged).status == 401, "the key is bound to another address"
