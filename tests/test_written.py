# ruff: noqa: RUF001 (names in other scripts are what it is about)
"""What text is, and that what is spelt alike is found."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from idp import apikeys, clock
from idp.db import db
from idp.errors import InvalidValueError
from idp.realms import Realm, check_text
from idp.written import is_written, one_line
from tests.factories import Factory, session_of

SINHALA, PERSIAN = "ශ්\u200dරී ලංකා", "می\u200cخواهم"
NAMES = ("Ünal", "Иванов", "İpek", "Straße", "ΣΊΣΥΦΟΣ", "100 %_a/b")


@pytest.mark.parametrize("text", [SINHALA, PERSIAN, "Zoë Müller", "東京", ""])
def test_what_writing_needs_is_taken(text: str) -> None:
    assert is_written(text)
    assert one_line(text) == text
    assert check_text("A name", text, 100) == text


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\x1b[31m", "a\u202eb", "a\u2066b", "backup\u200d", "\u200cbackup", "back\u200dup", "ශ්\u200d\u200dරී", "a\u200bb"],
)
def test_what_would_deceive_is_not(text: str) -> None:
    assert not is_written(text)
    assert one_line(text).isprintable()
    with pytest.raises(InvalidValueError, match="printable"):
        check_text("A name", text, 100)


def find_by_what_they_are_called(client: FlaskClient, make: Factory) -> None:
    """Look for users by their names as they are spelt, and by a part of them."""
    make.user("boss@example.test", roles=("administrator",))
    header = session_of(client, "boss@example.test")
    for number, name in enumerate(NAMES):
        uid = make.user(f"user{number}@example.test", first_name=name)
        for text in (name, name[1:]):
            found = client.get("/v1/users", query_string={"name": text}, headers=header).json["items"]
            assert [each["metadata"]["uid"] for each in found] == [uid], text
    for text in ("%", "_a/"):
        found = client.get("/v1/users", query_string={"name": text}, headers=header).json["items"]
        assert [each["spec"]["firstName"] for each in found] == [NAMES[-1]]


def test_people_are_found_by_what_they_are_called(client: FlaskClient, make: Factory) -> None:
    find_by_what_they_are_called(client, make)
    header = session_of(client, "boss@example.test")
    for text in ("ünAL", "ИВАНОВ", "иванов"):
        assert len(client.get("/v1/users", query_string={"name": text}, headers=header).json["items"]) == 1


def test_key_whose_end_was_moved_is_announced_again(make: Factory) -> None:
    make.user("ann@example.test")
    key = make.key("ann@example.test", hours=24 * 30)

    def tell(realm: Realm) -> int:
        db.session.flush()
        return apikeys.send_notices()

    def move(realm: Realm, days: int) -> None:
        row = apikeys.get_key(realm, key.uid)
        row.created_at, row.expires_at = clock.now() - timedelta(days=30), clock.now() + timedelta(days=days)

    for days, written in ((5, 1), (20, 0), (6, 1)):
        make.do(lambda realm, days=days: move(realm, days))
        assert (make.do(tell), make.do(tell)) == (written, 0)
