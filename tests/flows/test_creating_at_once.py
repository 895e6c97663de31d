"""Many who create in one realm at the same time wait for each other no longer than they must."""

import threading
from typing import Any

from sqlalchemy import text

from idp import access
from idp.db import db
from idp.signals.streams import MOST_STREAMS
from tests.factories import Factory, ask_token, at_once
from tests.serving import PATIENCE, wait_until


def administrator(make: Factory) -> dict[str, str]:
    issuer = "http://127.0.0.1:8080/auth/realms/acme"
    client = make.app.test_client()
    token = ask_token(client, make.application(roles=("administrator",)), resource=issuer).json["access_token"]
    return {"Authorization": f"Bearer {token}"}


def test_what_is_given_nothing_is_created_while_another_changes_the_realm(pg_make: Factory) -> None:
    headers = administrator(pg_make)
    client = pg_make.app.test_client()
    with pg_make.app.app_context():
        engine = db.engine
    answers: list[Any] = []

    def give() -> None:
        body = {"metadata": {"name": "given"}, "spec": {"roles": ["administrator"]}}
        answers.append(pg_make.app.test_client().post("/v1/applications", json=body, headers=headers))

    with engine.connect() as other, engine.connect() as watching:
        other.execute(text("SELECT 1 FROM realm WHERE name = 'acme' FOR NO KEY UPDATE"))
        made = client.post("/v1/applications", json={"metadata": {"name": "alone"}}, headers=headers)
        assert made.status_code == 201, made.text
        machine = {"spec": {"machineName": "robot"}}
        assert client.post("/v1/users", json=machine, headers=headers).status_code == 201
        thread = threading.Thread(target=give)
        thread.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        wait_until(lambda: watching.execute(waiting).scalar_one(), "a wait for who may be taking away what is given")
        assert not answers
        other.rollback()
        thread.join(PATIENCE)
    assert [answer.status_code for answer in answers] == [201]


def test_one_of_many_gets_a_name(pg_make: Factory) -> None:
    headers = administrator(pg_make)
    statuses: list[int] = []

    def ask() -> None:
        answer = pg_make.app.test_client().post("/v1/applications", json={"metadata": {"name": "wanted"}}, headers=headers)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(statuses) == [201] + [409] * 7
    listed = pg_make.app.test_client().get("/v1/applications?name=wanted", headers=headers).json
    assert len(listed["items"]) == 1


def test_creating_again_by_a_key_makes_one(pg_make: Factory) -> None:
    headers = administrator(pg_make) | {"Idempotency-Key": "0123456789"}
    uids: list[str] = []

    def ask() -> None:
        answer = pg_make.app.test_client().post("/v1/applications", json={"metadata": {"name": "repeated"}}, headers=headers)
        assert answer.status_code == 201, answer.text
        uids.append(answer.json["uid"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(uids), len(set(uids))) == (6, 1)


def test_limit_of_streams_holds_when_many_are_created(pg_make: Factory) -> None:
    pg_make.do(lambda realm: access.create_role(realm, "listener", access.RoleSheet(permissions=["signals:receive"])))
    token = ask_token(pg_make.app.test_client(), pg_make.application(roles=("listener",))).json["access_token"]
    path, headers = "/auth/realms/acme/protocol/ssf/streams", {"Authorization": f"Bearer {token}"}
    statuses = at_once(2 * MOST_STREAMS, lambda: pg_make.app.test_client().post(path, json={}, headers=headers).status_code)
    assert (statuses.count(201), statuses.count(409)) == (MOST_STREAMS, MOST_STREAMS)
