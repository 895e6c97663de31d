"""A form that was sent too late: what was typed into it is put back once its user has signed in again, and nothing else is."""

import json
from typing import Any

import pytest
from flask import Flask

from idp import applications, users, vault
from idp.console import drafts
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, set_realm

BASE = "/console/realms/acme"
SECRET = "S3cret-that-is-kept-nowhere"
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
TYPED = {
    "name": "typed-bot",
    "credential": "secret",
    "description": "does <things> & more",
    "roles": "researcher\nviewer",
    "audience": "https://a.example\r\nhttps://b.example",
    "projects-0-project": "vision",
    "projects-0-role": "ml-engineer",
    "projects-0-until": "2099-01-02T03:04",
}


def sign_in(surfer: Surfer, name: str = "ann@example.test") -> Surfer:
    return surfer.send("Sign in", {"name": name, "organisation": "acme", "password": PASSWORD})


def cookie(surfer: Surfer) -> str:
    found = {key[2]: each.value for key, each in surfer.client._cookies.items()}
    return found.get(drafts.COOKIE, "")


def opened(app: Flask, surfer: Surfer) -> Any:
    with app.app_context():
        return json.loads(vault.unseal(cookie(surfer), context="draft of a form"))


def exists(make: Factory, name: str = "typed-bot") -> bool:
    return make.do(lambda realm: any(each.name == name for each in applications.list_applications(realm)))  # type: ignore[no-any-return]


def expire(surfer: Surfer) -> None:
    """Have the browser forget the session, as it does after 15 minutes."""
    surfer.client.delete_cookie("realmgate-session")


