"""Points of the program at which it is killed, with all its workers: before and after a commit, and before and after a token is signed.

Nothing happens there until a file says which point, and how many times a worker must pass it first.
"""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from idp.keys.signer import Signer

BEFORE_COMMIT, AFTER_COMMIT = "before a commit", "after a commit"
BEFORE_TOKEN, AFTER_TOKEN = "before a token is signed", "after a token is signed"
POINTS = (AFTER_COMMIT, BEFORE_TOKEN, BEFORE_COMMIT, AFTER_TOKEN)
ORDER = "REALMGATE_TESTS_CRASH"
"""The environment variable that names the file: a number and a point."""

_passings: dict[str, int] = {}


def _pass(point: str) -> None:
    try:
        passing, _, ordered = Path(os.environ[ORDER]).read_text().partition(" ")
    except OSError:
        return  # nothing is ordered
    if ordered == point:
        _passings[point] = _passings.get(point, 0) + 1
        if _passings[point] >= int(passing):
            os.killpg(0, signal.SIGKILL)


def _between(before: str, after: str, act: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(act)
    def acting(*arguments: Any, **named: Any) -> Any:
        _pass(before)
        done = act(*arguments, **named)
        _pass(after)
        return done

    return acting


def put_in() -> None:
    """Put the points into the program."""
    DefaultDialect.do_commit = _between(BEFORE_COMMIT, AFTER_COMMIT, DefaultDialect.do_commit)
    Signer.sign = _between(BEFORE_TOKEN, AFTER_TOKEN, Signer.sign)  # type: ignore[method-assign]  # which is what it is for
