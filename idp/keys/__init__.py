"""Signing keys: one RS256 and one ES256 key in use for each realm. Nothing else signs."""

from idp.keys.models import KeyState, SigningKey
from idp.keys.pairs import prepare
from idp.keys.service import (
    announcement,
    count_overdue,
    create_keys,
    list_keys,
    oldest_signing,
    revoke_key,
    rotate_due_keys,
    rotate_key,
)
from idp.keys.signer import KeyRing, Signer, SigningKeyMissingError, key_ring, public_key_pem_body

__all__ = [
    "KeyRing",
    "KeyState",
    "Signer",
    "SigningKey",
    "SigningKeyMissingError",
    "announcement",
    "count_overdue",
    "create_keys",
    "key_ring",
    "list_keys",
    "oldest_signing",
    "prepare",
    "public_key_pem_body",
    "revoke_key",
    "rotate_due_keys",
    "rotate_key",
]
