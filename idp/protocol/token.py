"""The token endpoint (RFC 6749 §3.2). The steps shared by all grants are here, where no grant can forget one."""

from flask import Response

from idp.protocol.answers import no_store
from idp.protocol.client_auth import authenticate_application
from idp.protocol.errors import UnsupportedGrantTypeError
from idp.protocol.forms import Environ, parse_form
from idp.protocol.grants import GRANTS
from idp.protocol.realm import open_realm


def token(realm: str, environ: Environ) -> Response:
    """Answer with tokens, or an error of RFC 6749 §5.2."""
    known = open_realm(realm)
    form = parse_form(environ)
    grant = GRANTS.get(form.required("grant_type"))
    if grant is None:
        raise UnsupportedGrantTypeError("This grant type is not offered here. Use grant_type=client_credentials.")
    client = authenticate_application(known, environ, form, single_use=True)
    return no_store(grant(known, client, form))
