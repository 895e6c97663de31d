"""The calendar of signing keys."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from idp import audit, clock, keys, realms, runtime, setup
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.errors import ConflictError, IdpError, NotFoundError
from idp.keys import KeyState
from idp.realms import Realm
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import at_once, set_realm


def states(realm: Realm, now: Callable[[], object], algorithm: str = "RS256") -> list[str]:
    return [key.state(now()).value for key in keys.list_keys(realm) if key.algorithm == algorithm]  # type: ignore[arg-type]


@pytest.mark.spec("R62")
def test_key_lives_through_its_states(realm: Realm, frozen_clock: FrozenClock) -> None:
    old = next(key for key in keys.list_keys(realm) if key.algorithm == "RS256")
    new = keys.rotate_key(realm, "RS256")
    commit()
    assert new.active_from - frozen_clock.now() > timedelta(seconds=598)
    assert old.retires_at == new.active_from
    assert old.removed_at == new.active_from + timedelta(seconds=36_000 + 120)
    assert states(realm, frozen_clock.now) == ["active", "announced"]
    frozen_clock.advance(seconds=600)
    assert states(realm, frozen_clock.now) == ["retired", "active"]
    frozen_clock.advance(seconds=36_120)
    assert states(realm, frozen_clock.now) == ["removed", "active"]
    assert states(realm, frozen_clock.now, "ES256") == ["active"]


def test_one_successor_at_a_time(realm: Realm, frozen_clock: FrozenClock) -> None:
    keys.rotate_key(realm, "RS256")
    commit()
    with pytest.raises(ConflictError, match="already been announced"):
        keys.rotate_key(realm, "RS256")
    frozen_clock.advance(seconds=600)
    assert keys.rotate_key(realm, "RS256")


@pytest.mark.spec("T54")
def test_rotations_at_once_make_one_successor(app: Flask) -> None:
    def rotate() -> str:
        with app.app_context():
            try:
                keys.rotate_key(realms.get_realm("acme"), "ES256")
                commit()
            except IdpError:
                db.session.rollback()
                return "refused"
            return "rotated"

    outcomes = at_once(6, rotate)
    assert sorted(outcomes) == ["refused"] * 5 + ["rotated"]


def test_due_keys_rotate_on_schedule(realm: Realm, frozen_clock: FrozenClock) -> None:
    for days, expected in ((89, 2), (0.98, 2), (0.03, 6), (1, 6)):
        frozen_clock.advance(days=days)
        setup.rotate_keys_and_tidy()
        assert sum(len(keys.list_keys(each)) for each in realms.list_realms()) in {expected, expected + 2}
    assert states(realm, frozen_clock.now) == ["removed", "active"]


def test_schedule_can_be_turned_off(realm: Realm, frozen_clock: FrozenClock) -> None:
    set_realm(realm, key_rotation_days=0)
    commit()
    frozen_clock.advance(days=4000)
    setup.rotate_keys_and_tidy()
    assert states(realm, frozen_clock.now) == ["active"]


def test_private_half_is_destroyed_once_it_has_signed_its_last(realm: Realm, frozen_clock: FrozenClock) -> None:
    old = next(key for key in keys.list_keys(realm) if key.algorithm == "RS256")
    keys.rotate_key(realm, "RS256")
    commit()
    frozen_clock.advance(minutes=10 + 59)
    setup.rotate_keys_and_tidy()
    db.session.refresh(old)
    assert old.sealed_private_key
    frozen_clock.advance(minutes=2)
    setup.rotate_keys_and_tidy()
    db.session.refresh(old)
    assert old.sealed_private_key == ""
    assert old.public_jwk["kty"] == "RSA"


def test_revoked_key_is_replaced_at_once(realm: Realm, frozen_clock: FrozenClock) -> None:
    active = next(key for key in keys.list_keys(realm) if key.algorithm == "RS256")
    heir = keys.revoke_key(realm, active.uid, "laptop stolen")
    commit()
    assert heir is not None
    assert states(realm, frozen_clock.now) == ["revoked", "active"]
    assert active.sealed_private_key == ""
    with pytest.raises(ConflictError, match="revoked at"):
        keys.revoke_key(realm, active.uid, "again")
    event = audit.list_events("acme", tag="admin:key:revoke")[0]
    assert event.detail["reason"] == "laptop stolen"


def test_announced_successor_takes_over_at_once_from_a_revoked_key(realm: Realm, frozen_clock: FrozenClock) -> None:
    active = next(key for key in keys.list_keys(realm) if key.algorithm == "RS256")
    successor = keys.rotate_key(realm, "RS256")
    assert keys.revoke_key(realm, active.uid, "leaked") is successor
    commit()
    assert states(realm, frozen_clock.now) == ["revoked", "active"]


def test_revoking_the_announced_successor_leaves_the_active_key_for_good(realm: Realm, frozen_clock: FrozenClock) -> None:
    successor = keys.rotate_key(realm, "RS256")
    assert keys.revoke_key(realm, successor.uid, "leaked") is None
    commit()
    frozen_clock.advance(days=30)
    assert states(realm, frozen_clock.now) == ["active", "revoked"]
    assert keys.rotate_key(realm, "RS256").state(frozen_clock.now()) is KeyState.ANNOUNCED


def test_retired_key_can_be_revoked_too(realm: Realm, frozen_clock: FrozenClock) -> None:
    old = next(key for key in keys.list_keys(realm) if key.algorithm == "RS256")
    keys.rotate_key(realm, "RS256")
    frozen_clock.advance(hours=1)
    assert keys.revoke_key(realm, old.uid, "leaked") is None
    assert states(realm, frozen_clock.now) == ["revoked", "active"]


def test_key_of_another_realm_is_not_found(realm: Realm) -> None:
    foreign = keys.list_keys(realms.get_realm("master"))[0]
    with pytest.raises(NotFoundError):
        keys.revoke_key(realm, foreign.uid, "mistake")


def test_damaged_key_stops_its_own_algorithm_only(realm: Realm, caplog: pytest.LogCaptureFixture) -> None:
    """A private key that stands in another row does not open (AES-GCM with the key's identity as associated data)."""
    by_algorithm = {key.algorithm: key for key in keys.list_keys(realm)}
    by_algorithm["RS256"].sealed_private_key = by_algorithm["ES256"].sealed_private_key
    commit()
    known = realms.known_realm(runtime.current(), "acme")
    assert known is not None
    now = clock.timestamp() + 1
    ring = keys.key_ring(known)
    assert ring.signer("ES256", now).kid == by_algorithm["ES256"].uid
    with pytest.raises(IdpError, match="no usable RS256 key"):
        ring.signer("RS256", now)
    assert len(json.loads(ring.key_set(now)[0])["keys"]) == 2
    assert "is damaged in the database" in caplog.text


def test_long_announcement_and_short_rotation_do_not_collide(app: Flask, settings: Settings, frozen_clock: FrozenClock) -> None:
    slow = create_app(settings.model_copy(update={"key_set_max_age": 86_400}))
    with slow.app_context():
        set_realm(realms.get_realm("acme"), key_rotation_days=1)
        commit()
        for _ in range(120):
            frozen_clock.advance(hours=1)
            setup.rotate_keys_and_tidy()
            found = keys.list_keys(realms.get_realm("acme"))
            assert sum(key.state(frozen_clock.now()) is KeyState.ACTIVE for key in found) == 2
    close_app(slow)
