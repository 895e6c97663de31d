"""Signing in: right and wrong, alike whoever is asked for, counted before the password is looked at."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from idp import audit, realms, runtime, users
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.settings import Settings
from idp.users import LinkPurpose, passwords
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, Factory, at_once, claims_of, session_of, sign_in
from tests.serving import PATIENCE, wait_until

WRONG = "incorrect horse battery"


@pytest.mark.spec("R113", "R116")
def test_right_password_gives_a_session_token_of_900_seconds(client: FlaskClient, make: Factory) -> None:
    uid = make.user(roles=("viewer",), projects=(("vision", "researcher"),))
    answer = sign_in(client)
    assert answer.status_code == 200
    assert answer.json["isMfa"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    claims = claims_of(answer.json["Authorization"])
    assert claims["exp"] - claims["iat"] == 900 == answer.json["expiresIn"]
    assert (claims["sub"], claims["auth_method"], claims["realm_access"]) == (uid, "password", {"roles": ["viewer"]})
    assert [project["name"] for project in claims["projects"]] == ["vision"]
    assert claims["iss"] == claims["aud"] == "http://localhost:8080/auth/realms/acme"


def test_name_is_found_in_any_case_and_with_spaces_and_without_the_organisation(client: FlaskClient, make: Factory) -> None:
    make.user("Zoé@example.test")
    for name in ("zoé@example.test", " ZOÉ@EXAMPLE.TEST ", "zoe\u0301@example.test"):
        assert sign_in(client, name).status_code == 200, name
        assert sign_in(client, name, org=None).status_code == 200, name


def test_person_of_two_organisations_must_name_one(client: FlaskClient, make: Factory) -> None:
    make.realm()
    make.user()
    make.user(realm="other")
    assert sign_in(client, org=None).status_code == 401
    assert claims_of(sign_in(client, org="other").json["Authorization"])["iss"].endswith("/other")


@pytest.mark.spec("R110", "T85")
@pytest.mark.parametrize(
    "body",
    [
        {"password": WRONG},
        {"name": "nobody@example.test"},
        {"name": "invited@example.test"},
        {"name": "robot"},
        {"name": "gone@example.test"},
        {"org": "nowhere"},
        {"org": "../etc"},
        {"password": ""},
        {"password": "x" * 2_000},
        {"name": "\x00"},
        {"name": "x" * 999},
    ],
    ids=str,
)
def test_every_failure_looks_the_same(client: FlaskClient, make: Factory, body: dict[str, Any]) -> None:
    make.user()
    make.user("invited@example.test", password=False)
    make.user("robot")
    make.user("gone@example.test", enabled=False)
    answer = sign_in(client, **body)
    assert answer.status_code == 401
    told = {name: value for name, value in answer.json.items() if name != "ref"}
    message = "The name or the password is wrong, or the account is disabled. If you belong to several organisations, name one."
    assert told == {"code": "Unauthorized", "message": message, "details": {}}


@pytest.mark.spec("R110", "T85")
def test_every_failure_hashes_once(client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    make.user("invited@example.test", password=False)
    compared = count_hashes(monkeypatch)
    for name in ("ann@example.test", "nobody@example.test", "invited@example.test"):
        assert sign_in(client, name, WRONG).status_code == 401
    assert len(compared) == 3


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the hash by one that costs nothing, and return the list of what it was asked to compare."""
    compared: list[str] = []

    class Fast:
        def verify(self, stored: str, password: str) -> bool:
            compared.append(stored)
            return password == PASSWORD

        def hash(self, password: str) -> str:
            return f"hash of {len(password)}"

        def check_needs_rehash(self, _stored: str) -> bool:
            return False

    monkeypatch.setattr(users.passwords, "HASHER", Fast())
    monkeypatch.setattr(users.passwords, "_nobodys_hash", lambda: "the hash of nobody")
    return compared


