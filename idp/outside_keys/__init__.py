"""Keys outside the server's own files, in a security module (PKCS#11) or a key service (AWS KMS), that wrap the master keys.

A program that names none loads neither library, and no worker ever does: see `wrapping`.
"""

from idp.outside_keys.errors import KeyServiceError, OutsideKeyError
from idp.outside_keys.wrapping import WRAPPED, unwrap, wrap, wrapped_by
from idp.outside_names import NO_OUTSIDE_KEYS, OutsideKey, OutsideKeys, read_outside_keys

__all__ = [
    "NO_OUTSIDE_KEYS",
    "WRAPPED",
    "KeyServiceError",
    "OutsideKey",
    "OutsideKeyError",
    "OutsideKeys",
    "read_outside_keys",
    "unwrap",
    "wrap",
    "wrapped_by",
]
