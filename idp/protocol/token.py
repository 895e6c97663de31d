"""The token endpoint (RFC 6749 §3.2)."""

from flask import Response

from idp.oauth.answers import no_store
from idp.oauth.forms import parse_form
from idp.oauth.issue import answer_grant
from idp.oauth.realm import open_realm
from idp.web.body import Environ


def token(realm: str, environ: Environ) -> Response:
    """Answer with tokens, or an error of RFC 6749 §5.2."""
    known = open_realm(realm)
    return no_store(answer_grant(known, environ, parse_form(environ)))
