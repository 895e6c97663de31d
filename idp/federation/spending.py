"""Using up assertions of trusted issuers where each counts once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select

from idp import clock, spent_assertions
from idp.db import db, insert_if_new, reading
from idp.federation.known import KnownIssuer
from idp.federation.models import UsedForeignAssertion
from idp.realms import KnownRealm
from idp.spent_assertions import Signer, hash_jti


def use_up(realm: KnownRealm, issuer: KnownIssuer, claims: Mapping[str, Any]) -> bool:
    """Use an assertion up. One statement decides, on every worker and node: True for exactly one caller."""
    jti, expires_at = claims["jti"], refused_from(issuer, claims)
    # a node of the version before looks there alone
    is_new = insert_if_new(UsedForeignAssertion, issuer_id=issuer.id, jti_hash=hash_jti(jti), expires_at=expires_at)
    return is_new and spent_assertions.spend(realm.id, Signer.ISSUER, names_of(issuer, claims), jti, expires_at)


def is_used(realm: KnownRealm, issuer: KnownIssuer, claims: Mapping[str, Any]) -> bool:
    """Tell whether `use_up` would be too late, without using anything up: to explain, and never to decide."""
    jti = claims["jti"]
    query = select(UsedForeignAssertion.jti_hash).where(
        UsedForeignAssertion.issuer_id == issuer.id, UsedForeignAssertion.jti_hash == hash_jti(jti)
    )
    with reading() as session:
        if session.scalar(query) is not None:
            return True
        return spent_assertions.is_spent(session, realm.id, Signer.ISSUER, names_of(issuer, claims), jti)


def names_of(issuer: KnownIssuer, claims: Mapping[str, Any]) -> frozenset[str]:
    """Return what the issuer of an assertion could be trusted as: one that is known by its SPIFFE IDs may also have a URL."""
    said = claims.get("iss")
    return frozenset({issuer.issuer, said} if isinstance(said, str) else {issuer.issuer})


def refused_from(issuer: KnownIssuer, claims: Mapping[str, Any]) -> datetime:
    """Return from when on an assertion is refused by its age alone."""
    return datetime.fromtimestamp(claims["exp"] + 2 * issuer.leeway, UTC)


def forget_used_assertions() -> None:
    """Remove what has expired, and so would be refused anyway."""
    db.session.execute(delete(UsedForeignAssertion).where(UsedForeignAssertion.expires_at < clock.now()))
