"""UserInfo (OpenID Connect Core §5.3): who a token with the scope `openid` was issued to."""

import json
from typing import Any

from flask import Response

from idp import callers, clock, keys, tokens
from idp.applications import KnownApplication, known_application
from idp.jose import ID_TOKEN_SHOWN, Kind, unverified_kind
from idp.oauth.answers import at_once
from idp.oauth.client_auth import note_application
from idp.oauth.errors import NO_STORE, InsufficientScopeError, InvalidTokenError, UnprovenTokenError
from idp.oauth.realm import open_realm
from idp.proofs import ProofError
from idp.realms import KnownRealm
from idp.tokens import Subject
from idp.users import KnownUser
from idp.web.body import Environ
from idp.web.credentials import Credentials, MalformedCredentialError, Shown, read_credentials
from idp.web.express import AnyAnswer
from idp.web.possession import shown_binding


def userinfo(realm: str, environ: Environ) -> AnyAnswer:
    """Tell the bearer of an access token who it was issued to: of a person, what its scope says.

    The token is sent in the header (RFC 6750 §2.1); cookies are ignored.
    """
    known = open_realm(realm)
    shown = _shown(environ)
    is_token = shown.shown is Shown.TOKEN and not shown.by_cookie
    found = _found(known, environ, shown) if is_token else None
    if found is None:
        sentence = ID_TOKEN_SHOWN if unverified_kind(shown.value) is Kind.ID else ""
        raise InvalidTokenError(is_shown=shown.shown is not Shown.NOTHING and not shown.by_cookie, sentence=sentence)
    subject, claims = found
    application = known_application(known, claims["client_id"])
    note_application(environ, application)
    if "openid" not in claims.get("scope", "").split():
        raise InsufficientScopeError
    if isinstance(subject, KnownUser) and "grant_id" in claims:
        told = tokens.tell_of_person(known, subject, claims["scope"], frozenset(claims.get("userinfo", ())))
        return _signed(known, application, told) if application is not None and application.signs_userinfo else at_once(told)
    return at_once({name: claims[name] for name in tokens.USERINFO_CLAIMS if name in claims})


def _found(realm: KnownRealm, environ: Environ, shown: Credentials) -> tuple[Subject, dict[str, Any]] | None:
    """Return whose token was shown, and what it says; None if it does not count.

    :raises UnprovenTokenError: the request does not hold what it is bound to.
    """
    try:
        return callers.remember_access_token(realm, shown.value, shown_binding(environ, shown))
    except ProofError as error:
        raise UnprovenTokenError(error) from error


def _signed(realm: KnownRealm, application: KnownApplication, told: dict[str, Any]) -> Response:
    """Answer with a JWT for the application alone (OpenID Connect Core §5.3.2), typed as no token is (RFC 8725 §3.11)."""
    written = json.dumps(told | {"iss": realm.issuer, "aud": application.client_id}, separators=(",", ":"))
    signer = keys.key_ring(realm).signer(application.algorithm or realm.signing_algorithm, clock.timestamp())
    return Response(signer.sign("userinfo+jwt", written), 200, NO_STORE, mimetype="application/jwt")


def _shown(environ: Environ) -> Credentials:
    try:
        return read_credentials(environ)
    except MalformedCredentialError as error:
        raise InvalidTokenError(is_shown=True) from error
