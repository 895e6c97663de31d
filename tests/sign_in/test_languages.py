"""The pages speak the language that the application or the browser asks for."""

import re

import pytest
from flask import Flask

from idp.web.languages import codes
from tests.factories import PASSWORD, Factory, set_realm
from tests.sign_in.conftest import DONE, Browser


def test_disabled_realm_is_said_in_the_language(web: Browser, make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, enabled=False))
    assert "Diese Organisation ist gesperrt" in web.ask(ui_locales="de").text


@pytest.mark.parametrize(
    ("ui_locales", "accepted", "code"),
    [
        (None, "de-CH, de;q=0.9, en;q=0.8", "de"),
        (None, "fr, en", "en"),
        (None, "*", "en"),
        (None, "", "en"),
        ("de", "en", "de"),
        ("fr-CA de-AT en", "en", "de"),
        ("en", "de", "en"),
        ("xx <b> ../../", "de", "de"),
    ],
)
def test_page_is_in_a_language_that_is_asked_for(web: Browser, ui_locales: str | None, accepted: str, code: str) -> None:
    web.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = accepted
    page = web.ask(ui_locales=ui_locales)
    assert f'<html lang="{code}">' in page.text
    assert page.headers["Content-Language"] == code
    assert "Accept-Language" in page.headers["Vary"]
    assert ("Anmelden" in page.text) is (code == "de")


def test_refusals_and_consent_are_in_the_language_too(app: Flask, make: Factory, ann: str) -> None:
    made = make.application("quiz", kind="web", redirect_uris=[DONE], roles=(), consent=True, display_name="<b>{user}</b>")
    asking = Browser(app, made)
    page = asking.ask(ui_locales="de", scope="openid email offline_access", prompt="consent")
    wrong = asking.send(page, name="ann@example.test", password="not this one")
    assert "Name oder Passwort ist falsch" in wrong.text
    consent = asking.send(wrong, name="ann@example.test", password=PASSWORD).text
    assert "Zugriff erlauben?" in consent
    assert "Ihre E-Mail-Adresse" in consent
    assert "<strong>&lt;b&gt;{user}&lt;/b&gt;</strong>" in consent, "a name is never a text to be filled in"
    assert re.search(r"bis zu \d+ Tage,", consent)


def test_discovery_names_the_languages(web: Browser) -> None:
    metadata = web.client.get(f"/auth/realms/{web.realm}/.well-known/openid-configuration").get_json()
    assert metadata["ui_locales_supported"] == list(codes())
