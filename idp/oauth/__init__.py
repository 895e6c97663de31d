"""OAuth 2.0 without its endpoints: clients that show who they are, forms, grants, errors. Edges with a token call ask here."""

from idp.oauth.answers import no_store
from idp.oauth.errors import InvalidRequestError, ProtocolError, answer_error
from idp.oauth.forms import Form, parse_form
from idp.oauth.issue import answer_grant, answer_token
from idp.oauth.realm import open_realm, open_realm_document

__all__ = [
    "Form",
    "InvalidRequestError",
    "ProtocolError",
    "answer_error",
    "answer_grant",
    "answer_token",
    "no_store",
    "open_realm",
    "open_realm_document",
    "parse_form",
]
