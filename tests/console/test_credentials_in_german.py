"""Pages of things in another language: their sentences, counts and times, and never what somebody has called something."""

import re

import pytest
from flask import Flask

from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"


@pytest.fixture
def german(ann: Surfer) -> Surfer:
    ann.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    return ann


def test_an_application_is_made_tried_and_deleted_in_german(german: Surfer) -> None:
    german.open(f"{BASE}/new-application").send(
        "Erstellen", {"name": "disabled", "credential": "secret", "roles": ["researcher"]}
    )
    assert "disabled: Secret jetzt kopieren" in german.text
    german.send("Ausprobieren")
    assert "Um wen es geht: die eigene ID der Anwendung" in german.text
    assert re.search(r"Wann es abläuft\. Das heißt: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in \d+ Stunden\.", german.text)
    page = german.open(f"{BASE}/applications/disabled").text
    assert "<h1>disabled</h1>" in page, "a name is no text of ours, even where it reads like one"
    assert "1 gültig" in page
    page = german.open(f"{BASE}/applications/disabled/delete").text
    assert "1 gültiges Secret sowie ihre API-Schlüssel und Rollen werden gelöscht." in page
    assert "live secret" not in page


def test_a_key_says_what_became_of_it_in_german(german: Surfer, make: Factory) -> None:
    uid = make.key().uid
    page = german.open(f"{BASE}/api-keys/{uid}").text
    assert "<dd>Nie benutzt</dd>" in page
    assert re.search(r"<time[^>]*>[^<]*<span[^>]*>\(in \d+ (?:Tagen|Monaten|Jahren|Jahr)\)", page), "a time has its markup"
    german.open(f"{BASE}/api-keys/{uid}/deactivate")
    assert "Bisher nie verwendet." in german.text
    german.send("Deaktivieren")
    assert "Dieser Schlüssel ist deaktiviert: Er wird abgelehnt." in german.text
    assert '<span class="state state-warn">inaktiv</span>' in german.text


def test_an_error_of_a_row_is_said_in_german(german: Surfer) -> None:
    german.open(f"{BASE}/new-application").send("Erstellen", {"name": "ci-bot", "projects-0-project": "vision"})
    assert german.status == 400
    assert "Wählen Sie eine." in german.text


def test_what_is_stored_of_rules_is_shown_beside_what_was_typed(app: Flask, ann: Surfer) -> None:
    first, second = ann.open(f"{BASE}/apis/telemetry"), Surfer(app).sign_in()
    second.open(f"{BASE}/apis/telemetry").send("Save", {"rules-0-path": "/v2", "rules-0-roles": "viewer"})
    first.send("Save", {"rules-0-path": "/other"})
    assert first.status == 409
    assert re.search(r"Currently stored: <code>[^<]*/v2 viewer", first.text)