@pytest.mark.parametrize("way", ["forgotten by the browser", "ended at the server", "too old"])
def test_what_was_typed_is_back_after_signing_in_and_is_done_when_it_is_sent(
    app: Flask, ann: Surfer, make: Factory, frozen_clock: Any, way: str
) -> None:
    ann.open(f"{BASE}/new-application")
    if way == "too old":
        frozen_clock.advance(hours=13)
    elif way == "forgotten by the browser":
        expire(ann)
    else:
        make.do(lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")))
        make.forget()
        frozen_clock.advance(seconds=2)
    ann.send("Create", TYPED)
    assert ann.url == "/console/sign-in"
    assert "to get back what you typed" in ann.text
    assert not exists(make)
    sign_in(ann)
    assert ann.url == f"{BASE}/new-application"
    assert "This form had expired, so nothing was saved" in ann.text
    assert not exists(make)
    values = [(key, text.replace("\r\n", "\n")) for key, text in ann.form("Create").values]
    for name, value in TYPED.items():
        for each in value if isinstance(value, list) else [value]:
            assert (name, each.replace("\r\n", "\n")) in values, name
    assert cookie(ann) == "", "it is put back once"
    ann.send("Create")
    assert ann.status == 200
    assert exists(make)
    assert "This form had expired" not in ann.open(f"{BASE}/new-application").text


def test_form_of_an_earlier_session_is_put_back_at_once(app: Flask, ann: Surfer, make: Factory) -> None:
    """Signed in again in another tab, the first tab's form is of a session that is over."""
    ann.open(f"{BASE}/new-application")
    page, url = ann.page, ann.url
    ann.sign_in()
    ann.page, ann.url = page, url
    ann.send("Create", TYPED)
    assert ann.url == f"{BASE}/new-application"
    assert "This form had expired" in ann.text
    assert not exists(make)
    ann.send("Create")
    assert exists(make)


@pytest.mark.parametrize(
    ("url", "button", "typed", "kept"),
    [
        ("new-keyset?kind=provider:aws", "Create", {"name": "prod", "value_pub": SECRET, "value_pvt": SECRET}, {"name": "prod"}),
        ("new-keyset?kind=user_ssh:", "Create", {"name": "mine", "value_pub": SECRET}, {"name": "mine"}),
        ("applications/train-scheduler/try", "Fetch", {"client_secret": SECRET}, {}),
        ("/console/my/password", "Change my password", {"current": SECRET, "new": SECRET}, {}),
        ("applications/train-scheduler/delete", "Delete", {"typed": "train-scheduler"}, {}),
    ],
)
def test_secrets_and_confirmations_are_kept_nowhere(
    app: Flask, ann: Surfer, url: str, button: str, typed: dict[str, str], kept: dict[str, str]
) -> None:
    ann.open(url if url.startswith("/") else f"{BASE}/{url}")
    assert ann.status == 200, ann.text
    expire(ann)
    ann.send(button, typed)
    assert ann.url == "/console/sign-in"
    if not kept:
        assert cookie(ann) == ""
        assert "was not saved" in ann.text
        return
    draft = opened(app, ann)
    assert SECRET not in json.dumps(draft)
    assert {name: value for name, value in draft["pairs"] if name in typed} == kept
    sign_in(ann)
    assert SECRET not in ann.text
    values = dict(ann.form(button).values)
    for name in typed:
        assert values[name] == kept.get(name, ""), name


def test_another_user_is_shown_nothing_of_it_and_it_is_gone(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=("administrator",))
    ann.open(f"{BASE}/new-application")
    expire(ann)
    ann.send("Create", TYPED)
    assert cookie(ann)
    sign_in(ann, "bob@example.test")
    assert ann.url == f"{BASE}/new-application"
    assert "does &lt;things&gt;" not in ann.text
    assert "This form had expired" not in ann.text
    assert cookie(ann) == ""


def test_draft_of_another_user_cannot_be_planted(app: Flask, ann: Surfer, make: Factory) -> None:
    """Neither with the hidden values of one's own page, nor with one's own cookie."""
    make.user("mallory@example.test", roles=("administrator",))
    mallory = Surfer(app).sign_in("mallory@example.test").open(f"{BASE}/new-application")
    hidden = dict(mallory.form("Create").values)
    ann.open(f"{BASE}/new-application")
    ann.send("Create", TYPED | {"form": hidden["form"], "kept": hidden["kept"]})
    assert (ann.status, cookie(ann)) == (403, "")
    expire(mallory)
    mallory.send("Create", TYPED)
    ann.client.set_cookie(drafts.COOKIE, cookie(mallory))
    ann.open(f"{BASE}/new-application")
    assert "This form had expired" not in ann.text
    assert dict(ann.form("Create").values)["name"] == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_nothing_is_kept_of_what_a_foreign_page_sends_or_may_have_sent(ann: Surfer, headers: dict[str, str]) -> None:
    ann.open(f"{BASE}/new-application")
    expire(ann)
    ann.send("Create", TYPED, headers=headers)
    assert ann.url == "/console/sign-in"
    assert cookie(ann) == ""


@pytest.mark.parametrize("change", [{"kept": ""}, {"kept": "x" * 90}, {"description": "x" * 4_000}])
def test_what_cannot_be_kept_is_lost_and_that_is_said(ann: Surfer, change: dict[str, str]) -> None:
    ann.open(f"{BASE}/new-application")
    expire(ann)
    ann.send("Create", TYPED | change)
    assert cookie(ann) == ""
    assert "was not saved" in ann.text
    sign_in(ann)
    assert ann.url == f"{BASE}/new-application"


def test_draft_lives_for_minutes(ann: Surfer, frozen_clock: Any) -> None:
    ann.open(f"{BASE}/new-application")
    expire(ann)
    ann.send("Create", TYPED)
    frozen_clock.advance(minutes=16)
    ann.open(f"/console/sign-in?next={BASE}/new-application")
    sign_in(ann)
    assert ann.url == f"{BASE}/new-application"
    assert dict(ann.form("Create").values)["name"] == ""


def test_draft_belongs_to_its_page_alone_and_goes_with_signing_out(ann: Surfer) -> None:
    ann.open(f"{BASE}/new-application")
    expire(ann)
    ann.send("Create", TYPED)
    ann.sign_in()
    assert "typed-bot" not in ann.open(f"{BASE}/new-group").text
    assert cookie(ann)
    ann.send("Sign out")
    assert cookie(ann) == ""


def test_somebody_elses_change_is_noticed_all_the_same(ann: Surfer, make: Factory) -> None:
    make.application()
    ann.open(f"{BASE}/settings")
    expire(ann)
    ann.send("Save", {"display_name": "mine"})
    make.do(lambda realm: set_realm(realm, display_name="theirs"))
    sign_in(ann)
    assert dict(ann.form("Save").values)["display_name"] == "mine"
    ann.send("Save")
    assert ann.status == 409
    assert "<code>theirs</code>" in ann.text


def test_of_two_forms_of_a_page_the_right_one_is_filled(ann: Surfer, make: Factory) -> None:
    ann.open(f"{BASE}/groups/modellers")
    expire(ann)
    ann.send("Add member", {"user": "somebody@example.test"})
    sign_in(ann)
    assert dict(ann.form("Add member").values)["user"] == "somebody@example.test"
    assert (
        dict(ann.open(f"{BASE}/groups/modellers?tab=settings").form("Save").values)["description"]
        == "Everybody who trains models."
    )


def test_sign_in_page_that_was_open_for_too_long_keeps_the_name_and_not_the_password(app: Flask, make: Factory) -> None:
    make.user()
    surfer = Surfer(app).open("/console/sign-in?next=/console/my/keys")
    surfer.client.delete_cookie("realmgate-visitor")
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": SECRET})
    assert surfer.page.request.full_path == "/console/sign-in?next=/console/my/keys"
    values = dict(surfer.form("Sign in").values)
    assert (values["name"], values["organisation"], values["password"]) == ("ann@example.test", "acme", "")
    assert "This form had expired" in surfer.text
    surfer.send("Sign in", {"password": PASSWORD})
    assert surfer.url == "/console/my/keys"
