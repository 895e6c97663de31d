"""The token endpoint (RFC 6749 §3.2). The steps shared by all grants are here, where no grant can forget one."""

from typing import Any

from flask import Response

from idp.protocol.answers import no_store
from idp.protocol.client_auth import authenticate_application, shows_credential
from idp.protocol.errors import UnsupportedGrantTypeError
from idp.protocol.forms import Form, parse_form
from idp.protocol.grants import GRANTS
from idp.protocol.limits import count_token
from idp.protocol.realm import open_realm
from idp.realms import KnownRealm
from idp.web.address import client_address
from idp.web.body import Environ


def token(realm: str, environ: Environ) -> Response:
    """Answer with tokens, or an error of RFC 6749 §5.2."""
    known = open_realm(realm)
    return no_store(_answer(known, environ, parse_form(environ)))


def answer_token(realm: str, environ: Environ, form: Form) -> dict[str, Any]:
    """Return what the token endpoint answers to parameters that came in another form.

    :raises ProtocolError: as the endpoint does.
    """
    return _answer(open_realm(realm), environ, form)


def _answer(known: KnownRealm, environ: Environ, form: Form) -> dict[str, Any]:
    grant = GRANTS.get(form.required("grant_type"))
    if grant is None:
        raise UnsupportedGrantTypeError("This grant type is not supported. Use client_credentials or token exchange.")
    client = None
    if grant.needs_client or shows_credential(environ, form):
        client = authenticate_application(known, environ, form, single_use=grant.needs_client)
    if client is not None:
        count_token(known, client.application)
    address = client.address if client is not None else client_address(environ, known.runtime.settings.trusted_proxies)
    return grant.answer(known, client, form, address)
