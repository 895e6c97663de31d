"""What can be exchanged for tokens: one grant a file, and the list of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from idp.oauth.client_auth import Client
from idp.oauth.forms import Form
from idp.oauth.grants.authorization_code import authorization_code
from idp.oauth.grants.client_credentials import client_credentials
from idp.oauth.grants.device_code import DEVICE_GRANT, device_code
from idp.oauth.grants.jwt_bearer import GRANT_TYPE as JWT_BEARER
from idp.oauth.grants.jwt_bearer import admit_by_assertion, jwt_bearer
from idp.oauth.grants.refresh_token import refresh_token
from idp.oauth.grants.token_exchange import GRANT_TYPE, admit_to_exchange, names_its_client, token_exchange
from idp.realms import KnownRealm


@dataclass(frozen=True)
class Grant:
    """How the token endpoint serves a grant type."""

    answer: Callable[[KnownRealm, Client | None, Form, str], dict[str, Any]]
    """Takes the realm, the client, the parameters and the client's address."""
    name: str
    """What it is called among the grants of an application; empty where which of them it takes depends on what is presented."""
    needs_client: bool = True
    """Whether the client must authenticate; where it need not, one that shows a credential must still show a right one."""
    uses_up_secrets: bool = False
    """Whether it takes secrets that work once, and uses them up."""
    for_people: bool = False
    """Whether it is for people who sign in to the client, which then may be one that keeps no secret."""
    admit: Callable[[KnownRealm, Client | None, Form, str], Client | None] | None = None
    """Takes the same, and returns the client that what is presented admits, where that shows who it is."""
    names_client: Callable[[Form], bool] = field(default=lambda _form: False)
    """Tells of parameters whether `client_id` by itself only names who is meant, where something else shows who it is."""


GRANTS: dict[str, Grant] = {
    "client_credentials": Grant(client_credentials, "client_credentials", uses_up_secrets=True),
    "authorization_code": Grant(authorization_code, "authorization_code", for_people=True),
    "refresh_token": Grant(refresh_token, "refresh_token", for_people=True),
    DEVICE_GRANT: Grant(device_code, "device_code", for_people=True),
    GRANT_TYPE: Grant(
        token_exchange, "token_exchange", needs_client=False, admit=admit_to_exchange, names_client=names_its_client
    ),
    JWT_BEARER: Grant(jwt_bearer, "", needs_client=False, admit=admit_by_assertion, names_client=lambda _form: True),
}
"""Grant types of the token endpoint; discovery is made from this."""
