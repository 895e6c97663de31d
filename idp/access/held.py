"""A role that somebody holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as a token carries it. `project_uid` and `project` are empty for a role on the realm."""

    role: str
    project_uid: str
    project: str
    until: float
    """Seconds since 1970; infinite without an end date."""
    permissions: frozenset[str] = frozenset()
