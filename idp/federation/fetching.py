"""Fetching the key sets of trusted issuers, beside all requests: a request only says that one is wanted.

Whichever worker of all nodes claims an issuer first fetches its keys. What it has fetched goes into the database, and from there
to all workers. An issuer that does not answer keeps its last keys for as long as is said for it.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from idp import clock, feed, outbound, realms, runtime
from idp.applications import public_key_of
from idp.db import commit, db, reading
from idp.federation.known import CACHED_ISSUERS
from idp.federation.models import KeySource, TrustedIssuer
from idp.jose import InvalidTokenError
from idp.outbound import OutboundError, Reach
from idp.realms import Realm

LONGEST_DOCUMENT = 262_144
"""Bytes of a discovery document or a key set."""

MOST_KEYS = 100

LEAST_KEPT, MOST_KEPT, USUALLY_KEPT = timedelta(minutes=5), timedelta(days=1), timedelta(hours=1)
"""For how long a key set is kept before it is fetched again, whatever its server says, and if it says nothing."""

AGAIN_AFTER, AGAIN_AT_LAST = timedelta(seconds=15), timedelta(minutes=15)
"""Between two tries of an issuer that does not answer: longer and longer."""

CLAIMED_FOR = timedelta(seconds=60)
"""For how long nobody else fetches the keys that a worker has begun to fetch: it may have died meanwhile."""

COOL_DOWN = timedelta(seconds=60)
"""Between two fetches because an assertion has named a key that is not there."""

MOST_AT_ONCE = 20
"""Issuers that are fetched before others of this worker's chores have their turn."""

_KEPT = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")

_log = logging.getLogger(__name__)


def want_keys(realm: realms.KnownRealm, name: str) -> None:
    """Say that an assertion has named a key which an issuer may have by now, and commit. Within a minute, once is enough."""
    now = clock.now()
    statement = update(TrustedIssuer).where(
        TrustedIssuer.realm_id == realm.id,
        TrustedIssuer.name == name,
        TrustedIssuer.key_source != KeySource.UPLOADED,
        or_(TrustedIssuer.wanted_at.is_(None), TrustedIssuer.wanted_at < now - COOL_DOWN),
    )
    db.session.execute(statement.values(wanted_at=now, fetch_at=now))
    commit()


def fetch_due_keys() -> int:
    """Fetch the key sets that are due, each in no transaction, and commit; return how many were fetched."""
    with reading() as session:
        due = (
            select(TrustedIssuer.id)
            .where(TrustedIssuer.key_source != KeySource.UPLOADED, TrustedIssuer.enabled.is_(True))
            .where(TrustedIssuer.fetch_at <= clock.now())
            .order_by(TrustedIssuer.fetch_at)
            .limit(MOST_AT_ONCE)
        )
        found = list(session.scalars(due))
    return sum(fetch_keys(number) for number in found if _claim(number))


def _claim(number: int) -> bool:
    """Claim the next fetch for an issuer, and commit. One statement decides: True for exactly one caller."""
    now = clock.now()
    statement = (
        update(TrustedIssuer)
        .where(TrustedIssuer.id == number, TrustedIssuer.fetch_at <= now)
        .values(fetch_at=now + CLAIMED_FOR)
        .returning(TrustedIssuer.id)
    )
    is_ours = db.session.execute(statement).first() is not None
    commit()
    return is_ours


def fetch_keys(number: int) -> bool:
    """Fetch the key set of one issuer, and commit what became of that; tell whether it was fetched."""
    with reading() as session:
        row = session.get(TrustedIssuer, number)
        if row is None:
            return False
        source, issuer, url = row.key_source, row.issuer, row.jwks_url
    try:
        keys, kept = _fetch(source, issuer, url)
        problem = ""
    except OutboundError as error:
        keys, kept, problem = [], timedelta(), str(error)
    _note(number, keys, kept, problem)
    return not problem


def _fetch(source: str, issuer: str, url: str) -> tuple[list[dict[str, Any]], timedelta]:
    """Return the usable keys of an issuer, and for how long they are to be kept.

    :raises OutboundError: they are not to be had.
    """
    settings = runtime.current().settings
    reach = Reach(networks=settings.outbound_networks)
    if source == KeySource.DISCOVERY:
        address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        document = outbound.fetch_json(address, reach=reach, longest=LONGEST_DOCUMENT).content
        if document.get("issuer") != issuer:  # OpenID Connect Discovery §4.3
            raise OutboundError(f"The discovery document is of another issuer: {str(document.get('issuer'))[:100]!r}.")
        url = document["jwks_uri"] if isinstance(document.get("jwks_uri"), str) else ""
        if not url:
            raise OutboundError("The discovery document has no jwks_uri.")
    fetched = outbound.fetch_json(url, reach=reach, longest=LONGEST_DOCUMENT)
    kept = USUALLY_KEPT if fetched.max_age is None else timedelta(seconds=fetched.max_age)
    return usable_keys(fetched.content), min(max(kept, LEAST_KEPT), MOST_KEPT)


def usable_keys(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the keys of a key set that assertions may be signed with, reduced to what is needed.

    :raises OutboundError: it has none, or too many.
    """
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise OutboundError(f"The key set is no list of at most {MOST_KEYS} keys.")
    found = [usable for usable in map(_usable, keys) if usable is not None]
    if not found:
        raise OutboundError("The key set has no key that assertions can be signed with here.")
    return found


def _usable(jwk: Any) -> dict[str, Any] | None:
    """Return what is needed of a key; None if assertions cannot be signed with it."""
    # a SPIFFE bundle says `jwt-svid` for what everything else calls `sig`
    if not isinstance(jwk, dict) or jwk.get("use", "sig") not in ("sig", "jwt-svid"):
        return None
    key = jwk | ({"use": "sig"} if "use" in jwk else {})
    try:
        public_key_of(key)
    except (InvalidTokenError, KeyError, TypeError):
        return None
    return {name: key[name] for name in _KEPT if name in key}


def _note(number: int, keys: Sequence[dict[str, Any]], kept: timedelta, problem: str) -> None:
    row = db.session.get(TrustedIssuer, number, with_for_update=True)
    if row is None:
        return
    now = clock.now()
    if problem:
        row.failing_since = row.failing_since or now
        row.fetch_error, row.fetch_at = problem[:300], now + _pause(row.failing_since, now)
        _log.warning("the key set of the trusted issuer %s was not fetched: %s", row.name, problem)
    else:
        changed = row.fetched_keys != keys
        row.fetched_keys, row.fetched_at, row.fetch_at = list(keys), now, now + kept
        row.fetch_error, row.failing_since = "", None
        if changed:
            _log.info("the trusted issuer %s has other keys", row.name)
    feed.publish(CACHED_ISSUERS, db.session.get_one(Realm, row.realm_id).name)
    commit()


def _pause(failing_since: datetime, now: datetime) -> timedelta:
    """Return how long to wait for the next try: as long as it has failed so far, within bounds."""
    return min(max(now - failing_since, AGAIN_AFTER), AGAIN_AT_LAST)
