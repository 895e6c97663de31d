"""Applications register themselves (RFC 7591) and look after that themselves (RFC 7592), within what an administrator allows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import access, applications, audit, clock, crypto, registrations
from idp.algorithms import SIGNING_ALGORITHMS
from idp.db import commit, db
from idp.oauth.registration import NOT_SUPPORTED
from idp.organisations.restored import end_what_was_restored
from idp.registrations import ABANDONED_AFTER, Registration, RegistrationTokenSheet, service
from idp.setup import rotate_keys_and_tidy
from tests.factories import BASE, Factory, Made, key_pair, set_application, set_realm
from tests.sign_in.conftest import DONE, Browser, told

ISSUER = "http://localhost:8080/auth/realms/acme"
URL = "/auth/realms/acme/clients-registrations/openid-connect"
WEB = {"redirect_uris": [DONE], "client_name": "A shop"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def registration_token(make: Factory, **fields: Any) -> str:
    make.do(lambda realm: set_realm(realm, registration=True))
    sheet = RegistrationTokenSheet.read({"limit": 20} | fields)
    token: str = make.do(lambda realm: registrations.create_token(realm, sheet))[1]
    return token


@pytest.fixture
def token(make: Factory) -> str:
    """A token with which 20 applications can be registered."""
    return registration_token(make)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def register(client: FlaskClient, token: str, **changes: Any) -> TestResponse:
    return client.post(URL, json=WEB | changes, headers=bearer(token))


def made(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def stored(make: Factory, client_id: str) -> dict[str, Any]:
    """Return what is stored of an application."""
    fields = ("kind", "web_origins", "display_name", "consent", "scopes", "created_by")

    def read(realm: Any) -> dict[str, Any]:
        application = applications.get_application(realm, client_id)
        return {name: getattr(application, name) for name in fields}

    found: dict[str, Any] = make.do(read)
    return found


def names(make: Factory) -> set[str]:
    """Return the names of all applications."""
    found: set[str] = make.do(lambda realm: {each.name for each in applications.list_applications(realm, limit=50)})
    return found


def own(answer: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return where an application looks after itself, and what it shows for that."""
    assert answer["registration_client_uri"] == f"{ISSUER.removesuffix('/auth/realms/acme')}{URL}/{answer['client_id']}"
    return f"{URL}/{answer['client_id']}", bearer(answer["registration_access_token"])


def test_it_is_off_until_it_is_turned_on(client: FlaskClient, make: Factory, token: str) -> None:
    discovery = "/auth/realms/acme/.well-known/openid-configuration"
    assert client.get(discovery).json["registration_endpoint"] == f"{ISSUER}/clients-registrations/openid-connect"
    answer = made(register(client, token))
    make.do(lambda realm: set_realm(realm, registration=False))
    assert "registration_endpoint" not in client.get(discovery).json
    refused = register(client, token)
    assert (refused.status_code, refused.json["error"]) == (403, "access_denied")
    url, headers = own(answer)
    assert client.get(url, headers=headers).status_code == 403
    with pytest.raises(registrations.RegistrationOffError):
        make.do(lambda realm: registrations.create_token(realm, RegistrationTokenSheet()))


