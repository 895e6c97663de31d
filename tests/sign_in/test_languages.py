"""The pages speak the language that the application or the browser asks for."""

import ast
import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest
from flask import Flask

import idp
from idp.oauth.errors import UnknownRealmError
from idp.sign_in import device, words
from idp.web.languages import codes, language
from tests.factories import PASSWORD, Factory, set_realm
from tests.sign_in.conftest import DONE, Browser

TEMPLATES = files("idp.sign_in") / "templates" / "sign_in"


def said_in_english() -> set[str]:
    """Return all texts of the pages themselves."""
    said = {text for page in TEMPLATES.iterdir() for text in re.findall(r'_\("([^"]+)"', page.read_text())}
    said |= {wish for wish, _values in words.meaning_of_scopes(["project:vision"], ())}
    return said | set(words._SCOPES.values()) | set(words._CLAIMS.values()) | {device._UNKNOWN, device._DECIDED}


@pytest.mark.parametrize("code", codes()[1:])
def test_catalogue_has_every_text_of_the_pages(code: str) -> None:
    said = language(code).said
    assert said_in_english() <= set(said), "and is in step with the templates"
    for english, translated in said.items():
        assert _values(english) == _values(translated)
        assert re.findall("<.*?>", english) == re.findall("<.*?>", translated)


def _values(text: str) -> set[str | None]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(text) if name}


@pytest.mark.parametrize("code", codes()[1:])
def test_catalogue_has_every_sentence_that_refuses_a_request(code: str) -> None:
    """Those that the person is told, since nobody can be redirected."""
    said = set(language(code).said)
    sentences = {
        argument.value
        for path in Path(idp.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UnsafeRequestError"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert len(sentences) > 3
    assert sentences | {str(UnknownRealmError())} <= said


def test_disabled_realm_is_said_in_the_language(web: Browser, make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, enabled=False))
    assert "Diese Organisation ist gesperrt" in web.ask(ui_locales="de").text


def test_no_word_of_a_page_stands_outside_of_the_catalogues() -> None:
    for page in TEMPLATES.iterdir():
        left = re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<.*?>", " ", page.read_text())
        assert not re.findall(r"[A-Za-z]{2,}", left), page.name


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
