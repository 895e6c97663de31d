"""A realm whose feed is served over HTTP, and an API that follows it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from idp import callers, recall, runtime
from idp.realms import known_realm
from idp.verifier import InvalidTokenError, Recall, Verifier
from tests.factories import Factory
from tests.serving import wait_until

ISSUER = "http://localhost:8080/auth/realms/acme"
API = "https://api.example"
AUDIENCES = (API, "https://data.example", "shop", "ci-bot", f"{ISSUER}/apis", ISSUER)
SOON = 2
"""Seconds within which a verifier is to know."""


@dataclass
class Api:
    """An API that checks tokens by their signature, and follows what was taken back."""

    app: Flask
    base: str
    followed: list[Recall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recall = self.follow()
        self.verifier = self.verifying(self.recall)

    def follow(self, **options: Any) -> Recall:
        """Return another follower."""
        path = f"{self.base}/auth/realms/acme/protocol"
        given = {"endpoint": f"{path}/realmgate/revocations", "jwks_uri": f"{path}/openid-connect/certs"} | options
        self.followed.append(Recall(ISSUER, **given))
        return self.followed[-1]

    def verifying(self, recall: Recall | None) -> Verifier:
        """Return a verifier with a follower."""
        keys = f"{self.base}/auth/realms/acme/protocol/openid-connect/certs"
        return Verifier(ISSUER, AUDIENCES, session_tokens=True, jwks_uri=keys, recall=recall)

    def accepts(self, token: str) -> bool:
        """Tell whether a request with a token would be let in."""
        try:
            self.verifier.verify(token)
        except InvalidTokenError:
            return False
        return True

    def is_active(self, token: str) -> bool:
        """Tell what introspection says of a token."""
        with self.app.app_context():
            process = runtime.current()
            process.feed.confirm_now()
            realm = known_realm(process, "acme")
            return realm is not None and realm.enabled and callers.introspect(realm, token) is not None

    def agrees(self, token: str, *, active: bool) -> None:
        """See that both say the same soon."""
        assert self.is_active(token) is active
        wait_until(lambda: self.accepts(token) is active, f"the verifier's saying {active}", SOON)


@pytest.fixture
def base(app: Flask) -> Iterator[str]:
    """The address at which the application is served."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    with app.app_context():
        recall.waiting(runtime.current()).close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(app: Flask, base: str, make: Factory) -> Iterator[Api]:
    found = Api(app, base)
    yield found
    for each in found.followed:
        each.stop()
