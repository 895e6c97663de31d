"""The ring that seals and opens under the master keys."""

import base64
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from idp import outside_keys
from idp.crypto import DamagedError, MasterKeyError, b64url, base62, keyed_hash, open_under, same, seal_under
from idp.master_keys.file import create_key_file, read_key_file
from idp.outside_keys import KeyServiceError
from idp.outside_names import NO_OUTSIDE_KEYS, OutsideKeys

ASK_AGAIN_AFTER = 5.0
"""Seconds after which a file that has changed is read again, if the key service did not answer."""

_log = logging.getLogger(__name__)


class MasterKeys:
    """The keys that seal what the database keeps secret. The first of the file seals, all of them open.

    A file that changes is read again, so that the master key can be replaced while servers run.
    """

    def __init__(
        self,
        current: str,
        by_id: dict[str, bytes],
        source: Path | None = None,
        outside: OutsideKeys = NO_OUTSIDE_KEYS,
        lines: Mapping[str, str] | None = None,
    ) -> None:
        """Take the keys.

        :param source: the file that they were read from; None if it cannot change.
        :param outside: what wraps keys of the file.
        :param lines: how they stand in the file, by their ids.
        """
        self.outside = outside
        self.lines = dict(lines or {})
        self._keys = (current, by_id)
        self._source = source
        self._stamp = _stamp(source) if source is not None else None
        self._reading = threading.Lock()
        self._not_before = 0.0
        self._is_unanswered = False

    @property
    def current(self) -> str:
        """Id of the key that seals."""
        return self._keys[0]

    @property
    def by_id(self) -> dict[str, bytes]:
        """All keys."""
        return self._keys[1]

    def refresh(self, *, wait: bool = True) -> None:
        """Read the file again if it has changed. One that cannot be used is reported, and what is known stays.

        :param wait: for another thread that does so; it may have to ask the key service.
        """
        if self._source is None or _stamp(self._source) == self._stamp or time.monotonic() < self._not_before:
            return
        if not self._reading.acquire(blocking=wait):
            return
        try:
            if (stamp := _stamp(self._source)) != self._stamp and time.monotonic() >= self._not_before:
                self._read_again(self._source, stamp)
        finally:
            self._reading.release()

    def _read_again(self, source: Path, stamp: tuple[int, ...] | None) -> None:
        try:
            fresh = load_master_keys(source, self.outside, known=self)
        except MasterKeyError as error:
            _log.error("The master key file has changed and cannot be used; the keys known so far stay in use: %s", error)
            if isinstance(error, KeyServiceError):
                self._is_unanswered, self._not_before = True, time.monotonic() + ASK_AGAIN_AFTER
                return
        else:
            self._is_unanswered = False
            self.lines, self._keys = fresh.lines, (fresh.current, fresh.by_id)
        self._stamp = stamp

    def seal(self, plain: bytes, *, context: str) -> str:
        """Encrypt with AES-256-GCM.

        :param context: what and whose this is, bound as associated data so that rows cannot be swapped.
        :returns: `v1.<key id>.<nonce and ciphertext>`; the key id lets the master key be replaced.
        """
        self.refresh(wait=False)
        current, by_id = self._keys
        return f"v1.{current}.{b64url(seal_under(by_id[current], plain, context=context)).decode()}"

    def open(self, sealed: str, *, context: str) -> bytes:
        """Decrypt what `seal` made for the same context.

        :raises MasterKeyError: it was sealed under a key that the file does not hold.
        :raises KeyServiceError: what unwraps the keys that the file holds by now does not answer.
        :raises DamagedError: it was altered, or belongs to another context.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if key_id not in self.by_id:
            self.refresh()
        key = self.by_id.get(key_id)
        if key is None and self._is_unanswered:  # the log says which and why, and that is nobody else's business
            raise KeyServiceError("The key service of the server does not answer. Try again in a few seconds.")
        if version != "v1" or key is None:
            raise MasterKeyError(
                f"{context} is encrypted with master key {key_id[:16]!r}, which is not in the master key file. "
                "Restore the file that belongs to this database (IDP_MASTER_KEY_FILE)."
            )
        try:
            data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            if b64url(data).decode() != body:
                raise ValueError("there is one way to write it, and this is another")
        except ValueError as error:
            raise DamagedError(f"{context} is damaged in the database and cannot be decrypted. Restore a backup.") from error
        return open_under(key, data, context=context)

    def fingerprints(self) -> dict[str, str]:
        """Return by its id what tells each key from every other one, and nothing about it: 32 hexadecimal digits."""
        return {key_id: _derived(key, "fingerprint").hex()[:32] for key_id, key in self.by_id.items()}

    def vouch(self, text: str) -> str:
        """Return a proof that who wrote a text has the current key: its HMAC-SHA-256 under a key that follows from it."""
        return f"v1.{self.current}.{_proof(self.by_id[self.current], text)}"

    def is_vouched(self, text: str, proof: str) -> bool:
        """Tell whether `vouch` made this proof for this text, under any key of the file."""
        version, _, rest = proof.partition(".")
        key_id, _, said = rest.partition(".")
        key = self.by_id.get(key_id)
        return version == "v1" and key is not None and same(_proof(key, text).encode(), said.encode())


def _proof(key: bytes, text: str) -> str:
    return keyed_hash(_derived(key, "proof"), text).hex()


def _derived(key: bytes, purpose: str) -> bytes:
    """Return a key for another purpose than sealing, from which nobody learns the master key."""
    return keyed_hash(key, f"realmgate master key 1: {purpose}")


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size, found.st_mode


def load_master_keys(path: Path, outside: OutsideKeys = NO_OUTSIDE_KEYS, *, known: MasterKeys | None = None) -> MasterKeys:
    """Read the master key file, and have the outside keys unwrap what is wrapped.

    :param known: what was read before: lines that are the same need not be unwrapped again.
    :raises MasterKeyError: missing, readable by others, or not of its form.
    :raises OutsideKeyError: what is wrapped cannot be unwrapped.
    """
    lines = read_key_file(path)
    before = known.lines if known is not None else {}
    wrapped = {
        _context(key_id): text for key_id, text in lines.items() if outside_keys.wrapped_by(text) and before.get(key_id) != text
    }
    opened = outside_keys.unwrap(outside, wrapped) if wrapped else {}
    keys = {}
    for key_id, text in lines.items():
        if known is not None and before.get(key_id) == text:
            keys[key_id] = known.by_id[key_id]
        else:
            keys[key_id] = opened[_context(key_id)] if _context(key_id) in opened else base64.b64decode(text)
    if any(len(key) != _LENGTH for key in keys.values()):
        raise MasterKeyError(f"The master key file {path} holds a wrapped key that is none of {_LENGTH} bytes.")
    return MasterKeys(next(iter(keys)), keys, path, outside, lines)


_LENGTH = 32


def _context(key_id: str) -> str:
    """Return what a wrapped key is bound to."""
    return f"master key {key_id}"


def make_master_key() -> tuple[str, bytes]:
    """Return a new key with its id."""
    return base62(secrets.randbits(47), 8), os.urandom(_LENGTH)


def make_line(key_id: str, key: bytes, outside: OutsideKeys = NO_OUTSIDE_KEYS) -> str:
    """Return a key as it stands in the file after its id: wrapped, unless no outside key is to wrap it.

    :raises OutsideKeyError: it cannot be wrapped.
    """
    if outside.wraps is None:
        return base64.b64encode(key).decode()
    return outside_keys.wrap(outside.wraps, key, context=_context(key_id))


def create_master_key(path: Path, outside: OutsideKeys = NO_OUTSIDE_KEYS) -> None:
    """Write a master key file with a new key. An existing file is left alone, also when another process made it meanwhile.

    :raises MasterKeyError: it cannot be written, or the key cannot be wrapped; then there is no file.
    """
    key_id, key = make_master_key()
    create_key_file(path, key_id, make_line(key_id, key, outside))
