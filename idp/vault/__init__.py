"""Sealing under the master key, and keyed hashes of machine secrets."""

from idp.vault.models import Pepper
from idp.vault.sealed import Rewrapping, count_not_under, count_under, register_sealed, rewrap, sealed_columns
from idp.vault.service import ensure_pepper, hash_secret, open_all_peppers, pepper, seal, secret_matches, unseal

__all__ = [
    "Pepper",
    "Rewrapping",
    "count_not_under",
    "count_under",
    "ensure_pepper",
    "hash_secret",
    "open_all_peppers",
    "pepper",
    "register_sealed",
    "rewrap",
    "seal",
    "sealed_columns",
    "secret_matches",
    "unseal",
]
