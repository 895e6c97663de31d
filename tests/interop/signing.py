"""Tokens that are bound to something, and tokens that only the realm's own key can sign: for what the served program issues later, or to others."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from idp import clock, keys, realms, runtime
from idp.app import close_app, create_app
from idp.jose import read_unverified
from idp.settings import Settings
from tests.bound.proving import Prover, b64
from tests.factories import claims_of
from tests.serving import PROJECT, Server, send

Sign = Callable[[str, Mapping[str, Any]], str]
"""Sign claims with a realm's key: the header's `typ`, and the claims."""


def realm_signer(server: Server) -> Sign:
    """Return what signs any claims with the key of realm acme, as the server would: for tokens that only time makes."""
    app = create_app(Settings.load(data_dir=server.data_dir, realms_dir=PROJECT / "realms", public_url=server.url))
    try:
        with app.app_context():
            realm = realms.known_realm(runtime.current(), "acme")
            assert realm is not None
            signer = keys.key_ring(realm).signer("RS256", clock.timestamp())
    finally:
        close_app(app)
    return lambda typ, claims: signer.sign(typ, json.dumps(claims))


def bound_tokens(server: Server, sign: Sign, application: Mapping[str, str], prover: Prover, **parameters: str) -> dict[str, str]:
    """Return access tokens of an application, by what they are bound to.

    :param application: its tokens are signed with RS256, and their audience is the API's.
    :param prover: has the key.
    :param parameters: of the request at the token endpoint.
    """
    url = server.endpoint("token")
    credentials = {name: application[name] for name in ("client_id", "client_secret")}
    answer = send(url, {"grant_type": "client_credentials"} | credentials | parameters, prover.headers("POST", url))
    assert answer.json["token_type"] == "DPoP"
    by_key: str = answer.json["access_token"]
    claims, typ = claims_of(by_key), read_unverified(by_key).header["typ"]
    assert claims["cnf"] == {"jkt": prover.jkt}
    certificate = {"x5t#S256": b64(hashlib.sha256(b"a certificate").digest())}
    others = {"a certificate": certificate, "both": claims["cnf"] | certificate, "something else": {"kid": "k"}, "nothing": {}}
    return {"a key": by_key} | {name: sign(typ, claims | {"cnf": each}) for name, each in others.items()}
