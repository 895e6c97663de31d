"""Leases: an application is lent a keyset, gets its values once, and loses it with its grant, itself, or the keyset."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from idp import access, applications, audit, keysets, realms
from idp.app import close_app, create_app
from idp.db import db
from idp.keysets import Keyset, KeysetKey, Lease, LeaseState, leases
from idp.keysets.service import publish_keyset
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, session_of, set_application, set_realm
from tests.keysets.lending import AWS_VALUES, OTHER_AWS, administrator, borrower, keep, take, token_of, wish


@pytest.fixture
def root(make: Factory, client: FlaskClient) -> dict[str, str]:
    return administrator(make, client)


@pytest.fixture
def lent(client: FlaskClient, root: dict[str, str]) -> str:
    """A keyset of project vision."""
    return keep(client, root, projects=["vision"], maxLeaseSeconds=600)


@pytest.fixture
def made(make: Factory) -> Made:
    """An application that may be lent keysets of project vision."""
    return borrower(make)


@pytest.fixture
def bot(client: FlaskClient, made: Made) -> dict[str, str]:
    return token_of(client, made)


def state_of(client: FlaskClient, header: dict[str, str], uid: str) -> dict[str, Any]:
    answer = client.get(f"/v1/leases/{uid}", headers=header)
    assert answer.status_code == 200, answer.text
    status: dict[str, Any] = answer.json["status"]
    return status


def events(make: Factory, tag: str) -> list[tuple[str, str, dict[str, Any]]]:
    return make.do(  # type: ignore[no-any-return]
        lambda _: [(each.actor, each.target, each.detail) for each in audit.list_events("acme", tag=tag)]
    )


def ended_at(make: Factory, uid: str) -> Any:
    return make.do(lambda _: db.session.scalar(select(Lease.ended_at).where(Lease.uid == uid)))


def test_an_application_is_lent_a_keyset_and_leaves_an_entry(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory
) -> None:
    answer = take(client, bot, lent, "deploys build 71")
    assert answer.status_code == 201, answer.text
    assert answer.json["values"] == AWS_VALUES
    assert answer.json["keyset"] == {"uid": lent, "name": "prod aws"}
    assert answer.headers["Cache-Control"] == "no-store"
    for header in (root, bot):
        shown = client.get(answer.headers["Location"], headers=header)
        assert shown.json["spec"]["reason"] == "deploys build 71"
        assert shown.json["spec"]["application"]["name"] == "deployer"
        assert shown.json["status"]["state"] == "live"
        assert "canary" not in shown.text + client.get("/v1/leases", headers=header).text
    ((actor, target, detail),) = events(make, "client:lease")
    assert (actor, target) == ("application:deployer", "keyset:prod aws")
    assert (detail["reason"], detail["uid"], detail["version"]) == ("deploys build 71", answer.json["uid"], 1)
    assert "canary" not in str(detail)


def test_a_name_stands_for_the_one_keyset_that_may_be_lent(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str]
) -> None:
    assert take(client, bot, "prod aws").json["keyset"]["uid"] == lent
    keep(client, root, entity="eks", projects=["speech"])  # which is none of the caller's
    assert take(client, bot, "prod aws").json["keyset"]["uid"] == lent
    twin = keep(client, root, category="solution", entity="cvsaws", projects=["vision"])
    assert take(client, bot, "prod aws").status_code == 404
    assert take(client, bot, twin).status_code == 201
    client.patch(f"/v1/keysets/{twin}", json={"metadata": {"name": "prod cvs"}}, headers=root)
    assert take(client, bot, "prod aws").json["keyset"]["uid"] == lent
    assert take(client, bot, "prod cvs").json["keyset"]["uid"] == twin


def test_no_name_stands_for_another_keysets_uid(client: FlaskClient, root: dict[str, str], lent: str) -> None:
    for name in (lent, lent.upper(), lent.replace("-", "")):
        assert client.patch(f"/v1/keysets/{lent}", json={"metadata": {"name": name}}, headers=root).status_code == 400
        assert client.post("/v1/keysets", json=wish(name), headers=root).status_code == 400


def test_a_grant_that_has_just_ended_permits_nothing(
    client: FlaskClient, lent: str, bot: dict[str, str], make: Factory, frozen_clock: FrozenClock
) -> None:
    until = frozen_clock.now() + timedelta(milliseconds=400)
    make.change(
        lambda realm, found: access.grant_role(realm, applications.holder_of(found), "lender", project="vision", until=until),
        "deployer",
    )
    assert take(client, bot, lent).status_code == 201
    frozen_clock.advance(milliseconds=450)
    make.forget()
    assert take(client, bot, lent).status_code in {403, 404}
    assert len(client.get("/v1/leases", headers=bot).json["items"]) == 1


def test_an_application_holds_so_many_leases_and_no_more(
    settings: Settings, client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str]
) -> None:
    app = create_app(settings.model_copy(update={"leases_per_application": 3}))
    near = app.test_client()
    taken = [take(near, bot, lent).json["uid"] for _ in range(3)]
    refused = take(near, bot, lent)
    assert (refused.status_code, refused.json["code"]) == (429, "TooManyLeases")
    assert near.delete(f"/v1/leases/{taken[0]}", headers=bot).status_code == 204
    assert take(near, bot, lent).status_code == 201
    close_app(app)


def test_a_narrow_key_is_not_lent_what_was_moved_away_from_it(
    settings: Settings, client: FlaskClient, root: dict[str, str], lent: str, make: Factory
) -> None:
    borrower(make, "both")
    make.change(lambda realm, found: access.grant_role(realm, applications.holder_of(found), "lender", project="speech"), "both")
    key = make.key("both", projects=["vision"]).header
    app = create_app(settings)
    other = app.test_client()
    assert take(other, key, lent).status_code == 201  # it is in the other worker's memory now
    client.patch(f"/v1/keysets/{lent}", json={"spec": {"projects": ["speech"]}}, headers=root)
    assert take(other, key, lent).status_code == 404
    close_app(app)


def test_the_life_is_bounded_by_the_keyset_and_by_the_grant(
    client: FlaskClient, lent: str, bot: dict[str, str], make: Factory, frozen_clock: FrozenClock
) -> None:
    assert take(client, bot, lent, seconds=601).status_code == 400
    assert take(client, bot, lent, seconds=0).status_code == 400
    assert take(client, bot, lent, seconds=60).json["expiresAt"] == at(frozen_clock, 60)
    assert take(client, bot, lent).json["expiresAt"] == at(frozen_clock, 600)
    until = frozen_clock.now() + timedelta(seconds=120)
    make.change(
        lambda realm, found: access.grant_role(realm, applications.holder_of(found), "lender", project="vision", until=until),
        "deployer",
    )
    assert take(client, bot, lent).json["expiresAt"] == at(frozen_clock, 120)


def at(frozen_clock: FrozenClock, seconds: int) -> str:
    return f"{frozen_clock.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 501])
def test_a_lease_takes_a_reason(client: FlaskClient, lent: str, bot: dict[str, str], reason: str) -> None:
    assert take(client, bot, lent, reason).status_code == 400
    assert client.get("/v1/leases", headers=bot).json["items"] == []


def test_who_is_lent_nothing(client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory) -> None:
    everywhere = keep(client, root, name="of the whole")
    elsewhere = keep(client, root, name="of speech", projects=["speech"])
    for uid in (everywhere, elsewhere, "no such keyset"):
        assert take(client, bot, uid).status_code == 404, uid
        assert client.get(f"/v1/keysets/{uid}", headers=bot).status_code == 404
    assert [item["metadata"]["uid"] for item in client.get("/v1/keysets", headers=bot).json["items"]] == [lent]
    plain = make.application("plain", roles=("researcher",), projects=("vision",))
    assert take(client, token_of(client, plain), lent).status_code == 403
    assert take(client, root, lent).status_code == 403  # a person, whatever they may
    assert take(client, {}, lent).status_code == 401
    owner = make.application("of-the-realm", roles=("administrator",))
    for uid in (lent, everywhere, elsewhere):
        assert take(client, token_of(client, owner), uid).status_code == 201
    narrowed = make.key("of-the-realm", roles=["viewer"])
    assert take(client, narrowed.header, lent).status_code == 403
    make.realm("other")
    make.do(lambda realm: access.create_project(realm, "vision"), "other")
    foreign = borrower(make, "foreign", realm="other")
    assert take(client, token_of(client, foreign, "other"), lent).status_code == 404


def test_headers_that_cannot_be_honoured_are_refused(client: FlaskClient, lent: str, bot: dict[str, str]) -> None:
    for name in ("Idempotency-Key", "If-Match"):
        assert take(client, bot | {name: "x"}, lent).status_code == 400
    assert client.get("/v1/leases", headers=bot).json["items"] == []


@pytest.mark.parametrize("environ", [{"REMOTE_ADDR": "192.0.2.1"}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}])
def test_values_are_sent_over_https_or_within_the_machine_only(
    client: FlaskClient, lent: str, bot: dict[str, str], environ: dict[str, str]
) -> None:
    body = {"spec": {"keyset": lent, "reason": "x"}}
    answer = client.post("/v1/leases", json=body, headers=bot, environ_overrides=environ)
    assert (answer.status_code, answer.json["code"]) == (403, "HttpsRequired")
    assert client.get("/v1/leases", headers=bot).json["items"] == []


def disable(realm: realms.Realm, found: applications.Application) -> None:
    set_application(realm, found, enabled=False)


def lose_grant(realm: realms.Realm, found: applications.Application) -> None:
    access.remove_grant(realm, applications.holder_of(found), "lender", project="vision")


def weaken_role(realm: realms.Realm, _: applications.Application) -> None:
    access.set_permissions(realm, "lender", ["keysets:read"])


def disable_realm(realm: realms.Realm, _: applications.Application) -> None:
    set_realm(realm, enabled=False)


@pytest.mark.parametrize("change", [disable, lose_grant, weaken_role, disable_realm, applications.delete_application])
def test_leases_die_with_what_they_hang_on(
    client: FlaskClient, lent: str, made: Made, bot: dict[str, str], make: Factory, change: Any
) -> None:
    bystander = borrower(make, "bystander")
    if change in {disable, lose_grant, applications.delete_application}:
        other = take(client, token_of(client, bystander), lent).json["uid"]
    uid = take(client, bot, lent).json["uid"]
    make.change(change, "deployer")

    def look(realm: realms.Realm) -> list[tuple[str, str]]:
        rows = db.session.scalars(select(Lease).order_by(Lease.id)).all()
        return [(row.uid, row.ended_by) for row in rows if row.ended_at is not None]

    assert make.do(look) == [(uid, "system")]
    if change in {disable, lose_grant, applications.delete_application}:
        assert ended_at(make, other) is None
    died = [(target, detail["application"], detail["leases"]) for _, target, detail in events(make, "system:lease")]
    assert died == [("keyset:prod aws", "deployer", 1)]
    assert take(client, bot, lent).status_code in {401, 403, 404}


def test_only_many_leases_may_take_their_time_to_end(
    client: FlaskClient, lent: str, bot: dict[str, str], make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever disables an application, or retires a secret, would wait for a silent database for longer than others."""
    allowed: list[int] = []
    monkeypatch.setattr(leases, "allow_seconds", lambda _, seconds: allowed.append(seconds))
    borrower(make, "bystander")
    make.change(disable, "bystander")
    uid = take(client, bot, lent).json["uid"]
    monkeypatch.setattr(leases, "MANY", 2)
    make.change(disable, "deployer")
    assert ended_at(make, uid) is not None
    assert allowed == []
    monkeypatch.setattr(leases, "MANY", 1)
    take(client, token_of(client, borrower(make, "last")), lent)
    make.change(disable, "last")
    assert allowed == [60]


