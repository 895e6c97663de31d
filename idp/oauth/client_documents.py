"""Applications whose client_id is the URL of a document that says what they are (draft-ietf-oauth-client-id-metadata-document).

Nobody has registered them: where a realm takes them, the document is fetched when somebody is about to sign in to one, outside
every transaction, by the client that reaches no private network. What it says is held to the rules of registration.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp import applications, audit, client_documents, clock, outbound, ratelimit, runtime
from idp.applications import ApplicationSheet, KnownApplication, is_private, without_loopback_port
from idp.client_documents import Kept
from idp.db import commit, db
from idp.errors import ConflictError, IdpError, InvalidValueError
from idp.oauth.client_auth import PUBLIC
from idp.oauth.errors import InvalidClientMetadataError, InvalidRedirectUriError, InvalidRequestError
from idp.oauth.registration import GRANTS, in_description, read_metadata, sheet_of
from idp.oauth.turns import NoTurnError, Turns
from idp.outbound import Document, OutboundError, Reach
from idp.ratelimit import Rate, RateExceededError, Use
from idp.realms import KnownRealm, known_realm

LARGEST = 5_120
"""Bytes of a document (§6.6 recommends 5 KB)."""

LARGEST_KEYS = 20_480
"""Bytes of a key set that a document refers to."""

BY_NETWORK = Rate("client-document", 1 / 6, 10)
"""Fetches that one network causes: ten at once, and ten in a minute."""

NEW_IN_REALM = Rate("new-client-document", 1 / 3, 20)
"""Documents of a realm that were not seen before, whoever names them."""

AT_ONCE = 4
"""Fetches at a time, of one process, each from another host: slow servers take no more of its threads than these."""

KEPT_FOR = 2.0
"""Seconds after which a fetch ends if others wait for its place."""

LONGEST_WAIT = 3.0
"""Seconds that a request waits for its turn to fetch."""

_NEVER = ("client_secret", "client_secret_expires_at")

_turns = Turns(AT_ONCE, KEPT_FOR)

_log = logging.getLogger(__name__)


class ClientDocumentError(IdpError):
    """An application's client_id is a URL, and what is there does not describe one."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What an application may be that nobody has looked at."""

    kinds: list[str]
    scopes: list[str]


def take_in(realm: KnownRealm, client_id: str, address: str) -> None:
    """See that an application which describes itself is known as what it says now; commits. Any other client_id is passed over.

    :param address: who asks for that.
    :raises ClientDocumentError: its document is not to be had, or does not describe an application.
    :raises RateExceededError: too many documents were asked for.
    :raises TooManyDocumentsError: the realm keeps as many as it may.
    """
    if not realm.takes_client_documents or not client_id.startswith(applications.SCHEME):
        return
    if not applications.is_document_url(client_id):
        raise ClientDocumentError(
            "A client_id that is a URL takes https, a host in lower case and a path, and no query or fragment."
        )
    kept = client_documents.find_kept(realm, client_id)
    if kept is not None and (not kept.enabled or clock.now() < kept.fresh_until):
        return
    _count(realm, kept, address)
    _read(realm, client_id, address)


def read_wanted() -> int:
    """Read documents again that may have keys by now which assertions have named, and commit; return how many were read."""
    process, read = runtime.current(), 0
    for wanted in client_documents.list_wanted():
        realm = known_realm(process, wanted.realm)
        if realm is None or not client_documents.claim(wanted):
            continue
        try:
            _read(realm, wanted.url, "")
            read += 1
        except IdpError as error:  # it is tried again when such an assertion comes again
            db.session.rollback()
            _log.warning("the document of the application %s was not read again: %s", wanted.url, error)
    return read


def _read(realm: KnownRealm, client_id: str, address: str) -> None:
    """Fetch the document of an application, have it count, and commit."""
    db.session.rollback()  # no transaction is kept open while somebody is called
    document = _fetch(realm, client_id, LARGEST)
    try:
        said = read_document(client_id, document.content, lambda url: _fetch(realm, url, LARGEST_KEYS).content)
        _keep(realm, client_id, document, said, address)
    except (InvalidClientMetadataError, InvalidRedirectUriError, ConflictError, InvalidValueError) as error:
        db.session.rollback()
        reason = in_description(str(error))
        _log.info("the document of the application %s was refused: %s", client_id, reason)
        raise ClientDocumentError(f"The document at the client_id describes no application that can be used: {reason}") from error
    realm.runtime.feed.confirm_now()


def take_in_of_client(realm: KnownRealm, client_id: str, address: str) -> None:
    """Do as `take_in` for an application that asks for itself.

    :raises InvalidRequestError: its document is not to be had, or does not describe an application.
    """
    try:
        take_in(realm, client_id, address)
    except ClientDocumentError as error:
        raise InvalidRequestError(in_description(str(error))) from error


def _count(realm: KnownRealm, kept: Kept | None, address: str) -> None:
    """Count a fetch.

    :raises RateExceededError: there were too many.
    """
    limiter = ratelimit.limiter(realm.runtime)
    limiter.use(Use(BY_NETWORK, f"{realm.name} {ratelimit.network_of(address)}"))
    if kept is None:
        limiter.use(Use(NEW_IN_REALM, realm.name))


