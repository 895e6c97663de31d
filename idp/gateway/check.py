"""`/gateway/check/<realm>/<api>`: may this request pass?"""

import json
import logging
import re
import secrets
from collections.abc import Mapping

from flask import Response

from idp import callers, protected_apis, runtime
from idp.callers import Caller, CredentialError
from idp.errors import IdpError, Kind, StorageFullError
from idp.gateway.metadata import describe
from idp.gateway.original import OriginalRequest, original_request
from idp.gateway.upstream import NOBODY, identity_headers
from idp.outages import as_outage, explain_any
from idp.proofs import ProofError
from idp.protected_apis import KnownApi, Verdict
from idp.public_url import origin_of
from idp.realms import KnownRealm, known_realm
from idp.runtime import Runtime
from idp.verifier.resource import ProtectedResource
from idp.web.address import client_address, is_trusted
from idp.web.body import Environ
from idp.web.credentials import Credentials, Shown, read_credentials
from idp.web.express import Answer, AnyAnswer
from idp.web.possession import challenge_of, shown_binding

PATH = re.compile(r"/gateway/check/([^/]+)/([^/]+)(/.*)?", re.DOTALL)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_log = logging.getLogger(__name__)

_HEADERS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


class Refusal(Exception):  # noqa: N818 (an answer, like the others)
    """The request may not pass."""

    def __init__(self, status: int, error: str, sentence: str, *, retry_after: int = 0, lacks_role: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.error, self.sentence, self.retry_after = status, error, sentence, retry_after
        self.lacks_role = lacks_role


def check(environ: Environ) -> AnyAnswer:
    """Answer 200 with who calls, 401 with a challenge, or 403."""
    realm_name = ""
    protected: tuple[KnownRealm, KnownApi] | None = None
    try:
        match = PATH.fullmatch(environ["PATH_INFO"])
        if match is None:
            raise Refusal(403, "", "Ask for /gateway/check/<realm>/<protected API>.")
        realm_name = match[1]
        process = runtime.current()
        process.feed.confirm()
        if not is_trusted(environ, process.settings.trusted_proxies):
            raise Refusal(403, "", "Only proxies named in IDP_TRUSTED_PROXIES may ask.")
        protected = realm, api = _protected(process, realm_name, match[2])
        original = original_request(environ, match[3] or "")
        call = protected_apis.call_of(api, original.method, original.path)
        if call.is_open:
            return Answer(b"", [*_HEADERS, *NOBODY])
        caller = _caller(process, realm, api, environ, original)
        judgement = call.judge(caller.held_roles)
        if not judgement.passes:
            lacks_role = judgement.verdict is Verdict.NO_ROLE
            raise Refusal(403, "insufficient_scope", _why(judgement.verdict), lacks_role=lacks_role)
        return Answer(b"", [*_HEADERS, *identity_headers(caller, api)])
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered, and never with 200)
        return refuse(error, realm_name, describe(*protected) if protected is not None else None)


def _why(verdict: Verdict) -> str:
    if verdict is Verdict.NO_ROLE:
        return "The caller holds none of the roles that this call requires."
    return "No rule of the protected API allows this method and path, or the path is not a plain one."


def _protected(process: Runtime, realm_name: str, api_name: str) -> tuple[KnownRealm, KnownApi]:
    realm = known_realm(process, realm_name)
    api = protected_apis.known_api(realm, api_name) if realm is not None and realm.enabled else None
    if realm is None or api is None:
        raise Refusal(403, "", "There is no such protected API.")
    return realm, api


