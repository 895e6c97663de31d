"""Following a chain and saying where it breaks. Asks no database: batches and events come from wherever they are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from idp.audit.chain import Entry, first_head, follow, unpack_digests, unpack_ids
from idp.audit.models import AuditBatch
from idp.verifier.jose import InvalidTokenError, Key, import_key, open_token

CHECKPOINT_TYPE = "audit-checkpoint+jwt"
"""`typ` of a checkpoint, by which it cannot be taken for any token (RFC 8725 §3.11)."""

BEFORE_ALL = -(2**63)
"""A number that no entry has: somebody may slip one in below the first."""

MOST_NAMED = 20
"""Problems of one realm that are told apart; it is the first that matters."""


class Kind(StrEnum):
    """What can be wrong with a trail."""

    EDITED = "edited"
    """An entry is not what was sealed."""
    DELETED = "deleted"
    """An entry that was sealed is gone."""
    INSERTED = "inserted"
    """An entry is there that was not sealed, among those that were."""
    REORDERED = "reordered"
    """An entry stands where another was."""
    TRUNCATED = "truncated"
    """The end is missing, as a later checkpoint shows."""
    BROKEN = "broken"
    """A batch does not follow from the one before."""
    FORGED = "forged"
    """A checkpoint is not signed by a known key of the realm, or says something else than the chain."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong."""

    realm: str
    kind: Kind
    entry: int | None
    """Number of the entry, if it is about one."""
    text: str


class Batch(NamedTuple):
    """A batch, from a database or an export."""

    number: int
    total: int
    ids: list[int]
    digests: list[bytes]
    head: str
    checkpoint: str


def unpack(row: AuditBatch) -> Batch:
    """Return a batch as it is in the database."""
    return Batch(row.number, row.total, unpack_ids(row.event_ids), unpack_digests(row.digests), row.head, row.checkpoint)


class Checkpoint(NamedTuple):
    """What a checkpoint says."""

    realm: str
    number: int
    total: int
    head: str


@dataclass
class Report:
    """What verifying the trail of a realm has found."""

    realm: str
    entries: int = 0
    """Sealed entries that were looked at."""
    unsealed: int = 0
    """Entries behind the last batch, which no chain holds yet."""
    batches: int = 0
    signed: int = 0
    """Batches whose checkpoint is signed by a known key."""
    head: str = ""
    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: Kind, entry: int | None, text: str) -> None:
        """Note a problem."""
        if len(self.problems) < MOST_NAMED:
            self.problems.append(Problem(self.realm, kind, entry, text))


Fetch = Callable[[int, int], Iterable[Entry]]
"""Returns the entries with numbers from the first to the second, in the order in which they are."""

Keys = Mapping[str, Key]
"""Public keys by their `kid`."""


def read_keys(jwks: Iterable[dict[str, Any]]) -> dict[str, Key]:
    """Return the usable keys of a key set by `kid`."""
    found = {}
    for jwk in jwks:
        try:
            found[str(jwk.get("kid", ""))] = import_key(jwk)
        except InvalidTokenError:
            continue
    return found


def read_checkpoint(checkpoint: str, keys: Keys) -> Checkpoint:
    """Return what a checkpoint says.

    :raises InvalidTokenError: it is not signed by one of the keys.
    """

    def matching(kid: str | None, _alg: str) -> list[Key]:
        key = keys.get(kid or "")
        return [key] if key is not None else []

    claims = open_token(checkpoint, keys=matching, algorithms=("RS256", "ES256"), types=(CHECKPOINT_TYPE,)).claims
    try:
        return Checkpoint(str(claims["realm"]), int(claims["number"]), int(claims["total"]), str(claims["head"]))
    except (KeyError, TypeError, ValueError):
        raise InvalidTokenError("The checkpoint does not say what a checkpoint says.") from None


def verify_chain(realm: str, batches: Iterable[Batch], fetch: Fetch, keys: Keys, outside: Iterable[Checkpoint] = ()) -> Report:
    """Follow the chain of a realm from its beginning.

    :param batches: in the order of their numbers.
    :param outside: checkpoints that were kept elsewhere: what they say must be found in the chain.
    """
    report = Report(realm)
    expected: dict[int, set[Checkpoint]] = {}
    for checkpoint in outside:
        if checkpoint.realm == realm:
            expected.setdefault(checkpoint.number, set()).add(checkpoint)
    head, number, seen_to = first_head(realm), 0, BEFORE_ALL
    extra: dict[int, Entry] = {}
    for batch in batches:
        number += 1
        if batch.number != number:
            report.add(Kind.BROKEN, None, f"Batch {number} is missing: the next one there is has number {batch.number}.")
            number = batch.number
        new = [] if not batch.ids else list(fetch(seen_to + 1, max(seen_to, *batch.ids)))
        extra.update((entry.id, entry) for entry in new)
        seen_to = max([seen_to, *batch.ids])
        _check_entries(report, batch, extra)
        if extra:
            _check_extra(report, extra, batch)
        head = _check_batch(report, batch, head, keys, expected.pop(number, set()))
    for entry in extra.values():
        report.add(Kind.INSERTED, entry.id, f"Entry {entry.id} was never sealed, though later ones were.")
    for checkpoint in sorted(each for said in expected.values() for each in said):
        text = f"A checkpoint kept elsewhere speaks of batch {checkpoint.number} with {checkpoint.total} entries in all; "
        report.add(
            Kind.TRUNCATED, None, f"{text}the chain ends at batch {number} with {report.entries}, after entry {max(seen_to, 0)}."
        )
    report.head = head.hex()
    report.unsealed = sum(1 for _ in fetch(seen_to + 1, 2**63 - 1))
    return report


