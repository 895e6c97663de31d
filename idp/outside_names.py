"""`IDP_OUTSIDE_KEYS`: what it may be, and what it names.

What is said of a wrong value never repeats it: somebody may have written a PIN or a key into it.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

_NONE = "none"
_PKCS11 = "pkcs11:"
_AWS_KMS = "awskms:"
_KEY_ID = r"[0-9a-zA-Z-]{1,64}"
_ALIAS = r"alias/[\w/-]{1,250}"
_AWS_NAME = re.compile(rf"(?:arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{{12}}:(?:key/{_KEY_ID}|{_ALIAS}))|{_ALIAS}|{_KEY_ID}")
_ATTRIBUTES = ("token", "serial", "object", "id")
"""What tells one key of a security module from another, in the order of our own way of writing it."""

TAKES = (
    "takes pkcs11:token=…;object=…?module-path=…&pin-source=file:… or awskms:… with an ARN, a key id or an alias; several are "
    "separated by spaces"
)


@dataclass(frozen=True)
class OutsideKey:
    """A key that never leaves what holds it."""

    kind: str
    """`pkcs11` or `awskms`."""
    name: str
    """What tells it from others, in one form, with its kind in front: neither where the PIN is nor which library is used."""
    attributes: tuple[tuple[str, str], ...]
    """What is needed to use it, see `hsm` and `kms`."""

    def wrapped(self, identity: str) -> bool:
        """Tell whether what was wrapped under this identity may be unwrapped with this key."""
        if self.kind != "awskms" or not identity.startswith(_AWS_KMS):
            return identity == self.name
        # what was wrapped names the key itself; an alias may have been moved to another one since
        return "alias/" in self.name or identity.rpartition("/")[2] == re.split("[:/]", self.name)[-1]


@dataclass(frozen=True)
class OutsideKeys:
    """The outside keys of an installation."""

    wraps: OutsideKey | None
    """The one that new master keys are wrapped with; None to keep them in the file as they are."""
    all: tuple[OutsideKey, ...]
    """Those that unwrap."""


NO_OUTSIDE_KEYS = OutsideKeys(None, ())


def read_outside_keys(text: str) -> OutsideKeys:
    """Return what the setting names.

    :raises ValueError: half a sentence that says what it takes.
    """
    words = text.split()
    named = words[1:] if words[:1] == [_NONE] else words
    keys = tuple(_read(word) for word in named)
    return OutsideKeys(keys[0] if keys and named is words else None, keys)


def _read(word: str) -> OutsideKey:
    if word.startswith(_PKCS11):
        return _read_pkcs11(word.removeprefix(_PKCS11))
    name = word.removeprefix(_AWS_KMS)
    found = _AWS_NAME.fullmatch(name)
    if name == word or found is None:
        raise ValueError(TAKES)
    return OutsideKey("awskms", word, (("key", name), ("region", found["region"] or "")))


def _read_pkcs11(rest: str) -> OutsideKey:
    """Read the URI of a key (RFC 7512 §2.3)."""
    path, _, query = rest.partition("?")
    values = _pairs(path, ";", {*_ATTRIBUTES, "type"})
    if "pin-value" in query:
        raise ValueError("may not hold a PIN: write it into a file, and name that with pin-source=file:/path")
    asked = _pairs(query, "&", {"module-path", "pin-source"})
    if values.pop("type", "secret-key") != "secret-key":
        raise ValueError("takes a secret key (type=secret-key) in a pkcs11: URI")
    if not values.keys() & {"token", "serial"} or not values.keys() & {"object", "id"}:
        raise ValueError("needs token or serial, and object or id, in a pkcs11: URI")
    module, pin = asked.get("module-path", ""), asked.get("pin-source", "").removeprefix("file:").removeprefix("//")
    if not module.startswith("/") or not pin.startswith("/"):
        raise ValueError("needs module-path=/absolute/path of the library and pin-source=file:/absolute/path in a pkcs11: URI")
    # `unquote` would take the bytes of an id for text
    name = ";".join(f"{each}={quote(values[each], safe='', encoding='latin-1')}" for each in _ATTRIBUTES if each in values)
    found = {"module": module, "pin": pin} | values
    return OutsideKey("pkcs11", _PKCS11 + name, tuple(found.items()))


def _pairs(text: str, separator: str, known: set[str]) -> dict[str, str]:
    """Return the attributes of a part of the URI, unescaped: bytes as the characters of Latin-1, for an id is no text."""
    pairs = [each.partition("=") for each in text.split(separator) if each]
    names = [name for name, _, _ in pairs]
    if not all(equals for _, equals, _ in pairs) or len({*names}) != len(names) or not {*names} <= known:
        raise ValueError(f"takes {', '.join(sorted(known))} there in a pkcs11: URI, each once and with a value")
    return {name: unquote(value, encoding="latin-1") for name, _, value in pairs}
