"""Random values, keyed hashes, encryption under a given key, and the format of secrets that the server makes."""

import binascii
import hmac
import os
import re
import secrets
import uuid
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idp.errors import IdpError, Kind

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_PATTERN = re.compile(r"idp_(?:(?:cs|ak|ol|it|ra)_[0-9A-Za-z]{8}|rt_[0-9A-Za-z]{28})[0-9A-Za-z]{43}[0-9A-Za-z]{6}")
"""Every secret the server makes: prefix, characters that may be shown, 256 bits that nobody can guess, CRC-32 of all before it.
`cs` is a client secret, `ak` an API key, `ol` the secret of a one-time link, `rt` a refresh token,
`it` registers applications, `ra` changes one that has registered itself."""


class MasterKeyError(IdpError):
    """The master key file cannot be used, or is not the one this database was sealed under."""

    kind, retry_after = Kind.DAMAGED, 5


class DamagedError(IdpError):
    """A sealed value does not open: it was altered, moved to another row, or sealed under another key."""

    kind, retry_after = Kind.DAMAGED, 5


def base62(number: int, width: int) -> str:
    """Write a number in base62, left-padded with zeros to `width` characters."""
    pieces = []
    while number:  # ten digits of a long number at a time, since those fit a machine word, two at a time then
        number, ten = divmod(number, _TEN)
        for _ in range(5):
            ten, two = divmod(ten, 3844)
            pieces.append(_PAIRS[two])
    return "".join(reversed(pieces))[-width:].rjust(width, "0")


_TEN = 62**10
_PAIRS = [left + right for left in BASE62 for right in BASE62]


def number_in(text: str) -> int:
    """Return the number that `base62` has written."""
    number = 0
    for character in text:
        number = number * 62 + BASE62.index(character)
    return number


def random_id() -> str:
    """Return 128 random bits as 32 hexadecimal digits, for `jti` and the like (RFC 6749 §10.10)."""
    return os.urandom(16).hex()


def ordered_uid(timestamp: float) -> str:
    """Return a new uid that begins with a time, to the millisecond (UUIDv7, RFC 9562 §5.7).

    For rows that are many: an index takes what is ordered at its end, while what is random is spread over all of its pages.
    """
    bits = int.from_bytes(os.urandom(10)) | int(timestamp * 1_000) << 80
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62))


def make_secret(kind: str) -> str:
    """Make a secret that is shown once.

    :param kind: the middle of the prefix, `cs` for a client secret.
    :returns: `idp_<kind>_` + 8 public characters + 43 characters holding 256 random bits + 6 of checksum.
    """
    body = f"idp_{kind}_{base62(secrets.randbits(47), 8)}{base62(secrets.randbits(256), 43)}"
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return the six base62 characters of the CRC-32 of `body`, which leak scanners can test offline."""
    return base62(zlib.crc32(body.encode()), 6)


def public_part(secret: str) -> str:
    """Return the part of a secret that may be stored and shown: prefix and 8 characters; empty for a foreign secret."""
    return secret[: len("idp_cs_") + 8] if SECRET_PATTERN.fullmatch(secret) else ""


def is_well_formed(secret: str, kind: str) -> bool:
    """Tell whether a text is a secret of this kind with its right checksum; most slips and guesses end here."""
    return bool(SECRET_PATTERN.fullmatch(secret)) and secret[4:6] == kind and checksum(secret[:-6]) == secret[-6:]


def keyed_hash(pepper: bytes, plain_secret: str) -> bytes:
    """Hash a secret under a pepper (HMAC-SHA-256): one way, and useless to who has the database alone."""
    return hmac.digest(pepper, plain_secret.encode(), "sha256")


def same(left: bytes, right: bytes) -> bool:
    """Compare two secrets in constant time. Nothing else in this code base compares secrets."""
    return hmac.compare_digest(left, right)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def b64url(data: bytes) -> bytes:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=")


def seal_under(key: bytes, plain: bytes, *, context: str) -> bytes:
    """Encrypt with AES-256-GCM (NIST SP 800-38D) under a key that is used for little, such as a data key.

    :param context: what and whose this is, bound as associated data so that rows cannot be swapped.
    :returns: nonce and ciphertext.
    """
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def open_under(key: bytes, sealed: bytes, *, context: str) -> bytes:
    """Decrypt what `seal_under` made for the same context.

    :raises DamagedError: it was altered, or belongs to another context.
    """
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise DamagedError(f"{context} is damaged in the database and cannot be decrypted. Restore a backup.") from error