def test_leases_die_with_the_keyset_and_with_its_move(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str]
) -> None:
    first, second = (take(client, bot, lent).json["uid"] for _ in range(2))
    client.patch(f"/v1/keysets/{lent}", json={"spec": {"projects": ["speech", "vision"]}}, headers=root)
    assert state_of(client, bot, first)["state"] == "live"
    client.patch(f"/v1/keysets/{lent}", json={"spec": {"projects": ["speech"]}}, headers=root)
    assert state_of(client, bot, first)["state"] == "ended"
    assert take(client, bot, lent).status_code == 404
    client.patch(f"/v1/keysets/{lent}", json={"spec": {"projects": ["vision"]}}, headers=root)
    third = take(client, bot, lent).json["uid"]
    client.delete(f"/v1/keysets/{lent}", headers=root)
    assert state_of(client, bot, third) | {"endedAt": ""} == {
        "state": "ended",
        "expiresAt": state_of(client, bot, third)["expiresAt"],
        "endedAt": "",
        "endReason": "the keyset was deleted",
        "endedBy": "system",
    }
    assert state_of(client, bot, second)["state"] == "ended"
    assert take(client, bot, lent).status_code == 404


def test_a_grant_that_ends_sooner_shortens_its_leases(
    client: FlaskClient, lent: str, bot: dict[str, str], make: Factory, frozen_clock: FrozenClock
) -> None:
    long, short = take(client, bot, lent).json["uid"], take(client, bot, lent, seconds=30).json["uid"]
    until = frozen_clock.now() + timedelta(seconds=60)
    make.change(
        lambda realm, found: access.grant_role(realm, applications.holder_of(found), "lender", project="vision", until=until),
        "deployer",
    )
    assert state_of(client, bot, long)["expiresAt"] == at(frozen_clock, 60)
    assert state_of(client, bot, short)["expiresAt"] == at(frozen_clock, 30)


