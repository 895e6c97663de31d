"""Authenticating the application that makes a request (RFC 6749 §2.3, RFC 7523 §2.2)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from idp import applications, audit, client_documents, clock, crypto, federation, tokens
from idp.applications import KnownApplication, KnownSecret
from idp.db import commit
from idp.jose import InvalidTokenError, read_unverified
from idp.oauth.errors import InvalidClientError, InvalidRequestError
from idp.oauth.forms import Form
from idp.oauth.limits import count_failure
from idp.proofs import ANYBODYS, Binding
from idp.realms import KnownRealm, publish_application
from idp.telemetry import span
from idp.web.address import client_address
from idp.web.body import Environ
from idp.web.certificates import certificate_thumbprint, takes_certificates
from idp.web.credentials import decode_basic

CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
"""Methods that `authenticate_application` accepts; discovery is generated from this."""

PUBLIC = "none"
"""The method of applications that can keep no secret, where it is accepted: they name themselves (RFC 6749 §2.1)."""

BY_CERTIFICATE = "self_signed_tls_client_auth"
"""The method of applications that show the certificate of one of their keys, where proxies hand those over (RFC 8705 §2.2)."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_SECRET = 512
_TWO_CREDENTIALS = "The request carries two different client credentials. Send one."

_log = logging.getLogger(__name__)


_APPLICATION = "realmgate.application"
"""Where a request keeps the application that has shown who it is."""


@dataclass(frozen=True, slots=True)
class Client:
    """An authenticated application."""

    application: KnownApplication
    secret: KnownSecret | None
    """The secret it presented; None for `private_key_jwt`."""
    address: str
    assertion: str = ""
    """SHA-256 of the assertion of another issuer that it presented, in hexadecimal digits; empty for none."""
    binding: Binding = ANYBODYS
    """What the tokens that it gets are bound to."""

    has_signed: bool = False
    """Whether it has shown a key of its own: by an assertion, or by a certificate."""

    def use_up_secret(self, realm: KnownRealm) -> None:
        """Claim a secret that works only once, and make that durable, before anything is issued for it.

        :raises InvalidClientError: somebody else was first.
        """
        if self.secret is None or not self.secret.single_use:
            return
        name = self.application.name
        if not applications.use_up(self.secret.id):
            raise _refuse(realm, self.application, self.address, "secret")
        publish_application(realm.name, name)
        with audit.acting_as(audit.Actor(f"application:{name}", self.address)):
            audit.record(audit.Tag.SECRET_USE_UP, realm.name, f"application:{name}", secret=self.secret.name)
        commit()


def note_application(environ: Environ, application: KnownApplication | None) -> None:
    """Note whom the answer to a request is for: from now on, its own web origins count."""
    environ[_APPLICATION] = application


def noted_application(environ: Environ) -> KnownApplication | None:
    """Return whom the answer to a request is for; None while it is not known."""
    found: KnownApplication | None = environ.get(_APPLICATION)
    return found


def authenticate_application(
    realm: KnownRealm, environ: Environ, form: Form, *, single_use: bool = False, public: bool = False
) -> Client:
    """Authenticate by exactly one of the three methods; the same id and secret in header and body are one credential.

    :param single_use: accept a secret that works once; the caller must then call `use_up_secret`.
    :param public: accept an application that can keep no secret, and names itself.
    :raises InvalidRequestError: two different credentials, or an assertion without its type.
    :raises InvalidClientError: none, or an invalid one; the same for every cause.
    :raises RateExceededError: an invalid one, after too many others. A correct one is accepted regardless of earlier failures.
    """
    with span("authenticate client"):
        client = _public_client(realm, environ, form) if public else None
        client = client or _by_certificate(realm, environ, form)
        client = client or _authenticate(realm, environ, form, single_use=single_use)
    _check_profile(realm, client)
    note_application(environ, client.application)
    return client


def _check_profile(realm: KnownRealm, client: Client) -> None:
    """See that a client has shown what its profile asks for: FAPI 2.0 §5.3.2.1 has keys of its own, and nobody else's word.

    :raises InvalidClientError: it has shown something else.
    """
    if client.application.is_fapi and not client.has_signed:
        raise _refuse(realm, client.application, client.address, "a credential that the profile fapi2 does not have")


def _public_client(realm: KnownRealm, environ: Environ, form: Form) -> Client | None:
    """Return the application that a request names, if it shows no credential and is one that has none."""
    if "HTTP_AUTHORIZATION" in environ or "client_secret" in form or "client_assertion" in form:
        return None
    application = applications.known_application(realm, form.text("client_id"))
    if application is None or application.client_id != form.text("client_id") or not application.enabled:
        return None
    if not application.kind.is_public:
        return None
    return Client(application, None, client_address(environ, realm.runtime.settings.trusted_proxies))


