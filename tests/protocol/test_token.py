"""The token endpoint: what a right request is answered, and the rules of the wire (RFC 6749 §3.2 and §5)."""

import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import applications, runtime
from idp.jose import read_unverified
from tests.factories import FORM, Factory, ask, ask_token, basic, claims_of, set_realm

ISSUER = "http://localhost:8080/auth/realms/acme"


@pytest.mark.spec("R31", "R32", "R43", "R73", "AUTHLIB-11")
def test_answer_has_access_token_and_lifetime_and_is_not_stored(client: FlaskClient, make: Factory) -> None:
    answer = ask_token(client, make.application())
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert sorted(answer.json) == ["access_token", "expires_in", "token_type"]
    assert answer.json["expires_in"] == 36000
    assert answer.json["token_type"] == "Bearer"


def test_ends_of_grants_stand_beside_the_roles(client: FlaskClient, make: Factory) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    made = make.application(projects=("vision",), until=end)
    token = ask_token(client, made).json["access_token"]
    (project,) = claims_of(token)["projects"]
    assert (project["roles"], project["ends"]) == (["researcher"], {"researcher": int(end.timestamp())})
    assert claims_of(token)["realm_access"] == {"roles": ["researcher"]}
    told = ask(client, "token/introspect", {"token": token, **made.form}).json
    assert told["projects"] == [project]


