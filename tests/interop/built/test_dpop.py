"""go-jose as a DPoP client, against the served program."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.built.golang import go, needs_go, version_of
from tests.serving import PATIENCE, Server

pytestmark = needs_go

SOURCES = Path(__file__).parent / "dpop"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built."""
    folder = tmp_path_factory.mktemp("dpop")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    go(folder, "mod", "tidy")
    go(folder, "vet", "./...")
    go(folder, "build", "-o", "client", ".")
    return folder / "client"


@pytest.mark.parametrize("nonces", [False, True], ids=["without nonces", "with nonces"])
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_tokens_are_bound_and_used(
    algorithm: str, nonces: bool, program: Path, served: Server, client: Callable[[str, str, str], None]
) -> None:
    version = version_of("github.com/go-jose/go-jose/v4", SOURCES)
    client("go-jose", version, f"fetches and uses a token bound by DPoP ({algorithm}{', nonces' if nonces else ''})")
    strict = ["--dpop-nonces", "--dpop-bound-access-tokens"] if nonces else []
    application = served.create_application(f"go-dpop-{algorithm.lower()}-{nonces}".lower(), "--role", "viewer", *strict)
    done = subprocess.run(
        [program, served.issuer(), algorithm, application["client_id"]],
        env=os.environ | {"CLIENT_SECRET": application["client_secret"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "token_type": "DPoP",
        "bound": True,
        "with_proof": 200,
        "as_bearer": 401,
        "of_another": 401,
        "was_told_a_nonce": nonces,
    }
