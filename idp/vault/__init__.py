"""Sealing under the master key, and keyed hashes of machine secrets."""

from idp.vault.models import Pepper
from idp.vault.service import ensure_pepper, hash_secret, open_all_peppers, pepper, seal, secret_matches, unseal

__all__ = ["Pepper", "ensure_pepper", "hash_secret", "open_all_peppers", "pepper", "seal", "secret_matches", "unseal"]
