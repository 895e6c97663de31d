"""The server on `::` behind a real proxy that ends TLS, below a path that the proxy takes off or does not: nginx and Caddy."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.factories import PASSWORD
from tests.flows.conftest import has_ipv6
from tests.prepare import program_missing
from tests.proxies import STARTS, ask_over_tls, example, make_certificate, stop
from tests.serving import PATIENCE, Answer, Server, free_port, send, wait_until

HOST = "id.example.com"
PUBLIC = f"https://{HOST}/idp"
CLIENT, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of clients; the proxy has 127.0.0.1, which is the one that is trusted."""

Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def realmgate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6, so a server on :: is not tried")
    settings = {
        "IDP_HOST": "::",
        "IDP_PUBLIC_URL": f"https://{HOST.upper()}:443/idp/",
        "IDP_TRUSTED_PROXIES": "127.0.0.1",
        "IDP_BODY_TIMEOUT": "1",
        "IDP_MANAGEMENT_PORT": str(free_port()),
    }
    server = Server(tmp_path_factory.mktemp("realmgate"), settings=settings)
    server.start()
    yield server
    server.stop()


def site(name: str, folder: Path, realmgate: Server, port: int, *, strips: bool) -> str:
    """Return the example of a proxy, below a path."""
    files = {f"/etc/ssl/realmgate.{end}": f"{folder}/realmgate.{end}" for end in ("pem", "key")}
    common = files | {"127.0.0.1:8080": f"127.0.0.1:{realmgate.port}"}
    if name == "nginx":
        target = "proxy_pass http://realmgate;"
        stripping = f"rewrite ^/idp(/.*)$ $1 break;\n        {target}"
        below = {
            "location / {": "location /idp/ {",
            target: stripping if strips else target,
            "~ ^/(metrics": "~ ^(/idp)*/(metrics",
        }
        return example("deploy/proxies/nginx.conf", common | below | {"127.0.0.1:8443": f"127.0.0.1:{port}"})
    below = {"route /* {": "route /idp/* {\n\t\turi strip_prefix /idp" if strips else "route /idp/* {"}
    below["path_regexp ^/+("] = "path_regexp ^(/+idp)*/+("
    return example("deploy/proxies/Caddyfile", common | below | {f"{HOST}:8443": f"{HOST}:{port}"})


@pytest.fixture(scope="module", params=[(name, strips) for name in STARTS for strips in (True, False)], ids=str)
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, realmgate: Server) -> Iterator[Ask]:
    name, strips = request.param
    if missing := program_missing(name):
        pytest.skip(missing)
    folder, port = tmp_path_factory.mktemp(name), free_port()
    make_certificate(folder, HOST)
    process = STARTS[name](folder, site(name, folder, realmgate, port, strips=strips))

    def ask(path: str, headers: dict[str, str] | None = None, body: str | None = None, source: str = CLIENT) -> Answer:
        sent = {"Content-Type": "application/json"} | (headers or {})
        return ask_over_tls(HOST, port, folder, "POST" if body else "GET", path, sent, body, source)

    def listens() -> bool:
        assert process.poll() is None, f"{name} ended"
        try:
            return ask("/idp/health/live").status == 200
        except OSError:
            return False

    try:
        wait_until(listens, f"the start of {name}")
        yield ask
    finally:
        stop(process)


@pytest.fixture(scope="module")
def ann(realmgate: Server) -> str:
    """The id of somebody who may administer."""
    command = ("users", "create", "--realm", "acme", "--email", "ann@example.test", "--role", "administrator", "--password-stdin")
    made = realmgate.run(*command, typed=PASSWORD)
    assert made.returncode == 0, made.stderr
    return "ann@example.test"


@pytest.fixture(scope="module")
def bound(realmgate: Server, ann: str) -> dict[str, str]:
    """The header of a key that works from the client's address only."""
    made = realmgate.idp(
        "api-keys", "create", "--realm", "acme", f"user:{ann}", "bound", "--address", f"::ffff:{CLIENT}", "--json"
    )
    return {"apiKey": json.loads(made)["api_key"]}


