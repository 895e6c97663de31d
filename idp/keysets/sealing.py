"""Sealing the values of a keyset: each version has a data key of its own, which the master key seals.

What a value belongs to (realm, keyset, version, type of key) is bound to it as associated data, so that neither values nor data
keys can be moved from one row to another, nor an old value be put back.
"""

import logging
import os
from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from idp import crypto, vault
from idp.crypto import DamagedError, MasterKeyError
from idp.db import db
from idp.errors import ConflictError
from idp.keysets.kinds import CATEGORIES
from idp.keysets.models import Keyset, KeysetVersion
from idp.realms import Realm
from idp.telemetry import count

BATCH = 500

_log = logging.getLogger(__name__)


class KeysetDamagedError(ConflictError):
    """The values of a keyset cannot be decrypted. Others are not affected."""

    code = "KeysetDamaged"

    def __init__(self, name: str, uid: str) -> None:
        super().__init__(
            f"The values of keyset {name!r} ({uid}) are damaged in the database and cannot be decrypted. "
            "Store them again as a new version, or restore a backup."
        )


def data_key_context(realm_uid: str, keyset_uid: str, version: int) -> str:
    """Return what a data key is bound to."""
    return f"data key of keyset {keyset_uid} version {version} of realm {realm_uid}"


def seal_values(
    realm_uid: str, keyset_uid: str, version: int, values: Iterable[tuple[str, str]]
) -> tuple[str, list[tuple[str, bytes]]]:
    """Encrypt values with a new data key.

    :param values: types and values.
    :returns: the sealed data key, and types with sealed values.
    """
    data_key, context = os.urandom(32), data_key_context(realm_uid, keyset_uid, version)
    sealed = [(each, crypto.seal_under(data_key, value.encode(), context=f"{context}: {each}")) for each, value in values]
    return vault.seal(data_key, context=context), sealed


def open_values(
    realm_uid: str,
    keyset_uid: str,
    name: str,
    version: int,
    sealed_data_key: str,
    values: Collection[tuple[str, bytes]],
    types: Collection[str],
) -> dict[str, str]:
    """Decrypt what `seal_values` has encrypted.

    :param types: of the keys that there must be.
    :returns: values by type.
    :raises KeysetDamagedError: something of it was altered, belongs elsewhere, or is missing.
    """
    context = data_key_context(realm_uid, keyset_uid, version)
    try:
        data_key = vault.unseal(sealed_data_key, context=context)
        opened = {each: crypto.open_under(data_key, sealed, context=f"{context}: {each}").decode() for each, sealed in values}
        _check_types(context, opened, types)
    except (DamagedError, MasterKeyError) as error:
        _log.error("keyset %s: %s", keyset_uid, error)
        count("realmgate_keysets_damaged", 1)
        raise KeysetDamagedError(name, keyset_uid) from error
    return opened


def _check_types(context: str, opened: Collection[str], types: Collection[str]) -> None:
    if set(opened) != set(types):
        raise DamagedError(f"{context}: there are other keys than there should be.")


def types_of(keyset: Keyset) -> tuple[str, ...]:
    """Return the types of the keys that a stored keyset must have; none where its category or entity was altered."""
    return tuple(CATEGORIES.get(keyset.category, {}).get(keyset.entity, ()))


def is_damaged(realm: Realm, keyset: Keyset) -> bool:
    """Tell whether the values of a keyset do not open, keys of it are missing, or an older version was put back."""
    latest = db.session.scalar(select(func.max(KeysetVersion.number)).where(KeysetVersion.keyset_id == keyset.id))
    if keyset.version != latest:
        return True
    values = [(key.key_type, key.sealed_value) for key in keyset.keys]
    try:
        types = types_of(keyset)
        open_values(realm.uid, keyset.uid, keyset.name, keyset.version, keyset.sealed_data_key, values, types)
    except KeysetDamagedError:
        return True
    return False


def check_keysets() -> Iterator[tuple[Realm, Keyset, bool]]:
    """Return every keyset with its realm and whether it is damaged, batch by batch."""
    after = 0
    query = select(Realm, Keyset).join(Realm, Realm.id == Keyset.realm_id).order_by(Keyset.id).limit(BATCH)
    while rows := db.session.execute(query.where(Keyset.id > after).options(selectinload(Keyset.keys))).all():
        for realm, keyset in rows:
            yield realm, keyset, is_damaged(realm, keyset)
        after = rows[-1][1].id
        db.session.expunge_all()


vault.register_sealed(
    Keyset.sealed_data_key,
    select(Keyset.id, Keyset.sealed_data_key, Realm.uid, Keyset.uid, Keyset.version).join(Realm, Realm.id == Keyset.realm_id),
    data_key_context,
    changed=("keyset", "*"),
)
