"""The Flask decorator and the ASGI middleware: which answer for which token (RFC 6750 §3)."""

import asyncio
import json
from typing import Any

import pytest
from flask import Flask, g

from idp.verifier import Verifier
from idp.verifier.asgi import BearerMiddleware
from idp.verifier.flask import require_token
from tests.verifier.test_verifier import AUDIENCE, Issuer, issuer  # noqa: F401 (a fixture)


@pytest.fixture
def api(issuer: Issuer) -> Any:
    app = Flask("api")
    verifier = Verifier(issuer.url, AUDIENCE)

    @app.get("/open")
    @require_token(verifier)
    def any_token() -> dict[str, str]:
        return {"client": g.identity.client_id}

    @app.get("/editors")
    @require_token(verifier, roles=["editor", "administrator"])
    def editors() -> dict[str, str]:
        return {}

    @app.get("/projects/<project>")
    @require_token(verifier, roles=["researcher"], project_argument="project")
    def on_project(project: str) -> dict[str, str]:
        return {"project": project}

    return app.test_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_good_token_comes_through(api: Any, issuer: Issuer) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = api.get("/open", headers={"Authorization": f"{scheme} {issuer.token()}"})
        assert (answer.status_code, answer.json) == (200, {"client": "ci-bot"})


@pytest.mark.spec("R45", "R46", "R47")
def test_no_token_is_a_bare_challenge(api: Any) -> None:
    answer = api.get("/open")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.get("/open?access_token=x").status_code == 401


@pytest.mark.spec("R45", "R47")
@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer\ta", "Basic eDp5", "Bearer a,b", "a.b.c", "Bearer  ", "Bearer =", "Bearer a=b"],
)
def test_malformed_header_is_400(api: Any, value: str) -> None:
    answer = api.get("/open", headers={"Authorization": value})
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


@pytest.mark.spec("R45")
def test_bad_token_is_401_and_says_why(api: Any, issuer: Issuer) -> None:
    answer = api.get("/open", headers=bearer(issuer.token(exp=1)))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')
    assert answer.json["error"] == "invalid_token"


@pytest.mark.spec("R45")
def test_missing_role_is_403(api: Any, issuer: Issuer) -> None:
    answer = api.get("/editors", headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    assert api.get("/editors", headers=bearer(issuer.token(realm_access={"roles": ["editor"]}))).status_code == 200


def test_role_must_be_held_on_the_very_project(api: Any, issuer: Issuer) -> None:
    assert api.get("/projects/vision", headers=bearer(issuer.token())).status_code == 200
    assert api.get("/projects/speech", headers=bearer(issuer.token())).status_code == 403
    on_realm = issuer.token(realm_access={"roles": ["researcher"]}, projects=[])
    assert api.get("/projects/vision", headers=bearer(on_realm)).status_code == 403


def test_no_keys_is_503(api: Any, issuer: Issuer) -> None:
    issuer.status = 500
    answer = api.get("/open", headers=bearer(issuer.token()))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"


def call(
    app: Any, *authorization: str, path: str = "/", kind: str = "http", method: str = "GET", **more: str
) -> tuple[int, dict[bytes, bytes], Any]:
    """Call an ASGI application, and return status, headers and JSON."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"authorization", each.encode("latin-1")) for each in authorization]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    scope = {"type": kind, "path": path, "method": method, "headers": headers}
    asyncio.run(app(scope, receive, send))
    if kind == "websocket":
        return sent[0]["code"], {}, None
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    identity = scope.get("identity")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(identity and identity.client_id).encode()})


@pytest.mark.spec("R45", "R46")
def test_asgi_lets_good_tokens_through_and_no_others(issuer: Issuer) -> None:
    app = BearerMiddleware(hello, Verifier(issuer.url, AUDIENCE), open_paths=["/health"])
    good = f"Bearer {issuer.token()}"
    assert call(app, good)[::2] == (200, "ci-bot")
    assert call(app, good)[::2] == (200, "ci-bot")
    assert call(app, path="/health")[::2] == (200, None)
    assert call(app, path="/health/")[0] == 401
    assert call(app)[1][b"www-authenticate"] == b"Bearer"
    assert call(app, good, good)[0] == 400
    assert call(app, f"Bearer {issuer.token(aud='x')}")[0] == 401
    assert call(app, kind="websocket")[0] == 1008


PREFLIGHT = {"origin": "https://app.example", "access_control_request_method": "PUT"}


def test_asgi_lets_preflights_through_where_it_is_told_to(issuer: Issuer) -> None:
    verifier = Verifier(issuer.url, AUDIENCE)
    app = BearerMiddleware(hello, verifier, preflights=True)
    assert call(app, method="OPTIONS", **PREFLIGHT)[::2] == (200, None)
    assert call(app, method="GET", **PREFLIGHT)[0] == 401
    for name in PREFLIGHT:
        assert call(app, method="OPTIONS", **{name: PREFLIGHT[name]})[0] == 401
    assert call(BearerMiddleware(hello, verifier), method="OPTIONS", **PREFLIGHT)[0] == 401


@pytest.mark.parametrize(("preflights", "status"), [(True, 200), (False, 401)])
def test_flask_view_that_takes_options_itself_gets_preflights_where_told(
    issuer: Issuer,
    preflights: bool,
    status: int,
) -> None:
    app = Flask("api")

    @app.route("/", methods=["PUT", "OPTIONS"], provide_automatic_options=False)
    @require_token(Verifier(issuer.url, AUDIENCE), preflights=preflights)
    def view() -> str:
        return "answered"

    client = app.test_client()
    headers = {name.replace("_", "-"): value for name, value in PREFLIGHT.items()}
    assert client.options("/", headers=headers).status_code == status
    assert client.put("/", headers=headers).status_code == 401
    assert client.options("/").status_code == 401


def test_asgi_checks_roles_and_says_when_it_cannot_check(issuer: Issuer) -> None:
    assert call(BearerMiddleware(hello, Verifier(issuer.url, AUDIENCE), roles=["editor"]), f"Bearer {issuer.token()}")[0] == 403
    issuer.status = 500
    status, headers, _ = call(BearerMiddleware(hello, Verifier(issuer.url, AUDIENCE)), f"Bearer {issuer.token()}")
    assert (status, headers[b"retry-after"]) == (503, b"5")


def test_names_may_be_given_as_one_text(issuer: Issuer) -> None:
    token = f"Bearer {issuer.token()}"
    verifier = Verifier(issuer.url, AUDIENCE, id_token_audience="ci-bot")
    assert verifier.verify(issuer.token(header={"typ": "JWT"}, typ="ID", aud="ci-bot")).client_id == "ci-bot"
    assert call(BearerMiddleware(hello, verifier, roles="viewer"), token)[0] == 200
    assert call(BearerMiddleware(hello, verifier, roles="editor"), token)[0] == 403


def test_misspelt_project_argument_is_noticed_at_once(issuer: Issuer) -> None:
    with pytest.raises(ValueError, match="has no argument 'porject'"):

        @require_token(Verifier(issuer.url, AUDIENCE), project_argument="porject")
        def view(project: str) -> str:
            return project
