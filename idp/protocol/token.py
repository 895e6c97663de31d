"""The token endpoint (RFC 6749 §3.2)."""

from idp.oauth.answers import tokens_at_once
from idp.oauth.forms import parse_form
from idp.oauth.issue import answer_grant
from idp.oauth.realm import open_realm
from idp.web.body import Environ
from idp.web.express import Answer


def token(realm: str, environ: Environ) -> Answer:
    """Answer with tokens, or an error of RFC 6749 §5.2."""
    known = open_realm(realm)
    return tokens_at_once(answer_grant(known, environ, parse_form(environ)))
