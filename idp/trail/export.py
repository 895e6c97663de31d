"""The whole trail of a realm as JSON lines: with its chain, so that it can be verified without this server.

The first line names the realm and its keys, each batch stands before its events, what is not sealed yet follows, and the last
line says how it ends: an export that was cut does not have it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idp import clock
from idp.errors import IdpError
from idp.jose import InvalidTokenError
from idp.trail.chain import Entry, Standing
from idp.trail.marks import public_keys
from idp.trail.reader import ExportReader, Line
from idp.trail.signing import newest_checkpoint
from idp.trail.stored import read_entries, read_pieces, read_unsealed
from idp.trail.verify import Batch, Checkpoint, Cut, Keys, Kind, Piece, Problem, Report, read_checkpoint, read_keys, verify_chain

FORMAT = 1


class ExportError(IdpError):
    """The file is no export of a trail."""


def export_trail(realm: str) -> Iterator[str]:
    """Return the trail of a realm, line by line, each with its line break."""
    first: int | None = 1
    while first is not None:
        part = export_part(realm, first)
        yield from part.lines
        first = part.next_batch


@dataclass(frozen=True)
class Part:
    """A part of an export."""

    lines: list[str]
    next_batch: int | None
    """Number of the batch that the next part begins with; None when this is the last."""


def export_part(realm: str, first: int = 1, most: int = 20_000) -> Part:
    """Return a part of an export: one after the other they make the whole.

    :param first: number of the batch to begin with.
    :param most: how many events a part holds before it ends with the batch that it is at.
    """
    newest = newest_checkpoint(realm)  # before the keys: those that come later sign for what is not in here
    lines = [trail_line(realm, None)] if first == 1 else []
    events = 0
    if newest is not None:
        for piece in read_pieces(realm, first):
            if events >= most:
                return Part(lines, piece.first if isinstance(piece, Cut) else piece.number)
            lines += piece_lines(realm, piece)
            events += len(piece.ids)
            if isinstance(piece, Batch) and piece.number == newest.number:
                break
    unsealed = [_line("unsealed", **_shown(entry)) for entry in read_unsealed(realm)]
    last = (
        end_line(Standing(newest.number, newest.total, newest.head), newest.checkpoint, len(unsealed))
        if newest
        else (end_line(Standing(0, 0, ""), "", len(unsealed)))
    )
    return Part([*lines, *unsealed, last], None)


def trail_line(realm: str, after: Standing | None) -> str:
    """Return the first line of an export.

    :param after: where the chain stood before what follows; None for its beginning.
    """
    start = {"after": after._asdict()} if after is not None else {}
    now = clock.now().isoformat(timespec="seconds")
    return _line("trail", format=FORMAT, realm=realm, at=now, keys=public_keys(realm), **start)


def end_line(standing: Standing, checkpoint: str, unsealed: int) -> str:
    """Return the last line of an export."""
    number, total, head = standing
    return _line("end", batches=number, total=total, unsealed=unsealed, head=head, checkpoint=checkpoint)


def piece_lines(realm: str, piece: Piece) -> Iterator[str]:
    """Return the lines of a batch, or of a cut, with its events."""
    digests = [digest.hex() for digest in piece.digests]
    if isinstance(piece, Cut):
        yield _line("cut", first=piece.first, last=piece.last, ids=piece.ids, digests=digests, statement=piece.statement)
    else:
        yield _line(
            "batch",
            number=piece.number,
            total=piece.total,
            ids=piece.ids,
            digests=digests,
            head=piece.head,
            checkpoint=piece.checkpoint,
        )
    if piece.ids:
        found = {entry.id: entry for entry in read_entries(realm, min(piece.ids), max(piece.ids))}
        yield from (_line("event", **_shown(found[number])) for number in piece.ids if number in found)


def read_export(
    lines: Iterable[str], keys: Keys | None = None, outside: Sequence[Checkpoint] = (), *, is_part: bool = False
) -> Report:
    """Verify an export, offline.

    :param is_part: whether it may begin in the middle of a trail, as an archive does.

    :param keys: the keys to trust; None for those that the export names.
    :raises ExportError: it is none.
    """
    parsed = _parse(lines)
    first = next(parsed, None)
    if first is None or first.kind != "trail" or first.value.get("format") != FORMAT:
        raise ExportError('This is not an export of an audit trail: its first line should be {"kind": "trail", ...}.')
    try:
        realm = str(first.value["realm"])
        trusted = keys if keys is not None else read_keys(first.value["keys"])
        start = Standing(**first.value["after"]) if "after" in first.value else None
        reader = ExportReader(parsed)
        report = verify_chain(realm, reader.pieces(), reader.fetch, trusted, outside, start=start)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"The export cannot be read ({type(error).__name__}).") from error
    if reader.order_broken_at is not None:
        text = f"Entry {reader.order_broken_at} is not where it was sealed."
        report.problems.insert(0, Problem(realm, Kind.REORDERED, reader.order_broken_at, text))
    for number in reader.stray:
        report.add(Kind.INSERTED, number, f"Entry {number} is where no entry belongs.")
    report.unsealed = reader.unsealed
    if start is not None and not is_part:
        text = f"The export begins after batch {start.number}: what came before is missing."
        report.problems.insert(0, Problem(realm, Kind.TRUNCATED, None, text))
    _check_end(report, reader, trusted)
    return report


def _check_end(report: Report, reader: ExportReader, keys: Keys) -> None:
    """See that the export says how it ends, that it ends so, and that a key of the realm has signed that."""
    end, standing = reader.end, report.standing
    if end is None:
        report.add(Kind.TRUNCATED, None, f"The export has no end: what followed entry {reader.last or '(none)'} is missing.")
        return
    if (end.get("batches"), end.get("total"), end.get("head")) != (standing.number, standing.total, report.head):
        text = f"The export says that it ends at batch {end.get('batches')} with {end.get('total')} entries, and does not."
        report.add(Kind.TRUNCATED, None, text)
    try:
        if read_checkpoint(str(end.get("checkpoint")), keys) != Checkpoint(report.realm, *standing):
            raise InvalidTokenError("It says something else.")
    except InvalidTokenError as error:
        text = "Nothing in it is sealed yet." if not standing.number else f"The end of the export is not signed: {error}"
        report.add(Kind.UNSIGNED, None, text)


def _parse(lines: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
            yield Line(value.pop("kind"), value)
        except (ValueError, AttributeError, KeyError):
            raise ExportError(f"Line {number} of the export is not a line of an audit trail.") from None


def _line(kind: str, **values: Any) -> str:
    return json.dumps({"kind": kind, **values}) + "\n"


def _shown(entry: Entry) -> dict[str, Any]:
    return {**entry._asdict(), "at": entry.at.isoformat(timespec="microseconds")}
