"""Metadata of a realm's endpoints, made from what they enforce (OpenID Connect Discovery §4, RFC 8414 §3)."""

import json
from typing import Any

from flask import Response

from idp import tokens
from idp.algorithms import SIGNING_ALGORITHMS
from idp.applications import ASSERTION_ALGORITHMS, SCOPES
from idp.jose import PROOF_ALGORITHMS
from idp.oauth.authorize import CHALLENGE_METHODS, PROMPTS, RESPONSE_MODES, RESPONSE_TYPES
from idp.oauth.client_auth import BY_CERTIFICATE, CLIENT_AUTH_METHODS, PUBLIC
from idp.oauth.grants import GRANTS
from idp.oauth.realm import open_realm_document
from idp.protocol.registration import PATH as REGISTRATION_PATH
from idp.protocol.revocations import PATH as REVOCATIONS_PATH
from idp.realms import KnownRealm
from idp.web.certificates import takes_certificates
from idp.web.languages import codes

MAX_AGE = 3600


def metadata(realm: KnownRealm) -> dict[str, Any]:
    """Return the metadata of a realm.

    What a realm does not have is absent, not empty (RFC 8414 §3.2).
    """
    base = f"{realm.issuer}/protocol/openid-connect"
    document: dict[str, Any] = {
        "issuer": realm.issuer,
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}/certs",
        "introspection_endpoint": f"{base}/token/introspect",
        "revocation_endpoint": f"{base}/revoke",
        "userinfo_endpoint": f"{base}/userinfo",
        "authorization_endpoint": f"{base}/auth",
        "pushed_authorization_request_endpoint": f"{base}/ext/par/request",
        "require_pushed_authorization_requests": realm.pushes_requests,
        "device_authorization_endpoint": f"{base}/auth/device",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "end_session_endpoint": f"{base}/logout",
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "prompt_values_supported": list(PROMPTS),
        "code_challenge_methods_supported": list(CHALLENGE_METHODS),
        "acr_values_supported": [tokens.ACR],
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "ui_locales_supported": list(codes()),
        "grant_types_supported": list(GRANTS),
        "scopes_supported": list(SCOPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "claims_supported": list(tokens.ADVERTISED_CLAIMS),
    }
    document["realmgate_revocations_endpoint"] = f"{realm.issuer}/{REVOCATIONS_PATH}"
    if realm.takes_client_documents:
        document["client_id_metadata_document_supported"] = True
    if realm.has_registration:
        document["registration_endpoint"] = f"{realm.issuer}/{REGISTRATION_PATH}"
    by_certificate: tuple[str, ...] = ()
    if takes_certificates(realm.runtime.settings):
        by_certificate = (BY_CERTIFICATE,)
        document["tls_client_certificate_bound_access_tokens"] = True
    for endpoint in ("token", "introspection", "revocation"):
        public = () if endpoint == "introspection" else (PUBLIC,)
        document[f"{endpoint}_endpoint_auth_methods_supported"] = [*CLIENT_AUTH_METHODS, *by_certificate, *public]
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(ASSERTION_ALGORITHMS)
    return document


def discovery(realm: str) -> Response:
    """Answer the metadata under each of its well-known URLs."""
    document = json.dumps(metadata(open_realm_document(realm)))
    return Response(document, 200, {"Cache-Control": f"max-age={MAX_AGE}"}, mimetype="application/json")
