"""A receiver of security events, as an application of the realm."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jws
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from idp import access
from idp.realms import Realm
from tests.factories import Factory, Made, ask_token

ISSUER = "http://localhost:8080/auth/realms/acme"
BASE = "/auth/realms/acme/protocol/ssf"
CAEP = "https://schemas.openid.net/secevent/caep/event-type"
SSF = "https://schemas.openid.net/secevent/ssf/event-type"
SESSION_REVOKED, CREDENTIAL_CHANGE = f"{CAEP}/session-revoked", f"{CAEP}/credential-change"
POLL, PUSH = "urn:ietf:rfc:8936", "urn:ietf:rfc:8935"


@dataclass
class Receiver:
    """An application with a token, and what it does with its streams."""

    client: FlaskClient
    token: str
    made: Made | None = None
    streams: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, said: object = None, **query: str) -> TestResponse:
        """Call the transmitter."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.open(f"{BASE}/{path}", method=method, json=said, headers=headers, query_string=query)

    def sign_in(self) -> None:
        """Get a token of now."""
        assert self.made is not None
        self.token = ask_token(self.client, self.made).json["access_token"]

    def stream(self, **said: Any) -> str:
        """Create a stream; return its id."""
        answer = self.call("POST", "streams", said)
        assert answer.status_code == 201, answer.text
        self.streams.append(answer.json["stream_id"])
        return self.streams[-1]

    def poll(self, stream: str = "", **said: Any) -> TestResponse:
        """Ask for the next events."""
        return self.call("POST", f"poll/{stream or self.streams[0]}", {"returnImmediately": True} | said)

    def events(self, stream: str = "", **said: Any) -> list[dict[str, Any]]:
        """Return what the next events say, once their signatures are found right."""
        answer = self.poll(stream, **said)
        assert answer.status_code == 200, answer.text
        return [self.opened(each) for each in answer.json["sets"].values()]

    def opened(self, token: str) -> dict[str, Any]:
        """Return what an event says, if it is signed with a key of the realm's set."""
        key_set = KeySet.import_key_set(self.client.get("/auth/realms/acme/protocol/openid-connect/certs").json)
        opened = jws.deserialize_compact(token, key_set, algorithms=["RS256"])
        assert opened.headers()["typ"] == "secevent+jwt"
        claims: dict[str, Any] = json.loads(opened.payload)
        return claims


def header_of(token: str) -> dict[str, Any]:
    """Return the header of a signed event."""
    first = token.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    return found


def _need_role(realm: Realm) -> None:
    if all(role.name != "listener" for role in access.list_roles(realm)):
        access.create_role(realm, "listener", access.RoleSheet(permissions=["signals:receive"]))


@pytest.fixture
def receiving(app: Flask, make: Factory) -> Callable[..., Receiver]:
    """Return a function that makes a receiver: an application with a role that permits it."""

    def made(name: str = "siem", **form: str) -> Receiver:
        make.do(_need_role)
        client = app.test_client()
        application = make.application(name, roles=("listener",))
        answer = ask_token(client, application, **form)
        assert answer.status_code == 200, answer.text
        return Receiver(client, answer.json["access_token"], application)

    return made


@pytest.fixture
def siem(receiving: Callable[..., Receiver]) -> Receiver:
    """A receiver with no stream yet."""
    return receiving()