@pytest.mark.spec("R64", "R65", "R68", "R69")
def test_openid_scope_adds_an_id_token_for_the_client(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    answer = ask_token(client, made, scope="openid", response_type="id_token").json
    opened = read_unverified(answer["id_token"])
    half = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert opened.header["typ"] == "JWT"
    assert opened.header["alg"] == "RS256"
    assert opened.claims["aud"] == made.client_id
    assert opened.claims["iss"] == ISSUER
    assert opened.claims["sub"] == made.uid
    assert opened.claims["exp"] - opened.claims["iat"] == 36000
    assert opened.claims["at_hash"] == urlsafe_b64encode(half).rstrip(b"=").decode()
    assert "nonce" not in opened.claims
    assert answer["scope"] == "openid"


@pytest.mark.spec("R59", "R84", "R85", "R86")
def test_access_token_says_who_for_whom_and_what(client: FlaskClient, make: Factory) -> None:
    made = make.application(roles=("researcher", "viewer"), projects=("vision",))
    opened = read_unverified(ask_token(client, made).json["access_token"])
    claims = opened.claims
    assert opened.header["typ"] == "at+jwt"
    assert len(opened.header["kid"]) == 36
    assert (claims["iss"], claims["aud"]) == (ISSUER, f"{ISSUER}/apis")
    assert claims["sub"] == made.uid
    assert claims["client_id"] == claims["azp"] == "ci-bot"
    assert claims["preferred_username"] == "service-account-ci-bot"
    assert claims["typ"] == "Bearer"
    assert claims["exp"] - claims["iat"] == 36000
    assert claims["nbf"] == claims["iat"]
    assert claims["realm_access"] == {"roles": ["researcher", "viewer"]}
    assert claims["resource_access"] == {"ci-bot": {"roles": ["researcher", "viewer"]}}
    assert [(project["name"], project["roles"]) for project in claims["projects"]] == [("vision", ["researcher"])]
    assert len(claims["projects"][0]["uid"]) == 36
    assert "scope" not in claims


@pytest.mark.spec("R44")
def test_every_token_has_an_id_of_its_own(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    tokens = [ask_token(client, made, scope="openid").json for _ in range(20)]
    ids = {claims_of(answer[kind])["jti"] for answer in tokens for kind in ("access_token", "id_token")}
    assert len(ids) == 40
    assert all(len(jti) == 32 for jti in ids)


def test_algorithm_of_the_application_wins_over_the_realms(client: FlaskClient, make: Factory) -> None:
    made = make.application(signing_algorithm="ES256")
    answer = ask_token(client, made, scope="openid").json
    assert {read_unverified(answer[kind]).header["alg"] for kind in ("access_token", "id_token")} == {"ES256"}


@pytest.mark.spec("R26")
def test_unknown_and_empty_parameters_count_as_absent(client: FlaskClient, make: Factory) -> None:
    answer = ask_token(client, make.application(), foo="bar", scope="", resource="", audience="", client_assertion="")
    assert answer.status_code == 200
    assert "scope" not in claims_of(answer.json["access_token"])


@pytest.mark.spec("R26", "AUTHLIB-5")
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret", "scope", "audience", "unknown"])
def test_repeated_parameter_is_refused(client: FlaskClient, make: Factory, name: str) -> None:
    made = make.application()
    form = {"grant_type": "client_credentials", **made.form, "scope": "openid", "audience": ISSUER, "unknown": "x"}
    pairs = [*form.items(), (name, form[name])]
    answer = ask(client, "token", "&".join(f"{key}={value}" for key, value in pairs))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert "is repeated" in answer.json["error_description"]


@pytest.mark.spec("R26")
def test_repeated_parameter_is_refused_even_when_one_is_empty(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    body = f"grant_type=client_credentials&client_id={made.client_id}&client_secret={made.secret}&scope=&scope=openid"
    assert ask(client, "token", body).json["error"] == "invalid_request"


@pytest.mark.spec("R28", "R56", "AUTHLIB-4")
@pytest.mark.parametrize("endpoint", ["token", "token/introspect", "revoke"])
@pytest.mark.parametrize("query", ["grant_type=client_credentials", "client_id=ci-bot", "scope=openid", "x", "="])
def test_parameters_in_the_url_are_refused(client: FlaskClient, make: Factory, endpoint: str, query: str) -> None:
    made = make.application()
    form = {"grant_type": "client_credentials", "token": "x", **made.form}
    answer = ask(client, endpoint, form, query_string=query)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.spec("R27")
@pytest.mark.parametrize("endpoint", ["token", "token/introspect", "revoke"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_405_and_say_which_is_right(client: FlaskClient, endpoint: str, method: str) -> None:
    answer = client.open(f"/auth/realms/acme/protocol/openid-connect/{endpoint}", method=method)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.spec("R27")
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "", FORM + "x"])
def test_other_body_types_are_415(client: FlaskClient, make: Factory, content_type: str) -> None:
    made = make.application()
    body = json.dumps({"grant_type": "client_credentials", **made.form})
    answer = ask(client, "token", body, content_type=content_type)
    assert (answer.status_code, answer.json["error"]) == (415, "invalid_request")
    assert FORM in answer.json["error_description"]


def test_body_type_may_have_parameters_and_any_case(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    body = f"grant_type=client_credentials&client_id={made.client_id}&client_secret={made.secret}"
    for content_type in (FORM + "; charset=UTF-8", FORM.upper()):
        assert ask(client, "token", body, content_type=content_type).status_code == 200


@pytest.mark.spec("R36", "R8")
@pytest.mark.parametrize("grant_type", ["password", "x", "client_credentials "])
def test_unknown_grant_is_named_so(client: FlaskClient, make: Factory, grant_type: str) -> None:
    answer = ask(client, "token", {"grant_type": grant_type, **make.application().form})
    assert (answer.status_code, answer.json["error"]) == (400, "unsupported_grant_type")


def test_missing_grant_type_is_an_invalid_request(client: FlaskClient, make: Factory) -> None:
    answer = ask(client, "token", make.application().form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert "grant_type" in answer.json["error_description"]


@pytest.mark.spec("R24")
@pytest.mark.parametrize("realm", ["nowhere", "ACME", "acme%00", "..", "a" * 300, "é"])
def test_unknown_realm_is_404_whatever_the_credentials(client: FlaskClient, make: Factory, realm: str) -> None:
    made = make.application()
    answer = ask_token(client, made, realm=realm)
    assert answer.status_code == 404
    assert answer.json["error"] == "invalid_request"


def test_disabled_realm_refuses_everything(client: FlaskClient, make: Factory) -> None:

    made = make.application()
    make.change(lambda realm, _: set_realm(realm, enabled=False))
    assert ask_token(client, made).status_code == 403
    for path in ("", "/.well-known/openid-configuration", "/protocol/openid-connect/certs"):
        answer = client.get(f"/auth/realms/acme{path}")
        assert (answer.status_code, answer.json["error"]) == (403, "access_denied")


@pytest.mark.spec("T23", "T27")
@pytest.mark.parametrize(
    "extra",
    [
        {"scope": "x" * 1_000_000},
        {"scope": " ".join(f"project:p{n}" for n in range(10_000))},
        {"scope": "x" * 3_000},
        {f"parameter{n}": "x" for n in range(101)},
        {"resource": "https://x" + "y" * 60_000},
        {"client_assertion_type": "x" * 70_000},
    ],
    ids=["1 MB scope", "10,000 scopes", "long scope", "101 parameters", "long resource", "body over 64 KB"],
)
def test_oversized_input_is_refused(client: FlaskClient, make: Factory, extra: dict[str, str]) -> None:
    answer = ask_token(client, make.application(), **extra)
    assert answer.status_code == 400
    assert answer.json["error"] in {"invalid_request", "invalid_scope", "invalid_target"}
    assert len(answer.data) < 500


@pytest.mark.spec("R35")
@pytest.mark.parametrize("body", [b"grant_type=\xff", b"grant_type=%ff", b"a=%C3%28", b"\x00", b"grant_type=%00", b"&&&", b"="])
def test_malformed_bodies_are_refused_in_ascii(client: FlaskClient, body: bytes) -> None:
    answer = ask(client, "token", body)
    assert answer.status_code == 400
    description = answer.json["error_description"]
    assert all(0x20 <= ord(each) <= 0x7E and each not in '"\\' for each in description)


@pytest.mark.spec("R87")
def test_token_that_would_not_fit_a_header_is_refused_with_the_way_out(client: FlaskClient, make: Factory) -> None:
    from idp import access

    made = make.application()

    def grant_many(realm: Any, application: Any) -> None:
        for number in range(80):
            access.create_project(realm, f"project-{number:03}")
            access.grant_role(realm, applications.holder_of(application), "viewer", project=f"project-{number:03}")

    make.change(grant_many)
    answer = ask_token(client, made)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")
    assert "scope=project:" in answer.json["error_description"]
    narrowed = ask_token(client, made, scope="project:project-007 project:project-042")
    assert [each["name"] for each in claims_of(narrowed.json["access_token"])["projects"]] == ["project-007", "project-042"]
    assert len(narrowed.json["access_token"]) < 8_000


def test_token_is_counted_and_recorded(client: FlaskClient, make: Factory) -> None:
    from idp import audit, tokens

    made = make.application()
    issued = [claims_of(ask_token(client, made, scope="openid").json["access_token"])["jti"] for _ in range(3)]
    with make.app.app_context():
        assert tokens.usage(runtime.current()).flush() == 3
        events = audit.list_events("acme", tag="client:token:issue")
        assert sorted(event.target for event in events) == sorted(f"token:{jti}" for jti in issued)
        assert {(event.actor, event.address, event.detail["method"], event.detail["secret"]) for event in events} == {
            ("application:ci-bot", "127.0.0.1", "client_secret", "main")
        }

    def check(_realm: Any, application: Any) -> None:
        (secret,) = applications.list_secrets(application)
        assert application.token_count == secret.use_count == 3
        assert secret.last_used_address == "127.0.0.1"
        assert secret.last_used_at is not None

    make.change(check)


def test_warm_token_runs_no_sql(client: FlaskClient, make: Factory) -> None:
    from sqlalchemy import event

    from idp.db import db

    made = make.application()
    ask_token(client, made, scope="openid")
    statements: list[str] = []
    with make.app.app_context():
        engine = db.engine
        runtime.current().feed._confirmed += 3600  # nothing is asked in this hour, as within any 200 ms
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(10):
        assert ask_token(client, made, scope="openid").status_code == 200
        assert (
            client.post(
                "/auth/realms/acme/protocol/openid-connect/token",
                data={"grant_type": "client_credentials"},
                headers={"Authorization": basic(made.client_id, made.secret)},
            ).status_code
            == 200
        )
    assert statements == []