@pytest.mark.spec("T84")
def test_client_behind_an_ipv4_proxy_is_known_by_its_own_address(
    proxied: Ask, realmgate: Server, ann: str, bound: dict[str, str]
) -> None:
    assert proxied("/idp/v1/users/info", bound).status == 200
    forged = {"X-Forwarded-For": CLIENT, "X-Real-IP": CLIENT, "Forwarded": f"for={CLIENT}", "X_Forwarded_For": CLIENT}
    assert proxied("/idp/v1/users/info", bound | forged, source=OTHER).status == 401
    signed = proxied("/idp/v1/auth/authenticate", body=json.dumps({"emailId": ann, "password": PASSWORD}))
    assert signed.status == 200, signed.body
    header = {"Authorization": signed.json["Authorization"]}
    sessions = proxied("/idp/v1/sessions", header).json["items"]
    assert {each["status"]["address"] for each in sessions} == {CLIENT}
    (event, *_) = json.loads(realmgate.idp("audit", "list", "--tag", "user:session", "--json"))
    assert event["address"] == CLIENT, "and in the audit trail"


def test_everything_is_below_the_path_and_without_the_default_port(proxied: Ask) -> None:
    discovery = proxied("/idp/auth/realms/acme/.well-known/openid-configuration").json
    assert discovery["issuer"] == f"{PUBLIC}/auth/realms/acme"
    assert proxied(discovery["jwks_uri"].removeprefix(f"https://{HOST}")).status == 200
    for asked, location in (
        ("/idp/", "/idp/console/"),
        ("/idp/console", "/idp/console/"),
        ("/idp/console/", "/idp/console/sign-in?next=%2Fconsole%2F"),
    ):
        answer = proxied(asked)
        assert (answer.status, answer.headers["Location"]) == (303, location), asked
    page = proxied("/idp/console/sign-in")
    assert page.status == 200
    assert "; Path=/idp; " in page.headers["Set-Cookie"]
    assert b'href="/idp/console/assets/' in page.body
    assert proxied("/idp/docs").status == 200


def test_late_body_on_a_socket_for_both_versions_is_ended(realmgate: Server) -> None:
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, realmgate.port), PATIENCE) as connection:
            connection.sendall(b"POST /v1/auth/authenticate HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
            assert connection.recv(100).startswith(b"HTTP/1.1 408 "), address


def test_unnamed_proxy_is_warned_of_once_and_counted_and_doctor_says_so(realmgate: Server) -> None:
    def ask() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", realmgate.port, PATIENCE, (OTHER, 0))
        connection.request("GET", "/health/live", headers={"X-Forwarded-For": "203.0.113.5"})
        status = connection.getresponse().status
        connection.close()
        return status

    assert [ask(), ask(), ask()] == [200, 200, 200]
    metrics = f"http://127.0.0.1:{realmgate.settings['IDP_MANAGEMENT_PORT']}/metrics"
    assert b"\nrealmgate_forwarded_ignored_total 3.0\n" in send(metrics).body
    said = realmgate.idp("doctor")
    assert "has ignored X-Forwarded-For of 3 requests" in said
    assert (
        "IDP_PUBLIC_URL is written https://ID.EXAMPLE.COM:443/idp, and is used as browsers write it: https://id.example.com/idp."
        in said
    )
    assert "names none" not in said
    assert "https, so a proxy terminates TLS" in realmgate.idp("doctor", IDP_TRUSTED_PROXIES="")
    lines = [line for line in list(realmgate.output) if "X-Forwarded-For from" in line]
    assert len(lines) == 1
    assert f"X-Forwarded-For from {OTHER} is ignored" in lines[0]
    assert (
        sum("Warning: IDP_PUBLIC_URL is written https://ID.EXAMPLE.COM:443/idp" in line for line in list(realmgate.output)) == 1
    )
