"""jose and openid-client from npm, against the served program."""

import json
import shutil
import subprocess

import pytest

from tests.prepare import NODE_FOLDER, node_clients_missing
from tests.serving import Server


@pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_jose_and_openid_client(served: Server, algorithm: str) -> None:
    bot = served.create_application(
        f"node-{algorithm.lower()}", "--algorithm", algorithm, "--role", "viewer", "--audience", served.issuer()
    )
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, "clients.mjs", served.issuer(), bot["client_id"], bot["client_secret"], served.issuer()],
        cwd=NODE_FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = {
        "expires_in": 36000,
        "active": True,
        "active_after": False,
        "subject": bot["uid"],
        "same_subject": True,
        "id_token_refused": True,
    }
    assert json.loads(done.stdout) == {"basic": expected, "post": expected}
