"""Discovery, the key set, the realm document, the URL map, and answers to what is not there."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import keys, realms
from idp.applications import ASSERTION_ALGORITHMS
from idp.db import commit
from idp.tokens import SCOPED_CLAIMS
from tests.conftest import FrozenClock
from tests.factories import Factory, ask, ask_token, assertion, assertion_form, basic, claims_of, key_pair

REALM = "/auth/realms/acme"
VECTORS = Path(__file__).parent.parent / "vectors"
ISSUER = "http://localhost:8080/auth/realms/acme"
FORWARDED = [
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Port": "444"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Forwarded-Server": "evil.example"},
    {"X-Original-URL": "/evil"},
    {"X-Host": "evil.example"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"Forwarded": 'for="evil";host="evil.example"'},
]


def discovery(client: FlaskClient, **options: Any) -> Any:
    return client.get(f"{REALM}/.well-known/openid-configuration", **options)


@pytest.mark.spec("R60", "R61", "R63")
def test_well_known_urls_give_the_same_document(client: FlaskClient) -> None:
    first = discovery(client)
    for url in (f"/.well-known/oauth-authorization-server{REALM}", f"{REALM}/.well-known/oauth-authorization-server"):
        other = client.get(url)
        assert (other.status_code, other.json) == (200, first.json)
    assert first.status_code == 200
    assert first.mimetype == "application/json"
    assert first.headers["Cache-Control"] == "max-age=3600"


@pytest.mark.parametrize(
    "path",
    [
        REALM,
        f"{REALM}/.well-known/openid-configuration",
        f"{REALM}/.well-known/oauth-authorization-server",
        f"/.well-known/oauth-authorization-server{REALM}",
        f"{REALM}/protocol/openid-connect/certs",
        "/v1/openapi.json",
    ],
)
def test_pages_of_any_origin_may_read_public_documents(client: FlaskClient, path: str) -> None:
    origin = {"Origin": "https://app.example"}
    answer = client.get(path, headers=origin)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    if "ETag" in answer.headers:
        again = client.get(path, headers=origin | {"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.headers["Access-Control-Allow-Origin"]) == (304, "*")


def test_preflights_of_public_documents_are_answered(client: FlaskClient) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-mine"}
    answer = client.options(f"{REALM}/protocol/openid-connect/certs", headers=asked)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"


@pytest.mark.parametrize("path", ["token", "token/introspect", "revoke", "userinfo"])
def test_nothing_else_is_for_pages_of_other_origins(client: FlaskClient, path: str) -> None:
    for method in ("OPTIONS", "POST"):
        answer = client.open(f"{REALM}/protocol/openid-connect/{path}", method=method, headers={"Origin": "https://app.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.spec("R23", "R61")
def test_metadata_has_no_null_and_no_empty_list(client: FlaskClient) -> None:
    document = discovery(client).json
    assert all(value not in (None, [], "") for value in document.values())


@pytest.mark.spec("R59", "T102")
@pytest.mark.parametrize("headers", FORWARDED, ids=str)
def test_issuer_and_links_come_from_the_configuration_only(client: FlaskClient, make: Factory, headers: dict[str, str]) -> None:
    assert discovery(client, headers=headers).data == discovery(client).data
    answer = ask(client, "token", {"grant_type": "client_credentials", **make.application().form}, headers=headers)
    assert claims_of(answer.json["access_token"])["iss"] == discovery(client).json["issuer"] == ISSUER


@pytest.mark.spec("R23", "R61")
def test_every_endpoint_in_the_metadata_is_there(client: FlaskClient) -> None:
    urls = {name: url for name, url in discovery(client).json.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(urls) == 10
    for name, url in urls.items():
        assert url.startswith(ISSUER)
        path = url.removeprefix("http://localhost:8080")
        other = {"jwks_uri": 200, "userinfo_endpoint": 401, "authorization_endpoint": 400, "end_session_endpoint": 200}
        other["realmgate_revocations_endpoint"] = 200
        answer = client.get(path) if other.get(name) == 200 else client.post(path)
        assert answer.status_code == other.get(name, 415), name


@pytest.mark.spec("R61")
def test_every_listed_client_authentication_and_grant_works_and_no_other(client: FlaskClient, make: Factory) -> None:
    listed = discovery(client).json
    assert listed["grant_types_supported"] == [
        "client_credentials",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ]
    for endpoint, path in (("token", "token"), ("introspection", "token/introspect"), ("revocation", "revoke")):
        methods = listed[f"{endpoint}_endpoint_auth_methods_supported"]
        public = [] if endpoint == "introspection" else ["none"]
        assert sorted(methods) == ["client_secret_basic", "client_secret_post", *public, "private_key_jwt"]
        key, jwks = key_pair()
        made = make.application(f"app-{endpoint}", jwks=jwks)
        form = {"grant_type": "client_credentials", "token": "x"}
        by_method = {
            "client_secret_basic": (form, {"Authorization": basic(made.client_id, made.secret)}),
            "client_secret_post": (form | made.form, {}),
            "private_key_jwt": (form | assertion_form(assertion(key, made.client_id, ISSUER)), {}),
        }
        for method, (parameters, headers) in by_method.items():
            assert method in methods
            assert ask(client, path, parameters, headers=headers).status_code == 200


@pytest.mark.spec("R61", "R89")
def test_every_listed_assertion_algorithm_works(client: FlaskClient, make: Factory) -> None:
    listed = discovery(client).json["token_endpoint_auth_signing_alg_values_supported"]
    assert tuple(listed) == ASSERTION_ALGORITHMS
    for alg in listed:
        key, jwks = key_pair(alg)
        name = f"app-{alg.lower()}"
        make.application(name, jwks=jwks, secret=False)
        assert ask(client, "token", assertion_form(assertion(key, name, ISSUER, alg=alg))).status_code == 200, alg


@pytest.mark.spec("R61")
def test_listed_claims_are_those_of_the_tokens(client: FlaskClient, make: Factory) -> None:
    answer = ask_token(client, make.application(), scope="openid").json
    said = (
        claims_of(answer["access_token"]).keys() | claims_of(answer["id_token"]).keys()
    )  # of which two are for this server and its verifiers
    of_others = {"act", "sid", "auth_method", "federation"}  # session tokens, exchanged and federated ones; see test_exchange.py
    of_people = {"nonce", "acr", "amr", "auth_time", "updated_at", "groups", *SCOPED_CLAIMS}  # see tests/sign_in
    of_others |= of_people - said
    assert said - {"typ", "credential"} == set(discovery(client).json["claims_supported"]) - of_others


@pytest.mark.spec("R62")
def test_key_set_holds_public_keys_with_id_use_and_algorithm(client: FlaskClient) -> None:
    answer = client.get(f"{REALM}/protocol/openid-connect/certs")
    found = answer.json["keys"]
    assert sorted(key["alg"] for key in found) == ["ES256", "RS256"]
    assert len({key["kid"] for key in found}) == len(found)
    for key in found:
        assert key["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()


@pytest.mark.spec("R63")
def test_key_set_may_be_cached_shorter_than_keys_are_announced(client: FlaskClient, context: Flask) -> None:
    answer = client.get(f"{REALM}/protocol/openid-connect/certs")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert keys.announcement().total_seconds() > 300


def test_key_set_answers_304_to_who_has_it(client: FlaskClient) -> None:
    url = f"{REALM}/protocol/openid-connect/certs"
    etag = client.get(url).headers["ETag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = client.get(url, headers={"If-None-Match": header})
        assert (answer.status_code, answer.data) == (304, b""), header
        assert answer.headers["ETag"] == etag
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_key_set_changes_with_its_etag_when_a_key_is_announced(client: FlaskClient, make: Factory) -> None:
    url = f"{REALM}/protocol/openid-connect/certs"
    before = client.get(url)
    with make.app.app_context():
        keys.rotate_key(realms.get_realm("acme"), "RS256")
        commit()
        make.forget()
    after = client.get(url, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert len(after.json["keys"]) == 3
    assert after.headers["ETag"] != before.headers["ETag"]


def test_realm_document_has_what_adapters_look_for(client: FlaskClient) -> None:
    from joserfc.jwk import RSAKey

    document = client.get(REALM).json
    assert document["realm"] == "acme"
    assert document["token-service"] == f"{ISSUER}/protocol/openid-connect"
    pem = f"-----BEGIN PUBLIC KEY-----\n{document['public_key']}\n-----END PUBLIC KEY-----\n"
    published = client.get(f"{REALM}/protocol/openid-connect/certs").json["keys"]
    rsa = next(key for key in published if key["kty"] == "RSA")
    assert RSAKey.import_key(pem).as_dict(private=False)["n"] == rsa["n"]


def test_url_map_is_this_and_no_more(app: Flask) -> None:
    rules = sorted((str(rule), sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})) for rule in app.url_map.iter_rules())
    assert [f"{' '.join(methods)} {path}" for path, methods in rules] == json.loads((VECTORS / "url_map.json").read_text())


@pytest.mark.parametrize(
    "path",
    ["/auth", "/auth/realms", "/auth/realms/", f"{REALM}/", f"{REALM}/protocol", f"{REALM}/x", f"/{REALM}", "/static/x"],
)
def test_nothing_there_is_404_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in {404, 308}
    assert answer.json["error"] == "invalid_request"


def test_unexpected_errors_show_a_reference_and_nothing_else(
    client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = make.application()
    canary = "canary-4711"

    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError(canary)

    monkeypatch.setattr("idp.tokens.issue_tokens", fail)
    answer = ask_token(client, made)
    assert (answer.status_code, answer.json["error"]) == (500, "server_error")
    assert canary not in answer.text
    reference = answer.json["error_description"].rpartition(" ")[2]
    assert reference in caplog.text
    assert canary in caplog.text
    assert made.secret not in caplog.text


@pytest.mark.spec("R62", "R63")
def test_successor_is_published_before_it_signs_and_the_old_key_until_its_tokens_are_dead(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    from idp.jose import read_unverified

    made = make.application()
    url = f"{REALM}/protocol/openid-connect/certs"

    def kids() -> set[str]:
        make.forget()
        return {key["kid"] for key in client.get(url).json["keys"] if key["alg"] == "RS256"}

    def signer() -> str:
        kid: str = read_unverified(ask_token(client, made).json["access_token"]).header["kid"]
        return kid

    old = signer()
    with make.app.app_context():
        new = keys.rotate_key(realms.get_realm("acme"), "RS256").uid
        commit()
    assert kids() == {old, new}
    frozen_clock.advance(seconds=599)
    assert signer() == old
    frozen_clock.advance(seconds=1)
    assert signer() == new
    frozen_clock.advance(seconds=36_000 + 119)
    assert kids() == {old, new}
    frozen_clock.advance(seconds=1)
    assert kids() == {new}


def test_answers_are_json_for_every_error(client: FlaskClient) -> None:
    for answer in (client.post("/x"), client.get(f"{REALM}/protocol/openid-connect/token"), client.put(REALM)):
        assert json.loads(answer.data)["error"]
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.spec("R123")
@pytest.mark.parametrize(
    "header", ["X-Forwarded-User", "X-Remote-User", "X-Client-Cert", "X-SSL-Client-Cert", "X-Auth-Subject", "Remote-User"]
)
def test_identity_headers_of_a_proxy_mean_nothing(client: FlaskClient, header: str) -> None:
    answer = ask(client, "token", {"grant_type": "client_credentials", "client_id": "reporting"}, headers={header: "reporting"})
    assert answer.status_code == 401
