"""Following a chain and saying where it breaks. Asks no database: batches and events come from wherever they are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from idp.jose import InvalidTokenError, Key, import_key, open_token
from idp.trail.chain import Entry, Standing, beginning, fingerprint, follow, unpack_digests, unpack_ids
from idp.trail.models import AuditBatch, AuditCut

CHECKPOINT_TYPE = "audit-checkpoint+jwt"
"""`typ` of a checkpoint, by which it cannot be taken for any token (RFC 8725 §3.11)."""

CUT_TYPE = "audit-cut+jwt"
"""`typ` of a statement of what was cut."""

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
    UNSIGNED = "unsigned"
    """A proof that should be there is not."""
    DOUBTED = "doubted"
    """When the trail was sealed, what came before was not as it had been sealed."""


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


class Cut(NamedTuple):
    """Batches whose token events were removed when their time was over."""

    first: int
    last: int
    ids: list[int]
    digests: list[bytes]
    statement: str


Piece = Batch | Cut


def unpack_cut(row: AuditCut) -> Cut:
    """Return a cut as it is in the database."""
    return Cut(row.first, row.last, unpack_ids(row.kept_ids), unpack_digests(row.kept_digests), row.statement)


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
    """Sealed entries, those that were cut among them."""
    cut: int = 0
    """Entries that were removed when their time was over, as signed statements say."""
    unsealed: int = 0
    """Entries behind the last batch, which no chain holds yet."""
    batches: int = 0
    signed: int = 0
    """Batches whose checkpoint is signed by a known key."""
    standing: Standing = field(default_factory=lambda: Standing(0, 0, ""))
    """Where the chain ends."""
    seen_to: int = 0
    """Number of the last entry that is sealed."""
    skipped: int = 0
    """Checkpoints kept elsewhere of batches that were cut, about which the chain says nothing any more."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The head of the chain; empty while nothing is sealed."""
        return self.standing.head if self.standing.number else ""

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
    claims = read_statement(checkpoint, CHECKPOINT_TYPE, keys)
    return Checkpoint(str(claims.get("realm", "")), *_standing(claims))


def read_statement(statement: str, kind: str, keys: Keys) -> Mapping[str, Any]:
    """Return the claims of a signed statement.

    :param kind: its `typ`.
    :raises InvalidTokenError: it is not signed by one of the keys, or is of another kind.
    """

    def matching(kid: str | None, _alg: str) -> list[Key]:
        key = keys.get(kid or "")
        return [key] if key is not None else []

    return open_token(statement, keys=matching, algorithms=("RS256", "ES256"), types=(kind,)).claims


def _standing(value: Any) -> Standing:
    try:
        return Standing(int(value["number"]), int(value["total"]), str(value["head"]))
    except (KeyError, TypeError, ValueError):
        raise InvalidTokenError("The statement does not have the expected content.") from None


def verify_chain(
    realm: str,
    pieces: Iterable[Piece],
    fetch: Fetch,
    keys: Keys,
    outside: Iterable[Checkpoint] = (),
    *,
    start: Standing | None = None,
) -> Report:
    """Follow the chain of a realm from its beginning. What is not signed counts as wrong.

    :param pieces: in the order of their numbers.
    :param outside: checkpoints that were kept elsewhere: what they say must be found in the chain.
    :param start: where the chain stood before the first piece, if that is not the beginning.
    """
    report = Report(realm)
    expected: dict[int, set[Checkpoint]] = {}
    for checkpoint in outside:
        if checkpoint.realm == realm:
            expected.setdefault(checkpoint.number, set()).add(checkpoint)
    standing, seen_to = start or beginning(realm), BEFORE_ALL
    report.entries = standing.total
    extra: dict[int, Entry] = {}
    for piece in pieces:
        first = piece.first if isinstance(piece, Cut) else piece.number
        if first != standing.number + 1:
            text = f"Batch {standing.number + 1} is missing: the next existing one has number {first}."
            report.add(Kind.BROKEN, None, text)
        new = [] if not piece.ids else list(fetch(seen_to + 1, max(seen_to, *piece.ids)))
        extra.update((entry.id, entry) for entry in new)
        seen_to = max([seen_to, *piece.ids])
        _check_entries(report, piece, extra)
        if extra:
            _check_extra(report, extra, piece)
        if isinstance(piece, Cut):
            standing = _check_cut(report, piece, standing, keys)
            gone = [expected.pop(number) for number in list(expected) if piece.first <= number < piece.last]
            report.skipped += sum(len(each) for each in gone)
        else:
            standing = _check_batch(report, piece, standing, keys)
        _check_outside(report, standing, expected.pop(standing.number, set()))
    for entry in extra.values():
        report.add(Kind.INSERTED, entry.id, f"Entry {entry.id} was never sealed, though later ones were.")
    for checkpoint in sorted(each for said in expected.values() for each in said):
        text = f"A kept checkpoint names batch {checkpoint.number} with {checkpoint.total} entries in all; "
        text += f"the chain ends at batch {standing.number} with {report.entries}, after entry {max(seen_to, 0)}."
        report.add(Kind.TRUNCATED, None, text)
    report.standing, report.seen_to = standing, max(seen_to, 0)
    report.unsealed = sum(1 for _ in fetch(seen_to + 1, 2**63 - 1))
    return report


