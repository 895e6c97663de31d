"""Metadata of a realm's endpoints, made from what they enforce (OpenID Connect Discovery §4, RFC 8414 §3)."""

import json
from typing import Any

from flask import Response

from idp import tokens
from idp.algorithms import SIGNING_ALGORITHMS
from idp.applications import ASSERTION_ALGORITHMS
from idp.oauth.client_auth import CLIENT_AUTH_METHODS
from idp.oauth.grants import GRANTS
from idp.oauth.realm import open_realm
from idp.realms import KnownRealm

MAX_AGE = 3600


def metadata(realm: KnownRealm) -> dict[str, Any]:
    """Return the metadata of a realm.

    What a realm does not have is absent, not empty (RFC 8414 §3.2), but for `response_types_supported`: it must be there (RFC
    8414 §2, OpenID Connect Discovery §3), and clients cannot read the document without it.
    """
    base = f"{realm.issuer}/protocol/openid-connect"
    document: dict[str, Any] = {
        "issuer": realm.issuer,
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}/certs",
        "introspection_endpoint": f"{base}/token/introspect",
        "revocation_endpoint": f"{base}/revoke",
        "userinfo_endpoint": f"{base}/userinfo",
        "response_types_supported": [],  # nobody signs in to other applications here yet
        "grant_types_supported": list(GRANTS),
        "scopes_supported": ["openid"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "claims_supported": list(tokens.ADVERTISED_CLAIMS),
    }
    for endpoint in ("token", "introspection", "revocation"):
        document[f"{endpoint}_endpoint_auth_methods_supported"] = list(CLIENT_AUTH_METHODS)
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(ASSERTION_ALGORITHMS)
    return document


def discovery(realm: str) -> Response:
    """Answer the metadata under each of its well-known URLs."""
    document = json.dumps(metadata(open_realm(realm)))
    return Response(document, 200, {"Cache-Control": f"max-age={MAX_AGE}"}, mimetype="application/json")
