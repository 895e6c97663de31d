"""Documents by which applications describe themselves, as a web server of theirs would answer them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from idp import outbound
from idp.db import db
from idp.outbound import Document, OutboundError, Reach
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

    def fetch(self, url: str, *, reach: Reach, longest: int) -> Document:
        """Answer in the place of `outbound.fetch_json`."""
        assert not reach.private
        assert not db.session().in_transaction(), "nobody waits for a stranger's server in a transaction"
        assert longest <= 20_480
        self.asked.append(url)
        if url not in self.pages:
            raise OutboundError("10.0.0.7 is a secret")
        return Document(self.pages[url], self.max_age)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Web:
    """The world, with one application in it that describes itself."""
    found = Web()
    monkeypatch.setattr(outbound, "fetch_json", found.fetch)
    return found
