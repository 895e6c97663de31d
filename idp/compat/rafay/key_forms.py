"""How the contract writes keys: `ra2.<40 hexadecimal digits>.<64 of them>`, of which lists show the first two parts.

They are the API keys of the native API in other letters; both forms work.
"""

import hashlib
import re

from idp import crypto

_KEY = re.compile(r"ra2\.([0-9a-f]{40})\.([0-9a-f]{64})")
PUBLIC = re.compile(r"ra2\.[0-9a-f]{40}")
"""The part of a key that may be shown, which is its id: it proves nothing."""


def foreign_key(plain: str) -> str:
    """Return an API key as the contract writes it: the part that may be shown, and the secret, in hexadecimal digits."""
    public_number, secret = _number(plain[7:15]), _number(plain[15:58])
    return f"{_foreign_public(public_number)}.{secret:064x}"


def foreign_public(public_part: str) -> str:
    """Return the part of a key that may be shown as the contract writes it."""
    return _foreign_public(_number(public_part[7:15]))


def _foreign_public(number: int) -> str:
    return f"ra2.{number:012x}{hashlib.sha256(f'ra2 {number}'.encode()).hexdigest()[:28]}"


def plain_key(foreign: str) -> str | None:
    """Return the API key that was written as the contract has it, or as it is; None if it is none."""
    match = _KEY.fullmatch(foreign)
    if match is None:
        return foreign if foreign.startswith("idp_ak_") else None
    body = f"idp_ak_{crypto.base62(int(match[1][:12], 16), 8)}{crypto.base62(int(match[2], 16), 43)}"
    return body + crypto.checksum(body)


def _number(text: str) -> int:
    value = 0
    for character in text:
        value = value * 62 + crypto.BASE62.index(character)
    return value
