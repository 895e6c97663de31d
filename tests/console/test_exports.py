"""Lists as files: what a list shows, all pages of it, safe in a spreadsheet, recorded."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from idp import access, applications, clock, users
from idp.audit import AuditEvent, Tag
from idp.console import exports, lists
from idp.db import db
from idp.users import Group
from tests.console.surfing import Surfer
from tests.factories import Factory, set_application

BASE = "/console/realms/acme"


def rows_of(surfer: Surfer) -> list[dict[str, str]]:
    assert surfer.status == 200, surfer.text
    assert surfer.page.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(surfer.text)))


def link(surfer: Surfer) -> str:
    (url,) = re.findall(r'href="([^"]+)">.{0,900}?Export CSV</a>', surfer.text, re.DOTALL)[-1:]
    return str(url).replace("&amp;", "&")


@pytest.fixture
def many(make: Factory) -> None:
    def fill(realm: object) -> None:
        for number in range(130):
            applications.create_application(realm, f"bot-{number:03}", applications.ApplicationSheet())  # type: ignore[arg-type]

    make.do(fill)


@pytest.mark.usefixtures("many")
def test_a_file_has_what_the_list_shows_of_all_pages_in_its_order(ann: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "BATCH", 40)
    monkeypatch.setattr(exports, "BATCH", 40)
    ann.open(f"{BASE}/applications?search=bot-&sort=-name&size=25&columns=name&columns=state&after=WyJib3QtMTA1IiwxMDVd")
    rows = rows_of(ann.open(link(ann)))
    assert [row["Name"] for row in rows] == [f"bot-{number:03}" for number in reversed(range(130))]
    assert rows[0] == {"Name": "bot-129", "State": "enabled"}
    name = ann.page.headers["Content-Disposition"]
    assert name == f'attachment; filename="acme-applications-{clock.now():%Y-%m-%d}.csv"'


def test_what_would_be_a_formula_in_a_spreadsheet_is_text(ann: Surfer, make: Factory) -> None:
    make.application("tricky", roles=())
    make.change(lambda realm, row: set_application(realm, row, description='=HYPERLINK("http://evil.example", "a, b")'), "tricky")
    ann.open(f"{BASE}/applications?search=tricky&as=csv")
    assert rows_of(ann)[0]["Description"] == '\'=HYPERLINK("http://evil.example", "a, b")'
    assert '"\'=HYPERLINK(""http://evil.example"", ""a, b"")"' in ann.text


def test_an_export_is_recorded_with_what_it_was_narrowed_to(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application()
    ann.open(f"{BASE}/applications?state=enabled&as=csv")
    ann.open(f"{BASE}/access.csv?role=viewer")
    with app.app_context():
        found = db.session.query(AuditEvent).filter_by(tag=Tag.LIST_EXPORT.value).order_by(AuditEvent.id)
        assert [(row.target, row.detail) for row in found] == [
            ("realm:acme", {"list": "Applications", "narrowed": {"state": "enabled"}}),
            ("realm:acme", {"list": "Roles and projects", "narrowed": {"role": "viewer"}}),
        ]
        db.session.rollback()


def test_the_members_of_a_group_are_a_file_too(ann: Surfer, make: Factory) -> None:
    make.user("bea@example.test", first_name="Bea", last_name="Ode")

    def add(realm: Any) -> None:
        users.add_member(realm, users.get_group(realm, "modellers"), users.get_user_by_name(realm, "bea@example.test"))

    make.do(add)
    ann.open(f"{BASE}/groups/modellers?as=csv")
    assert ann.page.mimetype == "text/csv", ann.text
    assert ann.text.splitlines() == ["Name,Full name", "ann@acme.example,Ann Example", "bea@example.test,Bea Ode"]


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("applications", "Name"),
        ("users", "Name"),
        ("groups", "Name"),
        ("roles", "Name"),
        ("projects", "Name"),
        ("access", "Who"),
        ("api-keys", "Owner"),
        ("keysets", "Name"),
        ("leases", "Application"),
        ("sessions", "Who"),
        ("personal-tokens", "ID"),
        ("registration-tokens", "Starts with"),
        ("apis", "Name"),
    ],
)
def test_every_list_is_a_file_too(ann: Surfer, make: Factory, path: str, column: str) -> None:
    make.application()
    make.key("ann@example.test")
    ann.open(f"{BASE}/{path}?as=csv")
    assert ann.page.mimetype == "text/csv", ann.text
    assert column in ann.text.splitlines()[0].split(",")


def test_organisations_and_what_is_ones_own_are_files_too(app: Flask, ann: Surfer, operator: Surfer, make: Factory) -> None:
    rows = {row["Name"]: row for row in rows_of(operator.open("/console/organisations?as=csv"))}
    assert rows["acme"]["Tokens (30 days)"].isdigit()
    make.key("ann@example.test", name="mine")
    make.user("bob@example.test")
    make.key("bob@example.test", name="not-mine")
    assert [row["Name"] for row in rows_of(ann.open("/console/my/keys?as=csv"))] == ["mine"]


def test_nobody_gets_a_file_of_what_they_may_not_see(app: Flask, make: Factory) -> None:
    make.application("vision-bot", roles=(), projects=("vision",))
    make.application("speech-bot", roles=(), projects=("speech",))
    make.user("eve@example.test", roles=(), projects=(("vision", "project-administrator"),))
    eve = Surfer(app).sign_in("eve@example.test")
    assert {row["Name"] for row in rows_of(eve.open(f"{BASE}/applications?as=csv"))} >= {"vision-bot"}
    assert "speech-bot" not in eve.open(f"{BASE}/applications?as=csv").text
    make.user("nobody@example.test", roles=())
    assert Surfer(app).sign_in("nobody@example.test").open(f"{BASE}/users?as=csv").status == 403


def test_only_what_was_picked_is_in_its_file(ann: Surfer, make: Factory) -> None:
    for name in ("one", "two", "three"):
        make.application(name, roles=())
    ann.open(f"{BASE}/applications?sort=-name&columns=name&columns=id")
    (action,) = re.findall(r'formaction="([^"]+)"', ann.text)
    token = dict(ann.form("Disable").values)["form"]
    headers = {"Origin": ann.origin, "Sec-Fetch-Site": "same-origin"}
    data = {"form": token, "picked": ["one", "two", "gone"]}
    ann.page = ann.client.post(action.replace("&amp;", "&"), data=data, headers=headers)
    assert [row["Name"] for row in rows_of(ann)] == ["two", "one"]
    ann.page = ann.client.post(action.replace("&amp;", "&"), data={"form": token}, headers=headers)
    assert (ann.status, "Nothing was selected" in ann.text) == (400, True)


def names(surfer: Surfer) -> list[str]:
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r'<th scope="row">(.*?)</th>', surfer.text, re.DOTALL)]


def test_applications_whose_secret_expires_soon_are_found(ann: Surfer, make: Factory) -> None:
    for name in ("soon", "late", "never", "over", "retired"):
        make.application(name, roles=())

    def expire(days: int) -> object:
        def act(realm: object, row: applications.Application) -> None:
            secret = applications.list_secrets(row)[0]
            secret.expires_at = clock.now() + timedelta(days=days)
            secret.retired_at = clock.now() if row.name == "retired" else None

        return act

    for name, days in {"soon": 20, "late": 40, "over": -1, "retired": 20}.items():
        make.change(expire(days), name)
    assert names(ann.open(f"{BASE}/applications?state=expiring")) == ["soon"]


def test_keys_are_narrowed_by_owner_end_role_and_project(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    make.application()
    make.key("ann@example.test", name="of-ann", hours=20 * 24)
    make.key("bob@example.test", name="of-bob", hours=40 * 24, roles=["viewer"], projects=["vision"])

    def shown(query: str) -> list[str]:
        return sorted(names(ann.open(f"{BASE}/api-keys?{query}")))

    assert shown("owner=bob") == ["of-bob"]
    assert shown("owner=user:ann@example.test") == ["of-ann"]
    assert shown("owner=application:bob") == []
    assert shown("owner=group:ann") == []
    assert shown("state=expiring") == ["of-ann"]
    assert shown("role=viewer") == ["of-bob"]
    assert shown("role=view") == []
    assert shown("project=vision") == ["of-bob"]
    assert "Owner" not in [line for line in ann.open("/console/my/keys").text.splitlines() if "placeholder" in line]


def test_users_and_groups_are_narrowed_by_what_they_hold_and_use(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("old@example.test", roles=())
    make.user("new@example.test", roles=(), projects=(("vision", "researcher"),))

    def fill(realm: object) -> None:
        for name in ("labellers", "others"):
            users.create_group(realm, name)  # type: ignore[arg-type]
        group = db.session.scalars(db.select(Group).filter_by(name="labellers")).one()
        users.add_member(realm, group, users.get_user(realm, "new@example.test"))  # type: ignore[arg-type]
        access.grant_role(realm, users.group_holder(group), "viewer", project="vision")  # type: ignore[arg-type]
        access.grant_role(realm, users.group_holder(group), "viewer")  # type: ignore[arg-type]

    make.do(fill)
    make.do(lambda realm: setattr(users.get_user(realm, "old@example.test"), "created_at", clock.now() - timedelta(days=91)))
    assert names(ann.open(f"{BASE}/users?state=unused")) == ["old@example.test"]
    assert names(ann.open(f"{BASE}/users?project=vision")) == ["new@example.test"]
    assert names(ann.open(f"{BASE}/users?group=labellers")) == ["new@example.test"]
    assert names(ann.open(f"{BASE}/groups?project=vision&search=labellers")) == ["labellers"]
    assert "others" not in names(ann.open(f"{BASE}/groups?project=vision"))
    assert names(ann.open(f"{BASE}/groups?role=viewer&search=labellers")) == ["labellers"]
    assert names(ann.open(f"{BASE}/groups?role=auditor")) == []


def test_groups_are_paged_by_their_display_names(ann: Surfer, make: Factory) -> None:
    make.do(lambda realm: [users.create_group(realm, f"group-{number:02}") for number in range(30)])
    ann.open(f"{BASE}/groups?sort=display_name&size=25")
    assert ann.status == 200
    assert 'rel="next"' in ann.text
