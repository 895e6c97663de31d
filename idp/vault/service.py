"""Keyed hashes of machine secrets, and sealing for the other domains."""

import os
import secrets

from sqlalchemy import select

from idp import crypto, runtime
from idp.crypto import MasterKeyError
from idp.db import db, reading
from idp.vault.models import Pepper
from idp.vault.sealed import register_sealed

_NEWEST = "newest-pepper"
"""Where a process keeps the id of the pepper for new secrets."""


def seal(plain: bytes, *, context: str) -> str:
    """Encrypt under the current master key; see `master_keys.MasterKeys.seal`."""
    return runtime.current().master_keys.seal(plain, context=context)


def unseal(sealed: str, *, context: str) -> bytes:
    """Decrypt what `seal` made; see `master_keys.MasterKeys.open`."""
    return runtime.current().master_keys.open(sealed, context=context)


def ensure_pepper() -> None:
    """Make the first pepper if there is none, and see that the master key opens the newest.

    :raises MasterKeyError: the master key file is not the one this database was sealed under.
    """
    newest = db.session.scalars(select(Pepper).order_by(Pepper.created_at.desc())).first()
    if newest is None:
        pepper_id = crypto.base62(secrets.randbits(47), 8)
        sealed = seal(os.urandom(32), context=f"pepper {pepper_id}")
        db.session.add(Pepper(id=pepper_id, sealed=sealed))
    else:
        _open(newest.id, newest.sealed)


def open_all_peppers() -> None:
    """Open every pepper, to find out whether the master key file is complete.

    :raises MasterKeyError: it lacks a key.
    :raises DamagedError: a pepper does not open.
    """
    for pepper_row in db.session.scalars(select(Pepper)):
        unseal(pepper_row.sealed, context=f"pepper {pepper_row.id}")


def hash_secret(plain_secret: str) -> tuple[str, bytes]:
    """Hash a new secret under the newest pepper.

    :returns: the pepper's id and the 32-byte hash.
    """
    pepper_id = newest_pepper()
    return pepper_id, crypto.keyed_hash(pepper(pepper_id), plain_secret)


def newest_pepper() -> str:
    """Return the id of the pepper that new secrets are hashed under: the newest when this process first asked."""
    process = runtime.current()
    known: str | None = process.extensions.get(_NEWEST)
    if known is None:
        newest = db.session.scalars(select(Pepper).order_by(Pepper.created_at.desc())).first()
        if newest is None:
            raise MasterKeyError("This database has no pepper yet. Run: idp serve, or idp setup")
        _open(newest.id, newest.sealed)
        known = process.extensions[_NEWEST] = newest.id
    return known


def secret_matches(plain_secret: str, pepper_id: str, secret_hash: bytes) -> bool:
    """Tell, in constant time, whether a presented secret is the one that was hashed. Costs about 2 µs, and no SQL."""
    return crypto.same(crypto.keyed_hash(pepper(pepper_id), plain_secret), secret_hash)


def pepper(pepper_id: str) -> bytes:
    """Return an opened pepper. It is read from the database once in a process's life; peppers never change."""
    opened = runtime.current().peppers.get(pepper_id)
    if opened is None:
        with reading() as session:
            row = session.get(Pepper, pepper_id)
        if row is None:
            raise MasterKeyError(f"The pepper {pepper_id} is missing from the database. Restore a backup.")
        opened = _open(row.id, row.sealed)
    return opened


def _open(pepper_id: str, sealed: str) -> bytes:
    peppers = runtime.current().peppers
    if pepper_id not in peppers:
        peppers[pepper_id] = unseal(sealed, context=f"pepper {pepper_id}")
    return peppers[pepper_id]


register_sealed(Pepper.sealed, select(Pepper.id, Pepper.sealed, Pepper.id), "pepper {}".format)
