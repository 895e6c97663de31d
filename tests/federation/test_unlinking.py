"""A subject that stands for nobody any more: what it has let applications do for a person ends with that."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, update

from idp import authorizations, federation
from idp.authorizations import Authorization
from idp.db import db
from idp.federation import FederatedPerson
from idp.realms import Realm
from tests.factories import Factory, Made, ask, session_of, set_application
from tests.federation.issuing import Issuer
from tests.federation.test_admission import trust
from tests.federation.test_ways_in import for_person

LINKS = "/v1/federation/people"


@pytest.fixture
def okta(make: Factory) -> Issuer:
    """The organisation's sign-in server, which knows Ann by two subjects."""
    issuer = Issuer(url="https://login.acme.example", claims={"client_id": "shop", "scope": "profile roles"})
    make.user(roles=("administrator",))
    trust(make, issuer, name="okta", preset="oidc")
    for subject in ("00u1", "00u2"):
        make.do(lambda realm, subject=subject: federation.link_person(realm, "okta", subject, "ann@example.test"))
    return issuer


@pytest.fixture
def shop(make: Factory) -> Made:
    made = make.application("shop")
    fields = {"kind": "web", "redirect_uris": ["https://shop.example/done"], "audience": ["https://api.example"]}
    make.change(lambda realm, row: set_application(realm, row, **fields), "shop")
    return made


def token_of(client: FlaskClient, okta: Issuer, shop: Made, subject: str) -> str:
    answer = for_person(client, okta, shop, claims={"sub": subject})
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


def is_active(client: FlaskClient, shop: Made, token: str) -> bool:
    return bool(ask(client, "token/introspect", {"token": token} | shop.form).json["active"])


def unlink(client: FlaskClient, subject: str) -> None:
    ann = session_of(client)
    found = client.get(LINKS, headers=ann).json["items"]
    uid = next(each["metadata"]["uid"] for each in found if each["spec"]["subject"] == subject)
    assert client.delete(f"{LINKS}/{uid}", headers=ann).status_code == 204


def test_tokens_of_a_link_end_with_it_and_no_others(client: FlaskClient, okta: Issuer, shop: Made) -> None:
    first, other = (token_of(client, okta, shop, subject) for subject in ("00u1", "00u2"))
    assert [is_active(client, shop, token) for token in (first, other)] == [True, True]
    unlink(client, "00u1")
    assert [is_active(client, shop, token) for token in (first, other)] == [False, True]
    assert for_person(client, okta, shop, claims={"sub": "00u1"}).json["error"] == "invalid_grant"
    assert is_active(client, shop, token_of(client, okta, shop, "00u2"))


def test_of_a_version_that_did_not_note_the_link_all_of_the_persons_end(
    client: FlaskClient, make: Factory, okta: Issuer, shop: Made
) -> None:
    tokens = [token_of(client, okta, shop, subject) for subject in ("00u1", "00u2")]
    make.do(lambda _: db.session.execute(update(Authorization).values(link_uid="")))
    unlink(client, "00u1")
    assert [is_active(client, shop, token) for token in tokens] == [False, False]


def test_a_link_that_goes_while_it_is_used_gives_nothing(
    client: FlaskClient, make: Factory, okta: Issuer, shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin: Callable[..., Any] = authorizations.begin

    def unlinked_meanwhile(*about: Any) -> Any:
        db.session.execute(delete(FederatedPerson).where(FederatedPerson.subject == "00u1"))
        return begin(*about)

    with monkeypatch.context() as patch:
        patch.setattr(authorizations, "begin", unlinked_meanwhile)
        answer = for_person(client, okta, shop, claims={"sub": "00u1"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")

    def begun(_: Realm) -> int:
        return db.session.query(Authorization).count()

    assert make.do(begun) == 0
