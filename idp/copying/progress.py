"""How far a copy has come: kept in the target itself, in the transaction that brings the rows, and removed at the end."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, Text, func, insert, inspect, select, update

from idp import migrations
from idp.audit import AuditEvent
from idp.copying.errors import CopyError
from idp.feed import ChangeClock
from idp.realms import MASTER, Realm
from idp.trail import AuditSealing
from idp.vault import Pepper

_NOTES = Table(
    migrations.UNFINISHED_COPY,
    MetaData(),
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
_SOURCE = " source"
"""Name of the note of what is copied; no table is called so."""


@dataclass(frozen=True)
class Source:
    """What is copied, and in which state it was when that began."""

    schema: str
    installation: str
    """What tells an installation from all others: its first pepper, and its realm of operators."""
    changes: int
    events: int
    sealings: int


@dataclass(frozen=True)
class Progress:
    """How far the copy of one table has come."""

    rows: int = 0
    last: tuple[Any, ...] | None = None
    """Key of the last row, packed; None for none."""


def describe(connection: Connection) -> Source:
    """Return what tells a database, and its state, from others. Of two states the same does not say that nothing was changed."""
    pepper = select(Pepper.id).order_by(Pepper.created_at, Pepper.id).limit(1)
    realm = select(Realm.uid).where(Realm.name == MASTER)
    numbers = (func.max(ChangeClock.value), func.max(AuditEvent.id), func.max(AuditSealing.turn))
    changes, events, sealings = (connection.scalar(select(number)) or 0 for number in numbers)
    installation = f"{connection.scalar(pepper)} {connection.scalar(realm)}"
    return Source(migrations.newest(), installation, changes, events, sealings)


def is_begun(connection: Connection) -> bool:
    """Tell whether a database is an unfinished copy."""
    return inspect(connection).has_table(_NOTES.name)


def begin(connection: Connection, source: Source) -> None:
    """Note what is copied into a database."""
    _NOTES.create(connection)
    connection.execute(insert(_NOTES).values(name=_SOURCE, value=json.dumps(asdict(source))))


def copied_from(connection: Connection) -> Source | None:
    """Return what is copied into a database; None if another version has noted it, in a way that this one does not know."""
    noted = connection.scalar(select(_NOTES.c.value).where(_NOTES.c.name == _SOURCE))
    try:
        return Source(**json.loads(noted or "{}"))
    except TypeError:
        return None


def read(connection: Connection) -> dict[str, Progress]:
    """Return how far the copy of each table has come; of those that are not begun, nothing."""
    noted = connection.execute(select(_NOTES.c.name, _NOTES.c.value).where(_NOTES.c.name != _SOURCE))
    return {row.name: _unpack(row.value) for row in noted}


def advance(connection: Connection, table: str, before: Progress, after: Progress) -> None:
    """Note that the copy of a table has come further, if it stands where it stood.

    :raises CopyError: somebody else goes on with it at the same time.
    """
    if before == Progress():
        connection.execute(insert(_NOTES).values(name=table, value=_pack(after)))
        return
    here = (_NOTES.c.name == table) & (_NOTES.c.value == _pack(before))
    if connection.execute(update(_NOTES).where(here).values(value=_pack(after))).rowcount != 1:
        raise CopyError("Another command is continuing this copy at the same time. Stop that, then run this again.")


def end(connection: Connection) -> None:
    """Make a finished copy of an unfinished one."""
    _NOTES.drop(connection)


def _pack(progress: Progress) -> str:
    return json.dumps(asdict(progress))


def _unpack(text: str) -> Progress:
    value = json.loads(text)
    return Progress(value["rows"], tuple(value["last"]))
