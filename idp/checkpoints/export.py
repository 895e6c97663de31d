"""The whole trail of a realm as JSON lines: with its chain, so that it can be verified without this server.

The first line names the realm and its keys, each batch stands before its events, what is not sealed yet follows, and the last
line says how it ends: an export that was cut does not have it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idp import clock
from idp.audit import Batch, Checkpoint, Entry, ExportReader, Keys, Kind, Line, Problem, Report, read_keys, verify_chain
from idp.checkpoints.seal import newest_checkpoint
from idp.checkpoints.verify import public_keys, read_batches, read_entries, read_unsealed
from idp.errors import IdpError

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
    lines = []
    if first == 1:
        keys = public_keys(realm)
        lines.append(_line("trail", format=FORMAT, realm=realm, at=clock.now().isoformat(timespec="seconds"), keys=keys))
    newest = newest_checkpoint(realm)
    events = 0
    if newest is not None:
        for batch in read_batches(realm, first):
            if events >= most:
                return Part(lines, batch.number)
            lines += _batch_lines(realm, batch)
            events += len(batch.ids)
            if batch.number == newest.number:
                break
    unsealed = [_line("unsealed", **_shown(entry)) for entry in read_unsealed(realm)]
    end = (newest.number, newest.total, newest.head, newest.checkpoint) if newest is not None else (0, 0, "", "")
    batches, total, head, checkpoint = end
    last = _line("end", batches=batches, total=total, unsealed=len(unsealed), head=head, checkpoint=checkpoint)
    return Part([*lines, *unsealed, last], None)


def _batch_lines(realm: str, batch: Batch) -> Iterator[str]:
    yield _line(
        "batch", number=batch.number, total=batch.total, ids=batch.ids, digests=[digest.hex() for digest in batch.digests],
        head=batch.head, checkpoint=batch.checkpoint,
    )  # fmt: skip
    found = {entry.id: entry for entry in read_entries(realm, min(batch.ids), max(batch.ids))}
    yield from (_line("event", **_shown(found[number])) for number in batch.ids if number in found)


def read_export(lines: Iterable[str], keys: Keys | None = None, outside: Sequence[Checkpoint] = ()) -> Report:
    """Verify an export, offline.

    :param keys: the keys to trust; None for those that the export names.
    :raises ExportError: it is none.
    """
    parsed = _parse(lines)
    first = next(parsed, None)
    if first is None or first.kind != "trail" or first.value.get("format") != FORMAT:
        raise ExportError('This is no export of an audit trail: its first line should be {"kind": "trail", ...}.')
    try:
        realm = str(first.value["realm"])
        trusted = keys if keys is not None else read_keys(first.value["keys"])
        reader = ExportReader(parsed)
        report = verify_chain(realm, reader.batches(), reader.fetch, trusted, outside)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"The export cannot be read ({type(error).__name__}).") from error
    if reader.order_broken_at is not None:
        text = f"Entry {reader.order_broken_at} does not stand where it was sealed."
        report.problems.insert(0, Problem(realm, Kind.REORDERED, reader.order_broken_at, text))
    for number in reader.stray:
        report.add(Kind.INSERTED, number, f"Entry {number} stands where no entry belongs.")
    report.unsealed = reader.unsealed
    end = reader.end
    if end is None:
        report.add(Kind.TRUNCATED, None, f"The export has no end: what followed entry {reader.last or '(none)'} is missing.")
    elif (end.get("batches"), end.get("total"), end.get("head")) != (
        report.batches, report.entries, report.head if report.batches else "",
    ):  # fmt: skip
        text = f"The export says that it ends at batch {end.get('batches')} with {end.get('total')} entries, and does not."
        report.add(Kind.TRUNCATED, None, text)
    return report


def _parse(lines: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
            yield Line(value.pop("kind"), value)
        except (ValueError, AttributeError, KeyError):
            raise ExportError(f"Line {number} of the export is no line of an audit trail.") from None


def _line(kind: str, **values: Any) -> str:
    return json.dumps({"kind": kind, **values}) + "\n"


def _shown(entry: Entry) -> dict[str, Any]:
    return {**entry._asdict(), "at": entry.at.isoformat(timespec="microseconds")}
