"""The steps that all grants share are here, where no grant can forget one (RFC 6749 §3.2)."""

from dataclasses import replace
from typing import Any

from idp.oauth.client_auth import authenticate_application, shows_credential
from idp.oauth.errors import UnauthorizedClientError, UnsupportedGrantTypeError
from idp.oauth.forms import Form
from idp.oauth.grants import GRANTS
from idp.oauth.limits import count_token
from idp.oauth.possession import bind
from idp.oauth.realm import open_realm
from idp.proofs import ANYBODYS
from idp.realms import KnownRealm
from idp.web.address import client_address
from idp.web.body import Environ


def answer_token(realm: str, environ: Environ, form: Form) -> dict[str, Any]:
    """Return what the token endpoint answers to parameters, whatever form they came in.

    :param environ: of the request that they came with: its headers may hold credentials.
    :raises ProtocolError: it refuses (RFC 6749 §5.2).
    """
    return answer_grant(open_realm(realm), environ, form)


def answer_grant(known: KnownRealm, environ: Environ, form: Form) -> dict[str, Any]:
    """Return what a grant gives, see `answer_token`."""
    grant = GRANTS.get(form.required("grant_type"))
    if grant is None:
        raise UnsupportedGrantTypeError(
            "This grant type is not supported. Discovery lists those that are: grant_types_supported."
        )
    client = None
    if grant.needs_client or shows_credential(environ, form, or_names_itself=not grant.names_client(form)):
        client = authenticate_application(known, environ, form, single_use=grant.uses_up_secrets, public=grant.for_people)
    address = client.address if client is not None else client_address(environ, known.runtime.settings.trusted_proxies)
    if grant.admit is not None:
        client = grant.admit(known, client, form, address)
    if client is not None:
        count_token(known, client.application, client.address)
        if grant.name and grant.name not in client.application.grants:
            raise UnauthorizedClientError("The application may not use this grant. Add it to the application's grants.")
        binding = bind(known, environ, client.application)
        client = replace(client, binding=binding) if binding is not ANYBODYS else client
    return grant.answer(known, client, form, address)
