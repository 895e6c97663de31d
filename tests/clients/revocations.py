"""Tokens that all four verifiers accept, and what takes them back over HTTP, by five causes: for tests and a benchmark."""

import threading
from collections.abc import Callable
from typing import Any

from tests.clients.examples import GATEWAY_AUDIENCE
from tests.factories import PASSWORD, claims_of
from tests.flows.test_one_winner import DONE, Person
from tests.flows.test_people import call, make_person
from tests.serving import Server, send

EMAIL = "ann@example.test"
SETTINGS = {
    "IDP_TRUSTED_PROXIES": "127.0.0.1",
    "IDP_RATE_APPLICATION": "0",
    "IDP_RATE_REALM": "0",
    "IDP_SIGN_IN_LIMIT_ACCOUNT": "1000000",
    "IDP_SIGN_IN_LIMIT_ADDRESS": "1000000",
    "IDP_SIGN_IN_LIMIT_REALM": "1000000",
}
"""Of a server on which one person signs in again and again, and whose gateway is asked from this machine."""

CAUSES = ("token revoked", "application disabled", "session ended", "API key revoked", "sign-in to an application ended")

TakeBack = Callable[[], object]
"""Takes back one token; returns when that was answered."""


class Stage:
    """A served realm with an administrator, and a person who can sign in to an application."""

    def __init__(self, server: Server) -> None:
        """Make them; the server runs."""
        self.server = server
        self.signing_in = threading.Lock()
        """One signs in at a time: of one network, three may at once, and others are told to come again."""
        self.person = make_person(server, EMAIL, "--role", "viewer")
        spec = ("--kind", "native", "--redirect-uri", DONE, "--audience", GATEWAY_AUDIENCE)
        server.idp("applications", "create", "--realm", "acme", *spec, "shop")
        boss = server.create_application("boss", "--role", "administrator")
        self._header = {"Authorization": f"Bearer {server.token(boss).json['access_token']}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as the administrator, and return what is answered."""
        answer = call(self.server, method, path, body, self._header)
        assert answer.status < 300, answer.body
        return answer.json if answer.body else None


class Holder:
    """Two applications and a person's browser, which get tokens one after the other: for one thread."""

    def __init__(self, stage: Stage, name: str) -> None:
        """Make the applications, by a name that no others have."""
        self._stage, self._server = stage, stage.server
        spec = ("--audience", GATEWAY_AUDIENCE, "--role", "viewer")
        self._bot, self._disabled = (self._server.create_application(each, *spec) for each in (name, f"{name}-disabled"))
        self._browser = Person(self._server)

    def get(self, cause: str) -> tuple[str, TakeBack]:
        """Return a new token, and what takes it back by a cause."""
        ways: dict[str, Callable[[], tuple[str, TakeBack]]] = {
            "token revoked": self._token,
            "application disabled": self._application_token,
            "session ended": self._session,
            "API key revoked": self._exchanged,
            "sign-in to an application ended": self._signed_in,
        }
        return ways[cause]()

    def _token(self) -> tuple[str, TakeBack]:
        token = self._server.token(self._bot).json["access_token"]
        shown = {name: self._bot[name] for name in ("client_id", "client_secret")}
        return token, lambda: self._revoke(token=token, **shown)

    def _revoke(self, **form: str) -> None:
        answer = send(self._server.endpoint("revoke"), form)
        assert answer.status == 200, answer.body

    def _application_token(self) -> tuple[str, TakeBack]:
        path = f"/v1/applications/{self._disabled['uid']}"
        self._stage.call("PATCH", path, {"spec": {"enabled": True}})  # it may have been disabled for the token before
        token = self._server.token(self._disabled).json["access_token"]
        return token, lambda: self._stage.call("PATCH", path, {"spec": {"enabled": False}})

    def _session(self) -> tuple[str, TakeBack]:
        body = {"emailId": EMAIL, "password": PASSWORD, "org": "acme"}
        with self._stage.signing_in:
            token = _sent(call(self._server, "POST", "/v1/auth/authenticate?setCookie=false", body).json)
        return token, lambda: self._stage.call("DELETE", f"/v1/sessions/{claims_of(token)['sid']}")

    def _exchanged(self) -> tuple[str, TakeBack]:
        key = self._stage.call("POST", "/v1/apiKeys", {"spec": {"userUid": self._stage.person}})
        token = _sent(call(self._server, "POST", "/v1/auth/exchange", headers={"apiKey": key["apiKey"]}).json)
        return token, lambda: self._stage.call("POST", f"/v1/apiKeys/{key['uid']}/revoke", {"reason": "It is not needed."})

    def _signed_in(self) -> tuple[str, TakeBack]:
        with self._stage.signing_in:
            code = self._browser.code("openid offline_access roles")
        tokens = self._browser.redeem(code).json
        return tokens["access_token"], lambda: self._revoke(token=tokens["refresh_token"], client_id="shop")


def _sent(answer: dict[str, str]) -> str:
    """Return the token of an answer that says how it is sent."""
    return answer["Authorization"].removeprefix("Bearer ")
