"""Token revocation (RFC 7009)."""

from flask import Response, request

from idp import audit, callers, tokens
from idp.db import commit
from idp.oauth.client_auth import authenticate_application
from idp.oauth.errors import NO_STORE, InvalidGrantError, UnsupportedTokenTypeError
from idp.oauth.forms import parse_form
from idp.oauth.realm import open_realm


def revoke(realm: str) -> Response:
    """Revoke a token issued to the calling application, or a key of its own; the response is sent once that is durable.

    `token_type_hint` is not needed and ignored (RFC 7009 §2.1).
    """
    known = open_realm(realm)
    form = parse_form(request.environ)
    client = authenticate_application(known, request.environ, form, public=True)
    try:
        with audit.acting_as(audit.Actor(f"application:{client.application.name}", client.address)):
            callers.revoke_credential(known, form.required("token"), by=client.application)
    except tokens.ForeignTokenError as error:
        raise InvalidGrantError(str(error)) from error
    except tokens.NotRevocableError as error:
        raise UnsupportedTokenTypeError(str(error)) from error
    commit()
    return Response(b"", 200, NO_STORE)
