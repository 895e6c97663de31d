"""Retention: token events go when their time is over, acts of people stay, and the trail can be followed over the cut."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from idp import audit, realms, trail
from idp.audit import AuditEvent, Tag
from idp.db import commit, db
from idp.settings import Settings
from idp.trail import AuditBatch, AuditCut, Kind
from tests.conftest import FrozenClock
from tests.factories import set_realm


def use(realm: str = "acme", number: int = 3) -> None:
    """Write what tokens leave behind, and seal it together with an act of somebody."""
    values = [
        audit.event_values(audit_now(), realm, Tag.TOKEN_ISSUE, "application:ci-bot", f"token:{n}", "10.0.0.1", "success")
        for n in range(number)
    ]
    db.session.execute(insert(AuditEvent), values)
    audit.record(Tag.ROLE_UPDATE, realm, "role:r1")
    commit()
    trail.seal_trail()


def audit_now():  # type: ignore[no-untyped-def]
    from idp import clock

    return clock.now()


def count(tag: Tag, realm: str = "acme") -> int:
    query = select(func.count()).select_from(AuditEvent).where(AuditEvent.tag == tag, AuditEvent.realm == realm)
    found = db.session.scalar(query) or 0
    db.session.rollback()
    return int(found)


@pytest.fixture
def old(context: Flask, frozen_clock: FrozenClock) -> FrozenClock:
    """A trail with two batches that are more than a year old, and a new one."""
    trail.seal_trail()
    use()
    use()
    frozen_clock.advance(days=367)
    use()
    return frozen_clock


def test_token_events_of_more_than_a_year_go_and_acts_stay(old: FrozenClock) -> None:
    acts = count(Tag.ROLE_UPDATE)
    assert count(Tag.TOKEN_ISSUE) == 9
    assert trail.cut_old_events() >= 6
    assert (count(Tag.TOKEN_ISSUE), count(Tag.ROLE_UPDATE)) == (3, acts)
    assert count(Tag.AUDIT_CUT) == 1
    trail.seal_trail()
    report = trail.verify_trail("acme")
    assert report.problems == []
    assert report.cut >= 6
    assert all(trail.verify_trail(name).problems == [] for name in trail.trail_names())
    assert trail.cut_old_events() == 0, "there is nothing more"
    assert trail.look_at_end("acme") == ""


def test_cut_trail_can_be_exported_and_verified_elsewhere(old: FrozenClock) -> None:
    trail.cut_old_events()
    trail.seal_trail()
    lines = list(trail.export_trail("acme"))
    report = trail.read_export(lines)
    assert report.problems == []
    assert report.cut >= 6


def test_realm_that_keeps_everything_loses_nothing(old: FrozenClock) -> None:
    set_realm(realms.get_realm("acme"), audit_days=0)
    commit()
    trail.cut_old_events()
    assert count(Tag.TOKEN_ISSUE) == 9


def test_what_goes_is_archived_first_and_the_archive_verifies(
    old: FrozenClock, context: Flask, settings: Settings, tmp_path: Path
) -> None:
    from dataclasses import replace

    archive = tmp_path / "archive"
    process = context.extensions["realmgate"]
    context.extensions["realmgate"] = replace(process, settings=settings.model_copy(update={"audit_archive_dir": archive}))
    with pytest.raises(OSError, match="archive"):
        trail.cut_old_events()
    db.session.rollback()
    assert count(Tag.TOKEN_ISSUE) == 9, "what cannot be archived is not cut"
    archive.mkdir()
    trail.cut_old_events()
    (file,) = archive.glob("audit-acme-*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    text_of_it = file.read_text()
    assert text_of_it.count(Tag.TOKEN_ISSUE.value) == 6
    report = trail.read_export(text_of_it.splitlines(), is_part=True)
    assert report.problems == []


def test_nothing_is_cut_of_a_trail_that_is_not_whole(old: FrozenClock) -> None:
    connection = db.session.connection()
    connection.execute(text("DROP TRIGGER audit_event_no_update"))
    connection.execute(
        update(AuditEvent).where(AuditEvent.tag == Tag.TOKEN_ISSUE, AuditEvent.target == "token:1").values(actor="x")
    )
    commit()
    trail.cut_old_events()
    assert count(Tag.TOKEN_ISSUE) == 9
    assert trail.verify_trail("acme").problems[0].kind is Kind.EDITED


@pytest.mark.parametrize("change", ["kept entry", "statement", "kept list"])
def test_forged_cut_is_named(old: FrozenClock, change: str) -> None:
    trail.cut_old_events()
    trail.seal_trail()
    connection = db.session.connection()
    for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        connection.execute(text(f"DROP TRIGGER {name}"))
    cut = db.session.scalars(select(AuditCut).where(AuditCut.realm == "acme")).one()
    match change:
        case "kept entry":
            (kept, *_) = trail.unpack_cut(cut).ids
            connection.execute(text("DELETE FROM audit_event WHERE id = :id"), {"id": kept})
        case "statement":
            cut.statement = ""
        case "kept list":
            cut.kept_ids, cut.kept_digests = cut.kept_ids[8:], cut.kept_digests[32:]
    commit()
    assert trail.verify_trail("acme").problems


def test_database_refuses_to_remove_outside_of_a_cut(old: FrozenClock) -> None:
    trail.cut_old_events()
    for table in ("audit_event", "audit_batch", "audit_cut"):
        with pytest.raises(SQLAlchemyError, match="append-only"):
            db.session.execute(text(f"DELETE FROM {table}"))
        db.session.rollback()


def test_two_workers_at_once_cut_once(old: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.trail import retention

    carry_out = retention._carry_out

    def carry_out_twice(plan):  # type: ignore[no-untyped-def]
        first = carry_out(plan)
        assert carry_out(plan) == 0
        return first

    monkeypatch.setattr(retention, "_carry_out", carry_out_twice)
    assert trail.cut_old_events() >= 6
    trail.seal_trail()
    assert trail.verify_trail("acme").problems == []


def test_retention_is_at_least_thirty_days(context: Flask) -> None:
    from idp.errors import InvalidValueError

    with pytest.raises(InvalidValueError, match="audit_days"):
        set_realm(realms.get_realm("acme"), audit_days=29)


@pytest.mark.parametrize(
    "change", ["UPDATE realm SET audit_days = -1", "UPDATE audit_batch SET sealed_at = '2020-01-01 00:00:00'"]
)
def test_what_is_young_is_not_cut_whatever_the_database_says_of_its_age(context: Flask, change: str) -> None:
    use()
    use()
    for (name,) in db.session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        db.session.execute(text(f"DROP TRIGGER {name}"))
    db.session.execute(text(change))
    commit()
    assert trail.cut_old_events() == 0
    assert count(Tag.TOKEN_ISSUE) == 6


def test_newest_batch_always_stays(context: Flask, frozen_clock: FrozenClock) -> None:
    use()
    frozen_clock.advance(days=800)
    trail.cut_old_events()
    numbers = db.session.scalars(select(AuditBatch.number).where(AuditBatch.realm == "acme")).all()
    assert numbers
