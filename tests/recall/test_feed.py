"""The feed over HTTP: who may read it, how large it is, and how it lets those wait who follow it."""

import base64
import http.client
import json
import re
import threading
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import clock, keys, long_polls, realms, recall, runtime
from idp.db import commit, db
from idp.realms import get_realm
from idp.recall import RecallCause, documents, known, mark_of
from idp.recall.marks import LIFE, Kind
from idp.recall.writing import move_on
from tests.conftest import FrozenClock
from tests.factories import Factory, set_application, set_realm
from tests.flows.conftest import database_url, pg_make, pg_settings, pg_template, postgres  # noqa: F401 (fixtures)
from tests.recall.conftest import ISSUER, Api
from tests.serving import wait_until

PATH = "/auth/realms/acme/protocol/realmgate/revocations"


def said(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    _, body, _ = answer.text.split(".")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def disable(make: Factory, name: str = "ci-bot", *, enabled: bool = False) -> None:
    make.change(lambda realm, row: set_application(realm, row, enabled=enabled), name)


def many(app: Flask, count: int, kind: Kind = Kind.TOKEN) -> None:
    """Have a realm take back so many tokens, over the hours of their life."""
    with app.app_context():
        realm, now = get_realm("acme"), clock.now()
        rows = [
            RecallCause(
                realm_id=realm.id,
                kind=kind.value,
                mark=mark_of(kind, str(number)),
                at=now - timedelta(seconds=(LIFE - 600) * number / count),
                position=1,
                lifted=False,
            )
            for number in range(count)
        ]
        db.session.add_all(rows)
        move_on("acme")
        commit()


def test_it_is_public_and_in_discovery(client: FlaskClient) -> None:
    answer = client.get(PATH)
    assert answer.content_type == "application/jwt"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert said(answer)["iss"] == ISSUER
    document = client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert document["realmgate_revocations_endpoint"] == f"http://localhost:8080{PATH}"
    assert client.get(PATH.replace("acme", "nobody")).status_code == 404


def test_it_is_signed_as_it_says(client: FlaskClient, app: Flask, make: Factory) -> None:
    for algorithm in ("RS256", "ES256"):
        make.do(lambda realm, algorithm=algorithm: set_realm(realm, signing_algorithm=algorithm))
        head = client.get(PATH).text.split(".")[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        assert header.keys() == {"alg", "kid", "typ"}
        assert (header["alg"], header["typ"]) == (algorithm, "revocations+jwt")
        with app.app_context():
            realm = realms.known_realm(runtime.current(), "acme")
            assert realm is not None
            assert keys.key_ring(realm).signer(algorithm, clock.timestamp()).kid == header["kid"]


def test_it_has_the_form_that_is_written_down(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    first, second = make.application("first"), make.application("second")
    began = said(client.get(PATH))
    assert began["causes"] == {}
    disable(make, "first")
    at = int(clock.now().timestamp())
    frozen_clock.advance(seconds=7)
    disable(make, "second")
    found = said(client.get(PATH))
    assert (found["base"], found["causes"]["subject"]["at"]) == (at, [0, 7])
    joined = bytes.fromhex(mark_of(Kind.SUBJECT, first.uid) + mark_of(Kind.SUBJECT, second.uid))
    assert found["causes"]["subject"]["ids"] == base64.urlsafe_b64encode(joined).rstrip(b"=").decode()
    assert found["life"] == 36_120
    assert found["exp"] - found["iat"] == 60
    assert found["position"] > began["position"]
    assert not {"since", "closed", "tokens_from", "lifted"} & found.keys()
    added = said(client.get(f"{PATH}?since={began['epoch']}.{found['position'] - 1}"))
    assert (added["since"], added["causes"]["subject"]["at"]) == (found["position"] - 1, [0])
    disable(make, "first", enabled=True)
    lifted = said(client.get(f"{PATH}?since={began['epoch']}.{found['position']}"))
    assert lifted["causes"] == {}
    assert mark_of(Kind.SUBJECT, first.uid) == base64.urlsafe_b64decode(lifted["lifted"]["subject"] + "=").hex()
    assert "lifted" not in said(client.get(PATH))


@pytest.mark.parametrize("since", ["", "x", "x.1", "{epoch}.", "{epoch}.-1", "{epoch}.999", "{epoch}.1.1", "1", "{epoch}.\u0661"])
def test_what_is_not_of_its_timeline_gets_the_whole(since: str, client: FlaskClient, make: Factory) -> None:
    make.application()
    disable(make)
    epoch = said(client.get(PATH))["epoch"]
    found = said(client.get(PATH, query_string={"since": since.format(epoch=epoch)}))
    assert "since" not in found
    assert found["causes"]


def test_causes_end_with_the_last_token_that_they_are_about(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.application()
    disable(make)
    frozen_clock.advance(seconds=LIFE - 60)
    assert said(client.get(PATH))["causes"]
    frozen_clock.advance(seconds=120)
    assert not said(client.get(PATH))["causes"]
    with make.app.app_context():
        recall.forget_old_causes()
        commit()
        assert db.session.query(RecallCause).count() == 0


def test_no_name_can_be_read(client: FlaskClient, make: Factory) -> None:
    made = make.application("secret-project")
    disable(make, "secret-project")
    text = json.dumps(said(client.get(PATH)))
    assert "secret-project" not in text
    assert made.uid not in text


def test_ten_thousand_causes_are_small(app: Flask, client: FlaskClient) -> None:
    many(app, 10_000)
    answer = client.get(PATH)
    assert sum(len(group["at"]) for group in said(answer)["causes"].values()) == 10_000
    assert len(answer.data) < 200_000


def test_a_large_feed_is_followed(app: Flask, api: Api, make: Factory) -> None:
    many(app, 20_000)
    api.recall.refresh()
    assert api.recall._causes is not None
    assert len(api.recall._causes.by_kind["token"]) == 20_000
    make.application()
    disable(make)
    assert api.recall.refresh()
    assert len(api.recall._causes.by_kind["token"]) == 20_000
    assert len(api.recall._causes.by_kind["subject"]) == 1


def test_a_change_reads_what_is_new_and_signs_once(
    app: Flask, client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock
) -> None:
    signed = []
    sign = keys.Signer.sign
    monkeypatch.setattr(keys.Signer, "sign", lambda self, *said: signed.append(said) or sign(self, *said))  # type: ignore[func-returns-value]
    for _ in range(5):
        tag = client.get(PATH).headers["ETag"]
        assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 304
    assert len(signed) == 1
    frozen_clock.advance(seconds=documents.RENEW_EVERY)
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 200
    assert len(signed) == 2


def raw(base: str, headers: dict[str, str], path: str = PATH) -> tuple[int, bytes, str]:
    """Return the status, all bytes and the ETag of an answer."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n".encode()
    head += b"".join(f"{name}: {value}\r\n".encode() for name, value in answer.getheaders())
    connection.close()
    return answer.status, head + b"\r\n" + body, answer.headers.get("ETag", "")


def test_what_is_not_of_its_form_waits_for_nothing(client: FlaskClient) -> None:
    tag = client.get(PATH).headers["ETag"]
    for prefer in ("", "wait", "wait=", "wait=-5", "wait=x", "respond-async", "wait=0"):
        began = time.monotonic()
        assert client.get(PATH, headers={"If-None-Match": tag, "Prefer": prefer}).status_code == 304
        assert time.monotonic() - began < 1, prefer
    assert client.get(PATH, headers={"Prefer": "wait=25"}).status_code == 200, "there is nothing that it could wait with"
    for other in ('"x"', "*", '"x.1.1"'):
        assert client.get(PATH, headers={"If-None-Match": other, "Prefer": "wait=25"}).status_code == 200


@pytest.fixture
def fresh() -> None:
    """Let no document be renewed within the next seconds."""
    left = documents.RENEW_EVERY - time.time() % documents.RENEW_EVERY
    if left < 8:
        threading.Event().wait(left + 0.1)


def test_who_waits_is_answered_when_there_is_news(base: str, make: Factory, fresh: None) -> None:
    make.application()
    tag = raw(base, {})[2]
    answers: list[tuple[float, int]] = []

    def wait() -> None:
        status = raw(base, {"If-None-Match": tag, "Prefer": "wait=25"})[0]
        answers.append((time.monotonic(), status))

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    with make.app.app_context():
        process = runtime.current()
    wait_until(lambda: len(recall.waiting(process)._waiting) == 5, "their waiting")
    began = time.monotonic()
    disable(make)
    for thread in threads:
        thread.join()
    assert [status for _, status in answers] == [200] * 5
    assert max(at for at, _ in answers) - began < 2
    wait_until(lambda: recall.waiting(process)._thread is None, "the end of the looking")


def test_who_waits_for_what_does_not_come_is_told_so(base: str, fresh: None) -> None:
    tag = raw(base, {})[2]
    began = time.monotonic()
    status, whole, _ = raw(base, {"If-None-Match": tag, "Prefer": "wait=1"})
    assert status == 304
    assert 0.9 < time.monotonic() - began < 5
    assert len(whole) <= 300, whole


def test_more_than_may_wait_are_answered_at_once(base: str, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    monkeypatch.setattr(long_polls, "MOST_WAITING", 0)
    tag = raw(base, {})[2]
    began = time.monotonic()
    assert raw(base, {"If-None-Match": tag, "Prefer": "wait=25"})[0] == 304
    assert time.monotonic() - began < 2


def test_an_address_that_asks_too_often_is_told_to_wait(settings: Any) -> None:
    from idp.app import close_app, create_app

    app = create_app(settings.model_copy(update={"rate_api": 1}))
    try:
        client = app.test_client()
        found = [client.get(PATH).status_code for _ in range(8)]
        assert (found[0], found[-1]) == (200, 429)
        assert "Retry-After" in client.get(PATH).headers
        assert client.get("/auth/realms/acme/protocol/openid-connect/certs").status_code == 200
    finally:
        close_app(app)


def test_another_server_that_takes_over_begins_another_timeline(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pg_make.app.test_client()
    with pg_make.app.app_context():
        assert re.fullmatch("[0-9A-F]{8}", known._timeline())
    first = said(client.get(PATH))
    monkeypatch.setattr(known, "_timeline", lambda: "00000002")
    pg_make.do(lambda realm: set_realm(realm, display_name="Acme"))
    second = said(client.get(f"{PATH}?since={first['epoch']}.{first['position']}"))
    assert second["epoch"] != first["epoch"]
    assert "since" not in second
