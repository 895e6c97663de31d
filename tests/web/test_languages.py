"""What is said for the English: texts, sentences with values in them, numbers, and which language it is."""

import pytest
from flask import Flask

from idp.web.languages import Language, choose_language, codes, language

GERMAN = language("de")


def small(said: dict[str, str]) -> Language:
    """Return a language that says these few things."""
    return Language("de", said)


@pytest.mark.parametrize(
    ("english", "said"),
    [
        ("Saved.", "Gespeichert."),
        ("Key ak_1a2b has already been revoked.", "Der Schlüssel ak_1a2b wurde bereits widerrufen."),
        ("'ann' is not in group 'a b'.", "'ann' ist nicht in der Gruppe 'a b'."),
        ("0 is out of range: use 1 to 8760 hours", "0 liegt außerhalb des Bereichs: möglich sind 1 bis 8760 Stunden"),
        ('takes {"keys": [...]} with 1 to 5 public keys.', 'nimmt {"keys": [...]} mit 1 bis 5 öffentlichen Schlüsseln.'),
        ("Nobody has ever said this.", "Nobody has ever said this."),
        ("", ""),
    ],
)
def test_sentence_of_a_domain_is_found_with_its_values(english: str, said: str) -> None:
    assert GERMAN.plain(english) == said
    assert language("en").plain(english) == english


def test_most_definite_sentence_is_the_one() -> None:
    german = small({"{name} is not {what}.": "{name}: kein {what}", "{name} is not in group {what}.": "{name} fehlt in {what}"})
    for said in (german.said, dict(reversed(german.said.items()))):
        both = small(dict(said))
        assert both.plain("ann is not in group x.") == "ann fehlt in x"
        assert both.plain("ann is not there.") == "ann: kein there"


def test_sentence_of_hardly_a_letter_matches_nothing() -> None:
    assert small({"{a} to {b}": "{a} bis {b}"}).plain("x to y") == "x to y"


def test_gap_that_comes_twice_is_the_same_value() -> None:
    german = small({"Run {path}, then {path} again": "{path} zweimal"})
    assert german.plain("Run a, then a again") == "a zweimal"
    assert german.plain("Run a, then b again") == "Run a, then b again"


@pytest.mark.parametrize("value", ["Saved.", "<b>Saved.</b>", "{name}", "{0.__class__}", "%s", "a\nb", "Applications", "\\1"])
def test_value_stays_as_it_was_written(value: str) -> None:
    assert GERMAN.plain(f"Key {value} has already been revoked.") == f"Der Schlüssel {value} wurde bereits widerrufen."
    assert GERMAN.plain(f"{value!r} is not in group 'x'.") == f"{value!r} ist nicht in der Gruppe 'x'."


def test_value_is_quoted_once() -> None:
    assert GERMAN.fill("{Realm} has no user {name!r}.", {"Realm": "X", "name": "ann"}) == "X hat keinen Benutzer 'ann'."
    assert GERMAN.plain("Organisation acme has no user 'ann'.") == "Organisation acme hat keinen Benutzer 'ann'."


def test_value_of_a_page_is_escaped_and_its_text_is_not() -> None:
    said = GERMAN.say('project <a href="{url}">{name}</a>', url='/x"', name="<b>{url}</b>")
    assert said == 'Projekt <a href="/x&#34;">&lt;b&gt;{url}&lt;/b&gt;</a>'


def test_text_without_a_translation_stays_english() -> None:
    german = small({})
    assert german.say("Saved.") == german.plain("Saved.") == german.fill("Saved.", {}) == "Saved."
    assert german.count("{count} key", "{count} keys", 2) == "2 keys"


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [
        (0, "0 days ago", "vor 0 Tagen"),
        (1, "1 day ago", "vor 1 Tag"),
        (2, "2 days ago", "vor 2 Tagen"),
        (2_000, "2,000 days ago", "vor 2.000 Tagen"),
    ],
)
def test_number_chooses_the_form(count: int, english: str, german: str) -> None:
    assert language("en").count("{count} day ago", "{count} days ago", count) == english
    assert GERMAN.count("{count} day ago", "{count} days ago", count) == german


def test_form_of_a_number_is_what_the_catalogue_says_it_is() -> None:
    polish = Language(
        "pl",
        {},
        {("{count} key", "{count} keys"): ("{count} klucz", "{count} klucze", "{count} kluczy")},
        lambda n: min(n, 3) - 1,
    )
    assert [polish.count("{count} key", "{count} keys", number) for number in (1, 2, 5)] == ["1 klucz", "2 klucze", "5 kluczy"]


def test_numbers_and_lengths_of_time_are_written_as_in_the_language() -> None:
    assert [language(code).number(1_234_567) for code in ("en", "de")] == ["1,234,567", "1.234.567"]
    assert [language(code).days(30) for code in ("en", "de")] == ["30 days", "30 Tage"]
    assert [language(code).name for code in codes()] == ["English", "Deutsch"]


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("", "de-AT, en;q=0.5", "de"),
        ("", "fr", "en"),
        ("xx", "de", "de"),
        ("../de", "", "en"),
    ],
)
def test_choice_comes_before_what_the_browser_asks_for(app: Flask, chosen: str, accepted: str, code: str) -> None:
    with app.test_request_context(headers={"Accept-Language": accepted}):
        assert choose_language(chosen).code == code


def test_a_sentence_is_gone_through_once_whatever_stands_in_it() -> None:
    """A pattern with several gaps would try every place for each of them: minutes for these."""
    german = language("de")
    for text in (", " * 50_000, "a" * 100_000, "'a' " * 25_000, "{x} " * 25_000):
        assert german.plain(text) == text
