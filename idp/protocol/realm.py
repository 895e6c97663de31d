"""The realm document."""

import json

from flask import Response

from idp import clock, keys
from idp.oauth.realm import open_realm_document


def realm_document(realm: str) -> Response:
    """Return what Keycloak's adapters ask a realm for: its name, its public key, its token URL."""
    known = open_realm_document(realm)
    base = f"{known.issuer}/protocol/openid-connect"
    kid = keys.key_ring(known).signer("RS256", clock.timestamp()).kid
    document = {
        "realm": known.name,
        "display_name": known.display_name,
        "issuer": known.issuer,
        "public_key": keys.public_key_pem_body(known, kid),
        "token-service": base,
        "jwks_uri": f"{base}/certs",
    }
    return Response(json.dumps(document), 200, {"Cache-Control": "max-age=60"}, mimetype="application/json")
