"""The console speaks the language that somebody has chosen, or else what their browser asks for."""

import html
import json
from collections.abc import Callable

import pytest
from flask import Flask

from idp import access, applications, federation, realms, users
from idp.access import HolderKind
from idp.applications import ApplicationSheet
from idp.callers import find_holder
from idp.console.forms import PageWords
from idp.errors import A_REALM, IdpError
from idp.federation import TrustedIssuerSheet
from idp.ratelimit import TooManyAttemptsError
from idp.realms import Realm, check_name
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"
COOKIE = "realmgate-language"


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, "", "en"),
        (None, "fr, it;q=0.5", "en"),
        (None, "de-CH, en;q=0.5", "de"),
        ("en", "de", "en"),
        ("de", "en", "de"),
        ("fr", "de", "de"),
        ("<b>", "en", "en"),
        ("", "de", "de"),
    ],
)
def test_cookie_comes_before_the_browser_and_both_before_english(
    app: Flask, cookie: str | None, accepted: str, code: str
) -> None:
    surfer = Surfer(app)
    surfer.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = accepted
    if cookie is not None:
        surfer.client.set_cookie(COOKIE, cookie)
    surfer.open("/console/sign-in")
    assert f'<html lang="{code}"' in surfer.text
    assert ("Alle Zeiten sind in UTC." in surfer.text) is (code == "de")


def test_language_is_chosen_on_every_page_and_kept(ann: Surfer) -> None:
    ann.open(f"{BASE}/audit?outcome=refused").send("Deutsch", {"language": "de"})
    assert ann.page.request.full_path == f"{BASE}/audit?outcome=refused", "where it was chosen"
    assert '<html lang="de"' in ann.text
    assert '<html lang="de"' in ann.open(f"{BASE}/settings").text
    ann.send("English", {"language": "en"})
    assert '<html lang="en"' in ann.text


@pytest.mark.parametrize("code", ["fr", "", "<script>", "de_DE"])
def test_language_that_there_is_not_takes_the_choice_away(ann: Surfer, code: str) -> None:
    ann.open(f"{BASE}/audit").send("Deutsch", {"language": "de"}).send("English", {"language": code}, follow=False)
    (cookie,) = ann.page.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{COOKIE}=; ")
    assert "Max-Age=0" in cookie
    assert '<html lang="en"' in ann.open(f"{BASE}/audit").text


def test_fields_and_what_domains_refuse_are_said_in_the_language(ann: Surfer) -> None:
    ann.client.set_cookie(COOKIE, "de")
    ann.open(f"{BASE}/settings")
    assert "Längste Sitzung<" in ann.text.replace(" <", "<")
    button = next(form.buttons[0] for form in ann.read().forms if "session_hours" in dict(form.values))
    ann.send(button, {"session_hours": "0"})
    assert ann.status == 400
    assert "0 liegt außerhalb des Bereichs: möglich sind 1 bis 8760 Stunden." in ann.text
    ann.open(f"{BASE}/applications/nothing-of-this-name")
    assert ann.status == 404
    assert "Es gibt keine Anwendung mit dieser uid oder diesem Namen" in ann.text


