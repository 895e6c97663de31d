"""What administrators have set of an application that describes itself, when its document says something else."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from idp import applications
from idp.client_documents import ClientDocument
from idp.db import db
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, key_pair, session_of, set_realm
from tests.resources.documents import URL, Web, document, world  # noqa: F401 (a fixture)
from tests.sign_in.conftest import DONE, Browser, ann  # noqa: F401 (ann is a fixture)

NAME = applications.name_of(URL)
TWO = "https://app.example/two"


class Administered:
    """An application that describes itself, and who administers it over the API."""

    def __init__(self, app: Flask, make: Factory, web: Web, clock: FrozenClock) -> None:
        make.do(lambda realm: set_realm(realm, client_documents=True))
        make.user("root@example.test", roles=("administrator",))
        self.visitor = Browser(app, Made(URL, "", ""), public=True)
        self.client, self.web, self.clock = app.test_client(), web, clock
        self.path = f"/v1/applications/{NAME}"

    def says(self, **changes: Any) -> int:
        """Have the document say something, and somebody be about to sign in; return how that was answered."""
        self.web.pages[URL] = document(**changes)
        self.clock.advance(hours=2)
        return self.visitor.ask().status_code

    def set(self, **fields: Any) -> None:
        """Set fields as an administrator."""
        answer = self.client.patch(self.path, json={"spec": fields}, headers=session_of(self.client, "root@example.test"))
        assert answer.status_code == 204, answer.text

    def __getitem__(self, field: str) -> Any:
        """Return a field as an administrator sees it."""
        answer = self.client.get(self.path, headers=session_of(self.client, "root@example.test"))
        return answer.json["spec"].get(field)


@pytest.fixture
def tool(app: Flask, make: Factory, ann: str, world: Web, frozen_clock: FrozenClock) -> Administered:
    return Administered(app, make, world, frozen_clock)


def test_what_a_document_does_not_speak_of_stays(tool: Administered) -> None:
    _, jwks = key_pair()
    keyed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}
    assert tool.says(**keyed) == 200
    tool.set(profile="fapi2", dpopNonces=True)
    tool.says(client_name="Another", **keyed)
    assert (tool["displayName"], tool["profile"], tool["dpopNonces"]) == ("Another", "fapi2", True)


@pytest.mark.parametrize(
    ("field", "member"),
    [
        ("pushedRequests", "require_pushed_authorization_requests"),
        ("dpopBoundAccessTokens", "dpop_bound_access_tokens"),
    ],
)
def test_protection_that_was_turned_on_stays_whatever_documents_say(tool: Administered, field: str, member: str) -> None:
    tool.says()
    tool.set(**{field: True})
    for value in (None, True, False):
        tool.says(client_name=f"Tool {value}", **{member: value})
        assert tool[field] is True, value
    tool.set(**{field: False})
    tool.says(client_name="Once more")
    assert tool[field] is False
    tool.says(**{member: True})
    assert tool[field] is True, "a document may ask for more"
    tool.says(client_name="And again")
    assert tool[field] is False, "and for no more than it has asked for"


def test_scopes_that_were_narrowed_are_only_narrowed_further(tool: Administered) -> None:
    tool.says(scope="openid profile email")
    tool.set(scopes=["openid", "email"])
    tool.says(scope="openid profile email roles", client_name="B")
    assert tool["scopes"] == ["openid", "email"]
    tool.says(scope="openid profile", client_name="C")
    assert tool["scopes"] == ["openid"]
    tool.says(scope="openid profile email", client_name="D")
    assert tool["scopes"] == ["openid"], "what it once did without is given back by an administrator"
    assert tool.says(scope="profile") == 400, "nothing of it is left"
    assert tool["scopes"] == ["openid"]


def test_redirect_uris_that_were_taken_away_do_not_come_back(tool: Administered) -> None:
    tool.says(redirect_uris=[DONE, TWO])
    tool.set(redirectUris=[DONE, "https://app.example/here"])
    tool.says(redirect_uris=[DONE, TWO, "https://app.example/three"])
    assert tool["redirectUris"] == [DONE, "https://app.example/here"]
    tool.says(redirect_uris=[TWO], client_name="C")
    assert tool["redirectUris"] == ["https://app.example/here"], "what an administrator has added is none of the document's"


def test_texts_that_were_set_stay_and_the_rest_follows_the_document(tool: Administered) -> None:
    tool.says(policy_uri="https://app.example/a")
    tool.set(displayName="Checked tool")
    tool.says(client_name="Bank", policy_uri="https://app.example/b", scope="openid", redirect_uris=[DONE, TWO])
    assert (tool["displayName"], tool["privacyUrl"], tool["scopes"]) == ("Checked tool", "https://app.example/b", ["openid"])
    assert tool["redirectUris"] == [DONE, TWO]


def test_of_a_version_that_noted_nothing_protection_and_narrower_scopes_stay(tool: Administered, make: Factory) -> None:
    tool.says()
    tool.set(pushedRequests=True, dpopNonces=True, scopes=["openid"])
    make.do(lambda _: db.session.execute(update(ClientDocument).values(applied=None, listed=None)))
    tool.says(client_name="B", scope="openid profile")
    assert (tool["displayName"], tool["pushedRequests"], tool["dpopNonces"], tool["scopes"]) == ("B", True, True, ["openid"])


def test_of_a_version_that_noted_nothing_it_is_noted_when_the_document_is_read_again(tool: Administered, make: Factory) -> None:
    tool.says(redirect_uris=[DONE, TWO])
    make.do(lambda _: db.session.execute(update(ClientDocument).values(applied=None, listed=None)))
    tool.says(redirect_uris=[DONE, TWO])
    tool.set(redirectUris=[DONE])
    tool.says(redirect_uris=[DONE, TWO], client_name="B")
    assert tool["redirectUris"] == [DONE]
