"""Sessions: refreshed once by each token, shown in three ways, ended from everywhere, listed."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from idp import access, realms, users
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import (
    PASSWORD,
    RACE_ROUNDS,
    Factory,
    ask_token,
    at_once,
    claims_of,
    session_of,
    set_realm,
    set_user,
    sign_in,
)

INFO = "/v1/users/info"


def refresh(client: FlaskClient, token: str):  # type: ignore[no-untyped-def]
    return client.get(f"/v1/auth/refresh/{token}?setCookie=false")


def lives(client: FlaskClient, header: dict[str, str]) -> bool:
    status = client.get(INFO, headers=header).status_code
    assert status in {200, 401}
    return status == 200


def test_token_is_shown_bare_as_bearer_or_by_cookie(app: Flask, make: Factory) -> None:
    client = app.test_client(use_cookies=False)
    uid = make.user(roles=("viewer",))
    token = session_of(client)["Authorization"]
    for header in ({"Authorization": token}, {"Authorization": f"bearer {token}"}, {"Cookie": f"a=b; Authorization={token}"}):
        answer = client.get(INFO, headers=header)
        assert answer.status_code == 200, header
        assert answer.json | {"tenantUid": ""} == {
            "orgName": "acme",
            "tenantUid": "",
            "userUid": uid,
            "name": "ann@example.test",
            "credential": "session",
            "roles": ["viewer"],
        }


@pytest.mark.spec("R122")
def test_cookie_is_for_this_host_only_and_out_of_reach_of_scripts(settings: Settings, make: Factory) -> None:
    make.user()
    app = create_app(settings.model_copy(update={"public_url": "https://id.example.test"}))
    client = app.test_client()
    body = {"username": "ann@example.test", "password": PASSWORD}
    answer = client.post("/v1/users/default/login", json=body)
    cookie = answer.headers["Set-Cookie"]
    assert answer.json["Token"]["Authorization"] in cookie
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict", "Max-Age=900"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert "no-store" in answer.headers["Cache-Control"]
    close_app(app)


def test_token_that_no_browser_keeps_as_a_cookie_takes_the_former_away(client: FlaskClient, make: Factory) -> None:
    def furnish(realm: realms.Realm) -> None:
        for number in range(30):
            access.create_project(realm, f"project-with-a-name-{number}")

    make.do(furnish)
    make.user(projects=tuple((f"project-with-a-name-{number}", "researcher") for number in range(30)))
    answer = client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert len(answer.json["Authorization"]) > 4_096
    assert answer.headers["Set-Cookie"].startswith("Authorization=;")
    assert client.get(INFO, headers={"Authorization": answer.json["Authorization"]}).status_code == 200


def test_sign_in_sets_the_cookie_unless_told_not_to(client: FlaskClient, make: Factory) -> None:
    make.user()
    body = {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}
    assert "Set-Cookie" in client.post("/v1/auth/authenticate", json=body).headers
    assert client.get(INFO).status_code == 200
    assert "Set-Cookie" not in client.post("/v1/auth/authenticate?setCookie=false", json=body).headers


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


def test_no_get_and_no_foreign_page_signs_a_browser_in(client: FlaskClient, make: Factory) -> None:
    make.user()
    body = {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}
    edge = {"username": "ann@example.test", "password": PASSWORD}
    for query in ("", "?setCookie=true"):
        answer = client.get(f"/v1/auth/refresh/{session_of(client)['Authorization']}{query}")
        assert (answer.status_code, "Authorization" in answer.json) == (200, True)
        assert "Set-Cookie" not in answer.headers, "a link on any page makes a browser send a GET"
    for headers in FOREIGN:
        token = {"token": session_of(client)["Authorization"]}
        for path, sent in (
            ("/v1/auth/authenticate", body),
            ("/v1/users/default/login", edge),
            ("/v1/auth/refresh", token),
            ("/auth/v1/login", edge),
        ):
            assert "Set-Cookie" not in client.post(path, json=sent, headers=headers).headers, f"{path} {headers}"
    own = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
    again = client.post("/v1/auth/refresh", json={"token": session_of(client)["Authorization"]}, headers=own)
    assert again.json["Authorization"] in again.headers["Set-Cookie"]


@pytest.mark.spec("T100")
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=str,
)
def test_foreign_page_cannot_use_the_cookie_to_change_anything(
    client: FlaskClient, make: Factory, headers: dict[str, str]
) -> None:
    make.user()
    client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"})
    assert client.post("/v1/apiKeys", json={}, headers=headers).status_code == 403
    assert client.get("/v1/auth/org/acme/oidc/logout", headers=headers).status_code == 403
    own = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/apiKeys", json={}, headers=own).status_code == 201


def test_two_credentials_are_refused(app: Flask, make: Factory) -> None:
    client = app.test_client(use_cookies=False)
    make.user()
    header, other = session_of(client), session_of(client)
    key = make.key()
    assert client.get(INFO, headers=header | key.header).status_code == 400
    assert client.get(INFO, headers=header | {"Cookie": f"Authorization={other['Authorization']}"}).status_code == 400
    cookies = f"Authorization={header['Authorization']}; Authorization={other['Authorization']}"
    assert client.get(INFO, headers={"Cookie": cookies}).status_code == 400
    assert client.get(f"{INFO}?Authorization={header['Authorization']}").status_code == 401


def test_refreshed_token_replaces_the_old_and_keeps_the_session(client: FlaskClient, make: Factory) -> None:
    make.user()
    first = session_of(client)["Authorization"]
    answer = refresh(client, first)
    assert answer.status_code == 200
    second = answer.json["Authorization"]
    assert claims_of(second)["sid"] == claims_of(first)["sid"]
    assert claims_of(second)["jti"] != claims_of(first)["jti"]
    assert refresh(client, first).status_code == 401
    assert refresh(client, second).status_code == 200


@pytest.mark.spec("T54")
def test_replay_of_an_old_token_ends_the_session(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    first = session_of(client)["Authorization"]
    second = refresh(client, first).json["Authorization"]
    frozen_clock.advance(seconds=11)
    assert refresh(client, first).status_code == 401
    make.forget()
    assert refresh(client, second).status_code == 401
    assert not lives(client, {"Authorization": second})


@pytest.mark.spec("T54")
def test_of_fifty_refreshes_at_once_one_wins_each_time(settings: Settings, make: Factory) -> None:
    make.user()
    nodes = [create_app(settings) for _ in range(2)]
    token = session_of(nodes[0].test_client())["Authorization"]
    for _ in range(RACE_ROUNDS):
        turn = iter(range(50))

        def one(turn=turn, token=token):  # type: ignore[no-untyped-def]
            return refresh(nodes[next(turn) % 2].test_client(), token)

        answers = at_once(50, one)
        won = [answer for answer in answers if answer.status_code == 200]
        assert len(won) == 1
        token = won[0].json["Authorization"]
    for node in nodes:
        close_app(node)


@pytest.mark.spec("R113")
def test_session_ends_at_its_limit_however_often_it_is_refreshed(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.user()
    make.do(lambda realm: set_realm(realm, session_hours=1))
    token = session_of(client)["Authorization"]
    for _ in range(4):
        frozen_clock.advance(minutes=14)
        token = refresh(client, token).json["Authorization"]
    assert claims_of(token)["exp"] - claims_of(token)["iat"] == 240, "the last token ends with the session"
    frozen_clock.advance(minutes=4)
    assert not lives(client, {"Authorization": token})
    assert refresh(client, token).status_code == 401


def test_session_that_was_not_refreshed_in_time_is_over(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    token = session_of(client)["Authorization"]
    frozen_clock.advance(seconds=899)
    assert lives(client, {"Authorization": token})
    frozen_clock.advance(seconds=1)
    assert not lives(client, {"Authorization": token})
    assert refresh(client, token).status_code == 401


@pytest.mark.spec("R114", "T90", "T91")
@pytest.mark.parametrize("how", ["logout", "logout by GET", "revoke", "end", "end all", "password change", "disable", "delete"])
def test_session_dies_with(client: FlaskClient, make: Factory, how: str) -> None:
    uid = make.user()
    header, other = session_of(client), session_of(client)
    sid = claims_of(header["Authorization"])["sid"]
    acts = {
        "logout": lambda: client.post("/v1/auth/logout", headers=header),
        "logout by GET": lambda: client.get("/v1/auth/org/acme/oidc/logout", headers=header),
        "revoke": lambda: client.post(
            "/v1/users/auth/tokens/revoke", headers=other, json={"tokens": ["x", header["Authorization"]]}
        ),
        "end": lambda: client.delete(f"/v1/sessions/{sid}", headers=other),
        "end all": lambda: client.delete(f"/v1/users/{uid}/sessions", headers=other),
        "password change": lambda: client.patch(
            f"/v1/users/{uid}/password/change",
            headers=other,
            json={"currentPassword": PASSWORD, "newPassword": "another good one"},
        ),
        "disable": lambda: make.do(lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False)),
        "delete": lambda: make.do(lambda realm: users.delete_user(realm, users.get_user(realm, uid))),
    }
    answer = acts[how]()
    assert answer is None or answer.status_code == 204, answer.text
    make.forget()
    assert not lives(client, header)
    assert refresh(client, header["Authorization"]).status_code == 401
    survives = how in {"logout", "logout by GET", "revoke", "end"}
    assert lives(client, other) is survives


def test_new_password_works_and_the_old_does_not(client: FlaskClient, make: Factory) -> None:
    make.user()
    body = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": "another good one", "org": "acme"}
    assert client.patch("/v1/users/password/change", json=body | {"newPassword": "password1"}).status_code == 400
    assert client.patch("/v1/users/password/change", json=body | {"currentPassword": "wrong one"}).status_code == 401
    assert sign_in(client).status_code == 200
    assert client.patch("/v1/users/password/change", json=body).status_code == 204
    assert sign_in(client).status_code == 401
    assert sign_in(client, password="another good one").status_code == 200


@pytest.mark.spec("R107")
def test_nobody_changes_the_password_of_somebody_else(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("administrator",))
    other = make.user("bob@example.test")
    body = {"currentPassword": PASSWORD, "newPassword": "another good one"}
    answer = client.patch(f"/v1/users/{other}/password/change", headers=session_of(client), json=body)
    assert answer.status_code == 403
    assert sign_in(client, "bob@example.test").status_code == 200


@pytest.mark.spec("R114")
def test_sessions_are_listed_for_their_owner_and_for_who_may(client: FlaskClient, make: Factory) -> None:
    uid = make.user()
    make.user("admin@example.test", roles=("administrator",))
    header = session_of(client)
    session_of(client)
    items = client.get("/v1/sessions", headers=header).json["items"]
    assert [item["status"]["isCurrent"] for item in items] == [False, True]
    admin = session_of(client, "admin@example.test")
    assert len(client.get("/v1/sessions?scope=all", headers=admin).json["items"]) == 3
    assert len(client.get(f"/v1/sessions?userUid={uid}", headers=admin).json["items"]) == 2
    assert client.get("/v1/sessions?scope=all", headers=header).status_code == 403
    assert client.delete(f"/v1/sessions/{claims_of(admin['Authorization'])['sid']}", headers=header).status_code == 404
    assert client.delete(f"/v1/sessions/{items[0]['metadata']['uid']}", headers=admin).status_code == 204


def test_session_token_verifies_against_the_key_set_of_the_realm(client: FlaskClient, make: Factory) -> None:
    make.user()
    token = session_of(client)["Authorization"]
    keys = KeySet.import_key_set(client.get("/auth/realms/acme/protocol/openid-connect/certs").json)
    decoded = jwt.decode(token, keys, algorithms=["RS256"])
    assert decoded.header["typ"] == "session+jwt"
    assert decoded.claims["sid"]


@pytest.mark.spec("R88")
def test_tokens_of_other_kinds_are_no_session_tokens(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    answer = ask_token(client, made, scope="openid", resource="http://localhost:8080/auth/realms/acme").json
    for token in (answer["id_token"], answer["access_token"]):
        assert refresh(client, token).status_code == 401
    assert client.get(INFO, headers={"Authorization": f"Bearer {answer['id_token']}"}).status_code == 401
    assert client.get(INFO, headers={"Authorization": f"Bearer {answer['access_token']}"}).status_code == 200


def test_session_of_another_organisation_is_not_there(client: FlaskClient, make: Factory) -> None:
    make.realm()
    make.user(roles=("administrator",))
    make.user("eve@example.test", realm="other", roles=("administrator",))
    sid = claims_of(session_of(client)["Authorization"])["sid"]
    eve = session_of(client, "eve@example.test", org="other")
    assert client.delete(f"/v1/sessions/{sid}", headers=eve).status_code == 404
    assert client.get("/v1/sessions?scope=all", headers=eve | {"X-Organization-Id": "acme"}).status_code == 403


def test_operator_of_master_acts_in_every_organisation(client: FlaskClient, make: Factory) -> None:
    make.user()
    make.user("root@example.test", realm="master", roles=("administrator",))
    session_of(client)
    root = session_of(client, "root@example.test", org="master") | {"X-Organization-Id": "acme"}
    assert len(client.get("/v1/sessions?scope=all", headers=root).json["items"]) == 1
    assert client.get("/v1/users", headers=root).status_code == 200


def test_sign_out_ends_what_began_before_it_and_nothing_after(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, app: Flask
) -> None:
    uid = make.user()
    header = session_of(client)
    frozen_clock.advance(seconds=1)
    make.do(lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, uid)))
    assert not lives(client, header)
    frozen_clock.advance(seconds=1)
    assert lives(client, session_of(client))
