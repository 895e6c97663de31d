"""An outside key in a hardware security module, reached by PKCS#11. For `helper` only."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import GCMParams, Mechanism, ObjectClass

from idp.outside_keys.helper import RefusedError, UnavailableError, Wrapped, limit
from idp.text_files import TextFileError, is_open_to_others, read_text

ANSWER_WITHIN = 10
"""Seconds for all that is asked of the module: it may be a machine elsewhere."""

_ALGORITHM = "aes-256-gcm"
_NONCE = 12

_AWAY = (pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.DeviceError, pkcs11.SessionCount)
"""What modules say when the same may succeed later."""

_CAUSES = {
    pkcs11.PinIncorrect: "the PIN is wrong. Correct the file before the next attempt: modules lock themselves after a few",
    pkcs11.PinLocked: "its PIN is locked after too many wrong ones",
    pkcs11.PinExpired: "its PIN has expired",
    pkcs11.PinLenRange: "the PIN is wrong: it is too short or too long",
    pkcs11.NoSuchKey: "the module holds no such secret key",
    pkcs11.MultipleObjectsReturned: "the module holds several such keys: name it by its id",
    pkcs11.MechanismInvalid: "the key or the module does not do AES-GCM",
    pkcs11.KeyTypeInconsistent: "the key is no AES key",
    pkcs11.EncryptedDataInvalid: "it does not decrypt what is in the master key file, which was changed or is another key's",
}


@contextlib.contextmanager
def open_module(name: str, attributes: dict[str, str]) -> Iterator["_Key"]:
    """Return the key that an `OutsideKey` of this kind names."""
    pin = _read_pin(Path(attributes["pin"]))
    limit(ANSWER_WITHIN)
    with _errors():
        token = _find_token(attributes)
        with token.open(user_pin=pin) as session:
            wanted: dict[str, Any] = {"object_class": ObjectClass.SECRET_KEY}
            if "object" in attributes:
                wanted["label"] = _text(attributes["object"])
            if "id" in attributes:
                wanted["id"] = attributes["id"].encode("latin-1")
            yield _Key(session.get_key(**wanted), name)
    limit(0)


class _Key:
    def __init__(self, key: Any, name: str) -> None:
        self._key, self._name = key, name

    def wrap(self, plain: bytes, context: str) -> Wrapped:
        """Encrypt with AES-GCM; the nonce stands in front of the ciphertext."""
        nonce = os.urandom(_NONCE)
        made = self._key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context.encode(), 128))
        return Wrapped(_ALGORITHM, nonce + made, self._name)

    def unwrap(self, wrapped: Wrapped, context: str) -> bytes:
        """Decrypt."""
        if wrapped.algorithm != _ALGORITHM:
            raise RefusedError(f"the {context} is encrypted with {wrapped.algorithm}, which this version does not know")
        nonce, made = wrapped.data[:_NONCE], wrapped.data[_NONCE:]
        plain: bytes = self._key.decrypt(
            made, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context.encode(), 128)
        )
        return plain


def _read_pin(path: Path) -> str:
    """Return the PIN, without the newline that editors put at its end.

    :raises RefusedError: the file cannot be read, or others can read it.
    """
    try:
        if is_open_to_others(path, path.stat()):
            raise RefusedError(f"the file of its PIN, {path}, can be read or changed by others. Run: chmod 600 {path}")
        pin = read_text(path).removesuffix("\n")
    except OSError as error:
        raise RefusedError(f"the file of its PIN, {path}, cannot be read ({error.strerror})") from error
    except TextFileError as error:
        raise RefusedError(f"the file of its PIN, {path}, {error.reason}") from None
    if not pin:
        raise RefusedError(f"the file of its PIN, {path}, is empty")
    return pin


def _find_token(attributes: dict[str, str]) -> Any:
    """Return the only token of that name or number.

    :raises RefusedError: the library cannot be loaded, or there is none, or more than one.
    """
    module = attributes["module"]
    if not Path(module).exists():
        raise RefusedError(f"there is no library {module}")
    try:
        library: Any = pkcs11.lib(module)
    except pkcs11.PKCS11Error as error:
        if type(error) is pkcs11.PKCS11Error:  # the system's linker, and not the library
            raise RefusedError(f"the library {module} cannot be loaded: {error}") from error
        # as when it cannot reach the machine that holds the keys
        raise UnavailableError(f"the library {module} does not begin ({type(error).__name__})") from error
    # strings of PKCS#11 are padded with blanks
    label, serial = _text(attributes.get("token", "")).strip(), attributes.get("serial", "").strip().encode("latin-1")
    found = [
        each
        for each in (slot.get_token() for slot in library.get_slots(token_present=True))
        if (not label or each.label.strip() == label) and (not serial or bytes(each.serial).strip() == serial)
    ]
    if not found:
        raise UnavailableError("the module has no such token now")
    if len(found) > 1:
        raise RefusedError("the module has several such tokens: name it by its serial")
    return found[0]


def _text(latin: str) -> str:
    """Return what stands in a URI as bytes, which are UTF-8 (RFC 7512 §2.3)."""
    return latin.encode("latin-1").decode(errors="replace")


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Have what the library raises become what `helper` knows."""
    try:
        yield
    except _AWAY as error:
        raise UnavailableError(f"the module says {type(error).__name__}") from error
    except pkcs11.PKCS11Error as error:
        cause = next((said for kind, said in _CAUSES.items() if isinstance(error, kind)), None)
        raise RefusedError(cause or f"the module says {type(error).__name__} {error}".rstrip()) from error
