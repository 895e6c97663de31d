"""Clients by which programs of a platform show who they are, unchanged: GitHub's in a workflow, Google's in any cloud."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.factories import claims_of
from tests.federation.issuing import Issuer, github, kubernetes
from tests.prepare import GOOGLE_AUTH, INTEROP, NODE_FOLDER, google_auth_missing, node_clients_missing
from tests.serving import PATIENCE, Server


@contextmanager
def tokens_of(issuer: Issuer, credential: str, member: str) -> Iterator[str]:
    """Run a stand-in of the service by which a platform hands out tokens, and yield its URL.

    :param credential: what it wants in `Authorization`.
    :param member: what the token is called in its answer.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            audience = parse_qs(urlsplit(self.path).query).get("audience", ["https://github.com/acme"])[0]
            is_known = self.headers["Authorization"] == credential
            body = json.dumps({member: issuer.sign(aud=audience)} if is_known else {}).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2.0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def trust(server: Server, folder: Path, issuer: Issuer, preset: str, application: str, *lines: str) -> None:
    """Have an application admitted by an issuer; issuer, rule and application have one name."""
    keys = folder / f"{preset}.json"
    keys.write_text(json.dumps(issuer.jwks))
    options = ("--preset", preset, "--issuer", issuer.url, "--key-source", "uploaded", "--jwks", str(keys))
    server.idp("federation", "issuers", "create", "--realm", "acme", *options, application)
    server.idp("applications", "create", "--realm", "acme", "--role", "viewer", "--no-secret", application)
    about = ("--realm", "acme", "--issuer", application, "--application", application)
    said = [word for line in lines for word in ("--line", line)]
    server.idp("federation", "rules", "create", *about, *said, application)


def run(command: list[str], **environment: str) -> Any:
    done = subprocess.run(
        command, cwd=NODE_FOLDER, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))
def test_a_workflow_gets_a_token_with_what_github_gives_it(served: Server, tmp_path: Path) -> None:
    hub = github()
    trust(served, tmp_path, hub, "github", "workflow", "repository_id=4711", "ref=refs/heads/main")
    node = shutil.which("node")
    assert node is not None
    with tokens_of(hub, "Bearer of-the-runner", "value") as url:
        runner = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-runner"}
        found = run([node, "actions.mjs", served.issuer()], **runner)
    assert set(found) == {"client_assertion", "grant", "exchange"}
    for name, answer in found.items():
        assert answer["status"] == 200, (name, answer)
        claims = claims_of(answer["access_token"])
        assert (claims["client_id"], claims["realm_access"]) == ("workflow", {"roles": ["viewer"]})
        assert claims["federation"] == {"iss": hub.url, "sub": hub.claims["sub"], "rule": "workflow"}


@pytest.mark.skipif(google_auth_missing() is not None, reason=str(google_auth_missing()))
@pytest.mark.parametrize("source", ["file", "url"])
def test_a_pod_gets_a_token_with_googles_client(served: Server, tmp_path: Path, source: str) -> None:
    cluster = kubernetes()
    cluster.url = f"https://{source}.cluster.example"
    uid = cluster.claims["kubernetes.io"]["serviceaccount"]["uid"]
    trust(served, tmp_path, cluster, "kubernetes", f"pod-{source}", f"kubernetes.io.serviceaccount.uid={uid}")
    served.idp("applications", "update", "--realm", "acme", "--audience", "https://api.example", f"pod-{source}")
    mounted = tmp_path / "token"
    mounted.write_text(cluster.sign(aud=[served.issuer()]))
    with tokens_of(cluster, "Bearer of-the-pod", "access_token") as url:
        by_url = {
            "url": f"{url}&audience={quote(served.issuer(), safe='')}",
            "headers": {"Authorization": "Bearer of-the-pod"},
            "format": {"type": "json", "subject_token_field_name": "access_token"},
        }
        configuration = {
            "type": "external_account",
            "audience": "https://api.example",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": served.endpoint("token"),
            "credential_source": {"file": str(mounted)} if source == "file" else by_url,
        }
        (tmp_path / "pool.json").write_text(json.dumps(configuration))
        path = os.pathsep.join([str(INTEROP / f"google-auth-{GOOGLE_AUTH}"), os.environ.get("PYTHONPATH", "")])
        found = run([sys.executable, str(INTEROP / "google_client.py"), str(tmp_path / "pool.json"), "roles"], PYTHONPATH=path)
    first, second = map(claims_of, found["tokens"])
    assert first["jti"] != second["jti"], "a pod shows the same token again"
    assert (first["aud"], first["client_id"]) == ("https://api.example", f"pod-{source}")
    assert first["realm_access"] == {"roles": ["viewer"]}
    assert first["federation"]["iss"] == cluster.url
    expiry = dt.datetime.fromisoformat(found["expiry"]).replace(tzinfo=dt.UTC).timestamp()
    assert found["valid"]
    assert abs(expiry - second["exp"]) < 30
