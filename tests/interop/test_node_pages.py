"""The pages on Express and Hono, run by node: they take the served program's access tokens, and nothing else."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bound.proving import Prover
from tests.interop.apis import EXPECTED, Api, Callers, running, statuses
from tests.interop.pages import write_files
from tests.prepare import NODE_FOLDER, node_clients_missing
from tests.serving import free_port

pytestmark = pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))

ISSUER = "https://id.example.com/auth/realms/acme"
WAYS = pytest.mark.parametrize(
    ("page", "replaced"),
    [
        pytest.param("express", {}, id="express"),
        pytest.param("hono", {}, id="hono's middleware"),
        pytest.param("hono", {"./jwk.mjs": "./jose.mjs"}, id="hono with jose"),
    ],
)
Run = Callable[..., contextlib.AbstractContextManager[Api]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs the server.mjs of a page."""
    (tmp_path / "node_modules").symlink_to(NODE_FOLDER / "node_modules")
    node = shutil.which("node")
    assert node is not None

    @contextlib.contextmanager
    def run_page(callers: Callers, page: str, issuer: str = "", **replaced: str) -> Iterator[Api]:
        port = free_port()
        write_files("express", tmp_path, {})  # roles.mjs
        own = {ISSUER: issuer or callers.server.issuer(), "https://api.example.com": callers.audience, "3000": str(port)}
        write_files(page, tmp_path, own | replaced)
        with running([node, "--import", str(NODE_FOLDER / "clock.mjs"), "server.mjs"], tmp_path, port) as api:
            yield api

    return run_page


@WAYS
def test_access_tokens_pass_and_nothing_else(run: Run, callers: Callers, page: str, replaced: dict[str, str]) -> None:
    with run(callers, page, **replaced) as api:
        assert statuses(api, callers) == EXPECTED


def test_express_takes_a_bound_token_with_a_proof_of_its_key(run: Run, callers: Callers) -> None:
    prover, token, now = callers.prover, callers.bound["a key"], int(time.time())
    with run(callers, "express") as api:
        url = f"{api.url}/jobs"
        assert api.ask("/jobs", **prover.headers("GET", url, token=token)) == 200
        assert api.ask("/jobs", callers.viewer) == 200
        wrong = {
            "no proof": {"Authorization": f"DPoP {token}"},
            "as Bearer": {"Authorization": f"Bearer {token}", "DPoP": prover.proof("GET", url, token=token)},
            "another key": Prover().headers("GET", url, token=token),
            "another method": prover.headers("POST", url, token=token),
            "another URL": prover.headers("GET", f"{api.url}/projects/vision/jobs", token=token),
            "of another token": {"Authorization": f"DPoP {token}", "DPoP": prover.proof("GET", url, token=callers.viewer)},
            "old": prover.headers("GET", url, token=token, iat=now - 90),
            "not bound": prover.headers("GET", url, token=callers.viewer),
            "bound to a certificate as well": prover.headers("GET", url, token=callers.bound["both"]),
        }
        found = {what: api.ask("/jobs", **headers) for what, headers in wrong.items()}
        found["in the URL"] = api.ask(f"/jobs?access_token={token}")
    assert set(found.values()) <= {400, 401}, found


@WAYS
def test_a_header_that_may_be_an_id_tokens_is_refused(
    run: Run, jwt_callers: Callers, page: str, replaced: dict[str, str]
) -> None:
    with run(jwt_callers, page, **replaced) as api:
        assert api.ask("/jobs", jwt_callers.viewer) == 401


def test_honos_middleware_as_it_was_tells_jwts_apart_too(run: Run, jwt_callers: Callers) -> None:
    with run(jwt_callers, "hono", **{'typ: "at+jwt"': 'typ: "JWT"'}) as api:
        assert statuses(api, jwt_callers) == EXPECTED


@pytest.mark.parametrize("way", ["./jwk.mjs", "./jose.mjs"])
def test_a_right_signature_of_another_issuer_is_refused(run: Run, callers: Callers, way: str) -> None:
    same_keys = callers.server.issuer().replace("127.0.0.1", "localhost")
    with run(callers, "hono", same_keys, **{"./jwk.mjs": way}) as api:
        assert api.ask("/jobs", callers.viewer) == 401


@pytest.mark.parametrize(
    ("page", "replaced", "status"),
    [
        pytest.param("express", {}, 401, id="express"),
        pytest.param("hono", {}, 401, id="hono's middleware"),
        pytest.param("hono", {"./jwk.mjs": "./jose.mjs"}, 503, id="hono with jose"),
    ],
)
def test_without_a_key_set_nobody_passes(run: Run, callers: Callers, page: str, replaced: dict[str, str], status: int) -> None:
    with run(callers, page, f"http://127.0.0.1:{free_port()}", **replaced) as api:
        assert api.ask("/jobs", callers.viewer) == status
