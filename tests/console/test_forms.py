"""What holds for every form: only a page of ours sends it, what was typed stays, two at once do not overwrite each other."""

import re

import pytest
from flask import Flask

from idp import applications, users
from idp.console.render import ended
from tests.console.surfing import Surfer
from tests.console.test_every_page import dump
from tests.factories import Factory, set_application, set_realm

FORM = "application/x-www-form-urlencoded"
OWN = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
FOREIGN = (
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:8081"},
    {"Origin": "http://sub.localhost:8080"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
PARTS = {
    "realm": "acme",
    "name": "ci-bot",
    "secret": "main",
    "key": "ann@example.test",
    "code": "idp_ol_x",
    "algorithm": "RS256",
    "uid": "none",
    "kid": "none",
}


def posts(app: Flask) -> list[str]:
    """Return a URL for every form of the console."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/console") and "POST" in (rule.methods or ())]
    return [re.sub(r"<(\w+)>", lambda part: PARTS[part[1]], rule.rule) for rule in rules]


@pytest.mark.spec("T100")
def test_no_form_is_taken_from_another_page_or_without_its_token(app: Flask, make: Factory, operator: Surfer) -> None:
    make.application()
    make.user()
    token = dict(operator.open("/console/my/keys/new").form("Create").values)["form"]
    with app.app_context():
        before = dump()
    assert len(posts(app)) > 45
    for url in posts(app):
        for headers in FOREIGN:
            answer = operator.client.post(url, data={"form": token}, headers=headers, content_type=FORM)
            assert answer.status_code == 403, (url, headers)
        for data in ({}, {"form": ""}, {"form": "x" * 80}, {"form": token[:-2] + "AA"}):
            assert operator.client.post(url, data=data, headers=OWN, content_type=FORM).status_code == 403, url
        stranger = app.test_client()
        answer = stranger.post(url, data={"form": token}, headers=OWN, content_type=FORM)
        assert answer.status_code in {303, 403}, url
        assert answer.headers.get("Location", "/console/sign-in").partition("?")[0] == "/console/sign-in", url
    with app.app_context():
        assert dump() == before


def test_other_methods_are_refused(app: Flask, ann: Surfer) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        for url in posts(app):
            assert ann.client.open(url, method=method, headers=OWN).status_code == 405, (method, url)
    assert ann.client.post("/console/sign-out?_method=GET", headers=OWN, data={}, content_type=FORM).status_code == 403


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"form=%ff%fe", FORM),
        (b"form=\xff", FORM),
        (b"&".join(b"a=1" for _ in range(2_000)), FORM),
        (b'{"form": "x"}', "application/json"),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"", FORM),
        (b"form", FORM),
        (b"x" * 70_000, FORM),
    ],
)
def test_what_is_no_form_is_refused(ann: Surfer, body: bytes, content_type: str) -> None:
    answer = ann.client.post("/console/my/keys/new", data=body, content_type=content_type, headers=OWN)
    assert answer.status_code in {400, 403}
    assert "Traceback" not in answer.text


def test_what_was_typed_stays_when_it_is_refused(ann: Surfer, make: Factory) -> None:
    make.application("taken")
    ann.open("/console/realms/acme/new-application")
    typed = {
        "name": "taken",
        "credential": "secret",
        "description": "does <things> & more",
        "roles": "researcher\nviewer",
        "audience": "https://a.example\nhttps://b.example",
        "projects-0-project": "vision",
        "projects-0-role": "ml-engineer",
        "projects-0-until": "2099-01-02T03:04",
    }
    ann.send("Create", typed)
    assert ann.status == 409
    assert "already has an application &#39;taken&#39;" in ann.text
    kept = ann.form("Create").values
    for name, value in typed.items():
        for each in value if isinstance(value, list) else [value]:
            assert (name, each) in [(key, text.replace("\r\n", "\n")) for key, text in kept], name


def test_another_row_is_added_without_a_script_and_nothing_is_lost(ann: Surfer) -> None:
    ann.open("/console/realms/acme/new-application")
    ann.send("Create", {"name": "rows", "projects-1-project": "vision", "more": "1"})
    assert ann.status == 200
    values = dict(ann.form("Create").values)
    assert values["name"] == "rows"
    assert values["projects-1-project"] == "vision"
    assert "projects-2-project" in values


@pytest.mark.parametrize(
    ("url", "button", "field", "change"),
    [
        (
            "applications/ci-bot",
            "Save",
            "description",
            lambda realm: set_application(realm, applications.get_application(realm, "ci-bot"), description="theirs"),
        ),
        ("settings", "Save", "display_name", lambda realm: set_realm(realm, display_name="theirs")),
        (
            "groups/modellers",
            "Save",
            "description",
            lambda realm: users.update_group(realm, users.get_group(realm, "modellers"), users.GroupSheet(description="theirs")),
        ),
    ],
)
def test_of_two_who_change_the_same_the_second_is_told(
    ann: Surfer, make: Factory, url: str, button: str, field: str, change
) -> None:  # type: ignore[no-untyped-def]
    make.application()
    ann.open(f"/console/realms/acme/{url}").form(button)
    make.do(change)
    ann.send(button, {field: "mine"})
    assert ann.status == 409
    assert "Someone else has changed this in the meantime" in ann.text
    assert "<code>theirs</code>" in ann.text
    assert dict(ann.form(button).values)[field] == "mine"
    ann.send(button)
    assert "Saved." in ann.text
    assert "mine" in ann.whole(f"/console/realms/acme/{url}")


@pytest.mark.spec("T73")
def test_nobody_finds_another_organisation(app: Flask, ann: Surfer, make: Factory) -> None:
    make.realm("other")
    make.application("ci-bot", realm="other")
    token = dict(ann.open("/console/my/keys/new").form("Create").values)["form"]
    checked = 0
    for rule in app.url_map.iter_rules():
        if "<realm>" in rule.rule and rule.rule.startswith("/console"):
            url = re.sub(r"<(\w+)>", lambda part: (PARTS | {"realm": "other"})[part[1]], rule.rule)
            missing = url.replace("/other", "/missing")
            for method in {"GET", "POST"} & (rule.methods or set()):
                data = {"form": token} if method == "POST" else None
                answers = [
                    ann.client.open(each, method=method, data=data, headers=OWN, content_type=FORM if data else None)
                    for each in (url, missing)
                ]
                assert [answer.status_code for answer in answers] == [404, 404], url
                checked += 1
    assert checked > 80


def test_only_operators_see_organisations(ann: Surfer) -> None:
    assert ann.open("/console/organisations").status == 403
    assert ann.open("/console/organisations/new").status == 403
    assert ann.open("/console/organisations/acme/delete").status == 403


def test_hints_of_a_field_are_sentences_of_their_own(operator: Surfer, make: Factory) -> None:
    make.application()
    urls = ("applications/ci-bot/secrets/new", "new-application", "new-api", "new-group", "new-role")
    for url in (*(f"/console/realms/acme/{each}" for each in urls), "/console/organisations/new"):
        found = re.search(r'id="name-help">([^<]*)</div>', operator.open(url).text)
        assert found, url
        assert re.fullmatch(r"([A-Z][^.]*\. )?A lower-case letter, then [^.]*\.", found[1].strip()), found[1]


@pytest.mark.parametrize(
    ("typed", "wanted"), [("Part of its URL", "Part of its URL."), ("Its end.", "Its end."), ("Which?", "Which?"), ("", "")]
)
def test_a_sentence_that_another_follows_has_an_end(typed: str, wanted: str) -> None:
    assert ended(typed) == wanted


def test_a_closed_group_of_settings_opens_where_something_is_wrong_or_has_changed(ann: Surfer, make: Factory) -> None:
    def opened() -> list[str]:
        return re.findall(r'<details class="group" open><summary>([^<]*)<', ann.text)

    ann.open("/console/realms/acme/settings")
    assert opened() == []
    assert set(re.findall(r'<details class="group"><summary>([^<]*)<', ann.text)) == {
        "API keys and personal tokens",
        "Audit trail",
        "Sign-in pages",
    }
    ann.send("Save", {"audit_days": "5 days", "brand_color": "#ffffff"})
    assert (ann.status, opened()) == (400, ["Audit trail", "Sign-in pages"])
    ann.open("/console/realms/acme/settings")
    make.do(lambda realm: set_realm(realm, api_key_hours=48))
    ann.send("Save", {"display_name": "mine"})
    assert (ann.status, opened()) == (409, ["API keys and personal tokens"])
