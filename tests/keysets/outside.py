"""What holds keys outside the server in tests: a SoftHSM, and moto in place of AWS, over HTTP on loopback."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.prepare import program_missing

PIN = "90817263544536271809"
"""The PIN of the token: nothing holds these digits by chance."""

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")


@dataclass(frozen=True)
class Held:
    """Two keys that something holds."""

    kind: str
    first: str
    """The setting that names one."""
    second: str
    bytes: tuple[bytes, bytes]
    """What they are: nothing else may ever hold these."""
    environment: dict[str, str]
    """How the holder is reached."""
    away: dict[str, str]
    """What is different when it does not answer."""
    said: str
    """What is said then."""
    secrets: tuple[str, ...] = field(default=())


def soft_module(folder: Path) -> Held:
    """Make a token with two keys in a security module that is a library.

    The module's library is loaded by this process only to store keys whose bytes the test knows.
    """
    import pkcs11
    from pkcs11 import Attribute, KeyType, ObjectClass

    module = next(each for each in MODULES if Path(each).exists())
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    (folder / "nothing").mkdir()
    (folder / "away.conf").write_text(config.read_text().replace(str(folder / "tokens"), str(folder / "nothing")))
    os.environ["SOFTHSM2_CONF"] = str(config)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "realm gate", "--so-pin", "00001111", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    keys = os.urandom(32), os.urandom(32)
    library = pkcs11.lib(module)
    with library.get_token(token_label="realm gate").open(rw=True, user_pin=PIN) as session:
        for number, key in enumerate(keys):
            session.create_object(
                {
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.LABEL: f"master {number}",
                    Attribute.ID: bytes([255, number]),
                    Attribute.VALUE: key,
                    Attribute.TOKEN: True,
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.ENCRYPT: True,
                    Attribute.DECRYPT: True,
                }
            )
    (folder / "pin").write_text(PIN + "\n")
    (folder / "pin").chmod(0o600)
    query = f"?module-path={module}&pin-source=file:{folder / 'pin'}"
    return Held(
        "pkcs11",
        f"pkcs11:token=realm%20gate;object=master%200;type=secret-key{query}",
        f"pkcs11:token=realm%20gate;id=%FF%01{query}",
        keys,
        {"SOFTHSM2_CONF": str(config)},
        {"SOFTHSM2_CONF": str(folder / "away.conf")},
        "the module has no such token now",
        (PIN,),
    )


def aws_service(endpoint: str, dead_port: int) -> Held:
    """Make two keys in moto, and an alias of the first."""
    import boto3
    from moto.backends import get_backend

    environment = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "canary-of-aws-credentials",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_KMS": endpoint,
    }
    client = boto3.client(
        "kms", region_name="eu-central-1", endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b"
    )
    made = [client.create_key()["KeyMetadata"] for _ in range(2)]
    client.create_alias(AliasName="alias/realmgate", TargetKeyId=made[0]["KeyId"])
    client.close()
    held: Any = get_backend("kms")["123456789012"]["eu-central-1"].keys
    return Held(
        "awskms",
        "awskms:alias/realmgate",
        f"awskms:{made[1]['Arn']}",
        (held[made[0]["KeyId"]].key_material, held[made[1]["KeyId"]].key_material),
        environment,
        {"AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{dead_port}"},
        "Could not connect to the endpoint URL",
    )


def module_missing() -> str | None:
    """Return why SoftHSM cannot be tried; None when it can."""
    reason = program_missing("softhsm2-util")
    if reason is None and not any(Path(each).exists() for each in MODULES):
        reason = f"the library of SoftHSM is none of {', '.join(MODULES)}"
    return reason


_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory(pid: int) -> bytes:
    """Return all that a process has in memory: every page that is there, one after the other as they are mapped."""
    found = []
    with Path(f"/proc/{pid}/pagemap").open("rb") as pagemap, Path(f"/proc/{pid}/mem").open("rb", 0) as pages:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, mode, *_ = line.split()
            if "r" not in mode or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            begin, end = (int(each, 16) for each in place.split("-"))
            pagemap.seek(begin // _PAGE * 8)
            there = pagemap.read((end - begin) // _PAGE * 8)
            run = None
            for number in range(len(there) // 8 + 1):
                is_there = number < len(there) // 8 and there[number * 8 + 7] & 0xC0  # present, or swapped out
                if is_there and run is None:
                    run = number
                elif not is_there and run is not None:
                    pages.seek(begin + run * _PAGE)
                    found.append(pages.read((number - run) * _PAGE))
                    run = None
            found.append(b"\0")
    return b"".join(found)


def family(pid: int) -> list[int]:
    """Return the ids of a process and all that it has started."""
    return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
