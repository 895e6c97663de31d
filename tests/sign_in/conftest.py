"""An application that people sign in to, and somebody's browser."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import keys, realms, runtime
from idp.jose import OpenedToken, import_key, open_token
from tests.console.surfing import FoundForm, _Reader
from tests.factories import BASE, PASSWORD, Factory, Made

DONE = "https://app.example/done"
ORIGIN = "http://localhost:8080"


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Browser:
    """Somebody's browser, and the application that sends them here."""

    app: Flask
    made: Made
    public: bool = False
    realm: str = "acme"
    client: FlaskClient = None  # type: ignore[assignment]
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(40))

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @property
    def base(self) -> str:
        return BASE.format(realm=self.realm)

    def parameters(self, **changes: Any) -> dict[str, str]:
        """Return a right authorization request; None takes a parameter away."""
        asked = {
            "response_type": "code",
            "client_id": self.made.client_id,
            "redirect_uri": DONE,
            "scope": "openid",
            "state": "a state",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        } | changes
        return {name: str(value) for name, value in asked.items() if value is not None}

    def ask(self, **changes: Any) -> TestResponse:
        """Open the authorization endpoint."""
        return self.client.get(f"{self.base}auth?{urlencode(self.parameters(**changes))}")

    def form_of(self, page: TestResponse, action: str = "") -> FoundForm:
        """Return the form of a page: the first one whose URL has this in it."""
        assert page.status_code in {200, 400, 401}, (page.status_code, page.text)
        reader = _Reader()
        reader.feed(page.text)
        return next(form for form in reader.forms if action in form.action)

    def send(self, page: TestResponse, **values: str) -> TestResponse:
        """Fill in the form of a page, and send it."""
        form = self.form_of(page)
        return self.client.post(form.action, data=dict(form.values) | values, headers={"Origin": ORIGIN})

    def sign_in(self, page: TestResponse, name: str = "ann@example.test", password: str = PASSWORD) -> TestResponse:
        """Sign in on a page that asks for it."""
        assert 'id="password"' in page.text, page.text
        return self.send(page, name=name, password=password)

    def signed_in(self, **changes: Any) -> dict[str, str]:
        """Go all the way to the application, with a password if that is asked for, and return what it is told."""
        answer = self.ask(**changes)
        if answer.status_code == 200:
            answer = self.sign_in(answer)
        return told(answer)

    def redeem(self, code: str, **changes: Any) -> TestResponse:
        """Have the application redeem a code."""
        return self.post_token(
            **{"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": self.verifier} | changes
        )

    def refresh(self, refresh_token: str, **changes: Any) -> TestResponse:
        """Have the application refresh its tokens."""
        return self.post_token(**{"grant_type": "refresh_token", "refresh_token": refresh_token} | changes)

    def post_token(self, **form: Any) -> TestResponse:
        """Have the application ask the token endpoint."""
        shown = {"client_id": self.made.client_id} if self.public else self.made.form
        data = {name: value for name, value in (shown | form).items() if value is not None}
        return self.app.test_client().post(f"{self.base}token", data=data)

    def tokens(self, **changes: Any) -> dict[str, Any]:
        """Sign in and return the tokens."""
        answer = self.redeem(self.signed_in(**changes)["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def userinfo(self, access_token: str) -> TestResponse:
        """Ask who a token is of."""
        return self.app.test_client().get(f"{self.base}userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask whether a token is active, as its application."""
        answer = self.app.test_client().post(f"{self.base}token/introspect", data=self.made.form | {"token": token})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def open(self, token: str, typ: str = "jwt") -> OpenedToken:
        """Open a token with the realm's keys."""
        with self.app.app_context():
            realm = realms.known_realm(runtime.current(), self.realm)
            assert realm is not None
            ring = keys.key_ring(realm)
            published = ring.published(2**31)
        return open_token(
            token,
            keys=lambda kid, _: [import_key(each.public_jwk) for each in published if each.kid == kid],
            algorithms=("RS256", "ES256"),
            types=(typ,),
        )


def told(answer: TestResponse, where: str = DONE) -> dict[str, str]:
    """Return what the application is told by a redirect."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    location = answer.headers["Location"]
    assert location.partition("?")[0] == where, location
    found = parse_qs(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


@pytest.fixture
def ann(make: Factory) -> str:
    """Somebody who can sign in; their uid."""
    return make.user(roles=("viewer",), projects=(("vision", "researcher"),))


@pytest.fixture
def web(app: Flask, make: Factory, ann: str) -> Browser:
    """A confidential application, and ann's browser."""
    return Browser(app, make.application("shop", kind="web", redirect_uris=[DONE], roles=()))


@pytest.fixture
def spa(app: Flask, make: Factory, ann: str) -> Browser:
    """A public application, and ann's browser."""
    made = make.application("spa", kind="browser", redirect_uris=[DONE], roles=(), secret=False)
    return Browser(app, made, public=True)
