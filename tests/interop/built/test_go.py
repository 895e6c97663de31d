"""The API and the client in Go of docs/integrations/go.md."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.bound.proving import Prover
from tests.factories import claims_of
from tests.interop.built import write_files
from tests.interop.built.golang import go, needs_go, running, version_of
from tests.interop.built.issuer import issuing
from tests.interop.built.tokens import Kind, access_token, bearer, each_kind, id_token, revoke_key, tampered
from tests.interop.signing import bound_tokens, realm_signer
from tests.serving import Answer, Server, free_port, send, wait_until

pytestmark = needs_go

AUDIENCE = "https://jobs.acme.example"
FOR_IT = ("--audience", AUDIENCE)

Client = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the page's files, with the programs built."""
    folder = tmp_path_factory.mktemp("go")
    write_files("go", folder, {"5 * time.Minute": "time.Second"})
    go(folder, "mod", "tidy")
    go(folder, "vet", "./...")
    go(folder, "build", "-o", "bin/", "./...")
    return folder


@contextlib.contextmanager
def serving(programs: Path, issuer: str, audience: str = AUDIENCE) -> Iterator[str]:
    """Run the API, and say where it is."""
    address = f"127.0.0.1:{free_port()}"
    environment = os.environ | {"ISSUER": issuer, "AUDIENCE": audience, "LISTEN": address}
    url = f"http://{address}"
    with running([str(programs / "bin" / "jobs")], environment, lambda: send(url).status, programs / "jobs.log"):
        yield url


@pytest.fixture(scope="module")
def api(programs: Path, served: Server) -> Iterator[str]:
    with serving(programs, served.issuer()) as url:
        yield url


@pytest.fixture(scope="module")
def bot(served: Server) -> dict[str, str]:
    return served.create_application("go-bot", *FOR_IT, "--role", "researcher", "--project", "vision:ml-engineer")


def reports(api: str, token: str) -> Answer:
    return send(f"{api}/reports", headers=bearer(token))


def submit(api: str, project: str, token: str) -> Answer:
    return send(f"{api}/projects/{project}/jobs", b"{}", bearer(token))


@each_kind
def test_api_takes_what_is_for_it(api: str, programs: Path, served: Server, client: Client, kind: Kind) -> None:
    version = version_of("github.com/coreos/go-oidc/v3", programs)
    client("coreos/go-oidc", version, f"checks access tokens ({kind}); roles on realm and projects")
    application = kind.create_application(served, "go", *FOR_IT, "--role", "researcher", "--project", "vision:ml-engineer")
    token = access_token(served, application)
    answer = reports(api, token)
    assert answer.status == 200, answer.body
    assert answer.json["subject"] == application["uid"]
    assert answer.json["client_id"] == application["client_id"]
    assert "researcher" in answer.json["roles"]
    assert "ml-engineer" in answer.json["projects"]["vision"]
    assert submit(api, "vision", token).status == 200
    assert submit(api, "speech", token).status == 403
    assert reports(api, tampered(token)).status == 401


def test_client_fetches_a_token_and_calls(api: str, programs: Path, served: Server, bot: dict[str, str], client: Client) -> None:
    client("golang.org/x/oauth2", version_of("golang.org/x/oauth2", programs), "fetches a token with clientcredentials")
    environment = os.environ | {
        "ISSUER": served.issuer(),
        "CLIENT_ID": bot["client_id"],
        "CLIENT_SECRET": bot["client_secret"],
    }
    done = subprocess.run(
        [programs / "bin" / "call", f"{api}/reports"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["subject"] == bot["uid"]


def test_api_refuses_what_is_not_for_it(api: str, served: Server, bot: dict[str, str]) -> None:
    no_token = send(f"{api}/reports")
    assert (no_token.status, no_token.headers["WWW-Authenticate"]) == (401, "Bearer")
    other = served.create_application("go-other", "--audience", "https://other.acme.example", "--role", "researcher")
    refused = reports(api, access_token(served, other))
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert reports(api, id_token(served, bot)).status == 401
    assert reports(api, "no.token.atall").status == 401


def test_api_refuses_an_id_token_even_where_its_audience_fits(programs: Path, served: Server) -> None:
    """An ID token's audience is the client_id: here the API calls itself as the application is called."""
    fitting = served.create_application("go-fitting", "--token-type", "JWT", "--audience", "go-fitting", "--role", "researcher")
    with serving(programs, served.issuer(), "go-fitting") as url:
        assert reports(url, access_token(served, fitting)).status == 200
        assert reports(url, id_token(served, fitting)).status == 401


def test_api_refuses_what_no_issuer_should_sign(programs: Path) -> None:
    with issuing() as issuer, serving(programs, issuer.url) as url:
        assert reports(url, issuer.sign(issuer.claims(AUDIENCE))).status == 200
        found = {what: reports(url, token).status for what, token in issuer.wrong_tokens(AUDIENCE).items()}
        assert set(found.values()) == {401}, found


def test_api_refuses_a_token_that_is_bound(api: str, served: Server) -> None:
    application = served.create_application("go-bound", *FOR_IT, "--role", "researcher")
    assert reports(api, access_token(served, application)).status == 200
    for what, token in bound_tokens(served, realm_signer(served), application, Prover()).items():
        refused = reports(api, token)
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"'), what


def test_api_wants_the_role(api: str, served: Server) -> None:
    token = access_token(served, served.create_application("go-viewer", *FOR_IT, "--role", "viewer"))
    refused = reports(api, token)
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (403, 'Bearer error="insufficient_scope"')


def test_api_leaves_out_a_role_that_has_ended_in_a_token_that_lives(api: str, served: Server) -> None:
    application = served.create_application("go-guest", *FOR_IT, "--role", "viewer")
    until = datetime.now(UTC) + timedelta(seconds=20)
    served.idp("grants", "add", "--realm", "acme", "go-guest", "researcher", "--until", until.isoformat())
    served.idp("grants", "add", "--realm", "acme", "go-guest", "ml-engineer", "--project", "vision", "--until", until.isoformat())
    token = access_token(served, application)
    assert "researcher" in claims_of(token)["realm_access"]["ends"]
    assert reports(api, token).status == submit(api, "vision", token).status == 200
    wait_until(lambda: reports(api, token).status == 403, "the end of the role")
    wait_until(lambda: submit(api, "vision", token).status == 403, "the end of the role on the project")


def test_api_forgets_a_revoked_key(programs: Path, own_server: Server) -> None:
    own_server.start()
    application = own_server.create_application("go-bot", *FOR_IT, "--role", "researcher")
    token = access_token(own_server, application)
    with serving(programs, own_server.issuer()) as url:
        assert reports(url, token).status == 200
        revoke_key(own_server, "acme")
        wait_until(lambda: reports(url, token).status == 401, "that the API forgets the key")
        new = wait_until(lambda: own_server.token(application).json.get("access_token"), "a token of the other key")
        assert reports(url, new).status == 200
