"""The master keys: the file that holds them, and the ring that seals and opens under them."""

import base64
import contextlib
import logging
import os
import secrets
from pathlib import Path

from idp.crypto import DamagedError, MasterKeyError, b64url, base62, keyed_hash, open_under, same, seal_under
from idp.text_files import TextFileError, read_text

_log = logging.getLogger(__name__)


class MasterKeys:
    """The keys that seal what the database keeps secret. The first of the file seals, all of them open.

    A file that changes is read again, so that the master key can be replaced while servers run.
    """

    def __init__(self, current: str, by_id: dict[str, bytes], source: Path | None = None) -> None:
        """Take the keys.

        :param source: the file that they were read from; None if it cannot change.
        """
        self._keys = (current, by_id)
        self._source = source
        self._stamp = _stamp(source) if source is not None else None

    @property
    def current(self) -> str:
        """Id of the key that seals."""
        return self._keys[0]

    @property
    def by_id(self) -> dict[str, bytes]:
        """All keys."""
        return self._keys[1]

    def refresh(self) -> None:
        """Read the file again if it has changed. One that cannot be used is reported, and what is known stays."""
        if self._source is None or (stamp := _stamp(self._source)) == self._stamp:
            return
        try:
            fresh = load_master_keys(self._source)
        except MasterKeyError as error:
            _log.error("The master key file has changed and cannot be used; the keys known so far stay in use: %s", error)
        else:
            self._keys = (fresh.current, fresh.by_id)
        self._stamp = stamp

    def seal(self, plain: bytes, *, context: str) -> str:
        """Encrypt with AES-256-GCM.

        :param context: what and whose this is, bound as associated data so that rows cannot be swapped.
        :returns: `v1.<key id>.<nonce and ciphertext>`; the key id lets the master key be replaced.
        """
        self.refresh()
        current, by_id = self._keys
        return f"v1.{current}.{b64url(seal_under(by_id[current], plain, context=context)).decode()}"

    def open(self, sealed: str, *, context: str) -> bytes:
        """Decrypt what `seal` made for the same context.

        :raises MasterKeyError: it was sealed under a key that the file does not hold.
        :raises DamagedError: it was altered, or belongs to another context.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if key_id not in self.by_id:
            self.refresh()
        key = self.by_id.get(key_id)
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


def load_master_keys(path: Path) -> MasterKeys:
    """Read the master key file: a line `<key id>:<base64 of 32 bytes>` for each key, the current one first.

    :raises MasterKeyError: missing, readable by others, or not of that form.
    """
    try:
        found = path.stat()
        lines = read_text(path).split()
    except OSError as error:
        raise MasterKeyError(f"The master key file {path} cannot be read ({error.strerror}). Set IDP_MASTER_KEY_FILE.") from error
    except TextFileError as error:
        raise MasterKeyError(f"The master key file {path} {error.reason}. Set IDP_MASTER_KEY_FILE.") from None
    if _is_open_to_others(found):
        raise MasterKeyError(
            f"The master key file {path} can be read or changed by others (mode {found.st_mode & 0o777:04o}). "
            f"Run: chmod 600 {path} (for a volume of a Secret: defaultMode 0440, with the pod's fsGroup)."
        )
    keys: dict[str, bytes] = {}
    for line in lines:
        key_id, _, text = line.partition(":")
        with contextlib.suppress(ValueError):
            keys[key_id] = base64.b64decode(text, validate=True)
    if not lines or len(keys) != len(lines) or any(len(key) != 32 for key in keys.values()):
        raise MasterKeyError(f"The master key file {path} is damaged: each line must be <key id>:<base64 of 32 bytes>.")
    return MasterKeys(next(iter(keys)), keys, path)


def _is_open_to_others(found: os.stat_result) -> bool:
    """Tell whether anybody but the owner and this process can get at a file.

    Its group may read it if it is one of this process's own: the files of a Secret volume are root's, and given to a group.
    """
    readable_by_group = bool(found.st_mode & 0o040)
    return bool(found.st_mode & 0o037) or (readable_by_group and found.st_gid not in {os.getegid(), *os.getgroups()})


def make_master_key() -> tuple[str, bytes]:
    """Return a new key with its id."""
    return base62(secrets.randbits(47), 8), os.urandom(32)


def write_master_keys(path: Path, current: str, by_id: dict[str, bytes]) -> None:
    """Replace the master key file, mode 0600, whole or not at all.

    :raises MasterKeyError: it cannot be written.
    """
    lines = "".join(_line(key_id, by_id[key_id]) for key_id in [current, *(each for each in by_id if each != current)])
    try:
        _write_draft(path, lines).replace(path)
    except OSError as error:
        raise cannot_replace(path, error) from error
    _sync_folder(path)


def cannot_replace(path: Path, error: OSError) -> MasterKeyError:
    """Return the error for a file that this process cannot write, such as that of a Secret: what to do instead."""
    return MasterKeyError(
        f"The master key file {path} cannot be replaced ({error.strerror}). If it is kept elsewhere, as in a Secret, change it "
        "there: run `idp master-key add` on a copy (IDP_MASTER_KEY_FILE), put the copy in its place, then once more with the new "
        "key in the first line, and run `idp master-key rotate`, which re-encrypts everything and leaves the file alone."
    )


def create_master_key(path: Path) -> None:
    """Write a new master key file, mode 0600, whole or not at all: it appears under its name only once it is on disk.

    An existing file is left alone, also when another process made it meanwhile.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise MasterKeyError(
            f"The folder {path.parent} cannot be created ({error.strerror}). Set IDP_MASTER_KEY_FILE."
        ) from error
    try:
        draft = _write_draft(path, _line(*make_master_key()))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    except OSError as error:
        raise MasterKeyError(
            f"The master key file {path} cannot be created ({error.strerror}). Set IDP_MASTER_KEY_FILE."
        ) from error
    _sync_folder(path)


def _line(key_id: str, key: bytes) -> str:
    return f"{key_id}:{base64.b64encode(key).decode()}\n"


def _write_draft(path: Path, text: str) -> Path:
    """Write a file beside another, for its owner only, and see it on disk before it gets the other's name."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
