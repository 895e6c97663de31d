"""The gateway's check: who passes, who does not, and what the API behind it is told."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import apikeys, protected_apis, users
from idp.app import close_app, create_app
from idp.errors import InvalidValueError
from idp.jose import InvalidTokenError
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory, ask_token, claims_of, session_of, set_api, set_user

RULES = [
    {"methods": ["GET"], "path": "/api/v1/query", "roles": ["viewer"]},
    {"methods": ["GET", "POST"], "path": "/api/v1/jobs", "roles": ["researcher"], "project": "vision"},
    {"methods": ["GET"], "path": "/open"},
    {"methods": ["DELETE"], "path": "/api/v1/jobs/7", "roles": ["administrator"]},
    {"methods": ["OPTIONS"], "path": "/", "open": True},
    {"methods": ["GET"], "path": "/docs", "open": True},
    {"methods": ["DELETE"], "path": "/docs/internal", "roles": ["administrator"]},
]
AUDIENCE = "https://telemetry.example"


@pytest.fixture
def behind(settings: Settings) -> Iterator[FlaskClient]:
    """A client that is a trusted proxy."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    make = Factory(app)
    make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=RULES))
    yield app.test_client(use_cookies=False)
    close_app(app)


@pytest.fixture
def make(behind: FlaskClient) -> Factory:
    return Factory(behind.application)


def check(
    client: FlaskClient,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    uri: str = "/api/v1/query?query=up",
    api: str = "metrics",
    realm: str = "acme",
    **environ: str,
) -> TestResponse:
    url = f"/gateway/check/{realm}/{api}"
    return client.get(url, headers=headers, environ_overrides={"QUERY_STRING": f"method={method}&uri={uri}", **environ})


def upstream_token(answer: TestResponse) -> str:
    """Return the token that the API behind is given."""
    kind, _, token = answer.headers["Authorization"].partition(" ")
    assert kind == "Bearer", answer.text
    return token


def test_every_kind_of_credential_passes_and_the_api_is_told_who_calls(behind: FlaskClient, make: Factory) -> None:
    uid = make.user(roles=("viewer",), projects=(("vision", "researcher"), ("vision", "viewer")))
    session = session_of(behind)
    key = make.key()
    exchanged = behind.post("/v1/auth/exchange", headers=key.header).json["Authorization"]
    personal = behind.get("/auth/v1/tokens/generate", headers={"Authorization": f"Bearer {session['Authorization']}"}).json[
        "token"
    ]
    shown: dict[str, dict[str, str]] = {
        "bare session token": session,
        "bearer session token": {"Authorization": f"Bearer {session['Authorization']}"},
        "cookie": {"Cookie": f"Authorization={session['Authorization']}"},
        "key": key.header,
        "exchanged key": {"Authorization": f"Bearer {exchanged}"},
        "personal token": {"Authorization": f"Bearer {personal}"},
    }
    for name, header in shown.items():
        answer = check(behind, header)
        assert answer.status_code == 200, (name, answer.text)
        told = answer.headers
        assert (told["X-Auth-Subject"], told["X-Auth-Realm"], told["X-Auth-Roles"]) == (uid, "acme", "viewer"), name
        assert told["X-Auth-Projects"] == "vision:researcher,vision:viewer"
        claims = claims_of(upstream_token(answer))
        assert (claims["sub"], claims["aud"], claims["exp"] - claims["iat"]) == (uid, AUDIENCE, 300)
        assert told["X-Auth-Token"] == "", "it is sent once"
        assert told["Cache-Control"] == "no-store"


