"""jose, oauth4webapi and openid-client from npm as DPoP clients, against the served program."""

import json
import shutil
import subprocess

import pytest

from tests.prepare import NODE_FOLDER, node_clients_missing
from tests.serving import PATIENCE, Server


@pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))
def test_clients_that_nobody_here_wrote_bind_and_use_tokens(served: Server) -> None:
    free = served.create_application("dpop-free", "--role", "viewer")
    strict = served.create_application("dpop-strict", "--role", "viewer", "--dpop-nonces", "--dpop-bound-access-tokens")
    node = shutil.which("node")
    assert node is not None
    secrets = ("dpop-free", free["client_secret"], "dpop-strict", strict["client_secret"])
    done = subprocess.run(
        [node, "dpop.mjs", served.issuer(), *secrets],
        cwd=NODE_FOLDER,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_hand = {"token_type": "DPoP", "bound": True, "with_proof": 200, "as_bearer": 401}
    used = {"token_type": "dpop", "same_subject": True}
    found = json.loads(done.stdout)
    assert found["oauth4webapi_nonce"].pop("nonces") >= 1, "it was told one, and tried again"
    assert found == {
        **dict.fromkeys(("ES256", "PS256", "RS256", "EdDSA"), by_hand),
        "oauth4webapi": used | {"nonces": 0},
        "oauth4webapi_nonce": used,
        "openid_client": used,
        "openid_client_nonce": used,
    }
