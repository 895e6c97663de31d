"""What a protected API says of itself to clients (RFC 9728): the gateway says it, since the API knows nothing of tokens."""

import json

from flask import Response
from werkzeug.exceptions import NotFound

from idp import protected_apis
from idp.oauth import open_realm_document
from idp.protected_apis import KnownApi
from idp.realms import KnownRealm
from idp.verifier.resource import HEADERS, WELL_KNOWN, ProtectedResource, is_resource

PATH = f"{WELL_KNOWN}/gateway/<realm>/<api>"
"""Here, where clients reach this server; a proxy may answer with it at the API's own address, too."""


def metadata(realm: str, api: str) -> Response:
    """Answer with the metadata of a protected API whose audience is a URL (RFC 9728 §3.2)."""
    known = open_realm_document(realm)
    found = protected_apis.known_api(known, api)
    described = describe(known, found) if found is not None else None
    if described is None:
        raise NotFound
    return Response(json.dumps(described.document()), headers=HEADERS)


def describe(realm: KnownRealm, api: KnownApi) -> ProtectedResource | None:
    """Return what a protected API is to clients; None for one whose audience is a name, by which no client can find it."""
    if not is_resource(api.audience):
        return None
    return ProtectedResource(
        resource=api.audience,
        issuer=realm.issuer,
        scopes=("roles",) if any(rule.roles for rule in api.rules) else (),
        name=api.name,
        metadata_url=f"{realm.runtime.settings.public_url}{WELL_KNOWN}/gateway/{realm.name}/{api.name}",
    )