def test_access_tokens_for_the_api_or_the_realm_pass_and_others_do_not(behind: FlaskClient, make: Factory) -> None:
    for name, audience, status in (("one", [AUDIENCE], 200), ("two", [], 200), ("three", ["https://other.example"], 401)):
        made = make.application(name, roles=("viewer",), audience=audience)
        token = ask_token(behind, made).json["access_token"]
        answer = check(behind, {"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, name
        if status == 200:
            assert claims_of(upstream_token(answer))["client_id"] == name


@pytest.mark.parametrize(
    ("method", "uri", "status"),
    [
        ("GET", "/api/v1/query", 200),
        ("GET", "/api/v1/query?query=a,b&x=/../", 200),
        ("GET", "/api/v1/query/deep/down", 200),
        ("get", "/api/v1/query", 200),
        ("HEAD", "/api/v1/query", 403),
        ("POST", "/api/v1/query", 403),
        ("GET", "/api/v1/query_range", 403),
        ("GET", "/api/v1/quer", 403),
        ("GET", "/API/V1/QUERY", 403),
        ("GET", "/", 403),
        ("GET", "//api/v1/query", 403),
        ("GET", "/api//v1/query", 403),
        ("GET", "/api/v1/query/../admin", 403),
        ("GET", "/api/v1/query/..", 403),
        ("GET", "/api/v1/query/./x", 403),
        ("GET", "/api/v1/query/%2e%2e/admin", 403),
        ("GET", "/api/v1/query/%2E%2E%2Fadmin", 403),
        ("GET", "/api/v1/query%2f..%2fadmin", 403),
        ("GET", "/api/v1/query/%252e%252e/admin", 403),
        ("GET", "/api/v1/query/..;/admin", 403),
        ("GET", "/api/v1/query;x=1", 403),
        ("GET", "/api/v1/query/\\..\\admin", 403),
        ("GET", "/api/v1/query/%5c..%5cadmin", 403),
        ("GET", "/api/v1/query/%00", 403),
        ("GET", "/api/v1/query/%c0%ae%c0%ae/admin", 403),
        ("GET", "/api/v1/query/%ef%bc%8e%ef%bc%8e/admin", 403),
        ("GET", "/api/v1/query/%C3%A9", 200),
        ("GET", "/api/v1/query/%0d%0aX: y", 403),
        ("GET", "/api/v1/query/\u00e9", 403),
        ("GET", "/api/v1/query/%zz", 403),
        ("GET", "/api/v1/query#/../admin", 403),
        ("GET", "%2Fapi%2Fv1%2Fquery%3Fquery%3Dup", 200),
        ("GET", "%2Fapi%2Fv1%2Fquery%2F..%2Fadmin", 403),
        ("GET", "%2Fapi%2Fv1%2Fquery%252e%252e", 403),
        ("GET", "%2Fadmin%3F%2Fapi%2Fv1%2Fquery", 403),
        ("GET", "%252Fapi%252Fv1%252Fquery", 403),
        ("GET", "http://api/api/v1/query", 403),
        ("GET", "", 403),
        ("", "/api/v1/query", 403),
        ("G T", "/api/v1/query", 403),
        ("GET", "/open", 200),
        ("GET", "/api/v1/jobs", 403),
        ("DELETE", "/api/v1/jobs/7", 403),
    ],
)
def test_rules_of_method_and_path(behind: FlaskClient, make: Factory, method: str, uri: str, status: int) -> None:
    make.user(roles=("viewer",))
    assert check(behind, make.key().header, method, uri).status_code == status


def test_role_counts_on_the_realm_or_on_the_project_of_the_rule(behind: FlaskClient, make: Factory) -> None:
    make.user("on-realm@example.test", roles=("researcher",))
    make.user("on-project@example.test", projects=(("vision", "researcher"),))
    make.user("elsewhere@example.test", projects=(("speech", "researcher"),))
    for name, status in {"on-realm@example.test": 200, "on-project@example.test": 200, "elsewhere@example.test": 403}.items():
        assert check(behind, make.key(name).header, "POST", "/api/v1/jobs").status_code == status, name


@pytest.mark.spec("R45")
def test_who_shows_nothing_or_something_bad_is_challenged(behind: FlaskClient, make: Factory) -> None:
    answer = check(behind)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="acme", resource_metadata="')
    for header in (
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YTpi"},
        {"apiKey": "idp_ak_nothing"},
        {"Cookie": "Authorization=x"},
        {"Authorization": "Bearer a.b.c", "apiKey": "x"},
        {"Authorization": "Negotiate x"},
    ):
        answer = check(behind, header)
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="acme", error="invalid_')
        assert "X-Auth-Subject" not in answer.headers


def test_expired_key_is_told_so(behind: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user(roles=("viewer",))
    key = make.key(hours=1)
    frozen_clock.advance(hours=1)
    answer = check(behind, key.header)
    assert answer.status_code == 401
    assert "because the key expired on" in answer.json["error_description"]


@pytest.mark.spec("T73")
def test_credentials_of_another_organisation_do_not_pass(behind: FlaskClient, make: Factory) -> None:
    make.realm()
    make.user("eve@example.test", realm="other", roles=("viewer", "administrator"))
    assert check(behind, make.key("eve@example.test", realm="other").header).status_code == 401
    assert check(behind, session_of(behind, "eve@example.test", org="other")).status_code == 401


def test_unknown_apis_and_realms_are_refused(behind: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    header = make.key().header
    unknown = check(behind, header, api="other")
    assert (unknown.status_code, unknown.json["error_description"]) == (403, "There is no such protected API.")
    assert check(behind, header, realm="nowhere").status_code == 403
    for path in ("/gateway/check", "/gateway/check/", "/gateway/check/acme", "/gateway/check/acme/", "/gateway/check/a\u00e9/x"):
        assert behind.get(path, headers=header).status_code == 403, path


@pytest.mark.spec("R123", "T84", "R21")
def test_only_configured_proxies_may_ask(client: FlaskClient, app: Flask) -> None:
    make = Factory(app)
    make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=RULES))
    make.user(roles=("viewer",))
    answer = check(client, make.key().header)
    assert answer.status_code == 403
    assert "IDP_TRUSTED_PROXIES" in answer.json["error_description"]


def test_envoy_asks_with_the_path_behind_a_prefix(behind: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    header = make.key().header
    assert behind.get("/gateway/check/acme/metrics/api/v1/query?query=up", headers=header).status_code == 200
    assert behind.post("/gateway/check/acme/metrics/api/v1/query", headers=header).status_code == 403
    assert behind.get("/gateway/check/acme/metrics/api/v1/query/../admin", headers=header).status_code == 403


def test_traefik_asks_with_headers_where_the_url_says_so_and_only_there(behind: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    header = make.key().header
    forwarded = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/api/v1/query?query=up"}
    url = "/gateway/check/acme/metrics"
    assert behind.get(f"{url}?headers=forwarded", headers=header | forwarded).status_code == 200
    assert behind.get(url, headers=header | forwarded).status_code == 403
    assert behind.get(f"{url}?headers=forwarded", headers=header).status_code == 403
    for name, value in (("X-Forwarded-Uri", "/api/v1/query/x,/admin"), ("X-Forwarded-Method", "GET,DELETE")):
        assert behind.get(f"{url}?headers=forwarded", headers=header | forwarded | {name: value}).status_code == 403
    query = "?method=DELETE&uri=/api/v1/jobs/7"
    assert behind.get(url + query, headers=header | forwarded).status_code == 403, "headers change nothing where the URL tells"


def test_uri_of_the_client_cannot_change_the_method(behind: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    header = make.key().header
    assert check(behind, header, "DELETE", "/api/v1/query&method=GET&uri=/api/v1/query").status_code == 403
    assert check(behind, header, "GET", "/admin&method=GET&uri=/api/v1/query").status_code == 403


def test_identity_headers_of_the_client_are_answered_with_the_servers_own(behind: FlaskClient, make: Factory) -> None:
    uid = make.user(roles=())
    forged = {f"X-Auth-{name}": "root" for name in ("Subject", "Realm", "Roles", "Projects", "Token")}
    answer = check(behind, make.key().header | forged, uri="/open")
    assert answer.status_code == 200
    assert [answer.headers.getlist(f"X-Auth-{name}") for name in ("Subject", "Realm", "Roles", "Projects")] == [
        [uid],
        ["acme"],
        [""],
        [""],
    ]
    assert "root" not in str(answer.headers)


@pytest.mark.parametrize("uri", ["/docs", "/docs/a"])
def test_open_rule_lets_everybody_through_as_nobody(behind: FlaskClient, make: Factory, uri: str) -> None:
    make.user(roles=("viewer",))
    forged = {f"X-Auth-{name}": "root" for name in ("Subject", "Realm", "Roles", "Projects", "Token")}
    for shown in ({}, make.key().header, {"Authorization": "Bearer wrong"}, {"Authorization": "nonsense"}, forged):
        answer = check(behind, shown, uri=uri)
        assert answer.status_code == 200
        told = {name: answer.headers.getlist(name) for name in (*forged, "Authorization")}
        assert set(map(tuple, told.values())) == {("",)}
    assert check(behind, method="POST", uri=uri).status_code == 401
    assert check(behind, uri="/docs/../admin").status_code == 401
    assert check(behind, uri="/docsx").status_code == 401


def test_preflight_passes_where_a_rule_is_open(behind: FlaskClient) -> None:
    page = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    assert check(behind, page, method="OPTIONS").status_code == 200
    assert check(behind, page, method="GET").status_code == 401


@pytest.mark.parametrize("wrong", [{"roles": ["viewer"]}, {"project": "vision"}])
def test_open_rule_takes_no_roles(make: Factory, wrong: dict[str, Any]) -> None:
    rule = {"methods": ["GET"], "path": "/x", "open": True} | wrong
    with pytest.raises(InvalidValueError, match="does not identify the caller"):
        make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=[rule]))


@pytest.mark.parametrize("path", ["/x", "/x/y"])
def test_rule_below_an_open_one_is_refused_as_it_would_never_count(make: Factory, path: str) -> None:
    open_rule = {"methods": ["GET", "POST"], "path": "/x", "open": True}
    for rule in ({"methods": ["DELETE", "POST"], "path": path, "roles": ["viewer"]}, {"methods": ["GET"], "path": path}):
        with pytest.raises(InvalidValueError, match="Rule 1 would have no effect: rule 2 is open"):
            make.do(lambda realm, rule=rule: set_api(realm, "metrics", audience=AUDIENCE, rules=[rule, open_rule]))
    beside = [open_rule, {"methods": ["DELETE"], "path": path, "roles": ["viewer"]}, {"methods": ["GET"], "path": "/xy"}]
    make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=beside))


def test_headers_stay_within_what_proxies_take(behind: FlaskClient, make: Factory) -> None:
    """A project's name stands in `X-Auth-Projects` once for each role, and so outgrows the token."""
    from idp import access

    project, roles = "p" * 60, [f"r{number}" for number in range(300)]

    def furnish(realm: Any) -> None:
        access.create_project(realm, project)
        for role in roles:
            access.create_role(realm, role)

    make.do(furnish)
    for count, status in ((150, 200), (300, 403)):
        name = f"{count}@example.test"
        make.user(name, roles=("viewer",), projects=tuple((project, role) for role in roles[:count]))
        answer = check(behind, make.key(name).header)
        assert answer.status_code == status, answer.text
        assert sum(len(name) + len(value) for name, value in answer.headers) < 16_500
    assert "do not fit in the headers" in answer.json["error_description"]


@pytest.mark.spec("T100")
def test_foreign_page_cannot_change_anything_with_the_cookie(behind: FlaskClient, make: Factory) -> None:
    make.user(roles=("researcher",))
    cookie = {"Cookie": f"Authorization={session_of(behind)['Authorization']}"}
    for headers, status in (
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ):
        assert check(behind, cookie | headers, "POST", "/api/v1/jobs").status_code == status, headers


@pytest.mark.parametrize("how", ["key revoked", "owner disabled", "role lost", "API deleted", "rule changed"])
def test_what_passed_stops_when_something_changes(behind: FlaskClient, make: Factory, how: str) -> None:
    from idp import access

    make.user(roles=("viewer",))
    key = make.key()
    token = {"Authorization": behind.post("/v1/auth/exchange", headers=key.header).json["Authorization"]}
    for header in (key.header, token):
        assert check(behind, header).status_code == 200
    acts: dict[str, tuple[Any, int]] = {
        "key revoked": (lambda realm: apikeys.revoke_key(realm, apikeys.get_key(realm, key.uid), "x"), 401),
        "owner disabled": (lambda realm: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=False), 401),
        "role lost": (
            lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, "ann@example.test")), "viewer"),
            403,
        ),
        "API deleted": (lambda realm: protected_apis.delete_api(realm, "metrics"), 403),
        "rule changed": (lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=[]), 403),
    }
    act, status = acts[how]
    make.do(act)
    for header in (key.header, token):
        assert check(behind, header).status_code == status