def _by_certificate(realm: KnownRealm, environ: Environ, form: Form) -> Client | None:
    """Return the application that a request names, if it shows nothing but the certificate of one of its keys (RFC 8705)."""
    settings = realm.runtime.settings
    if (
        not takes_certificates(settings)
        or "HTTP_AUTHORIZATION" in environ
        or "client_secret" in form
        or "client_assertion" in form
    ):
        return None
    thumbprint, client_id = certificate_thumbprint(environ), form.text("client_id")
    application = applications.known_application(realm, client_id) if thumbprint and client_id else None
    if application is None or not application.enabled or application.kind.is_public:
        return None
    found = [key for key in application.public_keys if key.x5t and crypto.same(key.x5t.encode(), thumbprint.encode())]
    if not found:
        return None
    shown = application.shown_by(found[0].credential, application.jwks_frozen)
    return Client(shown, None, client_address(environ, settings.trusted_proxies), has_signed=True)


def _authenticate(realm: KnownRealm, environ: Environ, form: Form, *, single_use: bool) -> Client:
    address = client_address(environ, realm.runtime.settings.trusted_proxies)
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    if "client_assertion" in form:
        if header is not None or "client_secret" in form:
            raise InvalidRequestError(_TWO_CREDENTIALS)
        return _by_assertion(realm, form, address)
    client_id, plain_secrets = _id_and_secrets(header, form)
    application = None
    for application in _as_known(realm, client_id):
        secret = _match(application, plain_secrets)
        proves = application is not None and application.enabled and not application.kind.is_public
        if application is not None and proves and secret is not None and (single_use or not secret.single_use):
            return Client(application.shown_by(secret.credential, secret.frozen), secret, address)
    raise _count_and_refuse(realm, application, client_id, address, "secret")


def _as_known(realm: KnownRealm, client_id: str) -> Iterator[KnownApplication | None]:
    """Return an application as memory has it and, where that has become out of date a moment ago, as it is: twice at the most.

    So a secret that was made by another worker counts at once. Whoever is refused, that costs one read and one look at the feed,
    so that the time taken does not tell which client_ids exist (T88): but for one that has changed in this very moment.
    """
    recalled = applications.recall_application(realm, client_id)
    yield recalled or applications.read_application(realm, client_id)
    realm.runtime.feed.confirm_now()
    if recalled is None:
        return
    if applications.recall_application(realm, client_id) is recalled:
        applications.read_application(realm, "")
    else:
        yield applications.known_application(realm, client_id)


def shows_credential(environ: Environ, form: Form, *, or_names_itself: bool = True) -> bool:
    """Tell whether a request tries to authenticate a client in any way.

    :param or_names_itself: whether `client_id` alone is such a try.
    """
    names = ("client_secret", "client_assertion", "client_assertion_type", *(("client_id",) if or_names_itself else ()))
    return "HTTP_AUTHORIZATION" in environ or any(name in form for name in names)


