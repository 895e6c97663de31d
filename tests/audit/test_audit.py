"""The audit trail cannot be changed, and is in the transaction of the act."""

import ast
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from idp import access, applications, audit, clock, realms
from idp.applications import Application
from idp.audit import Actor, Tag, acting_as, list_events, record
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.realms import Realm
from tests.factories import Factory, set_api
from tests.serving import PROJECT


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


def targets_in_the_code() -> set[str]:
    """Return the kinds of all targets that are written `f"<kind>:{name}"` where something is recorded."""
    kinds: set[str] = set()
    for path in (PROJECT / "idp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")).startswith("record"):
                for argument in node.args:
                    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
                        kind, colon, _ = str(argument.values[0].value).partition(":")
                        kinds |= {kind} if colon else set()
    return kinds


def test_everything_in_the_trail_is_found_by_its_name_alone(app: Flask, make: Factory) -> None:
    # tokens have no names
    assert targets_in_the_code() - {"token"} <= set(audit.service.KINDS)
    rules = [{"methods": ["GET"], "path": "/"}]
    make.do(lambda realm: set_api(realm, "docs-api", audience="https://docs.example", rules=rules))
    with app.app_context():
        found = audit.list_events("acme", target="docs-api")
    assert [event.target for event in found] == ["protected-api:docs-api"]


def test_secret_does_not_expire_in_the_past_whoever_asks(make: Factory) -> None:
    made = make.application()

    def change(realm: Realm, application: Application) -> None:
        secret = applications.find_secret(application, "main")
        assert secret is not None
        applications.change_expiry(realm, application, secret, clock.now() - timedelta(seconds=1))

    with pytest.raises(InvalidValueError, match="would expire in the past"):
        make.change(change, made.client_id)