def test_a_keyset_that_is_no_longer_the_default_is_lent_on(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory
) -> None:
    client.patch(f"/v1/keysets/{lent}", json={"spec": {"isDefault": True}}, headers=root)
    for _ in range(2):
        make.forget()  # what is in memory then has heard of that change
        assert take(client, bot, lent).status_code == 201
    keep(client, root, name="the new default", isDefault=True)
    assert client.get(f"/v1/keysets/{lent}", headers=root).json["spec"]["isDefault"] is False
    assert take(client, bot, lent).status_code == 201


def test_a_second_way_to_the_keyset_keeps_the_lease(client: FlaskClient, lent: str, bot: dict[str, str], make: Factory) -> None:
    make.change(lambda realm, found: access.grant_role(realm, applications.holder_of(found), "lender"), "deployer")
    uid = take(client, bot, lent).json["uid"]
    make.change(lose_grant, "deployer")
    make.change(lambda realm, found: set_application(realm, found, description="new"), "deployer")
    assert ended_at(make, uid) is None


def test_a_grant_that_went_while_a_lease_was_asked_for_is_noticed(
    client: FlaskClient, lent: str, made: Made, bot: dict[str, str], make: Factory
) -> None:
    assert take(client, bot, lent).status_code == 201  # everything is in memory now
    with make.app.app_context():  # past the feed: memory still says that it may
        db.session.execute(text("DELETE FROM access_grant WHERE holder_name = 'deployer'"))
        db.session.commit()
    assert take(client, bot, lent).status_code == 404
    assert len(client.get("/v1/leases", headers=bot).json["items"]) == 1