def _by_assertion(realm: KnownRealm, form: Form, address: str) -> Client:
    if form.text("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequestError(f"client_assertion_type must be {ASSERTION_TYPE}.")
    assertion, client_id = form["client_assertion"], form.text("client_id")
    application, claimed = None, client_id
    try:
        claims = read_unverified(assertion).claims
        if federation.trusted(realm, claims) is not None:
            return admit(realm, assertion, client_id, address)
        unverified_client_id = claims.get("sub")
        if not isinstance(unverified_client_id, str) or client_id not in {"", unverified_client_id}:
            raise InvalidTokenError("sub of the assertion is not the client_id.")
        claimed = unverified_client_id
    except InvalidTokenError as error:
        raise _refuse_assertion(realm, None, claimed, address, error) from error
    token_endpoint = f"{realm.issuer}/protocol/openid-connect/token"
    refusal = InvalidTokenError("")
    for application in _as_known(realm, claimed):
        try:
            proven = applications.check_assertion(realm, application, assertion, (realm.issuer, token_endpoint))
        except InvalidTokenError as error:
            refusal = error
            if isinstance(error, applications.UnknownKeyError) and application is not None:
                (client_documents.want if application.document_url else applications.want_keys)(application)
            continue
        commit()
        return Client(proven, None, address, has_signed=True)
    raise _refuse_assertion(realm, application, claimed, address, refusal) from refusal


def admit(realm: KnownRealm, assertion: str, client_id: str, address: str) -> Client:
    """Return the application that an assertion of a trusted issuer admits, once what that has used up is durable.

    :param client_id: the one that the request names; empty for the only one that the rules of the issuer lead to.
    :raises InvalidClientError: it admits none; the same for every cause.
    :raises RateExceededError: it admits none, after too many others.
    """
    try:
        admission = federation.admit(realm, assertion, client_id=client_id)
    except federation.AssertionRefusedError as error:
        application = error.examination.application or applications.known_application(realm, client_id)
        refusal = note_refusal(realm, error, application, address)
        count_failure(realm, client_id, address)
        want_keys(error)
        raise refusal from error
    commit()
    for missed in admission.unmatched:
        _note_miss(realm, admission, missed, address)
    return Client(admission.application, None, address, admission.digest)


def note_refusal(
    realm: KnownRealm, error: federation.AssertionRefusedError, application: KnownApplication | None, address: str
) -> InvalidClientError:
    """Note that an assertion of a trusted issuer was refused, and why.

    :param application: the one that the request names, or that a rule has led to; None for none.
    """
    issuer = error.examination.issuer
    _log.info("assertion refused: %s", error)
    # what nobody has signed is not told to the trail: it would be as many reasons as somebody likes
    reason = f"federation {issuer.name}: {error}" if issuer is not None else "federation: no such trusted issuer"
    return _refuse(realm, application, address, reason)


def want_keys(error: federation.AssertionRefusedError) -> None:
    """Have the keys of an issuer fetched if the one that an assertion names may have come since."""
    examined = error.examination
    if examined.wants_keys and examined.issuer is not None:
        federation.want_keys(examined.issuer)


def _note_miss(realm: KnownRealm, admission: federation.Admission, missed: federation.RuleFinding, address: str) -> None:
    """Record that a rule in audit mode would have refused what another has admitted."""
    failing = missed.failing
    with audit.acting_as(audit.Actor(f"application:{admission.application.name}", address)):
        audit.record(
            audit.Tag.FEDERATION_RULE_MISS,
            realm.name,
            f"application:{admission.application.name}",
            rule=missed.rule.name,
            admitted_by=admission.rule.name,
            line=f"{failing.line.claim} = {failing.line.value}" if failing else "",
            found=list(failing.found[:3]) if failing else [],
        )
    commit()


def _refuse_assertion(
    realm: KnownRealm, application: KnownApplication | None, claimed: str, address: str, error: InvalidTokenError
) -> InvalidClientError:
    _log.info("client assertion refused: %s", error)
    return _count_and_refuse(realm, application, claimed, address, f"assertion: {error}")


def _count_and_refuse(
    realm: KnownRealm, application: KnownApplication | None, claimed: str, address: str, reason: str
) -> InvalidClientError:
    """Count an invalid credential, under the claimed name.

    :raises RateExceededError: too many failures for that name, from this address.
    """
    refusal = _refuse(realm, application, address, reason)
    count_failure(realm, claimed, address)
    return refusal


def _refuse(realm: KnownRealm, application: KnownApplication | None, address: str, reason: str) -> InvalidClientError:
    tokens.usage(realm.runtime).refused(realm.name, application, address, reason)
    return InvalidClientError(realm.name)


def _match(application: KnownApplication | None, plain_secrets: Sequence[str]) -> KnownSecret | None:
    """Return the secret that was presented. All readings are compared, so that the cost depends on what was sent alone (T88)."""
    now = clock.timestamp()
    usable = [each for each in plain_secrets if 0 < len(each) <= _LONGEST_SECRET]
    found = [applications.match_secret(application, each, now) for each in usable]
    return next((each for each in found if each is not None), None)


def _id_and_secrets(header: str | None, form: Form) -> tuple[str, Sequence[str]]:
    """Return the client_id, and what its secret may be.

    :raises InvalidRequestError: header and body do not say the same.
    """
    if header is None:
        return form.text("client_id"), (form.text("client_secret"),)
    client_id, plain_secrets = _basic_credentials(header)
    if form.get("client_id", client_id) != client_id:
        raise InvalidRequestError("client_id in the body is not the one in the Authorization header.")
    if "client_secret" not in form:
        return client_id, plain_secrets
    if form["client_secret"] not in plain_secrets:
        # RFC 6749 §2.3: not more than one authentication method in each request.
        raise InvalidRequestError(_TWO_CREDENTIALS)
    return client_id, (form["client_secret"],)


def _basic_credentials(header: str) -> tuple[str, Sequence[str]]:
    """Return the client_id of a Basic header and the readings of its secret; empty if it is malformed, which is refused alike.

    RFC 6749 §2.3.1: both are form-encoded before they are joined and base64-encoded. Many clients join them as they are
    (RFC 7617), so the secret may be meant either way. No client_id has a character that would be encoded.
    """
    pair = decode_basic(header) if len(header) <= 4096 else None
    if pair is None:
        return "", ()
    decoded = [_form_decoded(each) for each in pair]
    # dict.fromkeys: without `+` and `%` both readings are the same, and compared once
    return decoded[0] or "", tuple(dict.fromkeys(each for each in (decoded[1], pair[1]) if each is not None))


def _form_decoded(text: str) -> str | None:
    """Return what a form-encoded text says, or None if that is not UTF-8."""
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return None
