"""Acts that come in numbers: counted by kind in memory, and written in batches.

What is gathered is bounded, whatever comes and however long it cannot be written. Who shows a credential that works is told
apart as finely as can be, and what is beyond the bound is counted as lost. Refusals, which anybody can cause, lose nothing:
the more kinds there are, the more of them are counted as one.
"""

import contextlib
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from idp import clock
from idp.audit.service import event_values
from idp.audit.tags import Tag
from idp.networks import network_of, wide_network_of

UNKNOWN = "(unknown)"
"""Stands for every name, key and client_id that does not exist. What was sent is not recorded: a secret that was put into the
wrong field would stay in the trail forever."""

BY_NETWORK, BY_WIDE_NETWORK, BY_REALM = 200, 300, 400
"""Up to how many kinds of refusals between two writes those of a network are told apart; then those of a wider one; then
those in a realm, whatever they were. Beyond that they are one."""

OTHER = "other refusals"

Kind = TypeVar("Kind", bound=Hashable)


@dataclass(slots=True)
class Tally:
    """How often something of a kind was done, and when last."""

    count: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Gathered(Generic[Kind]):
    """What is to be written."""

    tallies: dict[Kind, Tally]
    lost: int
    """How much more there was."""


class Gathering(Generic[Kind]):
    """What one worker has not written yet, of one sort."""

    def __init__(self, most: int) -> None:
        """Begin.

        :param most: kinds that are told apart between two writes.
        """
        self.most = most
        self._tallies: dict[Kind, Tally] = {}
        self._lost = 0
        self._lock = threading.Lock()

    def add(self, kind: Kind) -> None:
        """Note that something was done."""
        now = clock.now()
        with self._lock:
            self._count(kind, Tally(1, now))

    @contextlib.contextmanager
    def written(self) -> Iterator[Gathered[Kind]]:
        """Hand what was gathered to the block that writes it. When the block fails, it is kept for the next time."""
        with self._lock:
            gathered = Gathered(self._tallies, self._lost)
            self._tallies, self._lost = {}, 0
        try:
            yield gathered
        except BaseException:
            self._take_back(gathered)
            raise

    def _take_back(self, gathered: Gathered[Kind]) -> None:
        with self._lock:
            newer, self._tallies = self._tallies, {}
            self._lost += gathered.lost
            for tallies in (gathered.tallies, newer):
                for kind, tally in tallies.items():
                    self._count(kind, tally)

    def _count(self, kind: Kind, tally: Tally) -> None:
        place = self._place(kind)
        if place is None:
            self._lost += tally.count
            return
        known = self._tallies.get(place)
        if known is None:
            self._tallies[place] = tally
        else:
            known.count += tally.count
            known.at = max(known.at, tally.at)

    def _place(self, kind: Kind) -> Kind | None:
        """Return what something is counted as; None for what is lost."""
        return kind if kind in self._tallies or len(self._tallies) < self.most else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A credential, or a name with a password, that was refused."""

    tag: Tag
    realm: str
    target: str
    """`<kind>:<name>`, or `<kind>:(unknown)`."""
    reason: str
    address: str
    """The client's address; as it is written, the network that it is in."""


class Refusals(Gathering[Refusal]):
    """Refusals that one worker has not written yet: some hundred kinds at the most, whoever causes them."""

    def __init__(self) -> None:
        super().__init__(BY_REALM)

    def _place(self, kind: Refusal) -> Refusal:
        """Return a refusal as finely as there is room for."""
        unknown = f"{kind.target.partition(':')[0]}:{UNKNOWN}"
        other = replace(kind, target=unknown, reason=OTHER, address="")
        for place, most in (
            (replace(kind, address=network_of(kind.address)), BY_NETWORK),
            (replace(kind, address=wide_network_of(kind.address)), BY_WIDE_NETWORK),
            (other, BY_REALM),
        ):
            if place in self._tallies or len(self._tallies) < most:
                return place
        return replace(other, realm="")


def refusal_events(gathered: Gathered[Refusal]) -> list[dict[str, Any]]:
    """Return the events of refusals, one for each kind, with their number."""
    return [
        event_values(
            tally.at,
            each.realm,
            each.tag,
            "unauthenticated",
            each.target,
            each.address,
            "refused",
            reason=each.reason,
            count=tally.count,
        )
        for each, tally in gathered.tallies.items()
    ]


def lost_events(what: str, lost: int) -> list[dict[str, Any]]:
    """Return the event that says how many events of a sort were lost, if any were.

    :param what: the sort, such as `token`.
    """
    if not lost:
        return []
    return [event_values(clock.now(), "", Tag.EVENTS_LOST, "system", f"events:{what}", "local", "success", count=lost)]