def _check_entries(report: Report, piece: Piece, found: dict[int, Entry]) -> None:
    where = f"batch {piece.number}" if isinstance(piece, Batch) else f"one of batches {piece.first} to {piece.last}"
    places = {digest: number for number, digest in zip(piece.ids, piece.digests, strict=False)}
    for number, digest in zip(piece.ids, piece.digests, strict=False):
        entry = found.pop(number, None)
        report.entries += 1
        if entry is None:
            report.add(Kind.DELETED, number, f"Entry {number} was sealed in {where}, and is gone.")
            continue
        if entry.digest() == digest:
            continue
        of = _place_of(entry, piece.ids, places) if len(report.problems) < MOST_NAMED else None
        if of is not None:
            report.add(Kind.REORDERED, number, f"Entry {number} holds what was sealed as entry {of}.")
        else:
            report.add(Kind.EDITED, number, f"Entry {number} is not what was sealed in {where}.")


def _place_of(entry: Entry, ids: list[int], places: dict[bytes, int]) -> int | None:
    """Return the number under which this entry was sealed, when that is another one of its batch."""
    for number in ids:
        if number != entry.id and places.get(entry._replace(id=number).digest()) == number:
            return number
    return None


def _check_extra(report: Report, extra: dict[int, Entry], piece: Piece) -> None:
    """Name entries that no batch up to here holds, once they are too far behind to be late."""
    limit = min(piece.ids, default=0) - 100_000
    for number in [number for number in extra if number < limit]:
        del extra[number]
        report.add(Kind.INSERTED, number, f"Entry {number} was never sealed, though later ones were.")


def _check_batch(report: Report, batch: Batch, before: Standing, keys: Keys) -> Standing:
    report.batches += 1
    first = min(batch.ids, default=None)
    head = follow(bytes.fromhex(before.head), batch.digests).hex()
    if len(batch.ids) != len(batch.digests) or head != batch.head:
        report.add(Kind.BROKEN, first, f"Batch {batch.number} does not follow from the one before.")
    if batch.total != report.entries:
        report.add(Kind.BROKEN, None, f"Batch {batch.number} counts {batch.total} entries; there are {report.entries}.")
        report.entries = batch.total
    standing = Standing(batch.number, batch.total, batch.head)  # so that what comes after is judged by itself
    if not batch.checkpoint:
        report.add(Kind.UNSIGNED, first, f"Batch {batch.number} is not signed.")
        return standing
    try:
        claims = read_statement(batch.checkpoint, CHECKPOINT_TYPE, keys)
        if (claims.get("realm"), _standing(claims)) != (report.realm, standing):
            raise InvalidTokenError("It differs from the batch.")
        if "previous" in claims and _standing(claims["previous"]) != before:
            raise InvalidTokenError("It names a different previous batch.")
        report.signed += 1
        if doubt := claims.get("doubt"):
            text = f"When batch {batch.number} was sealed, the trail was not as it had been sealed before: {doubt}."
            report.add(Kind.DOUBTED, first, text)
    except InvalidTokenError as error:
        report.add(Kind.FORGED, first, f"The checkpoint of batch {batch.number} is not valid: {error}")
    return standing


def _check_cut(report: Report, cut: Cut, before: Standing, keys: Keys) -> Standing:
    """Go over batches that were cut, as the signed statement says."""
    name = f"Batches {cut.first} to {cut.last} were cut"
    try:
        claims = read_statement(cut.statement, CUT_TYPE, keys)
        said = (claims.get("realm"), claims.get("first"), claims.get("last"), claims.get("kept"))
        after = _standing(claims.get("after"))
        if said != (report.realm, cut.first, cut.last, fingerprint(cut.ids, cut.digests)) or after.number != cut.last:
            raise InvalidTokenError("It differs from what is there.")
        if _standing(claims.get("before")) != before:
            raise InvalidTokenError("It does not follow from the batch before.")
        if after.total - before.total != len(cut.ids) + int(claims.get("cut", -1)):
            raise InvalidTokenError("Its numbers are inconsistent.")
    except InvalidTokenError as error:
        report.add(Kind.FORGED, min(cut.ids, default=None), f"{name}, and the statement of it is not valid: {error}")
        return Standing(cut.last, report.entries, before.head)
    report.cut += after.total - before.total - len(cut.ids)
    report.entries = after.total
    return after


def _check_outside(report: Report, standing: Standing, said: set[Checkpoint]) -> None:
    if said - {Checkpoint(report.realm, *standing)}:  # every one of them counts: what is appended later takes nothing back
        text = f"The chain was rewritten: at batch {standing.number} it differs from a kept checkpoint."
        report.add(Kind.FORGED, None, text)
