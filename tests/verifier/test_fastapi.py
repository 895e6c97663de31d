"""The dependency of FastAPI in an API of FastAPI: which answer for which token, as a client over HTTP has it."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest

from idp.verifier import Identity, ProtectedResource, Verifier
from idp.verifier.fastapi import RequireToken, add_metadata
from tests.bound.proving import Prover
from tests.verifier.test_frameworks import bearer
from tests.verifier.test_verifier import AUDIENCE, Issuer, issuer  # noqa: F401 (a fixture)

fastapi = pytest.importorskip(
    "fastapi", reason="FastAPI is not installed, so idp.verifier.fastapi is not tried with it (make test installs it)"
)

Ask = Callable[..., httpx.Response]


@pytest.fixture
def api(issuer: Issuer) -> Any:
    verifier = Verifier(issuer.url, AUDIENCE, cooldown=0.2)
    app = fastapi.FastAPI()
    any_token = RequireToken(verifier)
    editor = RequireToken(verifier, roles=["editor", "administrator"])
    researcher = RequireToken(verifier, roles="researcher", project_parameter="project")

    @app.get("/runs")
    async def runs(identity: Annotated[Identity, fastapi.Depends(any_token)]) -> dict[str, str]:
        return {"client": identity.client_id, "subject": identity.subject}

    @app.get("/editors", dependencies=[fastapi.Depends(editor)])
    def editors() -> dict[str, str]:
        return {}

    @app.get("/projects/{project}/runs")
    async def on_project(project: str, identity: Annotated[Identity, fastapi.Depends(researcher)]) -> dict[str, str]:
        return {"project": project, "client": identity.client_id}

    resource = ProtectedResource("https://tools.example/mcp", issuer.url, name="Tools")
    tools = RequireToken(verifier, roles="nobody's", resource=resource)
    add_metadata(app, resource)

    @app.get("/mcp", dependencies=[fastapi.Depends(tools)])
    def mcp() -> dict[str, str]:
        return {}

    return app


@pytest.fixture
def ask(api: Any) -> Ask:
    async def get(path: str, headers: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://api.example") as client:
            return await client.get(path, headers=headers)

    return lambda path, headers=None: asyncio.run(get(path, headers))


def test_good_token_comes_through_and_the_path_knows_who_calls(ask: Ask, issuer: Issuer) -> None:
    answer = ask("/runs", bearer(issuer.token()))
    assert (answer.status_code, answer.json()) == (200, {"client": "ci-bot", "subject": "1f0e"})


def test_no_token_is_a_bare_challenge(ask: Ask) -> None:
    answer = ask("/runs")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask("/runs?access_token=x").status_code == 401
    assert ask("/runs?request=x").status_code == 401, "what it takes is no parameter of the query"


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b", "Basic eDp5", "Bearer a,b", "a.b.c"])
def test_malformed_header_is_400(ask: Ask, value: str) -> None:
    answer = ask("/runs", {"Authorization": value})
    assert (answer.status_code, answer.json()["detail"]["error"]) == (400, "invalid_request")
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


def test_two_headers_are_400(ask: Ask, issuer: Issuer) -> None:
    token = f"Bearer {issuer.token()}"
    assert ask("/runs", [("Authorization", token), ("Authorization", token)]).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"aud": "https://other.example"}, {"iss": "https://evil.example"}],
    ids=str,
)
def test_bad_token_is_401_and_says_why(ask: Ask, issuer: Issuer, changes: dict[str, Any]) -> None:
    answer = ask("/runs", bearer(issuer.token(**changes)))
    assert (answer.status_code, answer.json()["detail"]["error"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')


@pytest.mark.spec("R104", "R105")
def test_bound_token_needs_a_proof_of_its_key_once(ask: Ask, issuer: Issuer) -> None:
    prover = Prover()
    token = issuer.token(cnf={"jkt": prover.jkt})
    shown = prover.headers("GET", f"{AUDIENCE}/runs", token=token)
    assert ask("/runs?page=2", shown).json() == {"client": "ci-bot", "subject": "1f0e"}
    for refused in (shown, bearer(token), Prover().headers("GET", f"{AUDIENCE}/runs", token=token)):
        answer = ask("/runs", refused)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('DPoP error="')


def test_missing_role_is_403(ask: Ask, issuer: Issuer) -> None:
    answer = ask("/editors", bearer(issuer.token()))
    assert (answer.status_code, answer.json()["detail"]["error"]) == (403, "insufficient_scope")
    assert ask("/editors", bearer(issuer.token(realm_access={"roles": ["editor"]}))).status_code == 200


def test_role_must_be_held_on_the_project_of_the_path(ask: Ask, issuer: Issuer) -> None:
    answer = ask("/projects/vision/runs", bearer(issuer.token()))
    assert (answer.status_code, answer.json()) == (200, {"project": "vision", "client": "ci-bot"})
    assert ask("/projects/speech/runs", bearer(issuer.token())).status_code == 403


def test_no_keys_is_503(ask: Ask, issuer: Issuer) -> None:
    issuer.status = 500
    answer = ask("/runs", bearer(issuer.token()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.spec("RS1")
def test_api_describes_itself_and_its_challenges_lead_there(ask: Ask, issuer: Issuer) -> None:
    answer = ask("/.well-known/oauth-protected-resource/mcp")
    assert (answer.status_code, answer.json()["resource"]) == (200, "https://tools.example/mcp")
    assert answer.json()["authorization_servers"] == [issuer.url]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    lead = 'resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp", scope="roles"'
    assert ask("/mcp").headers["WWW-Authenticate"] == f"Bearer {lead}"
    assert ask("/mcp", bearer(issuer.token())).headers["WWW-Authenticate"].endswith(f", {lead}")


def test_description_of_the_api_says_nothing_of_the_dependency(api: Any) -> None:
    """What it takes is the request, which is no parameter that a caller would have to send."""
    paths = api.openapi()["paths"]
    assert [each["name"] for each in paths["/projects/{project}/runs"]["get"]["parameters"]] == ["project"]
    assert "parameters" not in paths["/runs"]["get"]
