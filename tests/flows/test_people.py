"""People, keys and tokens on the served program with two workers, and on a real PostgreSQL."""

import base64
import itertools
import json
import os
import sqlite3
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from idp import apikeys, mail, users
from idp.app import close_app, create_app
from idp.db import db
from idp.settings import Settings
from idp.users import LinkPurpose
from tests.factories import PASSWORD, Factory, at_once, claims_of, session_of
from tests.serving import PATIENCE, Answer, Server, wait_until

JSON = {"Content-Type": "application/json"}


def call(server: Server, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, JSON | (headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


LIMITS = {"IDP_SIGN_IN_LIMIT_ADDRESS": "100000", "IDP_BODY_TIMEOUT": "300"}
"""Nobody is turned away for the number of tries, nor cut off within the time that tests wait for an answer."""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("people"), settings=LIMITS | {"IDP_WORKERS": "2"})
    server.start()
    yield server
    server.stop()


def make_person(server: Server, name: str, *options: str) -> str:
    command = ("users", "create", "--realm", "acme", "--email", name, "--password-stdin", "--json", *options)
    done = server.run(*command, typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    uid: str = json.loads(done.stdout)["uid"]
    return uid


def session_token(server: Server, name: str) -> str:
    answer = call(server, "POST", "/v1/auth/authenticate", {"emailId": name, "password": PASSWORD, "org": "acme"})
    assert answer.status == 200, answer.body
    token: str = answer.json["Authorization"]
    return token


def refused_everywhere(server: Server, headers: dict[str, str]) -> None:
    """See that every worker comes to refuse, and goes on to: many connections reach both of them. The bench has the time it takes."""

    def answers() -> Counter[int]:
        return Counter(call(server, "GET", "/v1/users/info", headers=headers).status for _ in range(40))

    wait_until(lambda: answers() == {401: 40}, "the refusal by every worker")
    assert answers() == {401: 40}


@pytest.mark.spec("R53", "R114", "T90")
@pytest.mark.parametrize(
    "how", ["logout", "password change", "disable", "key revoked", "personal token deleted", "reported leak"]
)
def test_every_worker_refuses_within_a_second(two_workers: Server, how: str) -> None:
    name = f"{how.replace(' ', '-')}@example.test"
    uid = make_person(two_workers, name)
    token = session_token(two_workers, name)
    bearer = {"Authorization": f"Bearer {token}"}
    key = call(two_workers, "POST", "/v1/apiKeys", {}, bearer).json
    shown = {"apiKey": key["apiKey"]}
    exchanged = {"Authorization": call(two_workers, "POST", "/v1/auth/exchange", headers=shown).json["Authorization"]}
    personal = call(two_workers, "GET", "/auth/v1/tokens/generate", headers=bearer).json["token"]
    by_personal = {"Authorization": f"Bearer {personal}"}
    for headers in (bearer, shown, exchanged, by_personal):
        assert Counter(call(two_workers, "GET", "/v1/users/info", headers=headers).status for _ in range(8)) == {200: 8}
    if how == "logout":
        assert call(two_workers, "POST", "/v1/auth/logout", headers=bearer).status == 204
        dead = [bearer]
    elif how == "password change":
        body = {"currentPassword": PASSWORD, "newPassword": "another good one"}
        assert call(two_workers, "PATCH", f"/v1/users/{uid}/password/change", body, bearer).status == 204
        dead = [bearer, by_personal]
    elif how == "disable":
        two_workers.idp("users", "disable", "--realm", "acme", name)
        dead = [bearer, shown, exchanged, by_personal]
    elif how == "key revoked":
        assert call(two_workers, "POST", f"/v1/apiKeys/{key['uid']}/revoke", {"reason": "test"}, bearer).status == 204
        dead = [shown, exchanged]
    elif how == "reported leak":
        assert call(two_workers, "POST", "/v1/auth/credentials/report", {"credential": key["apiKey"]}).status == 204
        dead = [shown, exchanged]
    else:
        assert call(two_workers, "DELETE", "/auth/v1/tokens?criteria=CURRENT", headers=by_personal).status == 200
        dead = [by_personal]
    for headers in dead:
        refused_everywhere(two_workers, headers)


@pytest.mark.spec("T81")
def test_parallel_wrong_passwords_at_the_served_program(two_workers: Server) -> None:
    make_person(two_workers, "guessed@example.test")
    body = {"emailId": "guessed@example.test", "password": "wrong one here", "org": "acme"}
    statuses = [
        status
        for statuses in at_once(25, lambda: [call(two_workers, "POST", "/v1/auth/authenticate", body).status for _ in range(20)])
        for status in statuses
    ]
    assert set(statuses) <= {401, 429, 503}
    assert statuses.count(401) <= 10
    assert call(two_workers, "POST", "/v1/auth/authenticate", body | {"password": PASSWORD}).status == 429


def test_crowd_of_sign_ins_leaves_tokens_and_the_rest_working(two_workers: Server) -> None:
    make_person(two_workers, "crowd@example.test")
    bot = two_workers.create_application("crowd-bot")
    body = {"emailId": "crowd@example.test", "password": PASSWORD, "org": "acme"}
    tokens: list[int] = []

    def crowd() -> list[int]:
        return [call(two_workers, "POST", "/v1/auth/authenticate", body).status for _ in range(8)]

    def ask() -> None:
        tokens.extend(two_workers.token(bot).status for _ in range(20))

    asking = threading.Thread(target=ask)
    asking.start()
    statuses = Counter(status for statuses in at_once(24, crowd) for status in statuses)
    asking.join()
    assert tokens == [200] * 20
    assert set(statuses) <= {200, 429, 503}, "more than ten at once to one account are too many, too"
    assert statuses[200] > 0


def test_slow_body_of_one_keeps_nobody_else_waiting(two_workers: Server) -> None:
    import http.client
    import socket

    make_person(two_workers, "slow@example.test")
    make_person(two_workers, "quick@example.test")
    slow, quick = session_token(two_workers, "slow@example.test"), session_token(two_workers, "quick@example.test")
    head = (
        "POST /v1/users/auth/tokens/revoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
        f"Authorization: Bearer {slow}\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", two_workers.port)) as connection:
        connection.sendall(head.encode())
        done = http.client.HTTPConnection("127.0.0.1", two_workers.port, timeout=PATIENCE)
        try:
            done.request("POST", "/v1/apiKeys", b"{}", JSON | {"Authorization": f"Bearer {quick}"})
            assert done.getresponse().status == 201, "it was answered while the other body had not come"
        finally:
            done.close()


# on PostgreSQL


@pytest.fixture
def nodes(pg_settings: Settings, pg_make: Factory) -> Iterator[list[Any]]:
    apps = [create_app(pg_settings.model_copy(update={"threads": 256})) for _ in range(2)]
    yield apps
    for app in apps:
        close_app(app)


@pytest.mark.spec("T54", "T61")
def test_one_time_things_have_one_winner_on_postgresql(
    nodes: list[Any], pg_make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.api.test_sign_in import count_hashes

    pg_make.user()
    pg_make.user("new@example.test", password=False)
    token = session_of(nodes[0].test_client())["Authorization"]
    key = pg_make.key()
    count_hashes(monkeypatch)
    for _ in range(5):
        turn = iter(range(50))

        def refresh(token: str = token, turn: Any = turn) -> Any:
            return nodes[next(turn) % 2].test_client().get(f"/v1/auth/refresh/{token}?setCookie=false")

        won = [answer for answer in at_once(50, refresh) if answer.status_code == 200]
        assert len(won) == 1
        token = won[0].json["Authorization"]
    code = pg_make.do(lambda realm: users.send_link(realm, users.get_user(realm, "new@example.test"), LinkPurpose.INVITATION))
    turn = iter(range(50))
    url = f"/v1/auth/password/{code}/activate"
    body = {"password": "a brand new password"}
    statuses = at_once(50, lambda: nodes[next(turn) % 2].test_client().patch(url, json=body).status_code)
    assert statuses.count(204) == 1
    turn = iter(range(20))
    url = f"/v1/apiKeys/{key.uid}/rotate"
    statuses = at_once(20, lambda: nodes[next(turn) % 2].test_client().post(url, headers=key.header, json={}).status_code)
    assert statuses.count(201) == 1


@pytest.mark.spec("T81")
def test_sign_in_counter_holds_on_postgresql(nodes: list[Any], pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.api.test_sign_in import count_hashes
    from tests.factories import sign_in

    pg_make.user()
    compared = count_hashes(monkeypatch)
    statuses = at_once(30, lambda: [sign_in(nodes[n % 2].test_client(), password="wrong one").status_code for n in range(10)])
    assert {status for each in statuses for status in each} <= {401, 429, 503}
    assert len(compared) <= 10


def test_invitations_of_two_realms_at_the_same_moment_are_bounded_on_postgresql(nodes: list[Any], pg_make: Factory) -> None:
    pg_make.realm("globex")
    places = []
    for realm in ("acme", "globex"):
        pg_make.user("boss@example.test", realm=realm, roles=("administrator",))
        uid = pg_make.user("victim@example.test", realm=realm, password=False)
        places.append((f"/v1/users/{uid}/invite", session_of(nodes[0].test_client(), "boss@example.test", org=realm)))
    turn = iter(range(20))

    def invite() -> int:
        number = next(turn)
        url, header = places[number % 2]
        return int(nodes[number // 2 % 2].test_client().post(url, headers=header).status_code)

    statuses = at_once(20, invite)
    assert set(statuses) <= {204, 429, 503}
    count = select(func.count()).select_from(mail.MailMessage).where(mail.MailMessage.template == "invitation")
    assert pg_make.do(lambda _: db.session.scalar(count)) == statuses.count(204) == 5


@pytest.mark.spec("T73")
def test_life_of_people_and_keys_on_postgresql(nodes: list[Any], pg_make: Factory) -> None:
    client: FlaskClient = nodes[0].test_client()
    uid = pg_make.user(roles=("administrator",))
    header = session_of(client)
    key = client.post("/v1/apiKeys", headers=header, json={"spec": {"projects": ["vision"]}}).json
    token = client.post("/v1/auth/exchange", headers={"apiKey": key["apiKey"]}).json["Authorization"]
    assert claims_of(token)["sub"] == uid
    made = client.post("/v1/users", headers=header, json={"spec": {"emailId": "bob@example.test", "roles": ["viewer"]}})
    assert made.status_code == 201
    assert client.get("/v1/users", headers=header).json["listmeta"]["count"] >= 2
    basic = {"Authorization": "Basic " + base64.b64encode(f"ann@example.test:{PASSWORD}".encode()).decode()}
    assert client.get("/auth/v1/tokens/generate", headers=basic).status_code == 200
    statuses = at_once(
        10, lambda: nodes[1].test_client().post("/v1/users", headers=header, json={"spec": {"machineName": "twin"}}).status_code
    )
    assert (statuses.count(201), statuses.count(409)) == (1, 9)
    assert client.delete(f"/v1/users/{made.json['uid']}", headers=header).status_code == 204
    pg_make.do(lambda realm: users.delete_user(realm, users.get_user(realm, uid)))
    wait_until(lambda: client.get("/v1/users/info", headers={"apiKey": key["apiKey"]}).status_code == 401, "the end of the key")
    assert pg_make.do(lambda realm: len(apikeys.list_keys(realm))) == 0


def test_characters_that_postgresql_cannot_store_are_refused(nodes: list[Any], pg_make: Factory) -> None:
    client: FlaskClient = nodes[0].test_client()
    uid = pg_make.user(roles=("administrator",))
    header = session_of(client)
    nul = "a\x00b"
    for answer in (
        client.post("/v1/auth/authenticate", json={"emailId": nul, "password": "x"}),
        client.post("/v1/auth/authenticate", json={"emailId": "x", "password": nul, "org": nul}),
        client.post("/v1/auth/user/password/reset", json={"emailId": nul}),
        client.post("/v1/auth/user/password/reset", json={"emailId": "ann@example.test", "org": nul}),
        client.post("/v1/apiKeys", headers=header, json={"spec": {"userUid": nul}}),
        client.post("/v1/apiKeys", headers=header, json={"spec": {"roles": [nul]}}),
        client.get("/v1/users/a%00b", headers=header),
        client.get("/v1/sessions?userUid=%00", headers=header),
        client.put(f"/v1/users/{uid}/roles", headers=header, json={"roles": [nul]}),
        client.get("/auth/v1/tokens/a%00", headers={"Authorization": header["Authorization"]}),
    ):
        assert 400 <= answer.status_code < 500, answer.text
    answer = client.post("/v1/auth/user/password/reset", json={"emailId": "ann@example.test"})
    assert answer.status_code == 204
    with nodes[0].app_context():
        assert users.answer_reset_requests() == 1


def test_parallel_acts_do_not_wait_for_each_other_on_postgresql(
    nodes: list[Any], pg_make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ins, refreshes, keys, roles and changes of the same people at once: no deadlock, nothing unexpected."""
    from tests.api.test_sign_in import count_hashes

    pg_make.user(roles=("administrator",))
    victim = pg_make.user("victim@example.test")
    admin = session_of(nodes[0].test_client())
    key = pg_make.key("victim@example.test")
    count_hashes(monkeypatch)
    sign_in = {"emailId": "victim@example.test", "password": PASSWORD, "org": "acme"}
    kinds: list[Any] = [
        lambda client: client.post("/v1/auth/authenticate?setCookie=false", json=sign_in),
        lambda client: client.patch(f"/v1/users/{victim}", headers=admin, json={"firstName": os.urandom(4).hex()}),
        lambda client: client.put(f"/v1/users/{victim}/roles", headers=admin, json={"roles": ["viewer"]}),
        lambda client: client.post("/v1/apiKeys", headers=key.header, json={}),
        lambda client: client.post("/v1/users", headers=admin, json={"spec": {"machineName": f"m{os.urandom(6).hex()}"}}),
        lambda client: client.post("/v1/auth/user/password/reset", json={"emailId": f"{os.urandom(4).hex()}@example.test"}),
        lambda client: client.post("/v1/auth/exchange", headers=key.header),
    ]
    turn = itertools.count()

    def act() -> list[int]:
        statuses = []
        for _ in range(12):
            number = next(turn)
            statuses.append(kinds[number % len(kinds)](nodes[number % 2].test_client()).status_code)
        return statuses

    counted = Counter(status for statuses in at_once(14, act) for status in statuses)
    assert set(counted) <= {200, 201, 204, 429}, counted


# a database that cannot be written


@pytest.mark.spec("R52", "T57")
def test_what_cannot_be_stored_is_503_and_not_done(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    app = create_app(settings)
    client, make = app.test_client(use_cookies=False), Factory(app)
    uid = make.user()
    make.user("new@example.test", password=False)
    header, key = session_of(client), make.key()
    code = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "new@example.test"), LinkPurpose.INVITATION))
    basic = {"Authorization": "Basic " + base64.b64encode(f"ann@example.test:{PASSWORD}".encode()).decode()}
    writer = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    calls = {
        "sign in": lambda: client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": PASSWORD}),
        "refresh": lambda: client.get(f"/v1/auth/refresh/{header['Authorization']}"),
        "logout": lambda: client.post("/v1/auth/logout", headers=header),
        "reset": lambda: client.post("/v1/auth/user/password/reset", json={"emailId": "ann@example.test"}),
        "activate": lambda: client.patch(f"/v1/auth/password/{code}/activate", json={"password": "a brand new password"}),
        "make a key": lambda: client.post("/v1/apiKeys", headers=header, json={}),
        "delete a key": lambda: client.delete(f"/v1/apiKeys/{key.uid}", headers=header),
        "rotate a key": lambda: client.post(f"/v1/apiKeys/{key.uid}/rotate", headers=header, json={}),
        "report a leak": lambda: client.post("/v1/auth/credentials/report", json={"credential": key.plain}),
        "personal token": lambda: client.get("/auth/v1/tokens/generate", headers=basic),
        "delete tokens": lambda: client.delete(
            "/auth/v1/tokens?criteria=ALL", headers={"Authorization": header["Authorization"]}
        ),
    }
    for name, do in calls.items():
        answer = do()
        assert answer.status_code == 503, (name, answer.text)
        assert int(answer.headers["Retry-After"]) > 0
        assert "Authorization" not in (answer.json or {})
    writer.close()
    assert client.get("/v1/users/info", headers=header).json["userUid"] == uid
    assert client.get("/v1/users/info", headers=key.header).status_code == 200
    assert len(client.get("/v1/apiKeys", headers=header).json["items"]) == 1
    for name in ("activate", "refresh", "make a key"):
        assert calls[name]().status_code < 300, name
    close_app(app)


def test_reading_goes_on_while_a_writer_is_busy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    app = create_app(settings)
    client, make = app.test_client(use_cookies=False), Factory(app)
    make.user()
    header, key = session_of(client), make.key()
    writer = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert client.get("/v1/apiKeys", headers=header).status_code == 200
    assert client.get("/v1/sessions", headers=header).status_code == 200
    assert client.post("/v1/auth/exchange", headers=key.header).status_code == 200
    writer.close()
    close_app(app)