def _check_entries(report: Report, batch: Batch, found: dict[int, Entry]) -> None:
    places = {digest: number for number, digest in zip(batch.ids, batch.digests, strict=False)}
    for number, digest in zip(batch.ids, batch.digests, strict=False):
        entry = found.pop(number, None)
        report.entries += 1
        if entry is None:
            report.add(Kind.DELETED, number, f"Entry {number} was sealed in batch {batch.number}, and is gone.")
            continue
        if entry.digest() == digest:
            continue
        of = _place_of(entry, batch.ids, places) if len(report.problems) < MOST_NAMED else None
        if of is not None:
            report.add(Kind.REORDERED, number, f"Entry {number} holds what was sealed as entry {of}.")
        else:
            report.add(Kind.EDITED, number, f"Entry {number} is not what was sealed in batch {batch.number}.")


def _place_of(entry: Entry, ids: list[int], places: dict[bytes, int]) -> int | None:
    """Return the number under which this entry was sealed, when that is another one of its batch."""
    for number in ids:
        if number != entry.id and places.get(entry._replace(id=number).digest()) == number:
            return number
    return None


def _check_extra(report: Report, extra: dict[int, Entry], batch: Batch) -> None:
    """Name entries that no batch up to here holds, once they are too far behind to be late."""
    limit = min(batch.ids, default=0) - 100_000
    for number in [number for number in extra if number < limit]:
        del extra[number]
        report.add(Kind.INSERTED, number, f"Entry {number} was never sealed, though later ones were.")


def _check_batch(report: Report, batch: Batch, head: bytes, keys: Keys, outside: set[Checkpoint]) -> bytes:
    report.batches += 1
    new_head = follow(head, batch.digests)
    if len(batch.ids) != len(batch.digests) or new_head.hex() != batch.head:
        report.add(Kind.BROKEN, min(batch.ids, default=None), f"Batch {batch.number} does not follow from the one before.")
        new_head = bytes.fromhex(batch.head)  # so that what comes after is judged by itself
    if batch.total != report.entries:
        report.add(Kind.BROKEN, None, f"Batch {batch.number} counts {batch.total} entries; there are {report.entries}.")
        report.entries = batch.total
    says = Checkpoint(report.realm, batch.number, batch.total, batch.head)
    if batch.checkpoint:
        try:
            if read_checkpoint(batch.checkpoint, keys) != says:
                raise InvalidTokenError("It says something else than the batch.")
            report.signed += 1
        except InvalidTokenError as error:
            report.add(Kind.FORGED, min(batch.ids, default=None), f"The checkpoint of batch {batch.number} is not right: {error}")
    if outside - {says}:  # every one of them counts: what is appended later takes nothing back
        first = min(batch.ids, default=None)
        text = f"The chain was written anew: at batch {batch.number} it is not what a checkpoint kept elsewhere says."
        report.add(Kind.FORGED, first, text)
    return new_head


class Line(NamedTuple):
    """A line of an export, already read as JSON."""

    kind: str
    value: dict[str, Any]


def entry_of(value: Mapping[str, Any]) -> Entry:
    """Return the entry that a line of an export holds."""
    return Entry(
        int(value["id"]), datetime.fromisoformat(value["at"]), str(value["realm"]), str(value["tag"]), str(value["actor"]),
        str(value["target"]), str(value["address"]), str(value["outcome"]), dict(value["detail"]),
    )  # fmt: skip


def batch_of(value: Mapping[str, Any]) -> Batch:
    """Return the batch that a line of an export holds."""
    ids = [int(number) for number in value["ids"]]
    digests = [bytes.fromhex(digest) for digest in value["digests"]]
    return Batch(int(value["number"]), int(value["total"]), ids, digests, str(value["head"]), str(value["checkpoint"]))


class ExportReader:
    """An export as a source for `verify_chain`: each batch stands before its entries."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._next: Line | None = next(lines, None)
        self.end: dict[str, Any] | None = None
        """The last line, if it is there."""
        self.unsealed = 0
        self.last = 0
        """Number of the entry that was read last."""
        self._buffer: dict[int, Entry] = {}
        self.stray: list[int | None] = []
        """Numbers of entries that stand where none belongs."""
        self.order_broken_at: int | None = None
        """Number of the first entry that stands where another was sealed."""

    def batches(self) -> Iterator[Batch]:
        """Return the batches, reading the entries of each before it is returned."""
        while self._next is not None:
            line, self._next = self._next, next(self._lines, None)
            if self.end is not None or line.kind == "event":
                self.stray.append(_number_of(line))  # behind the end, or where no batch holds it
            elif line.kind == "end":
                self.end = line.value
            elif line.kind == "unsealed":
                self.unsealed += 1
            elif line.kind == "batch":
                yield self._read_batch(batch_of(line.value))
            else:
                self.stray.append(_number_of(line))

    def _read_batch(self, batch: Batch) -> Batch:
        order: list[int] = []
        while self._next is not None and self._next.kind == "event":
            entry = entry_of(self._next.value)
            if entry.id in self._buffer:
                self.stray.append(entry.id)
            order.append(entry.id)
            self.last = entry.id
            self._buffer.setdefault(entry.id, entry)
            self._next = next(self._lines, None)
        expected = [number for number in batch.ids if number in self._buffer]
        if self.order_broken_at is None and sorted(order) == sorted(expected) and order != expected:
            self.order_broken_at = next(got for got, due in zip(order, expected, strict=True) if got != due)
        return batch

    def fetch(self, first: int, last: int) -> list[Entry]:
        """Return what was read and not handed out yet; an export needs no numbers to find it by."""
        del first
        if last >= 2**63 - 1:
            return []
        found = list(self._buffer.values())
        self._buffer.clear()
        return found


def _number_of(line: Line) -> int | None:
    number = line.value.get("id")
    return number if isinstance(number, int) else None