def test_upstream_token_is_good_for_the_api_and_nothing_else(
    behind: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp.verifier import Verifier
    from idp.verifier import verifier as module

    make.user(roles=("viewer",))
    token = upstream_token(check(behind, make.key().header))
    assert check(behind, {"Authorization": f"Bearer {token}"}).status_code == 401, "it outlives a logout, so it ends here"
    assert behind.get("/v1/users/info", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    document = behind.get("/auth/realms/acme/protocol/openid-connect/certs").json

    class Keys:
        def __init__(self, *_args: Any, **_options: Any) -> None: ...

        def find(self, kid: str, alg: str, *, fetch: bool) -> list[Any]:
            from idp.jose import import_key

            return [import_key(jwk) for jwk in document["keys"] if (jwk["kid"], jwk["alg"]) == (kid, alg)]

    monkeypatch.setattr(module, "KeySet", Keys)
    issuer = "http://localhost:8080/auth/realms/acme"
    assert Verifier(issuer, AUDIENCE).verify(token).has_role("viewer")
    with pytest.raises(InvalidTokenError, match="another API"):
        Verifier(issuer, "https://other.example").verify(token)


def test_upstream_token_is_renewed_at_half_its_life_and_ends_with_the_credential(
    behind: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.user(roles=("viewer",))
    key = make.key(hours=1)
    first = upstream_token(check(behind, key.header))
    frozen_clock.advance(seconds=149)
    assert upstream_token(check(behind, key.header)) == first
    frozen_clock.advance(seconds=1)
    second = upstream_token(check(behind, key.header))
    assert second != first
    frozen_clock.advance(minutes=56)
    last = claims_of(upstream_token(check(behind, key.header)))
    assert last["exp"] - last["iat"] == 3600 - 150 - 56 * 60


def test_storage_that_does_not_answer_lets_nobody_through(
    behind: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp import runtime
    from idp.errors import StorageUnavailableError

    make.user(roles=("viewer",))
    key = make.key()
    assert check(behind, key.header).status_code == 200

    def fail() -> None:
        raise StorageUnavailableError("away")

    with behind.application.app_context():
        monkeypatch.setattr(runtime.current().feed, "confirm", fail)
    answer = check(behind, key.header)
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")


def test_odd_environments_are_answered_and_never_with_200(behind: FlaskClient, make: Factory) -> None:
    lock = threading.Lock()
    for environ in (
        {"HTTP_AUTHORIZATION": "\xff"},
        {"HTTP_APIKEY": "\x00" * 100},
        {"HTTP_COOKIE": "Authorization=\xe9"},
        {"HTTP_AUTHORIZATION": "Bearer " + "a" * 100_000},
        {"QUERY_STRING": "method=GET&uri=" + "/a" * 50_000},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "x" * 10_000},
    ):
        with lock:
            answer = check(behind, **environ)
        assert answer.status_code in {401, 403}, environ
        json.loads(answer.text)
