"""What a credential carries at the most that somebody has made for somebody else.

It carries what its owner held when it was made, and no longer than that: should they be given more later, or their roles permit
more, whoever has made the credential has not grown by it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from idp.access.held import HeldRole

Frozen = list[list[Any]]
"""For each role: project (empty for the realm), role, until when (seconds since 1970; None for no end), what it permits."""


def freeze(held: Iterable[HeldRole], now: float) -> Frozen:
    """Return the limit of a credential that carries what is held at `now`, and never more."""
    return [
        [each.project, each.role, None if each.until == float("inf") else each.until, sorted(each.permissions)]
        for each in held
        if now < each.until
    ]


def limited_to(frozen: Sequence[Sequence[Any]] | None, held: Iterable[HeldRole]) -> tuple[HeldRole, ...]:
    """Return what of roles that are held a credential carries that is limited to these; None for no limit."""
    if frozen is None:
        return held if isinstance(held, tuple) else tuple(held)
    limits = {(entry[0], entry[1]): entry[2:] for entry in frozen}
    kept = []
    for each in held:
        if (each.project, each.role) in limits:
            until, *permitted = limits[each.project, each.role]
            permissions = each.permissions & frozenset(*permitted) if permitted else each.permissions
            kept.append(replace(each, until=each.until if until is None else min(each.until, until), permissions=permissions))
    return tuple(kept)
