"""Revoking a credential that was found where it should not be. Reporting it requires presenting it."""

from sqlalchemy import select

from idp import crypto, vault
from idp.apikeys.models import ApiKey
from idp.apikeys.notices import tell_of_leak
from idp.apikeys.service import revoke_key
from idp.applications import Application, ApplicationSecret, retire_secret
from idp.audit import Tag
from idp.db import db
from idp.realms import Realm


def can_be_leaked(plain_secret: str) -> bool:
    """Tell whether a text has the form and the checksum of an API key or a client secret."""
    return crypto.is_well_formed(plain_secret, "ak") or crypto.is_well_formed(plain_secret, "cs")


def revoke_leaked(plain_secret: str) -> None:
    """Revoke an API key or a client secret that was presented as leaked, and tell its owner.

    Nothing is said or done about one that is unknown, wrong, or dead already.
    """
    if crypto.is_well_formed(plain_secret, "ak"):
        _revoke_key(plain_secret)
    elif crypto.is_well_formed(plain_secret, "cs"):
        _retire_secret(plain_secret)


def _revoke_key(plain_key: str) -> None:
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_part == crypto.public_part(plain_key)))
    if key is None or key.revoked_at is not None or not vault.secret_matches(plain_key, key.pepper_id, key.secret_hash):
        return
    realm = db.session.get_one(Realm, key.realm_id)
    for revoked in revoke_key(realm, key, "reported as leaked", Tag.API_KEY_REPORT):
        tell_of_leak(db.session.get_one(Realm, revoked.realm_id), revoked)


def _retire_secret(plain_secret: str) -> None:
    query = select(ApplicationSecret).where(
        ApplicationSecret.public_part == crypto.public_part(plain_secret), ApplicationSecret.retired_at.is_(None)
    )
    for secret in db.session.scalars(query):
        if vault.secret_matches(plain_secret, secret.pepper_id, secret.secret_hash):
            application = db.session.get_one(Application, secret.application_id)
            retire_secret(db.session.get_one(Realm, application.realm_id), application, secret.name)
