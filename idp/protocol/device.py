"""Device authorization (RFC 8628 §3.1): a device asks for a code that a person enters elsewhere."""

from flask import Response, request

from idp import authorizations, tokens
from idp.db import commit
from idp.oauth.answers import no_store
from idp.oauth.client_auth import authenticate_application
from idp.oauth.client_documents import take_in_of_client
from idp.oauth.errors import InvalidScopeError, InvalidTargetError, UnauthorizedClientError
from idp.oauth.forms import parse_form
from idp.oauth.limits import count_request
from idp.oauth.realm import open_realm
from idp.web.address import client_address


def authorize_device(realm: str) -> Response:
    """Answer with the codes of a device, and where a person enters theirs (RFC 8628 §3.2)."""
    known = open_realm(realm)
    form = parse_form(request.environ)
    take_in_of_client(known, form.text("client_id"), client_address(request.environ, known.runtime.settings.trusted_proxies))
    client = authenticate_application(known, request.environ, form, public=True)
    count_request(known, client.application, client.address)
    if "device_code" not in client.application.grants:
        raise UnauthorizedClientError("The application may not use this grant. Add device_code to the application's grants.")
    try:
        scopes = tokens.persons_scopes(client.application, form.text("scope"))
        targets = tokens.persons_targets(known, client.application, form.text("resource"))
    except tokens.ScopeError as error:
        raise InvalidScopeError(str(error)) from error
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    new = authorizations.add_device(
        known, client.application.id, scope=" ".join(scopes), resource=" ".join(targets), address=client.address
    )
    commit()
    page = f"{known.runtime.settings.public_url}/device"
    shown = authorizations.shown_user_code(new.user_code)
    return no_store(
        {
            "device_code": new.device_code,
            "user_code": shown,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={shown}",
            "expires_in": authorizations.DEVICE_LIFETIME,
            "interval": authorizations.INTERVAL,
        }
    )