def _fetch(realm: KnownRealm, url: str, longest: int) -> Document:
    """Fetch a document, when it is its host's turn.

    :raises ClientDocumentError: it is not to be had. Why is in the log: whoever asks would learn what this server can reach.
    :raises RateExceededError: others are in the way.
    """
    reach = Reach(networks=realm.runtime.settings.outbound_networks)
    try:
        with _turns.of(urlsplit(url).hostname or "", wait=LONGEST_WAIT) as call:
            return outbound.fetch_json(url, reach=reach, longest=longest, call=call)
    except NoTurnError:
        raise RateExceededError(BY_NETWORK, outbound.LONGEST) from None
    except OutboundError as error:
        _log.info("the document of an application was not fetched: %s", error)
        raise ClientDocumentError(
            "What the client_id leads to could not be fetched: it has to be a JSON document of at most 5 KB, without a redirect."
        ) from error


def read_document(url: str, content: dict[str, Any], keys_at: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of an application that its document says.

    :param keys_at: returns the key set at a URL.
    :raises InvalidClientMetadataError: it is not usable.
    :raises InvalidRedirectUriError: a redirect URI is not.
    """
    if content.get("client_id") != url:  # §4.1: by simple string comparison
        raise InvalidClientMetadataError("client_id in it is not the URL that it is at.")
    if any(name in content for name in _NEVER):  # §4.1
        raise InvalidClientMetadataError("it has a client_secret, which everybody could read.")
    sent = {"token_endpoint_auth_method": PUBLIC} | {name: value for name, value in content.items() if value is not None}
    if sent["token_endpoint_auth_method"] not in {PUBLIC, "private_key_jwt"}:
        raise InvalidClientMetadataError("token_endpoint_auth_method takes none and private_key_jwt.")
    if isinstance(sent.get("grant_types"), list):
        # one document is for servers of all kinds, and says what the program could do
        sent["grant_types"] = [each for each in sent["grant_types"] if each in GRANTS]
    uri = sent.pop("jwks_uri", None)
    if sent["token_endpoint_auth_method"] == PUBLIC:
        sent.pop("jwks", None)
    elif uri is not None and "jwks" not in sent:
        sent["jwks"] = keys_at(_checked_keys_uri(uri))
    if sent["token_endpoint_auth_method"] == PUBLIC and _runs_on_devices(sent.get("redirect_uris")):
        sent["application_type"] = "native"
    metadata = read_metadata(sent)
    if not metadata.redirect_uris:
        raise InvalidRedirectUriError("redirect_uris needs at least one URI.")
    if metadata.scope is not None and not set(metadata.scope.split()) & set(applications.SCOPES):
        metadata = metadata.model_copy(update={"scope": None})
    allowed = _Allowed(["web", "native", "browser"], list(applications.SCOPES))
    sheet = sheet_of(metadata, allowed, description="")
    said = {name: getattr(sheet, name) for name in ApplicationSheet.fields() if name not in _ADMINISTRATORS}
    return said | {"display_name": sheet.display_name or applications.host_of(url)}


_ADMINISTRATORS = frozenset(
    {"enabled", "audience", "resources", "access_token_type", "token_seconds", "consent", "description", "rate_per_second"}
    | {"profile", "dpop_nonces"}
)
"""Fields of an application that are no business of its document."""


def _checked_keys_uri(uri: Any) -> str:
    """Return the URL of a key set.

    :raises InvalidClientMetadataError: it is none.
    """
    if not isinstance(uri, str) or not 1 <= len(uri) <= 500 or urlsplit(uri).scheme != "https":
        raise InvalidClientMetadataError("jwks_uri takes an https URL.")
    return uri


def _runs_on_devices(uris: Any) -> bool:
    """Tell whether people come back to a program on their own machine."""
    texts = [each for each in uris if isinstance(each, str)] if isinstance(uris, list) else []
    return any(is_private(each) or leads_to_this_machine(each) for each in texts)


def leads_to_this_machine(uri: str) -> bool:
    """Tell whether a redirect URI leads to a program on the machine of whoever follows it."""
    return without_loopback_port(uri) is not None or uri.startswith(("http://localhost/", "http://localhost:"))


def goes_elsewhere(application: KnownApplication, redirect_uri: str) -> bool:
    """Tell whether a redirect URI leads to another host than the one at which the application describes itself."""
    return bool(application.document_url) and urlsplit(redirect_uri).netloc != applications.host_of(application.document_url)


def _keep(realm: KnownRealm, url: str, document: Document, said: dict[str, Any], address: str) -> None:
    digest = hashlib.sha256(json.dumps([document.content, said["jwks"]], sort_keys=True).encode()).hexdigest()
    with audit.acting_as(audit.Actor(f"application:{applications.name_of(url)}", address)):
        client_documents.keep(realm, url, said, digest=digest, max_age=document.max_age)
        commit()
