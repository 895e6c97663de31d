"""Wrapping master keys with an outside key, by a process of its own that ends when it is done.

That process reads the PIN and loads the library, which may hang, crash, or mind that its process was forked. None of it comes
near the workers, nor costs them memory. What it hands back is the master key, through a pipe.
"""

import base64
import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from idp.outside_keys.errors import KeyServiceError, OutsideKeyError
from idp.outside_names import OutsideKey, OutsideKeys
from idp.redaction import without_user
from idp.written import one_line

WRAPPED = re.compile(r"wrapped:v1:(?P<algorithm>[a-z0-9-]+):(?P<data>[A-Za-z0-9+/]+={0,2})@(?P<identity>[!-~]+)")
"""A wrapped master key as it stands in the file: version, algorithm, what the outside key made of it, and which that is."""

PATIENCE = 60
"""Seconds after which the process is ended, whatever it does. What it waits for, it waits much less for."""


def wrap(key: OutsideKey, plain: bytes, *, context: str) -> str:
    """Encrypt a master key with an outside key, and see that this can be undone.

    :param context: what it is, bound to it so that wrapped keys cannot be swapped.
    :returns: of the form `WRAPPED`.
    :raises KeyServiceError: what holds the outside key does not answer.
    :raises OutsideKeyError: it does, but not with this.
    """
    (done,) = _ask(key, "wrap", [{"context": context, "data": base64.b64encode(plain).decode()}])
    return f"wrapped:v1:{done['algorithm']}:{done['data']}@{done['identity']}"


def unwrap(keys: OutsideKeys, wrapped: Mapping[str, str]) -> dict[str, bytes]:
    """Decrypt master keys, with as few processes as there are outside keys that wrapped them.

    :param wrapped: what `wrap` has made, by its context.
    :returns: the master keys, by their contexts.
    :raises KeyServiceError: what holds an outside key does not answer.
    :raises OutsideKeyError: an outside key is not among these, is missing, or does not decrypt it.
    """
    orders: dict[OutsideKey, list[dict[str, str]]] = {}
    for context, text in wrapped.items():
        identity = wrapped_by(text)
        found = WRAPPED.fullmatch(text)
        key = next((each for each in keys.all if each.wrapped(identity)), None)
        if key is None or found is None:
            raise OutsideKeyError(
                f"The {context} is encrypted with the outside key {identity}, which IDP_OUTSIDE_KEYS does not name. Add it there."
            )
        orders.setdefault(key, []).append({"context": context, **found.groupdict()})
    return {
        order["context"]: base64.b64decode(done["data"])
        for key, asked in orders.items()
        for order, done in zip(asked, _ask(key, "unwrap", asked), strict=True)
    }


def wrapped_by(text: str) -> str:
    """Return which outside key has wrapped this; empty if it is not wrapped."""
    found = WRAPPED.fullmatch(text)
    return found["identity"] if found is not None else ""


def _ask(key: OutsideKey, act: str, orders: list[dict[str, str]]) -> list[dict[str, str]]:
    """Have the process do something with an outside key."""
    asked = {"act": act, "key": asdict(key), "orders": orders}
    # -P: what lies in the folder that the server was started in is no part of the program
    command = [sys.executable, "-P", "-m", "idp.outside_keys"]
    try:
        done = subprocess.run(  # noqa: S603 (this program itself)
            command,
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unanswered(key, f"nothing within {PATIENCE} seconds") from None
    except OSError as error:
        raise OutsideKeyError(f"{key.name} cannot be used: no process can be started ({error.strerror}).") from error
    if done.returncode == -signal.SIGALRM:
        raise _unanswered(key, "nothing in time")
    if done.returncode:
        raise OutsideKeyError(f"{key.name} cannot be used: the program that uses it has ended with {done.returncode}.")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "unavailable" in answer:
        raise _unanswered(key, str(answer["unavailable"]))
    if "refused" in answer:
        raise OutsideKeyError(f"{key.name} cannot be used: {_shown(answer['refused'])}.")
    results: list[dict[str, str]] = answer["done"]
    return results


def _unanswered(key: OutsideKey, cause: str) -> KeyServiceError:
    return KeyServiceError(
        f"The key service does not answer: {key.name}: {_shown(cause)}. Without it, the keys in the master key file cannot be "
        "decrypted. No new key was created."
    )


def _shown(cause: str) -> str:
    """Return what a library says, in one line, without passwords of URLs and without a full stop."""
    return without_user(one_line(cause))[:500].rstrip(". ")