def test_leases_are_ended_by_hand_once(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory
) -> None:
    own, others = take(client, bot, lent).json["uid"], take(client, bot, lent).json["uid"]
    assert client.delete(f"/v1/leases/{own}", headers=bot).status_code == 204
    assert client.delete(f"/v1/leases/{others}?reason=it+leaked", headers=root).status_code == 204
    assert client.delete(f"/v1/leases/{others}", headers=root).status_code == 204
    status = state_of(client, bot, others)
    assert (status["state"], status["endReason"], status["endedBy"]) == ("ended", "it leaked", "user:root@example.test")
    for tag, uid in (("admin:lease:end", others), ("client:lease:end", own)):
        assert [detail["uid"] for _, _, detail in events(make, tag)] == [uid]
    uid = take(client, bot, lent).json["uid"]
    make.user("auditor@example.test", roles=("auditor",))
    auditor = session_of(client, "auditor@example.test")
    assert client.delete(f"/v1/leases/{uid}", headers=auditor).status_code == 403
    stranger = token_of(client, borrower(make, "stranger"))
    assert client.delete(f"/v1/leases/{uid}", headers=stranger).status_code == 404
    assert client.get(f"/v1/leases/{uid}", headers=stranger).status_code == 404
    assert client.get("/v1/leases", headers=stranger).json["items"] == []
    assert state_of(client, bot, uid)["state"] == "live"