def _caller(process: Runtime, realm: KnownRealm, api: KnownApi, environ: Environ, original: OriginalRequest) -> Caller:
    credentials = read_credentials(environ)
    address = client_address(environ, process.settings.trusted_proxies)
    match credentials.shown:
        case Shown.KEY:
            caller = callers.authenticate_key(process, credentials.value, address)
        case Shown.TOKEN:
            if credentials.by_cookie:
                _check_site(credentials, environ, original)
            shown = shown_binding(environ, credentials, method=original.method, url=_public_url(api, original))
            caller = callers.authenticate_token(process, credentials.value, address, audience=api.audience, shown=shown)
        case Shown.NOTHING:
            raise Refusal(401, "", "This call needs a token or an API key.")
        case _:
            raise CredentialError
    if caller.realm.name != realm.name:
        raise CredentialError
    return caller


def _public_url(api: KnownApi, original: OriginalRequest) -> str:
    """Return the URL that a client has called, as its proof names it: at the host that the API's audience is.

    What a proxy says of the host could be the client's own word, which would prove nothing.
    """
    return f"{origin_of(api.audience)}{original.path}"


def _check_site(credentials: Credentials, environ: Environ, original: OriginalRequest) -> None:
    """Refuse a change that a page of another site makes a browser ask for, with the cookie that it sends by itself (T100)."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    own = site in {"same-origin", "none"} if site is not None else "HTTP_ORIGIN" not in environ
    if credentials.by_cookie and original.method not in _SAFE and not own:
        raise Refusal(403, "", "Pages of another site cannot use the cookie. Send the token in the Authorization header.")


def refuse(error: Exception, realm: str, resource: ProtectedResource | None = None) -> Response:
    """Return the answer to a check that fails, in the form that proxies hand on (RFC 6750 §3).

    :param resource: what the challenge leads clients to.
    """
    refusal = _classify(error)
    body = {"error": refusal.error or "access_denied", "error_description": refusal.sentence}
    headers = dict(_HEADERS)
    if refusal.status == 401 or refusal.lacks_role:
        headers["WWW-Authenticate"] = _challenge(refusal, realm, resource)
    if isinstance(error, ProofError):
        headers |= challenge_of(error)
    if refusal.retry_after:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(json.dumps(body), refusal.status, headers)


def _challenge(refusal: Refusal, realm: str, resource: ProtectedResource | None) -> str:
    """Return what says how to come again: without an error when the request carried nothing (RFC 6750 §3)."""
    said = [f'realm="{realm}"'] if realm.isascii() and realm.isprintable() and '"' not in realm else []
    said += [f'error="{refusal.error}"'] if refusal.error else []
    said += [resource.parameters()] if resource is not None else []
    return f"Bearer {', '.join(said)}".strip()


_ANSWERS: Mapping[Kind, tuple[int, str]] = {
    Kind.NO_CREDENTIAL: (401, ""),
    Kind.UNREADABLE_CREDENTIAL: (401, "invalid_request"),
    Kind.UNAUTHENTICATED: (401, "invalid_token"),
    Kind.DENIED: (403, ""),
    Kind.TOO_LARGE: (403, ""),
    Kind.TOO_MANY: (429, "slow_down"),
}
"""Status and code of the kinds of errors that a check ends with. Any other is a fault of ours."""


def _classify(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, IdpError) and error.kind in _ANSWERS:
        status, code = _ANSWERS[error.kind]
        code = error.error if isinstance(error, ProofError) else code
        return Refusal(status, code, str(error), retry_after=error.retry_after)
    outage = as_outage(error)
    if outage is not None or (isinstance(error, IdpError) and error.kind is Kind.UNAVAILABLE):
        _log.warning("the gateway cannot check: %s", explain_any(error))
        sentence = str(outage) if isinstance(outage, StorageFullError) else "The check is temporarily impossible. Try again."
        return Refusal(503, "temporarily_unavailable", sentence, retry_after=5)
    reference = secrets.token_hex(6)
    _log.error("unexpected error %s", reference, exc_info=error)
    return Refusal(500, "server_error", f"Something went wrong. Tell the operator this number: {reference}")


def check_page() -> Response:
    """Say how the check is asked."""
    return refuse(Refusal(403, "", "Ask for /gateway/check/<realm>/<protected API>."), "")
