"""How a token names the credential that it was fetched with: told apart by that from others, and not to be found by it."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from idp import feed
from idp.applications.models import Application, ApplicationSecret
from idp.crypto import b64url
from idp.db import db
from idp.jose import thumbprint_of

CHANGED = "credential"
"""What credentials that were taken away, or given again, are called in the change feed."""

_LENGTH = 8


def name_of_secret(uid: str) -> str:
    """Return how tokens name a secret, by its uid."""
    return _name("secret", uid)


def name_of_key(application_uid: str, jwk: Mapping[str, Any]) -> str:
    """Return how tokens name a public key of an application: another that has the same key is told apart from it."""
    return _name("public key", f"{application_uid} {thumbprint_of(jwk)}")


def names_of_keys(application: Application) -> set[str]:
    """Return how tokens name the public keys that an application has registered here.

    What it publishes elsewhere has no name: keys come and go there without an act of anybody here.
    """
    if application.document_url:
        return set()
    return {name_of_key(application.uid, jwk) for jwk in (application.jwks or {}).get("keys", ())}


def credentials_of(application: Application) -> set[str]:
    """Return how tokens name all credentials that an application has: secrets that were not retired, and public keys."""
    query = select(ApplicationSecret.uid).where(
        ApplicationSecret.application_id == application.id, ApplicationSecret.retired_at.is_(None)
    )
    return {name_of_secret(uid) for uid in db.session.scalars(query)} | names_of_keys(application)


def publish_credentials(realm: str, application: str, names: Iterable[str]) -> None:
    """Say that credentials were taken away from an application, or given to it: what was fetched with them is over, or counts."""
    for name in sorted(names):
        feed.publish(CHANGED, f"{realm}/{application}/{name}")


def _name(kind: str, what: str) -> str:
    return b64url(hashlib.sha256(f"{kind}\0{what}".encode()).digest()[:_LENGTH]).decode()
