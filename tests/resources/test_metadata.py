"""Metadata of protected resources, and the challenges that lead there (RFC 9728, RFC 6750 §3)."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp.app import close_app, create_app
from idp.settings import Settings
from idp.verifier import ProtectedResource, Verifier
from idp.verifier.asgi import BearerMiddleware
from idp.verifier.flask import add_metadata, require_token
from tests.factories import Factory, ask_token, session_of, set_api
from tests.gateway.test_check import check
from tests.verifier.test_frameworks import bearer, call, hello
from tests.verifier.test_verifier import Issuer, issuer  # noqa: F401 (a fixture)

RESOURCE = "https://tools.example/mcp"


def described(**fields: Any) -> ProtectedResource:
    return ProtectedResource(**{"resource": RESOURCE, "issuer": "https://id.example/auth/realms/acme", **fields})


@pytest.mark.spec("RS1")
@pytest.mark.parametrize(
    ("resource", "path", "url"),
    [
        ("https://tools.example", "", "https://tools.example"),
        ("https://tools.example/", "", "https://tools.example"),
        ("https://tools.example/mcp", "/mcp", "https://tools.example"),
        ("https://tools.example:8443/a/mcp", "/a/mcp", "https://tools.example:8443"),
        ("http://127.0.0.1:9000/mcp", "/mcp", "http://127.0.0.1:9000"),
    ],
)
def test_metadata_is_between_host_and_path(resource: str, path: str, url: str) -> None:
    found = described(resource=resource)
    assert found.path == f"/.well-known/oauth-protected-resource{path}"
    assert found.url == f"{url}/.well-known/oauth-protected-resource{path}"


@pytest.mark.parametrize(
    "resource",
    [
        "tools", "http://tools.example/mcp", "https://", "https://tools.example/mcp?a=b", "https://tools.example/#x",
        "https://u@tools.example/", 'https://tools.example/"', "https://tools.example:x/", "https://tools.example/a b", "ftp://127.0.0.1/",
    ],
)  # fmt: skip # a list of words
def test_what_is_no_resource_is_refused(resource: str) -> None:
    with pytest.raises(ValueError, match="resource takes an https URL"):
        described(resource=resource)


def test_scopes_that_would_break_a_challenge_are_refused() -> None:
    with pytest.raises(ValueError, match="list of scopes"):
        described(scopes=['a"', "b"])


@pytest.mark.spec("RS1")
def test_document_has_what_there_is_and_nothing_empty() -> None:
    assert described(scopes=()).document() == {
        "resource": RESOURCE,
        "authorization_servers": ["https://id.example/auth/realms/acme"],
        "bearer_methods_supported": ["header"],
    }
    whole = described(name="Tools", documentation="https://tools.example/docs").document()
    assert (whole["scopes_supported"], whole["resource_name"]) == (["roles"], "Tools")
    assert whole["resource_documentation"] == "https://tools.example/docs"


LEADS = 'resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp", scope="roles"'


@pytest.mark.spec("RS1")
def test_flask_api_describes_itself_and_its_challenges_lead_there(issuer: Issuer) -> None:
    app, resource = Flask("api"), described(issuer=issuer.url)
    add_metadata(app, resource)

    @app.get("/mcp")
    @require_token(Verifier(issuer.url, RESOURCE), roles="editor", resource=resource)
    def view() -> str:
        return "done"

    client = app.test_client()
    shown = client.get(resource.path)
    assert shown.json == resource.document()
    assert shown.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/mcp").headers["WWW-Authenticate"] == f"Bearer {LEADS}"
    wrong = client.get("/mcp", headers=bearer("a.b.c"))
    assert wrong.status_code == 401
    assert wrong.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", ')
    assert wrong.headers["WWW-Authenticate"].endswith(f", {LEADS}")
    lacking = client.get("/mcp", headers=bearer(issuer.token(aud=RESOURCE)))
    assert lacking.status_code == 403
    assert lacking.headers["WWW-Authenticate"].startswith('Bearer error="insufficient_scope", ')
    assert lacking.headers["WWW-Authenticate"].endswith(f", {LEADS}")


@pytest.mark.spec("RS1")
def test_asgi_api_describes_itself_and_its_challenges_lead_there(issuer: Issuer) -> None:
    resource = described(issuer=issuer.url)
    app = BearerMiddleware(hello, Verifier(issuer.url, RESOURCE), roles="editor", resource=resource)
    status, headers, body = call(app, path=resource.path)
    assert (status, body) == (200, resource.document())
    assert headers[b"access-control-allow-origin"] == b"*"
    assert call(app)[1][b"www-authenticate"] == f"Bearer {LEADS}".encode()
    status, headers, _ = call(app, f"Bearer {issuer.token(aud=RESOURCE)}")
    assert status == 403
    assert headers[b"www-authenticate"].endswith(f", {LEADS}".encode())
    assert call(app, path=f"{resource.path}/x")[0] == 401


@pytest.fixture
def behind(settings: Settings) -> Iterator[FlaskClient]:
    """A client that is a trusted proxy."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    rules = [{"methods": ["GET"], "path": "/mcp", "roles": ["viewer"]}, {"methods": ["GET"], "path": "/free"}]
    make = Factory(app)
    make.do(lambda realm: set_api(realm, "tools", audience=RESOURCE, rules=rules))
    make.do(lambda realm: set_api(realm, "named", audience="tools", rules=rules))
    make.do(lambda realm: set_api(realm, "open", audience="https://open.example", rules=rules[1:]))
    yield app.test_client(use_cookies=False)
    close_app(app)


