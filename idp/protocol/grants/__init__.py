"""What can be exchanged for tokens: one grant a file, and the list of them."""

from collections.abc import Callable
from typing import Any

from idp.protocol.client_auth import Client
from idp.protocol.forms import Form
from idp.protocol.grants.client_credentials import client_credentials
from idp.realms import KnownRealm

GRANTS: dict[str, Callable[[KnownRealm, Client, Form], dict[str, Any]]] = {
    "client_credentials": client_credentials,
}
"""Grant types of the token endpoint; discovery is made from this."""