def test_versions_tell_who_holds_them(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], frozen_clock: FrozenClock
) -> None:
    old = take(client, bot, lent, seconds=300).json["uid"]
    client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    new = take(client, bot, lent, seconds=60)
    assert (new.json["version"], new.json["values"]["pub"]) == (2, "AKIA-second-id")

    def held() -> list[Any]:
        items = client.get(f"/v1/keysets/{lent}/versions", headers=root).json["items"]
        return [
            (each["spec"]["version"], *(each["status"][name] for name in ("state", "liveLeases", "heldUntil", "freeSince")))
            for each in items
        ]

    assert held() == [(2, "current", 1, at(frozen_clock, 60), None), (1, "replaced", 1, at(frozen_clock, 300), None)]
    assert client.get(f"/v1/leases/{old}", headers=bot).json["spec"]["version"] == 1
    frozen_clock.advance(seconds=100)
    client.delete(f"/v1/leases/{old}", headers=bot)
    assert held() == [(2, "current", 0, None, None), (1, "replaced", 0, None, at(frozen_clock, 0))]


def test_tidying_notes_what_ran_out_and_forgets_what_is_long_over(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory, frozen_clock: FrozenClock
) -> None:
    uid = take(client, bot, lent, seconds=300).json["uid"]
    over = at(frozen_clock, 300)
    client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    frozen_clock.advance(seconds=400)
    make.do(lambda _: keysets.tidy_leases())
    with make.app.app_context():
        lease = db.session.scalars(select(Lease)).one()
        assert (lease.state(frozen_clock.now()), lease.ended_at) == (LeaseState.EXPIRED, lease.expires_at)
    frozen_clock.advance(days=91)
    make.do(lambda _: keysets.tidy_leases())
    assert make.do(lambda realm: keysets.find_lease(realm, uid)) is None
    header = session_of(client, "root@example.test")
    versions = client.get(f"/v1/keysets/{lent}/versions", headers=header).json["items"]
    assert versions[1]["status"]["freeSince"] == over


def test_lists_of_leases_are_filtered(client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str]) -> None:
    other = keep(client, root, name="other", projects=["vision"])
    first, second = take(client, bot, lent).json["uid"], take(client, bot, other).json["uid"]
    client.delete(f"/v1/leases/{first}", headers=bot)
    for query, found in (
        ("", [second, first]),
        ("state=live", [second]),
        ("state=over", [first]),
        (f"keyset={lent}", [first]),
        ("application=deployer", [second, first]),
        ("application=x", []),
        ("orderBy=creationTimestamp", [first, second]),
    ):
        listed = client.get(f"/v1/leases?{query}", headers=root).json["items"]
        assert [item["metadata"]["uid"] for item in listed] == found, query


