"""Sealing under the master key, and keyed hashes of machine secrets."""

from idp.vault.master_key import KeyUse, add_master_key, list_master_keys, promote_master_key, retire_master_key, wrap_master_keys
from idp.vault.models import Pepper
from idp.vault.sealed import Rewrapping, count_not_under, count_under, register_sealed, rewrap, sealed_columns, try_all
from idp.vault.service import ensure_pepper, hash_secret, newest_pepper, open_all_peppers, pepper, seal, secret_matches, unseal

__all__ = [
    "KeyUse",
    "Pepper",
    "Rewrapping",
    "add_master_key",
    "count_not_under",
    "count_under",
    "ensure_pepper",
    "hash_secret",
    "list_master_keys",
    "newest_pepper",
    "open_all_peppers",
    "pepper",
    "promote_master_key",
    "register_sealed",
    "retire_master_key",
    "rewrap",
    "seal",
    "sealed_columns",
    "secret_matches",
    "try_all",
    "unseal",
    "wrap_master_keys",
]