def fail(error: IdpError) -> None:
    raise error


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda realm: access.get_role(realm, "role"), "Organisation acme: Rolle 'role' gibt es nicht."),
        (lambda realm: access.get_project(realm, "a {b}"), "Organisation acme: Projekt 'a {b}' gibt es nicht."),
        (lambda realm: check_name("a project", "No"), "'No' kann nicht der Name eines Projekts sein: "),
        (lambda realm: check_name(A_REALM, "No"), "'No' kann nicht der Name einer Organisation sein: "),
        (lambda realm: find_holder(realm, HolderKind.GROUP, "x"), "Gruppe mit dieser uid oder diesem Namen gibt es nicht"),
        (lambda realm: users.get_user(realm, "user"), "Organisation acme hat keinen Benutzer 'user'."),
        (
            realms.restore_realm,
            "Organisation acme ist in einem Zustand, in dem das nicht möglich ist (aktiv).",
        ),
        (
            lambda realm: access.remove_grant(
                realm, users.holder_of(users.get_user(realm, "ann@example.test")), "viewer", project="vision"
            ),
            "'ann@example.test' hat die Rolle 'viewer' in Projekt 'vision' nicht.",
        ),
        (
            lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, "ann@example.test")), "viewer"),
            "'ann@example.test' hat die Rolle 'viewer' in der Organisation nicht.",
        ),
        (
            lambda realm: fail(TooManyAttemptsError(7)),
            "Zu viele Versuche. Versuchen Sie es in 7 Sekunden erneut.",
        ),
    ],
)
def test_words_within_a_sentence_are_in_the_language_too(
    app: Flask, make: Factory, act: Callable[[Realm], object], said: str
) -> None:
    make.user()
    with app.test_request_context(headers={"Cookie": f"{COOKIE}=de"}), pytest.raises(IdpError) as error:
        act(realms.get_realm("acme"))
    with app.test_request_context(headers={"Cookie": f"{COOKIE}=de"}):
        assert error.value.said(PageWords()).startswith(said)


def test_what_is_wrong_with_keys_and_assertions_is_said_in_the_language(ann: Surfer) -> None:
    ann.client.set_cookie(COOKIE, "de")
    weak = {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}
    sent = {"name": "signer", "credential": "key", "jwks": json.dumps(weak)}
    ann.open(f"{BASE}/new-application").send("Erstellen", sent)
    assert "Schlüssel 1: Ein RSA-Schlüssel muss 2048 bis 8192 Bit haben" in ann.text
    ann.open(f"{BASE}/new-issuer")
    sent = {"name": "hub", "preset": "github", "key_source": "uploaded", "jwks": json.dumps(weak)}
    ann.send("Erstellen", sent)
    assert "Der Schlüsselsatz hat keinen Schlüssel, mit dem Assertions hier signiert sein dürfen." in ann.text
    ann.open(f"{BASE}/explain").send("Erklären", {"assertion": "a.b.c"})
    assert "Das Token ist kein signiertes JWT." in ann.text


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            "'https://hub.example/keys' answered with status 503.",
            "'https://hub.example/keys' hat mit dem Status 503 geantwortet.",
        ),
        ("TimeoutError while calling 'https://hub.example/keys'", "TimeoutError beim Aufruf von 'https://hub.example/keys'"),
        ("hub.example has an address of this machine or of a private network.", "hub.example hat eine Adresse dieser Maschine"),
    ],
)
def test_why_keys_could_not_be_fetched_is_said_in_the_language(ann: Surfer, make: Factory, problem: str, said: str) -> None:
    def fail_to_fetch(realm: Realm) -> None:
        issuer = federation.create_issuer(realm, "hub", TrustedIssuerSheet(issuer="https://hub.example"))
        application = applications.create_application(realm, "signer", ApplicationSheet(jwks_uri="https://app.example/keys"))
        key_set = applications.find_key_set(application)
        assert key_set is not None
        issuer.fetch_error = key_set.fetch_error = problem

    make.do(fail_to_fetch)
    for url in (f"{BASE}/issuers/hub", f"{BASE}/applications/signer"):
        assert problem in html.unescape(ann.open(url).text)
    ann.client.set_cookie(COOKIE, "de")
    for url in (f"{BASE}/issuers/hub", f"{BASE}/applications/signer"):
        assert said in html.unescape(ann.open(url).text)


def test_what_somebody_has_named_is_never_translated(ann: Surfer, make: Factory) -> None:
    make.user("role@example.test")
    make.application("settings", description="Audit trail")
    ann.client.set_cookie(COOKIE, "de")
    assert "Audit trail" in ann.whole(f"{BASE}/applications/settings")
