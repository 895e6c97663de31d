"""Pushed authorization requests (RFC 9126): what a browser would carry, sent beforehand by the application itself."""

import json

from flask import Response, request

from idp import authorizations
from idp.db import commit
from idp.oauth.authorize import PARAMETERS, AuthorizationRequest, Parameters, UnsafeRequestError, check_request
from idp.oauth.client_auth import authenticate_application
from idp.oauth.client_documents import take_in_of_client
from idp.oauth.errors import NO_STORE, InvalidDpopProofError, InvalidRequestError, UnauthorizedClientError
from idp.oauth.forms import parse_form
from idp.oauth.limits import count_request
from idp.oauth.possession import bind
from idp.oauth.realm import open_realm
from idp.web.address import client_address

LONGEST_REQUEST = 8_000
"""Characters of all parameters that are kept."""


def push_request(realm: str) -> Response:
    """Check an authorization request as if it had come by the browser, keep it, and answer what stands for it.

    :raises InvalidRequestError: it is not right, or is one that was pushed already (RFC 9126 §2.1).
    """
    known = open_realm(realm)
    form = parse_form(request.environ)
    take_in_of_client(known, form.text("client_id"), client_address(request.environ, known.runtime.settings.trusted_proxies))
    client = authenticate_application(known, request.environ, form, public=True)
    count_request(known, client.application, client.address)
    if "authorization_code" not in client.application.grants:
        raise UnauthorizedClientError("People cannot sign in to this application.")
    if "request_uri" in form:
        raise InvalidRequestError("request_uri is what this answers, and cannot be sent here.")
    values = {name: value for name, value in form.items() if name in PARAMETERS}
    if sum(map(len, values.values())) > LONGEST_REQUEST:
        raise InvalidRequestError(f"The request is longer than {LONGEST_REQUEST} characters.")
    values["client_id"] = client.application.client_id
    binding = bind(known, request.environ, client.application, needed=False)
    if binding.jkt and values.setdefault("dpop_jkt", binding.jkt) != binding.jkt:
        # RFC 9449 §10.1
        raise InvalidDpopProofError("dpop_jkt is not the thumbprint of the key of the DPoP proof.")
    asked = AuthorizationRequest(realm=known, unverified=Parameters(values), pushed="now")
    try:
        check_request(asked)
    except UnsafeRequestError as error:
        raise InvalidRequestError("The redirect_uri is not one that the application has registered.") from error
    request_uri = authorizations.push(known, client.application.id, values)
    commit()
    body = json.dumps({"request_uri": request_uri, "expires_in": authorizations.PUSHED_LIFETIME})
    return Response(body, 201, NO_STORE, mimetype="application/json")
