"""The manifest of a backup: of which moment and state it is, what it consists of, and who says so."""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from idp.backup.errors import RestoreError
from idp.backup.progress import Act, Step, Watch
from idp.master_keys import MasterKeys

FILE = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Head(_Part):
    """Where the hash chain of an audit trail ends."""

    realm: str
    """Empty for the server's own."""
    number: int
    """Of the last batch."""
    total: int
    """Events up to there."""
    head: str
    """In hexadecimal digits."""


class Mark(_Part):
    """The state that a database was in, all of it at one moment."""

    db_schema: str = Field(alias="schema")
    installation: str
    """What tells an installation from every other one."""
    changes: int
    """The change clock: how many changes the feed has numbered."""
    trails: tuple[Head, ...]
    rows: dict[str, int]
    """By table."""


class File(_Part):
    """A file of the backup."""

    name: str = Field(pattern=r"^[a-z0-9.-]+$")
    size: int
    """Bytes."""
    sha256: str


class Manifest(_Part):
    """What stands in the file. Nothing of it is secret."""

    format: Literal[1]
    kind: Literal["sqlite", "postgresql"]
    version: str
    """Of Realmgate."""
    taken_at: datetime
    """In UTC."""
    made_with: str
    """What copied the database, with its version."""
    mark: Mark
    master_key: str
    """Id of the key that encrypted new values."""
    fingerprints: dict[str, str]
    """By its id, what tells each master key of the file from every other one; it reveals nothing of the key."""
    files: tuple[File, ...]
    proof: str = ""
    """Of who holds the master key, over all the rest."""

    def text(self) -> str:
        """Return what the proof is of: the rest as JSON, without spaces, in order."""
        return json.dumps(self.model_dump(mode="json", by_alias=True, exclude={"proof"}), sort_keys=True, separators=(",", ":"))

    def signed(self, keys: MasterKeys) -> "Manifest":
        """Return the same with its proof."""
        return self.model_copy(update={"proof": keys.vouch(self.text())})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the file, whole and on disk, as the last of a backup."""
    document = manifest.model_dump(mode="json", by_alias=True)
    with os.fdopen(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read the file.

    :raises RestoreError: there is none, it is not what it should be, or of a later version.
    """
    path = folder / FILE
    try:
        value = json.loads(path.read_bytes())
        if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > FORMAT:
            raise RestoreError(f"{path} was written by a later version of Realmgate ({value.get('version')}). Install that.")
        return Manifest.model_validate(value)
    except OSError as error:
        raise RestoreError(f"{path} cannot be read ({error.strerror}): {folder} is not a complete backup.") from error
    except (ValueError, ValidationError) as error:
        raise RestoreError(f"{path} is damaged: it is not the manifest of a backup. Use another backup.") from error


def describe_file(path: Path, watch: Watch, *, act: Act = Act.READ_BACK) -> File:
    """Read a file, and return its size and its SHA-256."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            watch(Step(act, done, total, "bytes"))
    return File(name=path.name, size=done, sha256=digest.hexdigest())


def find_damaged(folder: Path, manifest: Manifest, watch: Watch) -> list[str]:
    """Return what is wrong with the files of a backup; nothing, if they are what was written."""
    found = []
    for file in manifest.files:
        path = folder / file.name
        try:
            there = describe_file(path, watch, act=Act.HASH)
        except OSError as error:
            found.append(f"{file.name} cannot be read ({error.strerror}).")
            continue
        if there.size != file.size:
            found.append(f"{file.name} has {there.size:,} bytes; {file.size:,} were written.")
        elif there.sha256 != file.sha256:
            found.append(f"{file.name} is damaged or was changed: its SHA-256 is not the one in the manifest.")
    return found


def find_wrong_keys(manifest: Manifest, keys: MasterKeys) -> list[str]:
    """Return why a file of master keys is not the one that belongs to a backup; nothing, if it is."""
    there = keys.fingerprints()
    found = []
    for key_id, fingerprint in manifest.fingerprints.items():
        if key_id == manifest.master_key and key_id not in there:
            found.append(
                f"The backup is encrypted with master key {key_id} (fingerprint {fingerprint}), which is not in the master key "
                f"file: that has {', '.join(there)}."
            )
        elif key_id in there and there[key_id] != fingerprint:
            found.append(
                f"Master key {key_id} of the master key file has the fingerprint {there[key_id]}; the backup was made with "
                f"another key of this name, whose fingerprint is {fingerprint}."
            )
    if not found and not keys.is_vouched(manifest.text(), manifest.proof):
        found.append("The manifest is damaged or was changed: no holder of the master key has written it as it is.")
    return found