def test_registered_application_signs_people_in_with_their_consent(
    app: Flask, client: FlaskClient, make: Factory, token: str, ann: str
) -> None:
    answer = made(register(client, token, scope="openid email roles"))
    assert answer["client_name"] == "A shop"
    assert answer["client_secret_expires_at"] == 0
    assert answer["token_endpoint_auth_method"] == "client_secret_basic"
    assert answer["grant_types"] == ["authorization_code"]
    assert answer["scope"] == "openid email", "what the token does not allow is left out"
    assert answer["id_token_signed_response_alg"] in SIGNING_ALGORITHMS
    browser = Browser(app, Made(answer["client_id"], answer["client_secret"], ""))
    page = browser.sign_in(browser.ask(scope="openid email"))
    assert "Allow access?" in page.text
    assert "A shop" in page.text
    tokens = browser.redeem(told(browser.send(page, decision="agree"))["code"]).json
    assert browser.userinfo(tokens["access_token"]).json == {"sub": ann, "email": "ann@example.test", "email_verified": False}
    assert "refresh_token" not in tokens
    row = stored(make, answer["client_id"])
    assert row["created_by"].startswith("registration-token:")
    assert row["consent"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("web", {}),
        ("web", {"token_endpoint_auth_method": "client_secret_post"}),
        ("native", {"token_endpoint_auth_method": "none", "application_type": "native", "redirect_uris": ["http://127.0.0.1/x"]}),
        ("browser", {"token_endpoint_auth_method": "none"}),
        ("web", {"userinfo_signed_response_alg": "ES256"}),
        ("web", {"userinfo_signed_response_alg": "RS256", "id_token_signed_response_alg": "RS256"}),
        ("web", {"token_endpoint_auth_method": "private_key_jwt", "jwks": key_pair()[1]}),
    ],
)
def test_kinds(client: FlaskClient, make: Factory, token: str, kind: str, said: dict[str, Any]) -> None:
    grants = ["authorization_code", "refresh_token"]
    answer = made(register(client, token, grant_types=grants, **said))
    assert answer["grant_types"] == grants
    assert answer["token_endpoint_auth_method"] == said.get("token_endpoint_auth_method", "client_secret_basic")
    method = answer["token_endpoint_auth_method"]
    assert ("client_secret" in answer) is method.startswith("client_secret")
    row = stored(make, answer["client_id"])
    assert row["kind"] == kind
    assert row["web_origins"] == (["https://app.example"] if kind == "browser" else [])
    url, headers = own(answer)
    read = client.get(url, headers=headers)
    assert read.status_code == 200
    assert "client_secret" not in read.json, "nobody reads it again (T79)"
    shown_once = {"client_secret", "client_secret_expires_at", "token_endpoint_auth_method"}
    assert {name: value for name, value in answer.items() if name not in shown_once} == {
        name: value for name, value in read.json.items() if name != "token_endpoint_auth_method"
    }


@pytest.mark.spec("T78")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer idp_it_wrong"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "nonsense"},
        {"apiKey": "idp_ak_x"},
        {"Cookie": "Authorization=a.b.c"},
    ],
)
def test_nothing_is_registered_without_a_token(client: FlaskClient, make: Factory, token: str, headers: dict[str, str]) -> None:
    before = names(make)
    answer = client.post(URL, json=WEB, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert names(make) == before


def test_token_works_as_often_as_it_says_and_for_its_time_only(client: FlaskClient, make: Factory) -> None:
    token = registration_token(make, limit=2)
    assert register(client, token, redirect_uris=["http://evil.example"]).status_code == 400, "which does not count"
    made(register(client, token))
    made(register(client, token))
    assert register(client, token).json["error"] == "invalid_token"
    old = registration_token(make)
    clock_moved = make.do(lambda realm: registrations.token_listing(realm).take("", descending=True, after=None, limit=1)[0].uid)

    def expire(realm: Any) -> None:
        registrations.get_token(realm, clock_moved).expires_at = clock.now() - timedelta(seconds=1)

    make.do(expire)
    assert register(client, old).status_code == 401
    revoked = registration_token(make)
    make.do(
        lambda realm: registrations.revoke_token(
            realm, registrations.token_listing(realm).take("", descending=True, after=None, limit=1)[0]
        )
    )
    assert register(client, revoked).status_code == 401


def test_of_many_at_once_as_many_succeed_as_the_token_says(app: Flask, make: Factory) -> None:
    token = registration_token(make, limit=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(app.test_client(), token).status_code, range(12)))
    assert sorted(answers) == [201] * 3 + [401] * 9


def test_token_of_another_realm_is_none(app: Flask, client: FlaskClient, make: Factory, token: str) -> None:
    make.realm("umbrella")
    make.do(lambda realm: set_realm(realm, registration=True), "umbrella")
    answer = client.post(URL.replace("acme", "umbrella"), json=WEB, headers=bearer(token))
    assert answer.status_code == 401


