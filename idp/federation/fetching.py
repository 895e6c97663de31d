"""Fetching the key sets of trusted issuers, beside all requests: a request only says that one is wanted."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_

from idp import feed, published_keys
from idp.db import db
from idp.federation.known import CACHED_ISSUERS, KnownIssuer
from idp.federation.models import KeySource, TrustedIssuer
from idp.outbound import OutboundError
from idp.published_keys import Fetcher
from idp.realms import Realm

MOST_KEYS = 100


def want_keys(issuer: KnownIssuer) -> None:
    """Say that an assertion has named a key which an issuer may have by now; see `Fetcher.want`."""
    meant = and_(TrustedIssuer.id == issuer.id, TrustedIssuer.key_source != KeySource.UPLOADED)
    _FETCHER.want(meant, issuer.derived)


def fetch_due_keys() -> int:
    """Fetch the key sets that are due, each in no transaction, and commit; return how many were fetched."""
    return _FETCHER.fetch_due()


def usable_keys(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the keys of an issuer's key set that assertions may be signed with, reduced to what is needed.

    :raises OutboundError: it has none, or too many.
    """
    return published_keys.usable_keys(document, MOST_KEYS)


def _is_fetched() -> ColumnElement[bool]:
    return and_(TrustedIssuer.key_source != KeySource.UPLOADED, TrustedIssuer.enabled.is_(True))


def _address(issuer: TrustedIssuer) -> tuple[str, str, str]:
    return issuer.key_source, issuer.issuer, issuer.jwks_url


def _fetch(address: tuple[str, str, str]) -> tuple[list[dict[str, Any]], timedelta]:
    """Return the usable keys of an issuer, and for how long they are to be kept.

    :raises OutboundError: they are not to be had.
    """
    source, issuer, url = address
    if source == KeySource.DISCOVERY:
        document = published_keys.fetch_document(f"{issuer.rstrip('/')}/.well-known/openid-configuration").content
        if document.get("issuer") != issuer:  # OpenID Connect Discovery §4.3
            raise OutboundError(f"The discovery document is of another issuer: {str(document.get('issuer'))[:100]!r}.")
        url = document["jwks_uri"] if isinstance(document.get("jwks_uri"), str) else ""
        if not url:
            raise OutboundError("The discovery document has no jwks_uri.")
    return published_keys.fetch_key_set(url, MOST_KEYS)


def _tell(issuer: TrustedIssuer) -> None:
    feed.publish(CACHED_ISSUERS, db.session.get_one(Realm, issuer.realm_id).name)


_FETCHER = Fetcher(TrustedIssuer, _is_fetched, _address, _fetch, _tell, lambda issuer: f"the trusted issuer {issuer.name}")
