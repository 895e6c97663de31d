"""The audit trail cannot be changed, and is in the transaction of the act."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from idp import access, audit, realms
from idp.audit import Actor, Tag, acting_as, list_events, record
from idp.db import commit, db
from idp.realms import Realm


@pytest.mark.spec("R124")
@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "DELETE FROM audit_event WHERE id = 1"]
)
def test_database_refuses_to_change_the_past(context: Flask, statement: str) -> None:
    before = len(list_events(limit=1000))
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(text(statement))
    db.session.rollback()
    assert len(list_events(limit=1000)) == before


@pytest.mark.spec("R124")
def test_event_is_stored_exactly_when_the_act_is(realm: Realm) -> None:
    access.create_role(realm, "tester")
    db.session.rollback()
    assert not list_events("acme", target="role:tester")
    with acting_as(Actor("operator:alice", "203.0.113.5")):
        access.create_role(realms.get_realm("acme"), "tester")
    commit()
    (event,) = list_events("acme", target="role:tester")
    assert (event.tag, event.actor, event.address, event.outcome) == (
        "admin:role:create",
        "operator:alice",
        "203.0.113.5",
        "success",
    )
    assert event.at.tzinfo is not None


def test_events_are_found_by_each_field_newest_first(context: Flask) -> None:
    with acting_as(Actor("operator:alice")):
        for number in range(5):
            record(Tag.ROLE_CREATE, "acme", f"role:r{number}")
    commit()
    targets = [event.target for event in list_events("acme", actor="operator:alice")]
    assert targets == [f"role:r{number}" for number in (4, 3, 2, 1, 0)]
    page = list_events("acme", actor="operator:alice", limit=2)
    rest = list_events("acme", actor="operator:alice", before=page[-1].id)
    assert [event.target for event in (*page, *rest)] == targets
    assert list_events("acme", tag="admin:role", target="role:r3")
    assert not list_events("acme", tag="admin_role")
    assert not list_events("acme", tag="%")
    assert not list_events("other")


def test_every_tag_has_source_subject_and_action() -> None:
    assert all(len(tag.value.split(":")) == 3 for tag in Tag)
    assert len({tag.value for tag in Tag}) == len(Tag)
    assert audit.SYSTEM.address == "local"
