"""Reading an export of a trail, line by line, as a source for `verify_chain`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from idp.trail.chain import Entry
from idp.trail.verify import Batch, Cut, Piece

AnyPiece = TypeVar("AnyPiece", Batch, Cut)


class Line(NamedTuple):
    """A line of an export, already read as JSON."""

    kind: str
    value: dict[str, Any]


def entry_of(value: Mapping[str, Any]) -> Entry:
    """Return the entry that a line of an export holds."""
    return Entry(
        int(value["id"]),
        datetime.fromisoformat(value["at"]),
        str(value["realm"]),
        str(value["tag"]),
        str(value["actor"]),
        str(value["target"]),
        str(value["address"]),
        str(value["outcome"]),
        dict(value["detail"]),
    )


def batch_of(value: Mapping[str, Any]) -> Batch:
    """Return the batch that a line of an export holds."""
    ids = [int(number) for number in value["ids"]]
    digests = [bytes.fromhex(digest) for digest in value["digests"]]
    return Batch(int(value["number"]), int(value["total"]), ids, digests, str(value["head"]), str(value["checkpoint"]))


def cut_of(value: Mapping[str, Any]) -> Cut:
    """Return the cut that a line of an export holds."""
    ids = [int(number) for number in value["ids"]]
    return Cut(
        int(value["first"]), int(value["last"]), ids, [bytes.fromhex(each) for each in value["digests"]], str(value["statement"])
    )


class ExportReader:
    """An export as a source for `verify_chain`: each batch, and each cut, stands before its entries."""

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

    def pieces(self) -> Iterator[Piece]:
        """Return batches and cuts, reading the entries of each before it is returned."""
        while self._next is not None:
            line, self._next = self._next, next(self._lines, None)
            if self.end is not None or line.kind == "event":
                self.stray.append(_number_of(line))  # behind the end, or where no batch holds it
            elif line.kind == "end":
                self.end = line.value
            elif line.kind == "unsealed":
                self.unsealed += 1
            elif line.kind == "batch":
                yield self._read_entries(batch_of(line.value))
            elif line.kind == "cut":
                yield self._read_entries(cut_of(line.value))
            else:
                self.stray.append(_number_of(line))

    def _read_entries(self, piece: AnyPiece) -> AnyPiece:
        order: list[int] = []
        while self._next is not None and self._next.kind == "event":
            entry = entry_of(self._next.value)
            if entry.id in self._buffer:
                self.stray.append(entry.id)
            order.append(entry.id)
            self.last = entry.id
            self._buffer.setdefault(entry.id, entry)
            self._next = next(self._lines, None)
        expected = [number for number in piece.ids if number in self._buffer]
        if self.order_broken_at is None and sorted(order) == sorted(expected) and order != expected:
            self.order_broken_at = next(got for got, due in zip(order, expected, strict=True) if got != due)
        return piece

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
