"""The key set of a realm (RFC 7517 §5)."""

from flask import Response, request

from idp import clock, keys, runtime
from idp.oauth.realm import open_realm_document


def jwks(realm: str) -> Response:
    """Answer the public keys, or 304 to a verifier that has them already (RFC 9110 §13.1.2)."""
    document, etag = keys.key_ring(open_realm_document(realm)).key_set(clock.timestamp())
    headers = {"Cache-Control": f"public, max-age={runtime.current().settings.key_set_max_age}", "ETag": etag}
    if request.if_none_match.contains_weak(etag.strip('"')):
        return Response(b"", 304, headers)
    return Response(document, 200, headers, mimetype="application/json")
