"""OpenID Connect and OAuth 2.0 over HTTP: one endpoint a file. The edge that applications and verifiers talk to."""

from flask import Flask, request

from idp.oauth.errors import answer_error
from idp.protocol.cross_origin import add_endpoint
from idp.protocol.device import authorize_device
from idp.protocol.discovery import discovery
from idp.protocol.express import answer_at_once
from idp.protocol.introspect import introspect
from idp.protocol.jwks import jwks
from idp.protocol.pushed import push_request
from idp.protocol.realm import realm_document
from idp.protocol.registration import PATH as REGISTRATION
from idp.protocol.registration import configure
from idp.protocol.registration import register as register_application
from idp.protocol.revocations import PATH as REVOCATIONS
from idp.protocol.revocations import revocations
from idp.protocol.revoke import revoke
from idp.protocol.signals import BASE as SIGNALS
from idp.protocol.signals import metadata as signals_metadata
from idp.protocol.signals import poll, status, streams, verify
from idp.protocol.token import token
from idp.protocol.userinfo import userinfo
from idp.web.cross_origin import add_public_document
from idp.web.edges import Edge, Limit, register_edge
from idp.web.express import add_fast_path

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the URLs below `/auth/realms/<realm>`, and RFC 8414's form of discovery, to the application."""
    prefix = "/auth/realms/<realm>"
    base = f"{prefix}/protocol/openid-connect"
    add_public_document(app, prefix, realm_document)
    add_public_document(app, f"{prefix}/.well-known/openid-configuration", discovery)
    # where RFC 8414 §3.1 has it, and where clients that only append to the issuer look for it
    add_public_document(app, f"/.well-known/oauth-authorization-server{prefix}", discovery, "discovery of RFC 8414")
    add_public_document(app, f"{prefix}/.well-known/oauth-authorization-server", discovery, "discovery below the issuer")
    add_public_document(app, f"{base}/certs", jwks)
    add_public_document(app, f"{prefix}/{REVOCATIONS}", revocations)
    # where SSF §7.2 has it, and below the issuer
    add_public_document(app, f"/.well-known/ssf-configuration{prefix}", signals_metadata, "transmitter")
    add_public_document(app, f"{prefix}/.well-known/ssf-configuration", signals_metadata, "transmitter below the issuer")
    # the fast path takes these before Flask does; the rules are what answers the other methods, with 405 and `Allow`
    add_endpoint(app, f"{base}/token", lambda realm: token(realm, request.environ), ["POST"], "token")
    add_endpoint(app, f"{base}/token/introspect", lambda realm: introspect(realm, request.environ), ["POST"], "introspect")
    add_endpoint(app, f"{base}/userinfo", lambda realm: userinfo(realm, request.environ), ["GET", "POST"], "userinfo")
    add_endpoint(app, f"{base}/revoke", revoke, ["POST"])
    add_endpoint(app, f"{base}/ext/par/request", push_request, ["POST"])
    add_endpoint(app, f"{base}/auth/device", authorize_device, ["POST"])
    # no page of a browser registers applications
    app.add_url_rule(f"{prefix}/{REGISTRATION}", "registration", register_application, methods=["POST"])
    app.add_url_rule(f"{prefix}/{REGISTRATION}/<client_id>", "registered", configure, methods=["GET", "PUT", "DELETE"])
    # nor does one receive events for its organisation
    app.add_url_rule(f"{prefix}/{SIGNALS}/streams", "streams", streams, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    app.add_url_rule(f"{prefix}/{SIGNALS}/status", "status", status, methods=["GET", "POST"])
    app.add_url_rule(f"{prefix}/{SIGNALS}/verify", "verify", verify, methods=["POST"])
    app.add_url_rule(f"{prefix}/{SIGNALS}/poll/<stream_id>", "poll", poll, methods=["POST"])
    register_edge(app, Edge("protocol", ("", "/auth/realms/"), Limit.ITS_OWN, answer_error))
    endings = ("/token", "/token/introspect", "/userinfo")
    add_fast_path(app, "/auth/realms/", answer_at_once, "GET", "POST", endings=endings)