@pytest.mark.spec("AUTHLIB-8")
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://app.example"}, "invalid_redirect_uri"),
        ({"redirect_uris": [7]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ['https://app.example/"\u00e4']}, "invalid_redirect_uri"),
        ({"redirect_uris": ["com.example.app:/x"]}, "invalid_client_metadata"),
        ({"post_logout_redirect_uris": ["http://app.example"]}, "invalid_redirect_uri"),
        ({"backchannel_logout_uri": "file:///etc/passwd"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"application_type": "native"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": []}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"scope": "roles"}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks": key_pair()[1]}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
        ({"userinfo_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"userinfo_signed_response_alg": "RS256", "id_token_signed_response_alg": "ES256"}, "invalid_client_metadata"),
        ({"subject_type": "pairwise"}, "invalid_client_metadata"),
        ({"client_name": "x" * 201}, "invalid_client_metadata"),
        ({"client_name": "a\nb"}, "invalid_client_metadata"),
        ({"client_name": {"a": 1}}, "invalid_client_metadata"),
        *(({name: "https://app.example"}, "invalid_client_metadata") for name in NOT_SUPPORTED),
    ],
)
def test_refused_metadata(client: FlaskClient, token: str, said: dict[str, Any], error: str) -> None:
    answer = register(client, token, **said)
    assert (answer.status_code, answer.json["error"]) == (400, error)
    assert answer.json["error_description"].isascii()
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body", ["[]", "{", '{"redirect_uris": ["a"], "redirect_uris": ["b"]}', "[" * 50_000])
def test_refused_bodies(client: FlaskClient, token: str, body: str) -> None:
    answer = client.post(URL, data=body, content_type="application/json", headers=bearer(token))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")


def test_unknown_members_and_null_are_ignored(client: FlaskClient, token: str) -> None:
    answer = made(
        register(client, token, logo_uri=None, jwks=None, contacts=["a@b.example"], nonsense=1, **{"client_name#de": "x"})
    )
    assert not {"nonsense", "contacts", "client_name#de"} & answer.keys(), "and not said to be registered"


def test_kinds_and_scopes_are_those_of_the_token(client: FlaskClient, make: Factory) -> None:
    token = registration_token(make, kinds=["browser"], scopes=["openid"])
    refused = register(client, token)
    assert refused.json["error"] == "invalid_client_metadata"
    assert made(register(client, token, token_endpoint_auth_method="none"))["scope"] == "openid"


def test_application_changes_itself_and_nothing_more(client: FlaskClient, make: Factory, token: str) -> None:
    answer = made(register(client, token))
    url, headers = own(answer)
    name = answer["client_id"]
    changed = client.put(url, json=WEB | {"client_id": name, "client_name": "Other", "scope": "openid roles"}, headers=headers)
    assert changed.status_code == 200, changed.text
    assert (changed.json["client_name"], changed.json["scope"]) == ("Other", "openid")
    row = stored(make, name)
    assert (row["display_name"], row["consent"], row["scopes"]) == ("Other", True, ["openid"])
    for body in (
        WEB,
        WEB | {"client_id": "another"},
        WEB | {"client_id": name, "client_secret": "wrong"},
        WEB | {"client_id": name, "client_secret": 7},
        WEB | {"client_id": name, "token_endpoint_auth_method": "none"},
        WEB | {"client_id": name, "token_endpoint_auth_method": "private_key_jwt", "jwks": key_pair()[1]},
        WEB | {"client_id": name, "client_name": "x" * 20_000},
        WEB | {"client_id": name, "redirect_uris": ["http://evil.example"]},
    ):
        assert client.put(url, json=body, headers=headers).status_code == 400, body
    assert (
        client.put(url, json=WEB | {"client_id": name, "client_secret": answer["client_secret"]}, headers=headers).status_code
        == 200
    )
    events = make.do(lambda realm: [(each.tag, each.actor) for each in audit.list_events(realm.name)])
    assert (audit.Tag.APPLICATION_UPDATE, f"application:{name}") in events


def test_application_removes_itself(client: FlaskClient, make: Factory, token: str) -> None:
    url, headers = own(made(register(client, token)))
    assert client.delete(url, headers=headers).status_code == 204
    for method in ("get", "put", "delete"):
        assert getattr(client, method)(url, headers=headers).status_code == 401


@pytest.mark.spec("T80")
def test_disabled_application_does_nothing_about_itself(client: FlaskClient, make: Factory, token: str) -> None:
    answer = made(register(client, token))
    url, headers = own(answer)
    make.change(lambda realm, row: set_application(realm, row, enabled=False), answer["client_id"])
    assert client.get(url, headers=headers).status_code == 401
    assert client.put(url, json=WEB | {"client_id": answer["client_id"]}, headers=headers).status_code == 401
    assert client.delete(url, headers=headers).status_code == 401


def test_access_token_is_of_one_application_and_for_this_alone(client: FlaskClient, token: str) -> None:
    one, other = made(register(client, token)), made(register(client, token))
    url, _ = own(one)
    _, headers = own(other)
    assert client.get(url, headers=headers).status_code == 401
    assert client.get(url, headers=bearer(token)).status_code == 401, "nor by the token that registers"
    assert register(client, one["registration_access_token"]).status_code == 401
    userinfo = client.get(f"{BASE.format(realm='acme')}userinfo", headers=bearer(one["registration_access_token"]))
    assert userinfo.status_code == 401


def test_no_page_of_another_origin_reads_any_of_it(client: FlaskClient, token: str) -> None:
    answer = client.post(URL, json=WEB, headers=bearer(token) | {"Origin": "https://app.example"})
    assert answer.status_code == 201
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.options(URL, headers={"Origin": "https://app.example"}).headers.get("Access-Control-Allow-Origin") is None


def test_what_was_never_used_is_removed(app: Flask, client: FlaskClient, make: Factory, token: str, ann: str) -> None:
    used, unused, new = (made(register(client, token)) for _ in range(3))
    browser = Browser(app, Made(used["client_id"], used["client_secret"], ""))
    page = browser.sign_in(browser.ask())
    assert browser.redeem(told(browser.send(page, decision="agree"))["code"]).status_code == 200

    def age(realm: Any) -> None:
        for answer in (used, unused):
            application = applications.get_application(realm, answer["client_id"])
            db.session.query(Registration).filter_by(application_id=application.id).update(
                {"created_at": clock.now() - ABANDONED_AFTER - timedelta(minutes=1)}
            )

    make.do(age)
    with app.app_context():
        rotate_keys_and_tidy()
    left = names(make)
    assert {used["client_id"], new["client_id"]} <= left
    assert unused["client_id"] not in left
    assert client.get(own(unused)[0], headers=own(unused)[1]).status_code == 401


def test_secrets_are_stored_as_hashes(app: Flask, client: FlaskClient, token: str) -> None:
    answer = made(register(client, token))
    with app.app_context():
        raw = db.session.connection().connection.dbapi_connection
        assert raw is not None
        dump = "\n".join(raw.iterdump())
    for secret in (token, answer["client_secret"], answer["registration_access_token"]):
        assert secret not in dump
        assert secret[20:60] not in dump


ADOPTIONS: dict[str, Any] = {
    "changed": lambda realm, row: set_application(realm, row, description="Looked at", scopes=["openid"], rate_per_second=1),
    "disabled": lambda realm, row: set_application(realm, row, enabled=False),
    "made a machine": lambda realm, row: set_application(realm, row, kind="machine", redirect_uris=[]),
    "without a secret": lambda realm, row: applications.retire_secret(realm, row, "main"),
    "given a role": lambda realm, row: access.grant_role(realm, applications.holder_of(row), "viewer"),
}


@pytest.mark.parametrize("adoption", ADOPTIONS)
def test_what_an_administrator_has_touched_is_theirs(
    app: Flask, client: FlaskClient, make: Factory, token: str, adoption: str
) -> None:
    answer = made(register(client, token))
    name, (url, headers) = answer["client_id"], own(answer)
    make.change(ADOPTIONS[adoption], name)
    before = stored(make, name)
    assert client.get(url, headers=headers).status_code == 401
    assert client.put(url, json=WEB | {"client_id": name, "client_name": "Mine"}, headers=headers).status_code == 401
    assert client.delete(url, headers=headers).status_code == 401
    assert stored(make, name) == before

    def age(realm: Any) -> None:
        assert realm
        db.session.query(Registration).update({"created_at": clock.now() - ABANDONED_AFTER - timedelta(minutes=1)})

    make.do(age)
    with app.app_context():
        rotate_keys_and_tidy()
    assert name in names(make), "nor is it removed"


def test_people_are_asked_again_about_another_name_or_place(
    app: Flask, client: FlaskClient, make: Factory, token: str, ann: str
) -> None:
    assert ann
    answer = made(register(client, token, token_endpoint_auth_method="none"))
    name, (url, headers) = answer["client_id"], own(answer)
    browser = Browser(app, Made(name, "", ""), public=True)
    assert "code" in told(browser.send(browser.sign_in(browser.ask()), decision="agree"))
    assert "code" in told(browser.ask(prompt="none"))
    same = WEB | {"client_id": name, "token_endpoint_auth_method": "none"}
    assert client.put(url, json=same, headers=headers).status_code == 200
    assert "code" in told(browser.ask(prompt="none")), "nothing that people were told has changed"
    other = "https://other.example/x"
    assert client.put(url, json=same | {"redirect_uris": [DONE, other]}, headers=headers).status_code == 200
    asked = told(browser.ask(prompt="none", redirect_uri=other), other)
    assert asked["error"] == "consent_required"


@pytest.mark.parametrize("uri", ["https://[x", "https://[1.2]/", "https://a\u2100b.example/", "https://\x00"])
def test_odd_addresses_of_a_browser_application(client: FlaskClient, token: str, uri: str) -> None:
    answer = register(client, token, token_endpoint_auth_method="none", redirect_uris=[uri])
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_redirect_uri")


def test_odd_client_ids(client: FlaskClient, token: str) -> None:
    answer = made(register(client, token))
    for shown in (answer["registration_access_token"], crypto.make_secret("ra")):
        for odd in ("x%00", "%00", "x" * 3_000, "%F0%9F%92%A9", "..%2f"):
            assert client.get(f"{URL}/{odd}", headers=bearer(shown)).status_code in {401, 404}


def test_strangers_leave_places_to_administrators(
    client: FlaskClient, make: Factory, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_WITH_ORIGINS", 2)
    browser = {"token_endpoint_auth_method": "none"}
    for _ in range(2):
        made(register(client, token, **browser))
    refused = register(client, token, **browser)
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_client_metadata")
    made(register(client, token))
    make.application("own", kind="browser", redirect_uris=[DONE], web_origins=["https://own.example"], secret=False, roles=())


def test_application_changes_itself_ten_times_an_hour(client: FlaskClient, token: str) -> None:
    answer = made(register(client, token))
    url, headers = own(answer)
    body = WEB | {"client_id": answer["client_id"]}
    said = [client.put(url, json=body | {"client_name": str(number)}, headers=headers).status_code for number in range(12)]
    assert said == [200] * 10 + [429] * 2


def test_of_many_removals_at_once_one_succeeds(app: Flask, client: FlaskClient, make: Factory, token: str) -> None:
    url, headers = own(made(register(client, token)))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: app.test_client().delete(url, headers=headers).status_code, range(6)))
    assert sorted(answers) == [204] + [401] * 5
    deletions = make.do(lambda realm: [e for e in audit.list_events(realm.name) if e.tag == audit.Tag.APPLICATION_DELETE])
    assert len(deletions) == 1


def test_restored_backup_registers_nothing(app: Flask, client: FlaskClient, token: str) -> None:
    url, headers = own(made(register(client, token)))
    with app.app_context():
        report = end_what_was_restored(replace_keys=False)
        commit()
    assert report.registrations == 1
    assert register(client, token).status_code == 401
    assert client.get(url, headers=headers).status_code == 401
