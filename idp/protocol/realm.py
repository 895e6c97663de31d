"""Finding the realm of a request, and the realm document."""

import json

from flask import Response

from idp import clock, keys, realms, runtime
from idp.protocol.errors import AccessDeniedError, UnknownRealmError
from idp.realms import KnownRealm


def open_realm(name: str) -> KnownRealm:
    """Return the realm that a URL names, once what is in memory is confirmed to be true.

    :raises UnknownRealmError: there is none.
    :raises AccessDeniedError: it is disabled.
    """
    process = runtime.current()
    process.feed.confirm()
    realm = realms.known_realm(process, name)
    if realm is None:
        raise UnknownRealmError
    if not realm.enabled:
        raise AccessDeniedError("The realm is disabled. Ask its operator.")
    return realm


def realm_document(realm: str) -> Response:
    """Return what Keycloak's adapters ask a realm for: its name, its public key, its token URL."""
    known = open_realm(realm)
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
