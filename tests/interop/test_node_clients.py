"""jose, openid-client and oauth4webapi from npm, against the served program."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.prepare import NODE_FOLDER, node_clients_missing
from tests.serving import PATIENCE, Server

pytestmark = [
    pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing())),
    pytest.mark.parametrize("algorithm", ["RS256", "ES256"]),
]


def _run(program: str, *arguments: str) -> Any:
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, program, *arguments], cwd=NODE_FOLDER, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_jose_and_openid_client(served: Server, algorithm: str) -> None:
    bot = served.create_application(
        f"node-{algorithm.lower()}", "--algorithm", algorithm, "--role", "viewer", "--audience", served.issuer()
    )
    found = _run("clients.mjs", served.issuer(), bot["client_id"], bot["client_secret"], served.issuer())
    expected = {
        "expires_in": 36000,
        "active": True,
        "active_after": False,
        "subject": bot["uid"],
        "same_subject": True,
        "id_token_refused": True,
    }
    assert found == {"basic": expected, "post": expected}


def test_oauth4webapi(served: Server, algorithm: str) -> None:
    name = f"strict-{algorithm.lower()}"
    bot = served.create_application(name, "--algorithm", algorithm, "--role", "viewer", "--audience", served.issuer())
    found = _run("oauth4webapi.mjs", served.issuer(), name, bot["client_secret"], served.issuer(), algorithm)
    expected = {
        "token_type": "bearer",
        "expires_in": 36000,
        "id_token_subject": bot["uid"],
        "subject": bot["uid"],
        "userinfo": {"sub": bot["uid"], "preferred_username": f"service-account-{name}", "client_id": name},
        "another_audience": "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
        "id_token": "OAUTH_INVALID_RESPONSE",
        "active": True,
        "active_after": False,
        "userinfo_after": "OAUTH_WWW_AUTHENTICATE_CHALLENGE",
    }
    assert found == {
        "same_document": True,
        "basic": expected,
        "post": expected,
        "wrong_secret": ["OAUTH_WWW_AUTHENTICATE_CHALLENGE", "basic"],
        "unknown_scope": ["OAUTH_RESPONSE_BODY_ERROR", "invalid_scope"],
    }