METADATA = "/.well-known/oauth-protected-resource/gateway/acme"


@pytest.mark.spec("RS1")
def test_gateway_describes_each_protected_api_that_is_called_by_a_url(behind: FlaskClient) -> None:
    answer = behind.get(f"{METADATA}/tools")
    assert answer.json == {
        "resource": RESOURCE,
        "authorization_servers": ["http://localhost:8080/auth/realms/acme"],
        "scopes_supported": ["roles"],
        "bearer_methods_supported": ["header"],
        "resource_name": "tools",
    }
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "scopes_supported" not in behind.get(f"{METADATA}/open").json
    for path in (f"{METADATA}/named", f"{METADATA}/none", METADATA.replace("acme", "nobody") + "/tools"):
        assert behind.get(path).status_code == 404, path


@pytest.mark.spec("RS1")
def test_gateway_leads_whoever_has_no_token_to_where_they_are(behind: FlaskClient) -> None:
    leads = f'resource_metadata="http://localhost:8080{METADATA}/tools", scope="roles"'
    none = check(behind, uri="/mcp", api="tools")
    assert none.status_code == 401
    assert none.headers["WWW-Authenticate"] == f'Bearer realm="acme", {leads}'
    wrong = check(behind, bearer("a.b.c"), uri="/mcp", api="tools")
    assert wrong.headers["WWW-Authenticate"] == f'Bearer realm="acme", error="invalid_token", {leads}'
    assert check(behind, uri="/mcp", api="named").headers["WWW-Authenticate"] == 'Bearer realm="acme"'


@pytest.mark.spec("RS1")
def test_gateway_says_what_to_ask_for_where_a_role_is_missing_and_only_there(behind: FlaskClient) -> None:
    make = Factory(behind.application)
    make.user()
    session = session_of(behind)
    lacking = check(behind, session, uri="/mcp", api="tools")
    assert lacking.status_code == 403
    assert lacking.headers["WWW-Authenticate"].startswith('Bearer realm="acme", error="insufficient_scope", resource_metadata="')
    assert lacking.headers["WWW-Authenticate"].endswith('scope="roles"')
    elsewhere = check(behind, session, uri="/nowhere", api="tools")
    assert (elsewhere.status_code, "WWW-Authenticate" in elsewhere.headers) == (403, False)
    made = make.application("one", roles=("viewer",), audience=[RESOURCE])
    token = ask_token(behind, made).json["access_token"]
    assert check(behind, bearer(token), uri="/mcp", api="tools").status_code == 200
