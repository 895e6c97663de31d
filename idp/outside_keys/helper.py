"""The process that uses an outside key and ends: `python -m idp.outside_keys`, see `wrapping`.

It reads what it is to do from standard input and answers on standard output, both as JSON: `done` with the results, `refused` or
`unavailable` with half a sentence. If what it waits for does not come in time, SIGALRM ends it, also within a library.
"""

import base64
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class RefusedError(Exception):
    """The outside key cannot be used; half a sentence says why."""


class UnavailableError(Exception):
    """What holds the outside key does not answer; half a sentence says what was seen."""


@dataclass(frozen=True)
class Wrapped:
    """What an outside key has made of a master key."""

    algorithm: str
    data: bytes
    identity: str
    """Which key it was."""


class Holder(Protocol):
    """What holds an outside key, and does things with it."""

    def wrap(self, plain: bytes, context: str) -> Wrapped:
        """Encrypt."""

    def unwrap(self, wrapped: Wrapped, context: str) -> bytes:
        """Decrypt what `wrap` has made for the same context."""


def limit(seconds: int) -> None:
    """Have this process be ended if it is not through by then; 0 to take that back."""
    signal.alarm(seconds)


def main() -> None:
    """Do what standard input says."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # what is ended by the signal is seen by the parent, whatever handler was inherited
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # libraries that print are not to be mistaken for the answer
        json.dump(_answer(json.load(sys.stdin)), out)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    key = asked["key"]
    attributes = dict(key["attributes"])
    act = _wrap if asked["act"] == "wrap" else _unwrap
    try:
        with _holder(key["kind"])(key["name"], attributes) as holder:
            return {"done": [act(holder, order) for order in asked["orders"]]}
    except RefusedError as error:
        return {"refused": str(error)}
    except UnavailableError as error:
        return {"unavailable": str(error)}


def _holder(kind: str) -> Callable[[str, dict[str, str]], Any]:
    """Return what opens the holder of a kind of key. Its library is loaded now, and only that.

    :raises RefusedError: the library is not installed.
    """
    try:
        if kind == "pkcs11":
            from idp.outside_keys.hsm import open_module  # noqa: PLC0415 (only what is used)

            return open_module
        from idp.outside_keys.kms import open_client  # noqa: PLC0415 (only what is used)
    except ModuleNotFoundError as error:
        extra = "pkcs11" if kind == "pkcs11" else "aws"
        raise RefusedError(f"the Python package {error.name} is missing: install realmgate[{extra}]") from error
    return open_client


def _wrap(holder: Holder, order: dict[str, str]) -> dict[str, str]:
    plain = base64.b64decode(order["data"])
    made = holder.wrap(plain, order["context"])
    if holder.unwrap(made, order["context"]) != plain:
        raise RefusedError("it does not decrypt what it has encrypted")
    return {"algorithm": made.algorithm, "data": base64.b64encode(made.data).decode(), "identity": made.identity}


def _unwrap(holder: Holder, order: dict[str, str]) -> dict[str, str]:
    wrapped = Wrapped(order["algorithm"], base64.b64decode(order["data"]), order["identity"])
    return {"data": base64.b64encode(holder.unwrap(wrapped, order["context"])).decode()}
