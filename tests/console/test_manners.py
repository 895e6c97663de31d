"""What people run into: half a form, Enter, a reload, a session that ended meanwhile, a slow reader, an end of the line."""

import math
import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert

from idp import access, clock
from idp.audit import AuditEvent, Tag, event_values
from idp.db import commit, db
from idp.settings import Settings
from idp.web import downloads
from tests.console.surfing import Surfer
from tests.console.test_every_page import crawl
from tests.factories import Factory, set_realm

BASE = "/console/realms/acme"


def add_events(app: Flask, count: int) -> None:
    with app.app_context():
        rows = [
            event_values(clock.now(), "acme", Tag.TOKEN_ISSUE, f"application:{number}", "t", "x", "success")
            for number in range(count)
        ]
        db.session.execute(insert(AuditEvent), rows)
        commit()


def can_write(settings: Settings) -> bool:
    assert settings.sqlite_path is not None
    connection = sqlite3.connect(Path(settings.sqlite_path), timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def test_a_file_is_sent_while_it_is_made_and_says_how_much_it_holds(app: Flask, ann: Surfer, settings: Settings) -> None:
    add_events(app, 25_000)
    pieces = ann.client.get(f"{BASE}/audit.jsonl").iter_encoded()
    first = next(pieces)
    assert can_write(settings)
    assert first.count(b"\n") == 1_000
    assert (first + b"".join(pieces)).count(b"\n") == 20_000
    assert "the newest 20,000 events" in ann.open(f"{BASE}/audit").text


def test_a_file_that_is_not_taken_in_time_ends(app: Flask, ann: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(app, 2_500)
    for _ in range(downloads.AT_ONCE + 1):  # each gives its place back
        pieces = ann.client.get(f"{BASE}/audit.jsonl").iter_encoded()
        next(pieces)
        with monkeypatch.context() as later, pytest.raises(downloads.DownloadOverError):
            later.setattr(downloads.time, "monotonic", lambda: math.inf)
            list(pieces)
    assert ann.open(f"{BASE}/audit.jsonl").status == 200


def test_files_are_read_while_somebody_writes(app: Flask, ann: Surfer, settings: Settings) -> None:
    ann.open(BASE)  # what renews the session has done so
    assert settings.sqlite_path is not None
    writer = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert ann.open(f"{BASE}/access.csv").text.count("\n") > 3
        # the trail is handed out only when that can be recorded
        assert ann.open(f"{BASE}/audit.jsonl").status == 503
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    assert ann.open(f"{BASE}/audit.jsonl").text.count("\n") > 3


def test_a_row_that_is_half_filled_in_is_refused(ann: Surfer) -> None:
    project, role = "Name the project, or leave the row empty.", "Choose one."
    until = {"projects-0-until": "2099-01-01T00:00"}
    for half, said in (
        ({"projects-0-role": "viewer"}, [project]),
        ({"projects-0-project": "vision"}, [role]),
        (until, [project, role]),
    ):
        ann.open(f"{BASE}/new-application").send("Create", {"name": "half", **half})
        assert ann.status == 400
        assert [each for each in (project, role) if each in ann.text] == said


def test_a_key_is_given_one_life(ann: Surfer) -> None:
    for lives in ({"hours": "5", "never": "y"}, {"hours": "5", "expires": "2099-01-01T00:00"}):
        ann.open("/console/my/keys/new").send("Create", {"name": "k", **lives})
        assert ann.status == 400
        assert "Give only one of" in ann.text


def test_reloading_the_page_with_a_key_makes_no_other(app: Flask, ann: Surfer) -> None:
    ann.open("/console/my/keys/new")
    sent = dict(ann.form("Create").values) | {"name": "once"}
    headers = {"Origin": "http://localhost:8080"}
    answers = [ann.client.post("/console/my/keys/new", data=sent, headers=headers).status_code for _ in range(2)]
    assert answers == [200, 403]
    assert ann.open("/console/my/keys").text.count(">once<") == 1


@pytest.mark.parametrize("role", ["auditor", "administrator"])
def test_who_has_a_role_on_one_project_is_offered_only_what_they_may_see(app: Flask, make: Factory, role: str) -> None:
    make.user("eve@example.test", projects=(("vision", role),))
    surfer = Surfer(app).sign_in("eve@example.test")
    assert [url for url, page in crawl(surfer).items() if page.status_code != 200] == []


def test_who_decides_on_one_project_sees_its_applications_and_no_others_at_either_edge(app: Flask, make: Factory) -> None:
    make.user("eve@example.test", projects=(("vision", "project-administrator"),))
    make.application("vision-bot", projects=("vision",), description="of the project")
    hidden = make.application("secretbot", description="of nobody's business")
    eve, key = Surfer(app).sign_in("eve@example.test"), make.key("eve@example.test").header
    eve.open(f"{BASE}/applications")
    assert "vision-bot" in eve.text
    for told in (hidden.client_id, "of nobody", hidden.uid):
        assert told not in eve.text
    for name, status in (("vision-bot", 200), ("secretbot", 404), (hidden.uid, 404), ("nosuch", 404)):
        for page in ("", "/try"):
            assert eve.open(f"{BASE}/applications/{name}{page}").status == status, (name, page)
        assert app.test_client().get(f"/v1/applications/{name}", headers=key).status_code == status


def test_a_form_that_comes_too_late_is_told_so_and_leads_back(ann: Surfer, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    ann.open(f"{BASE}/new-project")
    frozen_clock.advance(seconds=901)
    ann.send("Create", {"name": "late"})
    assert ann.url == "/console/sign-in"
    assert "Your session has ended" in ann.text
    ann.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": "correct horse battery staple"})
    assert ann.url == f"{BASE}/new-project"


def test_the_last_who_can_give_roles_is_warned(ann: Surfer, make: Factory) -> None:
    url = f"{BASE}/access/take?holder=user:ann@example.test&role=administrator"
    assert "you cannot assign yourself a role again" in ann.open(url).text
    assert "Cannot be undone" in ann.text
    assert "Nobody else can assign roles here" in ann.text
    make.user("bob@example.test", roles=("administrator",))
    assert "Nobody else can assign roles here" not in ann.open(url).text


def test_what_is_in_use_is_not_offered_for_deletion(ann: Surfer, make: Factory) -> None:
    make.do(lambda realm: access.create_role(realm, "held"))
    make.user("bob@example.test", roles=("held",))
    for path in ("roles/held/delete", "projects/vision/delete"):
        ann.open(f"{BASE}/{path}")
        assert ann.status == 200
        assert not any("Delete" in button for form in ann.read().forms for button in form.buttons), path


def test_refusals_speak_of_fields_and_not_of_commands(ann: Surfer) -> None:
    ann.open(f"{BASE}/settings").send("Save", {"session_hours": "99999"})
    assert "Longest session: 99999 is out of range" in ann.text
    ann.open(f"{BASE}/access/give").send("Assign", {"holder": "application:nowhere", "role": "viewer"})
    assert ann.status == 404
    assert "idp " not in ann.text.partition("<main")[2]


def test_audit_finds_names_without_their_kind(ann: Surfer) -> None:
    assert "user:session:start" in ann.open(f"{BASE}/audit?actor=ann@example.test").text
    assert "admin:realm:create" in ann.open(f"{BASE}/audit?actor=system&target=acme").text


def test_operators_come_back_to_where_they_were(operator: Surfer, make: Factory) -> None:
    make.realm("globex")
    operator.open("/console/organisations?search=glob&state=active")
    link = next(each for each in operator.read().links if "globex/deactivate" in each)
    operator.open(link).send("Deactivate")
    assert operator.page.request.full_path == "/console/organisations?search=glob&state=active&done=deactivated"
    operator.open("/console/realms/globex/applications")
    assert "This organisation is inactive" in operator.text


def test_somebody_without_a_role_is_told_so(app: Flask, make: Factory) -> None:
    make.user()
    assert "You have no role in Acme" in Surfer(app).sign_in().open("/console/my/keys").text


def test_a_personal_token_lives_as_chosen_where_people_may_choose(app: Flask, ann: Surfer, make: Factory) -> None:
    ann.open("/console/my/personal-tokens/new")
    assert "seconds" not in dict(ann.form("Create").values)
    make.do(lambda realm: set_realm(realm, personal_token_choice=True))
    ann.open("/console/my/personal-tokens/new").send("Create", {"seconds": "3600"})
    assert ann.status == 200
    assert "in 59 minutes" in ann.open("/console/my/personal-tokens").text or "in 1 hour" in ann.text
