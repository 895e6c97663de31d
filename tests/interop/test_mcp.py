"""MCP's clients in TypeScript and Python, unchanged: each finds its way from an MCP server's refusal to a token for that server."""

import contextlib
import datetime as dt
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask, g, request
from werkzeug.serving import make_server

from idp.verifier import ProtectedResource, Verifier
from idp.verifier.flask import add_metadata, require_token
from tests.console.surfing import _Reader
from tests.factories import PASSWORD, claims_of
from tests.prepare import INTEROP, MCP, mcp_missing, node_clients_missing
from tests.serving import PATIENCE, Server, free_port

PERSON = "tinkerer@example.test"
BACK = "http://127.0.0.1:47111/callback"


@dataclass
class World:
    """A server, an MCP server whose tokens it issues, and a document by which a client describes itself."""

    served: Server
    resource: str
    document: str
    callers: list[dict[str, Any]]
    """What the tokens of those said that the MCP server has let in."""


def mcp_server(issuer: str, port: int, callers: list[dict[str, Any]]) -> tuple[Flask, str]:
    """Return an MCP server that answers the first call of a client, and to no one without the role viewer."""
    url = f"http://127.0.0.1:{port}/mcp"
    resource = ProtectedResource(url, issuer, name="Tools")
    app = Flask("tools")
    add_metadata(app, resource)

    @app.post("/mcp")
    @require_token(Verifier(issuer, url), roles="viewer", resource=resource)
    def answer() -> Any:
        callers.append(g.identity.claims)
        asked = request.get_json()
        if "id" not in asked:
            return "", 202
        version = asked["params"].get("protocolVersion", "2025-11-25")
        told = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "tools", "version": "1"}}
        return {"jsonrpc": "2.0", "id": asked["id"], "result": told}

    return app, url


@contextlib.contextmanager
def serving(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def certificate(folder: Path) -> Path:
    """Return a file with a certificate for 127.0.0.1, which signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")]), dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path = folder / "document.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def document_server(port: int, pem: Path) -> tuple[ThreadingHTTPServer, str]:
    """Return a web server with the document of a client."""
    url = f"https://127.0.0.1:{port}/tool/client.json"
    said = {
        "client_id": url,
        "client_name": "Tool with a document",
        "redirect_uris": [BACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.send_response(200 if self.path == "/tool/client.json" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server, url


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mcp")
    pem = certificate(folder)
    settings = {"IDP_OUTBOUND_NETWORKS": "127.0.0.1/32", "SSL_CERT_FILE": str(pem)}
    server = Server(folder / "data", settings=settings).start()
    callers: list[dict[str, Any]] = []
    try:
        port = free_port()
        app, resource = mcp_server(server.issuer(), port, callers)
        server.idp("realms", "update", "acme", "--client-documents", "--registration", "--open-audience", resource)
        done = server.run("users", "create", "--realm", "acme", "--email", PERSON, "--password-stdin", typed=PASSWORD)
        assert done.returncode == 0, done.stderr
        server.idp("grants", "add", "--realm", "acme", f"user:{PERSON}", "viewer")
        documents, document = document_server(free_port(), pem)
        with serving(make_server("127.0.0.1", port, app, threaded=True)), serving(documents):
            yield World(server, resource, document, callers)
    finally:
        server.stop()


def follow(url: str, shown: list[str]) -> str:
    """Sign in and agree as a person does, and return where their browser is sent at the end.

    :param shown: takes the pages on the way.
    """
    with httpx.Client() as browser:
        answer = browser.get(url)
        while answer.status_code == 200:
            shown.append(answer.text)
            reader = _Reader()
            reader.feed(answer.text)
            form = reader.forms[0]
            typed = {"name": PERSON, "password": PASSWORD} if 'id="password"' in answer.text else {"decision": "agree"}
            action = urljoin(url, form.action)
            origin = "/".join(action.split("/")[:3])
            answer = browser.post(action, data=dict(form.values) | typed, headers={"Origin": origin})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def run(command: list[str], shown: list[str], **environment: str) -> dict[str, Any]:
    """Run a client, send a person where it says, and return what it found."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=INTEROP, env=os.environ | environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if line.startswith("http"):
            process.stdin.write(follow(line.strip(), shown) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(line)
    return found


CLIENTS = [
    pytest.param("mjs", marks=pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))),
    pytest.param("py", marks=pytest.mark.skipif(mcp_missing() is not None, reason=str(mcp_missing()))),
]


def use(world: World, client: str, how: str, what: str, shown: list[str]) -> dict[str, Any]:
    program = shutil.which("node") if client == "mjs" else sys.executable
    assert program is not None
    command = [program, f"mcp_client.{client}", world.resource, BACK, how, what]
    return run(command, shown, PYTHONPATH=str(INTEROP / f"mcp-{MCP}"))


@pytest.mark.parametrize("client", CLIENTS)
def test_client_that_registers_itself(world: World, client: str) -> None:
    made = json.loads(
        world.served.idp(
            *("registration-tokens", "create", "--realm", "acme", "--json", "--kinds", "native", "--kinds", "browser"),
            *(each for scope in ("openid", "roles", "offline_access") for each in ("--scope", scope)),
        )
    )
    shown: list[str] = []
    found = use(world, client, "registered", made["token"], shown)
    claims = claims_of(found["tokens"]["access_token"])
    assert found["server"] == "tools"
    assert (claims["aud"], claims["client_id"]) == (world.resource, found["client"])
    assert found["client"].startswith("app-")
    assert "refresh_token" in found["tokens"]
    assert world.callers[-1]["jti"] == claims["jti"]
    assert "describes itself" not in shown[-1]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_that_nobody_has_registered(world: World, client: str) -> None:
    shown: list[str] = []
    found = use(world, client, "document", world.document, shown)
    claims = claims_of(found["tokens"]["access_token"])
    assert (found["server"], found["client"]) == ("tools", world.document)
    assert (claims["aud"], claims["client_id"]) == (world.resource, world.document)
    assert claims["realm_access"] == {"roles": ["viewer"]}
    assert world.callers[-1]["jti"] == claims["jti"]
    if shown[1:]:  # of two clients with the same document, a person is asked about the first
        assert "Tool with a document" in shown[1]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_that_is_a_program(world: World, client: str) -> None:
    bot = world.served.create_application(f"agent-{client}", "--role", "viewer", "--audience", world.resource)
    what = f"{bot['client_id']} {bot['client_secret']} {world.served.issuer()}"
    found = use(world, client, "machine", what, [])
    claims = claims_of(found["tokens"]["access_token"])
    assert (found["server"], claims["aud"], claims["sub"]) == ("tools", world.resource, bot["uid"])
    assert world.callers[-1]["jti"] == claims["jti"]
