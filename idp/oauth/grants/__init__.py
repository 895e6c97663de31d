"""What can be exchanged for tokens: one grant a file, and the list of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from idp.oauth.client_auth import Client
from idp.oauth.forms import Form
from idp.oauth.grants.client_credentials import client_credentials
from idp.oauth.grants.token_exchange import GRANT_TYPE, token_exchange
from idp.realms import KnownRealm


@dataclass(frozen=True)
class Grant:
    """How the token endpoint serves a grant type."""

    answer: Callable[[KnownRealm, Client | None, Form, str], dict[str, Any]]
    """Takes the realm, the client, the parameters and the client's address."""
    needs_client: bool = True
    """Whether the client must authenticate; where it need not, one that shows a credential must still show a right one."""


GRANTS: dict[str, Grant] = {
    "client_credentials": Grant(client_credentials),
    GRANT_TYPE: Grant(token_exchange, needs_client=False),
}
"""Grant types of the token endpoint; discovery is made from this."""
