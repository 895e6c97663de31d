"""API keys: made under a policy, shown once, narrowed, rotated, stopped, noticed, removed."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp import access, apikeys, audit, crypto, runtime, setup, users
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.db import db
from idp.mail import MailMessage
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory, MadeKey, ask_token, session_of, set_application, set_realm, set_user

INFO = "/v1/users/info"
KEYS = "/v1/apiKeys"


def make_key(client: FlaskClient, header: dict[str, str], name: str = "ci", **spec: Any) -> TestResponse:
    return client.post(KEYS, headers=header, json={"metadata": {"name": name}, "spec": spec})


def shown(client: FlaskClient, header: dict[str, str], uid: str) -> Any:
    return client.get(f"{KEYS}/{uid}", headers=header).json


def works(client: FlaskClient, key: str, **options: Any) -> bool:
    status = client.get(INFO, headers={"apiKey": key}, **options).status_code
    assert status in {200, 401}
    return status == 200


def test_key_is_shown_once_and_works_in_any_letter_case_of_the_header(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    header = session_of(client)
    answer = make_key(client, header)
    assert answer.status_code == 201
    key, uid = answer.json["apiKey"], answer.json["uid"]
    assert crypto.is_well_formed(key, "ak")
    assert answer.headers["Location"] == f"{KEYS}/{uid}"
    for name in ("apiKey", "APIKEY", "apikey", "ApiKey"):
        assert client.get(INFO, headers={name: key}).json["credential"] == "api_key"
    for listing in (client.get(KEYS, headers=header), client.get(f"{KEYS}/{uid}", headers=header)):
        assert key not in listing.text
        assert key[:15] in listing.text
    item = shown(client, header, uid)
    assert item["spec"]["key"] == ""
    assert item["status"]["isActive"] is True


@pytest.mark.parametrize(
    ("hours", "user_hours", "asked", "answer"),
    [
        (100, None, {}, 100),
        (100, 300, {}, 300),
        (100, 50, {}, 100),
        (100, None, {"expiryHours": 100}, 100),
        (100, None, {"expiryHours": 101}, 403),
        (100, 300, {"expiryHours": 300}, 300),
        (100, 300, {"expiryHours": 301}, 403),
        (100, None, {"expiryHours": 1}, 1),
        (100, None, {"expiryHours": 0}, 400),
        (100, None, {"expiryHours": -5}, 400),
        (100, None, {"expiryHours": 2**63}, 400),
        (100, None, {"neverExpires": True}, 403),
        (100, None, {"expiry": "2001-01-01T00:00:00Z"}, 400),
        (100, None, {"expiry": "9999-12-31T23:59:59Z"}, 403),
        (100, None, {"expiry": "2031-01-01T00:00:00"}, 400),
        (1, None, {}, 1),
    ],
)
def test_life_of_ones_own_key_follows_the_policy(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, hours: int, user_hours: int | None, asked: Any, answer: int
) -> None:
    make.user(api_key_hours=user_hours)
    make.do(lambda realm: set_realm(realm, api_key_hours=hours))
    made = make_key(client, session_of(client), **asked)
    if answer >= 400:
        assert made.status_code == answer, made.text
        return
    assert made.status_code == 201, made.text
    left = datetime.fromisoformat(made.json["expiry"]) - frozen_clock.now()
    assert abs(left - timedelta(hours=answer)) < timedelta(seconds=2)


def test_administrator_exceeds_every_limit_for_themself_and_for_others(client: FlaskClient, make: Factory) -> None:
    uid = make.user(api_key_hours=1)
    make.user("admin@example.test", roles=("administrator",))
    make.do(lambda realm: set_realm(realm, api_key_hours=1))
    admin = session_of(client, "admin@example.test")
    assert make_key(client, admin, neverExpires=True).json["expiry"] is None
    answer = make_key(client, admin, expiryHours=9_000, userUid=uid)
    assert answer.status_code == 201
    assert client.get(INFO, headers={"apiKey": answer.json["apiKey"]}).json["userUid"] == uid
    assert answer.json["uid"] in client.get(KEYS, headers=session_of(client)).text, "its owner sees it"
    assert shown(client, admin, answer.json["uid"])["status"]["createdBy"] == "user:admin@example.test"
    assert make_key(client, session_of(client), userUid=uid).status_code == 201
    other = make.user("bob@example.test")
    assert make_key(client, session_of(client), userUid=other).status_code == 403


@pytest.mark.spec("T108")
def test_key_for_somebody_takes_all_of_their_permissions(client: FlaskClient, make: Factory) -> None:
    make.do(
        lambda realm: access.create_role(realm, "key-desk", access.RoleSheet(permissions=["api-keys:write", "api-keys:read"]))
    )
    make.user("desk@example.test", roles=("key-desk", "ml-engineer"))
    boss = make.user("boss@example.test", roles=("administrator",))
    plain = make.user("plain@example.test", roles=("ml-engineer",))
    desk = session_of(client, "desk@example.test")
    made = make_key(client, desk, userUid=plain)
    assert made.status_code == 201
    assert make_key(client, desk, userUid=boss).status_code == 403
    steward = make.user("steward@example.test", roles=("data-steward",))
    assert make_key(client, desk, userUid=steward).status_code == 403, "a role without permissions here means something elsewhere"
    key = make.key("boss@example.test")
    assert client.post(f"{KEYS}/{key.uid}/rotate", headers=desk, json={}).status_code == 403
    assert client.put(f"{KEYS}/{key.uid}", headers=desk, json={"spec": {"roles": []}}).status_code == 403
    assert client.delete(f"{KEYS}/{key.uid}", headers=desk).status_code == 204, "to end one is no gain"


def test_deactivated_key_stops_and_starts_again_and_deleted_one_is_gone(client: FlaskClient, make: Factory) -> None:
    make.user()
    header = session_of(client)
    key = make.key()
    for path, verb in ((f"{KEYS}/{key.uid}", client.patch), (f"{KEYS}/{key.uid}/state", client.put)):
        assert verb(path, headers=header, json={"isActive": False}).status_code == 204
        assert not works(client, key.plain)
        assert verb(path, headers=header, json={"isActive": True}).status_code == 204
        assert works(client, key.plain)
    assert client.delete(f"{KEYS}/{key.uid}", headers=header).status_code == 204
    assert not works(client, key.plain)
    assert client.get(f"{KEYS}/{key.uid}", headers=header).status_code == 404


def test_revoked_key_is_over_for_good_and_says_why(client: FlaskClient, make: Factory) -> None:
    make.user()
    header = session_of(client)
    key = make.key()
    assert client.post(f"{KEYS}/{key.uid}/revoke", headers=header, json={}).status_code == 400
    assert client.post(f"{KEYS}/{key.uid}/revoke", headers=header, json={"reason": "lost laptop"}).status_code == 204
    assert not works(client, key.plain)
    assert client.patch(f"{KEYS}/{key.uid}", headers=header, json={"isActive": True}).status_code == 409
    status = shown(client, header, key.uid)["status"]
    assert (status["state"], status["revokeReason"]) == ("revoked", "lost laptop")


def test_expired_key_says_so_to_who_holds_it_and_to_nobody_else(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.user()
    key = make.key(hours=1)
    expires = frozen_clock.now() + timedelta(hours=1)
    frozen_clock.advance(hours=1)
    for answer in (client.get(INFO, headers=key.header), client.post("/v1/auth/exchange", headers=key.header)):
        assert (answer.status_code, answer.json["code"]) == (401, "ApiKeyExpired")
        said = f"Authentication failed because the key expired on {expires:%Y-%m-%d %H:%M:%S} UTC."
        assert answer.json["message"].startswith(said)
    body = key.plain[:-6][:-1] + ("0" if key.plain[-7] != "0" else "1")
    wrong = client.get(INFO, headers={"apiKey": body + crypto.checksum(body)})
    unknown = client.get(INFO, headers={"apiKey": crypto.make_secret("ak")})
    assert {wrong.json["message"], unknown.json["message"]} == {
        "Authentication failed: the API key is wrong, or is no longer accepted from here."
    }


def test_key_carries_only_what_it_was_narrowed_to(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer", "auditor"), projects=(("vision", "researcher"), ("speech", "researcher")))
    header = session_of(client)
    by_role = make_key(client, header, roles=["viewer", "researcher"]).json["apiKey"]
    by_project = make_key(client, header, projects=["vision"]).json["apiKey"]
    assert make_key(client, header, projects=["nowhere"]).status_code == 404
    assert make_key(client, header, roles=["nobody"]).status_code == 404
    from tests.factories import claims_of

    def carried(key: str) -> Any:
        claims = claims_of(client.post("/v1/auth/exchange", headers={"apiKey": key}).json["Authorization"])
        return claims["realm_access"]["roles"], {each["name"]: each["roles"] for each in claims["projects"]}

    assert carried(by_role) == (["viewer"], {"vision": ["researcher"], "speech": ["researcher"]})
    assert carried(by_project) == ([], {"vision": ["researcher"]})
    assert client.get("/v1/users", headers={"apiKey": by_role}).status_code == 403
    make.do(
        lambda realm: access.remove_grant(
            realm, users.holder_of(users.get_user(realm, "ann@example.test")), "researcher", project="vision"
        )
    )
    assert carried(by_project) == ([], {}), "what its owner has lost, it does not carry"


def test_key_works_from_its_addresses_only(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make_key(client, session_of(client), addresses=["192.0.2.0/24", "2001:db8::1"]).json["apiKey"]
    for address, right in {
        "192.0.2.77": True,
        "192.0.3.1": False,
        "2001:db8::1": True,
        "::ffff:192.0.2.1": True,
        "x": False,
    }.items():
        assert works(client, key, environ_base={"REMOTE_ADDR": address}) is right, address
    assert not works(client, key, environ_base={"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.77"})
    assert make_key(client, session_of(client), addresses=["example.test"]).status_code == 400


def test_key_is_used_no_oftener_than_its_rate(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make_key(client, session_of(client), ratePerMinute=3).json["apiKey"]
    statuses = [client.get(INFO, headers={"apiKey": key}) for _ in range(5)]
    assert [answer.status_code for answer in statuses] == [200, 200, 200, 429, 429]
    assert 1 <= int(statuses[-1].headers["Retry-After"]) <= 60
    assert make_key(client, session_of(client), ratePerMinute=0).status_code == 400


def test_use_is_counted_with_time_and_address(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user()
    header = session_of(client)
    key = make.key()
    for _ in range(3):
        client.get(INFO, headers=key.header, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    client.post("/v1/auth/exchange", headers=key.header)
    client.get(INFO, headers={"apiKey": crypto.make_secret("ak")})
    apikeys.key_usage(runtime.current()).flush()
    status = shown(client, header, key.uid)["status"]
    assert (status["useCount"], status["lastUsedAddress"]) == (4, "127.0.0.1")
    assert status["lastUsedAt"]
    events = [(event.tag, event.target, event.detail["count"]) for event in audit.list_events(tag="client:api-key")]
    assert sorted(events) == [
        ("client:api-key:exchange", f"api-key:{key.public_part}", 1),
        ("client:api-key:refuse", "api-key:(unknown)", 1),
        ("client:api-key:use", f"api-key:{key.public_part}", 3),
    ]


def test_rotation_overlaps_as_the_holder_chooses_and_shows_when_the_old_key_is_quiet(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, context: Flask
) -> None:
    make.user(roles=("viewer",))
    header = session_of(client)
    old = make_key(client, header, projects=["vision"], expiryHours=720).json
    answer = client.post(f"{KEYS}/{old['uid']}/rotate", headers={"apiKey": old["apiKey"]}, json={"overlapHours": 48})
    assert answer.status_code == 201
    new = answer.json
    assert works(client, old["apiKey"])
    assert works(client, new["apiKey"])
    apikeys.key_usage(runtime.current()).flush()
    assert client.post(f"{KEYS}/{old['uid']}/rotate", headers=header, json={}).status_code == 409
    item = shown(client, header, old["uid"])
    assert item["status"]["replacedBy"] == new["uid"]
    assert item["status"]["quietSince"] is None
    assert item["spec"]["projects"] == shown(client, header, new["uid"])["spec"]["projects"] == ["vision"]
    frozen_clock.advance(hours=25)
    header = session_of(client)
    assert shown(client, header, old["uid"])["status"]["quietSince"]
    frozen_clock.advance(hours=24)
    assert "expired on" in client.get(INFO, headers={"apiKey": old["apiKey"]}).json["message"]
    assert works(client, new["apiKey"])


def test_key_lives_through_its_notices_its_expiry_and_its_removal(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, context: Flask
) -> None:
    make.user()
    key = make.key(hours=30 * 24)

    def mails() -> list[str]:
        setup.rotate_keys_and_tidy()
        db.session.rollback()
        return [row.occasion.partition(":")[0] for row in db.session.scalars(select(MailMessage).order_by(MailMessage.id))]

    seen = []
    for day in range(1, 125):
        frozen_clock.advance(days=1)
        seen.append((day, len(mails())))
        answer = client.get(INFO, headers=key.header)
        if day < 30:
            assert answer.status_code == 200, day
        else:
            explicit = "expired on" in answer.json["message"]
            assert explicit is (day < 30 + 90), day
    assert mails() == ["api-key-expiry-7", "api-key-expiry-1"]
    assert next(day for day, count in seen if count == 1) == 23
    assert next(day for day, count in seen if count == 2) == 29
    assert db.session.scalars(select(ApiKey)).all() == []


def test_short_lived_key_is_not_announced_as_soon_as_it_is_made(make: Factory, frozen_clock: FrozenClock, context: Flask) -> None:
    make.user()
    make.key(hours=12)
    make.key(hours=36)
    for _ in range(3):
        setup.rotate_keys_and_tidy()
    assert db.session.scalars(select(MailMessage)).all() == []
    db.session.rollback()
    frozen_clock.advance(hours=13)
    for _ in range(3):
        setup.rotate_keys_and_tidy()
    assert [row.occasion.partition(":")[0] for row in db.session.scalars(select(MailMessage))] == ["api-key-expiry-1"]


def test_notice_of_a_machine_users_key_goes_to_who_made_it(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, context: Flask
) -> None:
    uid = make.user("robot")
    make.user("admin@example.test", roles=("administrator",))
    assert make_key(client, session_of(client, "admin@example.test"), userUid=uid, expiryHours=200).status_code == 201
    frozen_clock.advance(hours=50)
    setup.rotate_keys_and_tidy()
    from idp import vault

    (row,) = db.session.scalars(select(MailMessage)).all()
    assert json.loads(vault.unseal(row.sealed, context=f"mail {row.occasion}"))["to"] == "admin@example.test"


@pytest.mark.spec("T73")
def test_key_of_another_organisation_is_not_there(client: FlaskClient, make: Factory) -> None:
    make.realm()
    make.user()
    key = make.key()
    make.user("eve@example.test", realm="other", roles=("administrator",))
    eve = session_of(client, "eve@example.test", org="other")
    for call in (
        client.get(f"{KEYS}/{key.uid}", headers=eve),
        client.get(f"{KEYS}/{key.public_part}", headers=eve),
        client.put(f"{KEYS}/{key.uid}", headers=eve, json={}),
        client.patch(f"{KEYS}/{key.uid}", headers=eve, json={"isActive": False}),
        client.delete(f"{KEYS}/{key.uid}", headers=eve),
        client.post(f"{KEYS}/{key.uid}/rotate", headers=eve, json={}),
        client.post(f"{KEYS}/{key.uid}/revoke", headers=eve, json={"reason": "x"}),
    ):
        assert (call.status_code, call.json["code"]) == (404, "ResourceNotFound")
    assert client.get(f"{KEYS}?scope=all", headers=eve).json["items"] == []
    assert works(client, key.plain)


def test_keys_of_others_are_not_there_for_who_may_not_see_them(client: FlaskClient, make: Factory) -> None:
    make.user()
    make.user("bob@example.test")
    make.user("audit@example.test", roles=("auditor",))
    key = make.key()
    bob, auditor = session_of(client, "bob@example.test"), session_of(client, "audit@example.test")
    assert client.get(f"{KEYS}/{key.uid}", headers=bob).status_code == 404
    assert client.delete(f"{KEYS}/{key.uid}", headers=bob).status_code == 404
    assert client.get(f"{KEYS}?scope=all", headers=bob).status_code == 403
    assert client.get(f"{KEYS}/{key.uid}", headers=auditor).status_code == 200
    assert client.delete(f"{KEYS}/{key.uid}", headers=auditor).status_code == 403


def test_key_makes_no_key_that_is_wider_or_outlives_it(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer", "auditor"), projects=(("vision", "researcher"),))
    wide, narrow = make.key(hours=100), make.key(hours=100, roles=["viewer"], addresses=["127.0.0.1"], rate_per_minute=50)
    child = make_key(client, wide.header)
    assert child.status_code == 201
    assert child.json["expiry"] == make_key(client, wide.header).json["expiry"], "it ends with the key that made it"
    assert make_key(client, wide.header, expiryHours=101).status_code == 403
    grandchild = make_key(client, narrow.header)
    spec = shown(client, session_of(client), grandchild.json["uid"])["spec"]
    assert (spec["roles"], spec["addresses"], spec["ratePerMinute"]) == (["viewer"], ["127.0.0.1/32"], 50)
    for more in ({"roles": ["auditor"]}, {"addresses": ["0.0.0.0/0"]}, {"ratePerMinute": 51}):
        assert make_key(client, narrow.header, **more).status_code == 403, more
    assert client.put(f"{KEYS}/{narrow.uid}", headers=narrow.header, json={"spec": {"roles": []}}).status_code == 403
    assert client.patch(f"{KEYS}/{wide.uid}", headers=narrow.header, json={"isActive": False}).status_code == 403
    session = {"Authorization": client.post("/v1/auth/exchange", headers=narrow.header).json["Authorization"]}
    assert make_key(client, session).status_code == 403


def test_application_holds_keys_and_its_token_makes_none_for_itself(client: FlaskClient, make: Factory) -> None:
    made = make.application(roles=("viewer",))
    key = make.key("ci-bot")
    answer = client.get(INFO, headers=key.header)
    assert (answer.json["userUid"], answer.json["roles"]) == (made.uid, ["viewer"])
    bearer = {
        "Authorization": f"Bearer {ask_token(client, made, resource='http://localhost:8080/auth/realms/acme').json['access_token']}"
    }
    assert make_key(client, bearer).status_code == 403
    assert make_key(client, key.header).status_code == 201


@pytest.mark.spec("T69")
@pytest.mark.parametrize(
    "how", ["owner disabled", "owner deleted", "realm disabled", "application disabled", "application deleted"]
)
def test_key_dies_with(client: FlaskClient, make: Factory, how: str) -> None:
    from idp import applications

    uid = make.user()
    make.application()
    user_key, application_key = make.key(), make.key("ci-bot")
    tokens = [client.post("/v1/auth/exchange", headers=key.header).json["Authorization"] for key in (user_key, application_key)]
    acts = {
        "owner disabled": lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False),
        "owner deleted": lambda realm: users.delete_user(realm, users.get_user(realm, uid)),
        "realm disabled": lambda realm: set_realm(realm, enabled=False),
        "application disabled": lambda realm: set_application(
            realm, applications.get_application(realm, "ci-bot"), enabled=False
        ),
        "application deleted": lambda realm: applications.delete_application(
            realm, applications.get_application(realm, "ci-bot")
        ),
    }
    make.do(acts[how])
    users_key_works, applications_key_works = "application" in how, "owner" in how
    assert works(client, user_key.plain) is users_key_works
    assert works(client, application_key.plain) is applications_key_works
    for token, expected in zip(tokens, (users_key_works, applications_key_works), strict=True):
        assert (client.get(INFO, headers={"Authorization": token}).status_code == 200) is expected


@pytest.fixture(scope="module")
def shared(template, tmp_path_factory):  # type: ignore[no-untyped-def]
    import shutil

    folder = tmp_path_factory.mktemp("shared") / "data"
    shutil.copytree(template, folder)
    app = create_app(Settings.load(data_dir=folder, rate_api=0, rate_failures=1_000_000))
    make = Factory(app)
    make.user()
    yield app.test_client(), make.key()
    close_app(app)


@pytest.mark.spec("T71", "R44")
@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_not_the_key_is_refused(shared: tuple[FlaskClient, MadeKey], data: st.DataObject) -> None:
    client, key = shared
    plain = key.plain
    cut = data.draw(st.integers(1, len(plain) - 1))
    letter = data.draw(st.sampled_from("0aZ-_. é\u212a"))
    variants = [
        plain[:cut],
        plain[cut:],
        plain + letter,
        letter + plain,
        plain[:cut] + letter + plain[cut:],
        plain[:cut] + letter + plain[cut + 1 :],
        plain[:cut] + plain[cut:].swapcase(),
        plain + "=",
        plain + "\t",
        plain + plain,
        plain + "," + plain,
    ]
    variant = data.draw(st.sampled_from(variants))
    if variant != plain:
        answer = client.get(INFO, environ_overrides={"HTTP_APIKEY": variant})
        assert answer.status_code == 401, variant


def test_published_pattern_and_checksum_tell_keys_from_random_text() -> None:
    import secrets

    pattern = re.compile(r"idp_(?:ak|cs)_[0-9A-Za-z]{57}")
    assert all(pattern.fullmatch(crypto.make_secret("ak")) for _ in range(100))
    random = [f"idp_ak_{''.join(secrets.choice(crypto.BASE62) for _ in range(57))}" for _ in range(20_000)]
    assert sum(crypto.is_well_formed(text, "ak") for text in random) == 0


@pytest.mark.parametrize("kind", ["user key", "application key", "client secret"])
def test_reported_leak_revokes_what_is_shown_and_tells_nothing(
    client: FlaskClient, make: Factory, context: Flask, kind: str
) -> None:
    make.user()
    made = make.application()
    key = make.key() if kind == "user key" else make.key("ci-bot")
    credential = made.secret if kind == "client secret" else key.plain
    body = credential[:-6][:-1] + ("0" if credential[-7] != "0" else "1")
    for wrong in ("", "x", credential[:-1], body + crypto.checksum(body), crypto.make_secret("ak")):
        assert client.post("/v1/auth/credentials/report", json={"credential": wrong}).status_code == 204
    assert works(client, key.plain)
    assert ask_token(client, made).status_code == 200
    answer = client.post("/v1/auth/credentials/report", json={"credential": f" {credential}\n"})
    assert (answer.status_code, answer.data) == (204, b"")
    make.forget()
    assert works(client, key.plain) is (kind == "client secret")
    assert ask_token(client, made).status_code == (401 if kind == "client secret" else 200)
    db.session.rollback()
    told = [row.occasion.partition(":")[0] for row in db.session.scalars(select(MailMessage))]
    assert told == (["api-key-leaked"] if kind == "user key" else [])


def test_list_is_paged_by_a_token_that_nobody_else_can_use(client: FlaskClient, make: Factory) -> None:
    make.user()
    make.user("bob@example.test")
    for number in range(7):
        make.key(name=f"key {number}")
    header = session_of(client)
    first = client.get(f"{KEYS}?limit=5", headers=header).json
    assert [item["metadata"]["name"] for item in first["items"]] == [f"key {n}" for n in range(5)]
    token = first["listmeta"]["continue"]
    rest = client.get(f"{KEYS}?continue={token}", headers=header).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["key 5", "key 6"]
    assert rest["listmeta"]["continue"] == ""
    for forged in (token[:-2], token[:-1] + ("A" if token[-1] != "A" else "B"), "x", "v1.a.b", "' OR 1=1 --"):
        assert client.get(KEYS, query_string={"continue": forged}, headers=header).status_code == 400
    assert client.get(f"{KEYS}?continue={token}", headers=session_of(client, "bob@example.test")).status_code == 400
    for limit in ("-1", "501", "x", "9223372036854775808", ""):
        assert client.get(f"{KEYS}?limit={limit}", headers=header).status_code == 400, limit