@pytest.mark.spec("R109", "T82", "T83")
def test_all_ways_in_share_one_counter_whatever_the_spelling(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    compared = count_hashes(monkeypatch)
    basic = {"Authorization": "Basic QU5OQGV4YW1wbGUudGVzdDp3cm9uZw=="}  # ANN@example.test:wrong
    ways = [
        lambda: sign_in(client, "ann@example.test", WRONG),
        lambda: sign_in(client, " Ann@Example.TEST", WRONG, org=None),
        lambda: client.post("/v1/users/default/login", json={"username": "ann@example.test", "password": WRONG}),
        lambda: client.get("/auth/v1/tokens", headers=basic),
        lambda: client.patch(
            "/v1/users/password/change",
            json={"emailId": "ann@example.test", "currentPassword": WRONG, "newPassword": "another good one"},
        ),
    ]
    for way in ways + ways:
        assert way().status_code == 401
    for way in ways:
        answer = way()
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 301
    assert sign_in(client).status_code == 429
    assert len(compared) == 10
    assert sign_in(client, "bob@example.test", WRONG).status_code == 401, "another account is not slowed"
    frozen_clock.advance(seconds=301)
    assert sign_in(client).status_code == 200


@pytest.mark.spec("T81")
def test_parallel_wrong_passwords_cause_no_more_verifications_than_the_limit(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    compared = count_hashes(monkeypatch)
    nodes = [create_app(settings.model_copy(update={"threads": 256})) for _ in range(2)]
    answers = at_once(50, lambda: [sign_in(nodes[n % 2].test_client(), password=WRONG).status_code for n in range(10)])
    for node in nodes:
        close_app(node)
    statuses = [status for answer in answers for status in answer]
    assert len(statuses) == 500
    assert set(statuses) <= {401, 429, 503}
    # a busy database may fail to record a failure that was compared and counted: 503, which says nothing of the password
    assert 0 < statuses.count(401) <= len(compared) <= 10


def test_only_failures_count(client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    count_hashes(monkeypatch)
    for _ in range(25):
        assert sign_in(client).status_code == 200


@pytest.mark.spec("T84", "R123")
def test_forwarded_addresses_do_not_reset_the_limit_of_an_address(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_hashes(monkeypatch)
    app = create_app(settings.model_copy(update={"sign_in_limit_address": 3}))
    client = app.test_client()
    body = {"emailId": "x@example.test", "password": WRONG}
    statuses = [
        client.post("/v1/auth/authenticate", json=body, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(5)
    ]
    close_app(app)
    assert statuses == [401, 401, 401, 429, 429]


def test_limit_of_an_ipv6_network_is_shared_by_its_addresses(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_hashes(monkeypatch)
    app = create_app(settings.model_copy(update={"sign_in_limit_address": 2}))
    client = app.test_client()
    statuses = [
        client.post(
            "/v1/auth/authenticate",
            json={"emailId": f"x{n}@example.test", "password": WRONG},
            environ_base={"REMOTE_ADDR": f"2001:db8::{n}"},
        ).status_code
        for n in range(4)
    ]
    close_app(app)
    assert statuses == [401, 401, 429, 429]


def tried(app: Flask, address: str = "192.0.2.1", password: str = WRONG, **body: Any) -> int:
    """Try to sign in from an address, and return the status."""
    body = {"emailId": "ann@example.test", "password": password, "org": "acme"} | body
    answer = app.test_client().post("/v1/auth/authenticate?setCookie=false", json=body, environ_base={"REMOTE_ADDR": address})
    return answer.status_code


@pytest.fixture
def strict(settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A server at which passwords cost nothing, whose limits are low, and which knows Ann."""
    count_hashes(monkeypatch)
    make.user()
    limits = {"sign_in_limit_account": 3, "sign_in_limit_account_everywhere": 8, "sign_in_limit_address": 50}
    app = create_app(settings.model_copy(update=limits | {"sign_in_limit_realm": 12}))
    yield app
    close_app(app)


def test_strangers_elsewhere_keep_nobody_out(strict: Flask) -> None:
    assert [tried(strict) for _ in range(5)] == [401] * 3 + [429] * 2
    assert tried(strict, password=PASSWORD) == 429
    assert tried(strict, "198.51.100.1", PASSWORD) == 200, "whoever fails there stands in nobody's way here"


@pytest.mark.parametrize("org", ["nowhere", "../etc", "", "ACME"])
def test_failures_at_an_organisation_that_is_not_there_are_nobodys(strict: Flask, org: str) -> None:
    for number in range(30):
        tried(strict, f"192.0.2.{number // 3}", org=org or "no such")
    assert tried(strict, "192.0.2.1", PASSWORD) == 200
    assert tried(strict, "192.0.2.1", PASSWORD, org=None) == 200


def test_failures_where_nobody_has_that_name_are_not_the_accounts(strict: Flask, make: Factory) -> None:
    make.realm("other")
    for number in range(30):
        tried(strict, f"192.0.2.{number // 3}", org="other")
    assert tried(strict, "198.51.100.1", PASSWORD) == 200


def test_all_networks_together_have_a_softer_limit_for_an_account(strict: Flask) -> None:
    statuses = [tried(strict, f"192.0.2.{number}", org=("acme", None)[number % 2]) for number in range(10)]
    assert statuses == [401] * 8 + [429] * 2, "with and without the organisation it is one account"
    assert tried(strict, "198.51.100.1", PASSWORD) == 429
    assert tried(strict, "198.51.100.1", emailId="bob@example.test") == 401


@pytest.mark.spec("T85")
@pytest.mark.parametrize(
    "orgs",
    [["acme"], [None], ["acme", None], [None, None, "acme"], ["nowhere", "acme"], ["other", "acme", None], ["nowhere"]],
    ids=str,
)
def test_names_that_nobody_has_are_slowed_after_as_many_tries(strict: Flask, make: Factory, orgs: list[str | None]) -> None:
    make.realm("other")
    make.user("bob@example.test", enabled=False)
    seen = {
        name: [tried(strict, address, emailId=name, org=orgs[number % len(orgs)]) for number in range(12)]
        for address, name in (
            ("192.0.2.1", "ann@example.test"),
            ("192.0.2.2", "nobody@example.test"),
            ("192.0.2.3", "bob@example.test"),
        )
    }
    assert seen["ann@example.test"] == seen["nobody@example.test"] == seen["bob@example.test"]
    assert {401, 429} == set(seen["ann@example.test"])


def test_names_that_nobody_has_fill_no_realm_and_a_full_one_refuses_all_alike(strict: Flask, make: Factory) -> None:
    for number in range(40):
        assert tried(strict, f"192.0.2.{number % 7}", emailId=f"x{number}@example.test") == 401
    assert tried(strict, "198.51.100.1", PASSWORD) == 200
    for number in range(4):
        make.user(f"user{number}@example.test")
        assert [tried(strict, f"192.0.2.{number}", emailId=f"user{number}@example.test") for _ in range(3)] == [401] * 3
    assert tried(strict, "198.51.100.1", PASSWORD) == 429
    assert tried(strict, "198.51.100.1", emailId="nobody@example.test") == 429
    assert tried(strict, "198.51.100.1", org="other") == 401, "another realm is not full"


def test_customer_with_a_wide_ipv6_network_has_a_limit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    count_hashes(monkeypatch)
    app = create_app(settings.model_copy(update={"sign_in_limit_address": 2}))
    statuses = [tried(app, f"2001:db8:0:{number:x}::1", emailId=f"x{number}@example.test") for number in range(15)]
    assert statuses == [401] * 10 + [429] * 5
    assert tried(app, "2001:db8:1::1") == 401, "the next customer has another"
    close_app(app)


@pytest.mark.spec("T85")
def test_every_failure_costs_the_same_statements(client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    count_hashes(monkeypatch)
    make.realm("other")
    make.user()
    make.user("invited@example.test", password=False)
    make.user("gone@example.test", enabled=False)
    for org in ("acme", "other"):
        make.user("both@example.test", realm=org)
    statements: Counter[str] = Counter()
    with make.app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.update([args[2]]))
    sign_in(client, "warm@example.test", WRONG)
    make.forget()
    for org in ("acme", None):
        seen = []
        for name in ("ann", "nobody", "invited", "gone", "both"):
            statements.clear()
            assert sign_in(client, f"{name}@example.test", WRONG, org=org).status_code == 401
            seen.append({text: count for text, count in statements.items() if "change" not in text and "PRAGMA" not in text})
        assert seen == [seen[0]] * 5
        assert sum("INSERT INTO audit_event" in text for text in seen[0]) == 1


# -- whom a name is of, where no organisation is named -----------------------------------------------------------------


def invite(make: Factory, realm: str) -> None:
    make.user(realm=realm, password=False)


def disable(make: Factory, realm: str) -> None:
    make.user(realm=realm, enabled=False)


def deactivate(make: Factory, realm: str) -> None:
    make.user(realm=realm)
    make.do(realms.deactivate_realm, realm=realm)


@pytest.mark.parametrize("add", [invite, disable, deactivate])
def test_organisation_that_adds_somebodys_address_breaks_no_sign_in(client: FlaskClient, make: Factory, add: Any) -> None:
    from tests.compat.test_ionos import basic

    make.user()
    make.realm("other")
    add(make, "other")
    assert claims_of(sign_in(client, org=None).json["Authorization"])["iss"].endswith("/acme")
    assert client.get("/auth/v1/tokens", headers=basic()).status_code == 200
    login = {"username": "ann@example.test", "password": PASSWORD}
    assert client.post("/auth/v1/login/", json=login).status_code == 200
    change = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": "another good one"}
    assert client.patch("/v1/users/password/change", json=change).status_code == 204


def test_organisation_that_adds_somebodys_address_is_not_sent_the_code_that_chooses_the_password(
    client: FlaskClient, make: Factory, context: Flask
) -> None:
    """Otherwise it could choose a password itself, and whoever owns the address would have to name an organisation for ever."""
    from tests.api.test_links import outbox

    make.realm("evil")
    make.user("boss@example.test", realm="evil", roles=("administrator",))
    header = session_of(client, "boss@example.test", org="evil")
    uid = client.post("/v1/users", headers=header, json={"spec": {"emailId": "ann@example.test"}}).json["uid"]
    change = {"spec": {"emailId": "boss@example.test"}}
    assert client.patch(f"/v1/users/{uid}", headers=header, json=change).status_code == 204
    assert client.post(f"/v1/users/{uid}/invite", headers=header).status_code in {200, 204}
    assert client.patch(f"/v1/users/{uid}/password/reset", headers=header, json={}).status_code == 204
    users.request_reset("ann@example.test", "evil", "192.0.2.1")
    commit()
    users.answer_reset_requests()
    commit()
    assert {sent["to"] for sent in outbox(context)} == {"ann@example.test"}
    db.session.rollback()
    make.user()
    assert sign_in(client, org=None).status_code == 200


def test_reset_without_organisation_is_of_the_accounts_that_somebody_has_made_their_own(
    client: FlaskClient, make: Factory, context: Flask
) -> None:
    from tests.api.test_links import outbox

    for number in range(21):
        make.realm(f"other-{number}")
        invite(make, f"other-{number}")
    make.user()
    make.user("new@example.test", realm="other-3", password=False)
    for name in ("ann@example.test", "new@example.test"):
        assert client.post("/v1/auth/user/password/reset", json={"emailId": name}).status_code == 204
    users.answer_reset_requests()
    commit()
    assert [(sent["to"], sent["values"]["organisation"]) for sent in outbox(context)] == [
        ("ann@example.test", "acme"),
        ("new@example.test", "other-3"),
    ]


def works_of(app: Flask) -> users.PasswordHashing:
    with app.app_context():
        return users.password_hashing(runtime.current())


def refused_for_want_of_seats(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of what is counted as refused because there were too many."""
    counted: list[str] = []
    monkeypatch.setattr("idp.users.passwords.count", lambda name, number, label: counted.extend([f"{name} {label}"] * number))
    return counted


def test_busy_worker_says_so_instead_of_waiting(settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    counted = refused_for_want_of_seats(monkeypatch)
    app = create_app(settings.model_copy(update={"threads": 4}))  # one hashes, one waits
    works = works_of(app)
    with works.seat("192.0.2.1"), works.seat("192.0.2.2"):
        answer = sign_in(app.test_client())
    assert (answer.status_code, answer.json["code"]) == (503, "Unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert counted == ["realmgate_rate_limited sign-in-seats"]
    assert sign_in(app.test_client()).status_code == 200
    close_app(app)


def test_who_has_waited_too_long_is_put_off_and_that_counts_as_no_failure(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    counted = refused_for_want_of_seats(monkeypatch)
    monkeypatch.setattr("idp.users.passwords.LONGEST_WAIT_OF_NEXT", 0.2)
    app = create_app(settings.model_copy(update={"sign_in_limit_account": 1}))
    works, has_begun, may_end = works_of(app), threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as somebody:
        with works.seat("192.0.2.1") as seat:
            hashing = somebody.submit(works.run, seat, lambda: has_begun.set() or may_end.wait())
            assert has_begun.wait(60)
        answers = [sign_in(app.test_client()) for _ in range(3)]
        may_end.set()
        assert hashing.result(), "what has begun is not cut off"
    assert [(answer.status_code, answer.json["code"], answer.headers["Retry-After"]) for answer in answers] == [
        (503, "Unavailable", "5")
    ] * 3
    assert counted == ["realmgate_rate_limited sign-in-seats"] * 3
    assert sign_in(app.test_client()).status_code == 200
    close_app(app)


def test_who_would_wait_too_long_is_told_so_at_once(app: Flask, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    works = works_of(app)
    with works.seat("192.0.2.1") as seat:
        works.run(seat, lambda: None)
    assert works._takes < 1
    works._takes = 1.45  # as of one that gets little of the processor: another may take twice as long
    with works.seat("192.0.2.1"), works.seat("192.0.2.2"):
        counted = refused_for_want_of_seats(monkeypatch)
        assert sign_in(app.test_client()).status_code == 503
        assert counted == ["realmgate_rate_limited sign-in-seats"]
    assert sign_in(app.test_client()).status_code == 200
    assert 1 < works._takes < 1.45, "it is quicker again"
    works._takes = 60.0  # as of one that was kept from the processor while another node began beside it
    with works.seat("192.0.2.1"):
        works._in_vain_at = time.monotonic()
        assert sign_in(app.test_client()).status_code == 503, "somebody waited in vain just now"
        works._in_vain_at -= passwords.CROWDED
        assert sign_in(app.test_client()).status_code == 200, "there is room for one that waits"


def test_whoever_sends_many_makes_nobody_else_wait_for_more_than_one(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    app = create_app(settings.model_copy(update={"threads": 32}))  # three seats of nine are a network's
    works, may_end = works_of(app), threading.Event()
    works._takes = 60.0
    monkeypatch.setattr("idp.users.passwords.LONGEST_WAIT", PATIENCE)
    monkeypatch.setattr("idp.users.passwords.LONGEST_WAIT_OF_NEXT", PATIENCE)
    order: list[str] = []

    def hash_as(network: str, begun: threading.Event) -> None:
        def work() -> None:
            order.append(network)
            begun.set()
            assert may_end.wait(PATIENCE)

        with works.seat(network) as seat:
            works.run(seat, work)

    has_begun = threading.Event()
    crowd = [threading.Thread(target=hash_as, args=("192.0.2.1", has_begun))]
    crowd[0].start()
    assert has_begun.wait(PATIENCE)
    works._takes = 0.0  # so that it is let in three times
    for _ in range(2):
        crowd.append(threading.Thread(target=hash_as, args=("192.0.2.1", threading.Event())))
        crowd[-1].start()
        wait_until(lambda: works._in_hand == len(crowd), "the next")
    works._takes = 60.0
    with pytest.raises(users.BusyError), works.seat("192.0.2.1"):
        pass  # which is put off for want of a seat of its own, and changes nothing for others
    crowd.append(threading.Thread(target=hash_as, args=("198.51.100.7", threading.Event())))
    crowd[-1].start()
    wait_until(lambda: works._in_hand == len(crowd), "another one, who is let in")
    may_end.set()
    for each in crowd:
        each.join()
    assert order == ["192.0.2.1", "198.51.100.7", "192.0.2.1", "192.0.2.1"], "and is the next"
    close_app(app)


def test_who_waits_in_vain_behind_its_own_says_nothing_of_others(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.users.passwords.LONGEST_WAIT_OF_NEXT", 0.2)
    works, has_begun, may_end = works_of(app), threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as somebody, works.seat("192.0.2.1") as seat:
        hashing = somebody.submit(works.run, seat, lambda: has_begun.set() or may_end.wait())
        assert has_begun.wait(PATIENCE)
        with works.seat("192.0.2.1") as second, pytest.raises(users.BusyError):
            works.run(second, lambda: None)
        assert works._in_vain_at == float("-inf")
        with works.seat("192.0.2.2") as first, pytest.raises(users.BusyError):
            works.run(first, lambda: None)
        assert works._in_vain_at > 0
        may_end.set()
        assert hashing.result()


@pytest.mark.parametrize("address", ["192.0.2.{}", "2001:db8:0:{}::1"])
def test_one_network_leaves_seats_to_the_others(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    make.user()
    counted = refused_for_want_of_seats(monkeypatch)
    app = create_app(settings.model_copy(update={"threads": 32}))  # nine seats
    works = works_of(app)
    with contextlib.ExitStack() as crowd:
        for number in range(24):
            with contextlib.suppress(users.BusyError):
                crowd.enter_context(works.seat("192.0.2.7" if "db8" not in address else address.format(number)))
        assert len(counted) == 24 - 3, "a third of them, however many ask"
        assert sign_in(app.test_client()).status_code == 200
        code = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "ann@example.test"), LinkPurpose.RESET))
        new = {"password": "another good one"}
        assert app.test_client().patch(f"/v1/auth/password/{code}/reset", json=new).status_code == 204
    with contextlib.ExitStack() as free:
        for number in range(9):
            free.enter_context(works.seat(f"198.51.100.{number}"))
    close_app(app)


@pytest.mark.spec("R124")
def test_sign_ins_are_recorded_without_what_was_typed(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user()
    sign_in(client, "my-password-in-the-wrong-field", WRONG)
    sign_in(client, password=WRONG)
    session_of(client)
    events = audit.list_events(tag="user:")
    assert [(event.tag, event.target, event.outcome) for event in reversed(events)] == [
        ("user:sign-in:refuse", "user:ann@example.test", "refused"),
        ("user:session:start", events[0].target, "success"),
    ], "failures of an account are there before the answer"
    users.password_usage(runtime.current()).flush()
    events = audit.list_events(tag="user:")
    assert (events[0].tag, events[0].target, events[0].detail["count"]) == ("user:sign-in:refuse", "user:(unknown)", 1)
    events = events[1:]
    assert events[0].actor == "user:ann@example.test"
    assert not any("wrong-field" in json.dumps([event.target, event.detail]) for event in events)


def test_stored_hash_is_renewed_when_its_parameters_change(
    client: FlaskClient, make: Factory, context: Flask, slow_hasher: None
) -> None:
    import argon2

    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    uid = make.user()
    make.do(lambda realm: setattr(users.get_user(realm, uid), "password_hash", weak.hash(PASSWORD)))
    assert sign_in(client).status_code == 200
    db.session.rollback()
    stored = users.get_user(realms.get_realm("acme"), uid).password_hash
    assert "m=65536,t=2" in stored
    assert sign_in(client).status_code == 200


def test_body_that_is_no_sign_in_is_400_and_says_what_is_missing(client: FlaskClient) -> None:
    for body in ({}, {"emailId": 1, "password": "x"}, {"emailId": ["x"], "password": "x"}, {"password": "secret canary"}):
        answer = client.post("/v1/auth/authenticate", json=body)
        assert (answer.status_code, answer.json["code"]) == (400, "InvalidRequest"), body
        assert "emailId" in answer.json["message"]
        assert "canary" not in answer.text
    answer = client.post("/v1/auth/authenticate", data="emailId=a&password=b")
    assert (answer.status_code, answer.json["message"]) == (400, "Send the body as application/json.")