@pytest.mark.parametrize(
    "damage",
    [
        (
            "UPDATE keyset_key SET sealed_value = CAST(substr(sealed_value, 1, 20) || "
            "CASE substr(sealed_value, 21, 1) WHEN x'78' THEN 'y' ELSE 'x' END || substr(sealed_value, 22) AS BLOB) "
            "WHERE key_type = 'pvt' AND keyset_id = 1"
        ),
        "UPDATE keyset_key SET sealed_value = x'' WHERE key_type = 'pvt' AND keyset_id = 1",
        (
            "UPDATE keyset_key SET sealed_value = (SELECT sealed_value FROM keyset_key WHERE keyset_id = 2 AND key_type = 'pvt') "
            "WHERE keyset_id = 1 AND key_type = 'pvt'"
        ),
        "UPDATE keyset_key SET key_type = CASE key_type WHEN 'pub' THEN 'pvt1' ELSE 'pub1' END WHERE keyset_id = 1",
        "UPDATE keyset SET sealed_data_key = (SELECT sealed_data_key FROM keyset WHERE id = 2) WHERE id = 1",
        (
            "UPDATE keyset SET sealed_data_key = substr(sealed_data_key, 1, 30) || "
            "CASE substr(sealed_data_key, 31, 1) WHEN 'x' THEN 'y' ELSE 'x' END || substr(sealed_data_key, 32) WHERE id = 1"
        ),
        "UPDATE keyset SET sealed_data_key = 'v1.nokey.AAAA' WHERE id = 1",
        "UPDATE keyset SET sealed_data_key = '' WHERE id = 1",
        # a byte that is not UTF-8, and a text where bytes should be
        "UPDATE keyset SET sealed_data_key = CAST(CAST(substr(sealed_data_key, 1, 40) AS BLOB) || x'ff' AS TEXT) WHERE id = 1",
        "UPDATE keyset_key SET sealed_value = 'text' WHERE key_type = 'pvt' AND keyset_id = 1",
        "UPDATE keyset SET category = 'storage' WHERE id = 1",
        "UPDATE keyset SET version = 7 WHERE id = 1",
        (
            "UPDATE keyset_key SET key_type = CASE id WHEN 1 THEN 'x' ELSE 'pub' END WHERE keyset_id = 1; "
            "UPDATE keyset_key SET key_type = 'pvt' WHERE key_type = 'x'"
        ),  # the two values change places
        "UPDATE keyset SET uid = '3f0c1a52-8a4e-4f7e-9d55-6a4c6f1f2b10' WHERE id = 1",
        "DELETE FROM keyset_key WHERE key_type = 'pvt' AND keyset_id = 1",
    ],
)
def test_damage_is_of_one_keyset_and_a_new_version_mends_it(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory, damage: str
) -> None:
    sound = keep(client, root, name="sound", projects=["vision"])
    with make.app.app_context():
        for statement in damage.split("; "):
            db.session.execute(text(statement))
        db.session.commit()
    answer = take(client, bot, "prod aws")
    assert (answer.status_code, answer.json["code"]) == (409, "KeysetDamaged"), answer.text
    assert "prod aws" in answer.json["message"]
    assert take(client, bot, sound).json["values"] == AWS_VALUES
    assert client.get("/v1/keysets/prod aws", headers=root).json["status"] == {"damaged": True}
    assert client.get(f"/v1/keysets/{sound}", headers=root).json["status"] == {"damaged": False}
    assert client.get("/v1/keysets", headers=root).json["listmeta"]["count"] == 2
    assert keysets_damaged(make) == ["prod aws"]
    assert len(client.get("/v1/leases", headers=bot).json["items"]) == 1
    if "category" in damage:
        return  # what it is for now has other keys
    mended = client.post("/v1/keysets/prod aws/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    assert mended.status_code == 201
    assert take(client, bot, "prod aws").json["values"]["pub"] == "AKIA-second-id"


def test_an_old_value_does_not_open_as_a_newer_version(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory
) -> None:
    keys, data_key = select(KeysetKey.key_type, KeysetKey.sealed_value), select(Keyset.sealed_data_key)
    old = make.do(lambda _: (dict(db.session.execute(keys).all()), db.session.scalar(data_key)))
    client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    assert take(client, bot, lent).json["values"]["pub"] == "AKIA-second-id"
    with make.app.app_context():
        db.session.execute(update(Keyset).values(sealed_data_key=old[1]))
        for key_type, value in old[0].items():
            db.session.execute(update(KeysetKey).where(KeysetKey.key_type == key_type).values(sealed_value=value))
        db.session.commit()
    assert keysets_damaged(make) == ["prod aws"]
    make.do(lambda realm: publish_keyset(realm, *keysets.find_keysets(realm, lent)))
    assert take(client, bot, lent).json["code"] == "KeysetDamaged"
    with make.app.app_context():  # with the number that it had, too
        db.session.execute(update(Keyset).values(version=1))
        db.session.commit()
    make.do(lambda realm: publish_keyset(realm, *keysets.find_keysets(realm, lent)))
    assert take(client, bot, lent).json["code"] == "KeysetDamaged"
    mended = client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root)
    assert mended.json["version"] == 3
    assert take(client, bot, lent).json["version"] == 3


def keysets_damaged(make: Factory) -> list[str]:
    with make.app.app_context():
        return [row.name for _, row, damaged in keysets.check_keysets() if damaged]


def test_nothing_of_the_values_is_in_the_database(
    client: FlaskClient, root: dict[str, str], lent: str, bot: dict[str, str], make: Factory
) -> None:
    take(client, bot, lent)
    client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS}}, headers=root | {"Idempotency-Key": "k"})
    client.post(f"/v1/keysets/{lent}/versions", json={"spec": {"keys": OTHER_AWS[:1]}}, headers=root)
    with make.app.app_context():
        path = db.engine.url.database
        db.session.rollback()
    assert path is not None
    from pathlib import Path

    stored = b"".join(each.read_bytes() for each in Path(path).parent.glob("*") if each.is_file() and each.name != "master.key")
    assert b"prod aws" in stored
    for secret in (*AWS_VALUES.values(), *(each["value"] for each in OTHER_AWS)):
        assert secret.encode() not in stored
