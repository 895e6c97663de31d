"""How far a backup, or a restore, has come."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """What is being done."""

    COPY = "copying the database"
    READ_BACK = "reading the copy"
    COUNT = "counting rows"
    HASH = "comparing checksums"
    LOAD = "restoring the database"
    OPEN = "decrypting values"
    FOLLOW = "following audit trails"


@dataclass(frozen=True)
class Step:
    """How far it has come."""

    act: Act
    done: int
    total: int
    """0 where nobody knows."""
    unit: str = ""
    """`bytes`, or what else is counted."""


Watch = Callable[[Step], None]
