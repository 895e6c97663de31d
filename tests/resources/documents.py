"""Documents by which applications describe themselves, as a web server of theirs would answer them."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from idp import outbound
from idp.db import db
from idp.outbound import Call, Document, OutboundError, Reach
from tests.sign_in.conftest import DONE

URL = "https://app.example/oauth/client.json"


def document(**changes: Any) -> dict[str, Any]:
    """Return a right document; None takes a member away."""
    said = {
        "client_id": URL,
        "client_name": "Helpful Tool",
        "redirect_uris": [DONE],
        "token_endpoint_auth_method": "none",
    } | changes
    return {name: value for name, value in said.items() if value is not None}


@dataclass
class Web:
    """What is there in the world, by URL, and what was asked for."""

    pages: dict[str, Any] = field(default_factory=lambda: {URL: document()})
    max_age: int | None = None
    asked: list[str] = field(default_factory=list)
    slow: dict[str, threading.Event] = field(default_factory=dict)
    """Hosts that do not answer until this says so, or until the call is ended."""
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Counts the calls of those that have begun."""

    def _hang(self, host: str, call: Call) -> None:
        while not self.slow[host].wait(0.01):
            if call.is_over:
                raise OutboundError("others are waiting")

    def fetch(self, url: str, *, reach: Reach, longest: int, call: Call | None = None) -> Document:
        """Answer in the place of `outbound.fetch_json`."""
        assert not reach.private
        assert not db.session().in_transaction(), "nobody waits for a stranger's server in a transaction"
        assert longest <= 20_480
        self.asked.append(url)
        if (host := urlsplit(url).hostname) in self.slow:
            self.begun.release()
            assert call is not None
            self._hang(host, call)
        if url not in self.pages:
            raise OutboundError("10.0.0.7 is a secret")
        return Document(self.pages[url], self.max_age)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The world, with one application in it that describes itself."""
    found = Web()
    monkeypatch.setattr(outbound, "fetch_json", found.fetch)
    yield found
    for each in found.slow.values():
        each.set()
