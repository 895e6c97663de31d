"""People whom a trusted issuer knows, in the console: listed, linked, unlinked, and shown with the user and the issuer."""

import csv
import io

import pytest
from flask import Flask

from idp import federation
from idp.federation import TrustedIssuerSheet
from idp.realms import Realm
from tests.console.surfing import Surfer
from tests.console.test_german_pages import english_in
from tests.factories import Factory

BASE = "/console/realms/acme"
LIST = f"{BASE}/linked-people"


@pytest.fixture
def login(make: Factory) -> None:
    """Two sign-in servers that are trusted, and Bob."""

    def act(realm: Realm) -> None:
        for name in ("login", "partner"):
            federation.create_issuer(realm, name, TrustedIssuerSheet(issuer=f"https://{name}.example"))

    make.do(act)
    make.user("bob@example.test")


def link(make: Factory, issuer: str, subject: str, user: str) -> None:
    make.do(lambda realm: federation.link_person(realm, issuer, subject, user))


def linked(make: Factory) -> set[tuple[str, str, str]]:
    return make.do(lambda realm: {(row.issuer.name, row.subject, row.user.name) for row in federation.list_people(realm)})


@pytest.mark.usefixtures("login")
def test_a_person_is_linked_and_unlinked(ann: Surfer, make: Factory) -> None:
    assert "0 linked people" in ann.open(f"{BASE}/issuers/login").text
    assert f'href="{LIST}"' in ann.open(f"{BASE}/issuers").text
    assert "Nobody is linked" in ann.open(LIST).text

    ann.open(f"{BASE}/link-person?issuer=login")
    ann.send("Link", {"subject": "00u1|a b", "user": "bbo@example.test"})
    assert (ann.status, "Did you mean bob@example.test?" in ann.text) == (404, True), ann.text
    ann.send("Link", {"user": "bob@example.test"})
    assert "Linked." in ann.text
    assert linked(make) == {("login", "00u1|a b", "bob@example.test")}

    ann.open(f"{BASE}/link-person?issuer=login").send("Link", {"subject": "00u1|a b", "user": "ann@example.test"})
    assert (ann.status, "already stands for somebody" in ann.text) == (409, True)
    assert "1 linked person" in ann.open(f"{BASE}/issuers/login").text
    assert "0 linked people" in ann.open(f"{BASE}/issuers/partner").text
    ann.open(f"{BASE}/users/bob@example.test")
    assert "00u1|a b at login" in ann.text
    assert f"{LIST}?user=bob%40example.test" in ann.text

    (unlink,) = [url for url in ann.open(LIST).read().links if url.endswith("/unlink")]
    ann.open(unlink)
    assert "Unlink 00u1|a b of login from bob@example.test?" in ann.text
    assert linked(make), "it was only asked"
    ann.send("Unlink")
    assert "Unlinked." in ann.text
    assert linked(make) == set()
    assert ann.open(unlink).status == 404


@pytest.mark.usefixtures("login")
def test_the_list_is_searched_narrowed_paged_and_taken_as_a_file(ann: Surfer, make: Factory) -> None:
    def many(realm: Realm) -> None:
        for number in range(60):
            federation.link_person(realm, "login", f"s{number:03}", "bob@example.test")
        federation.link_person(realm, "partner", "other", "ann@example.test")

    make.do(many)
    first = ann.open(LIST).text
    assert ("s000" in first, "s059" in first, "50 of 61" in first) == (True, False, True)
    (next_page,) = [url for url in ann.read().links if "after=" in url and "sort" not in url][:1]
    rest = ann.open(next_page).text
    assert ("s000" in rest, "s059" in rest, "61 of 61" in rest) == (False, True, True)
    for query, found, left_out in (
        ("search=S05", "s051", "s049"),
        ("search=ann", "other", "s001"),
        ("issuer=partner", "other", "s001"),
        ("user=Ann@example.test", "other", "s001"),
        ("search=100%25", "Nothing", "other"),
    ):
        text = ann.open(f"{LIST}?{query}").text
        assert (found in text, f">{left_out}<" in text) == (True, False), query
    assert f'href="{BASE}/link-person?issuer=partner"' in ann.open(f"{LIST}?issuer=partner").text
    rows = list(csv.reader(io.StringIO(ann.open(f"{LIST}?as=csv&search=other").text.lstrip("\ufeff"))))
    assert rows[1][:3] == ["other", "partner", "ann@example.test"]


@pytest.mark.usefixtures("login")
def test_who_may_not_decide_whose_word_counts_may_only_look(app: Flask, make: Factory) -> None:
    link(make, "login", "00u1", "bob@example.test")
    (uid,) = make.do(lambda realm: [row.uid for row in federation.list_people(realm)])
    make.user("eve@example.test", roles=("auditor",))
    eve = Surfer(app).sign_in("eve@example.test")
    assert "00u1" in eve.open(LIST).text
    assert "Unlink" not in eve.text
    assert "Link person" not in eve.text + eve.open(f"{BASE}/users/bob@example.test").text
    assert eve.open(f"{BASE}/link-person").status == 403
    assert eve.open(f"{LIST}/{uid}/unlink").status == 403
    make.user("dan@example.test", projects=(("vision", "project-administrator"),))
    dan = Surfer(app).sign_in("dan@example.test")
    assert dan.open(LIST).status == 403
    assert linked(make) == {("login", "00u1", "bob@example.test")}


@pytest.mark.usefixtures("login")
def test_pages_are_german_for_who_reads_german(ann: Surfer, make: Factory) -> None:
    link(make, "login", "00u1", "bob@example.test")
    ann.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    (unlink,) = [url for url in ann.open(LIST).read().links if url.endswith("/unlink")]
    for url in (
        LIST,
        f"{LIST}?search=nobody",
        unlink,
        f"{BASE}/link-person",
        f"{BASE}/users/bob@example.test",
    ):
        assert english_in(ann.open(url).text) == set(), url
    assert "Anderswo bekannt als" in ann.text
    assert "00u1 bei login" in ann.text
    assert "1 verknüpfte Person" in ann.open(f"{BASE}/issuers/login").text


def test_a_user_of_a_realm_that_trusts_nobody_is_known_nowhere(ann: Surfer) -> None:
    assert "Known elsewhere as" not in ann.open(f"{BASE}/users/ann@example.test").text
