"""Rows as they are, whichever kind of database holds them: how they are read, what stands in their way, what they sum up to."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Connection, MetaData, String, Table, Text, cast, literal, select, tuple_
from sqlalchemy.types import TypeDecorator, UserDefinedType

from idp import trail
from idp.copying.errors import UnfitError
from idp.db import Base

PAGE = 500
"""Rows that are held in memory at once."""

_MODULUS = 2**256

Key = tuple[Any, ...]
Values = tuple[Any, ...]


class _Verbatim(UserDefinedType[str]):
    """JSON as the text that it is: parsing it would lose the difference between no value (NULL) and the value `null`."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        """Read the text."""
        return cast(colexpr, Text)

    @property
    def python_type(self) -> type[str]:
        return str


def _carry_gaps(gaps: str) -> str:
    return json.dumps(trail.gaps_elsewhere(json.loads(gaps)))


_CARRIED: dict[tuple[str, str], Callable[[str], str]] = {("audit_sealing", "gaps"): _carry_gaps}
"""What means something in one database only, and what it becomes in another."""


@functools.cache
def all_tables() -> tuple[Table, ...]:
    """Return every table that the models know, each after those that it points to."""
    return tuple(_plain(table) for table in Base.metadata.sorted_tables)


def _plain(table: Table) -> Table:
    columns = [
        Column(
            column.name,
            _Verbatim() if isinstance(column.type, JSON) else column.type,
            primary_key=column.primary_key,
            nullable=column.nullable,
            autoincrement=False,
        )
        for column in table.columns
    ]
    return Table(table.name, MetaData(), *columns)


def numbers_itself(table: Table) -> bool:
    """Tell whether the database gives the rows their numbers, none of them twice."""
    return bool(Base.metadata.tables[table.name].dialect_options["sqlite"]["autoincrement"])


def read_pages(connection: Connection, table: Table, after: Key | None = None) -> Iterator[list[Values]]:
    """Return the rows of a table in the order of their keys, some hundred at a time.

    :param after: key of the last row that is not wanted; None for all.
    """
    keys = list(table.primary_key)
    query = select(table).order_by(*keys).limit(PAGE)
    while True:
        wanted = query if after is None else query.where(_beyond(keys, after))
        try:
            rows = [_carry(table, tuple(row)) for row in connection.execute(wanted)]
        except ValueError as error:  # a time that is none, say
            raise UnfitError(
                f"Table {table.name} holds something that is not a value of its column. Restore a backup."
            ) from error
        if not rows:
            return
        yield rows
        after = key_of(table, rows[-1])


def _beyond(keys: Sequence[Column[Any]], after: Key) -> Any:
    values = [literal(value, column.type) for column, value in zip(keys, after, strict=True)]
    return keys[0] > values[0] if len(keys) == 1 else tuple_(*keys) > tuple_(*values)


def _carry(table: Table, row: Values) -> Values:
    for (name, column), carry in _CARRIED.items():
        if name == table.name:
            place = list(table.columns.keys()).index(column)
            row = (*row[:place], carry(row[place]), *row[place + 1 :])
    return row


def key_of(table: Table, row: Values) -> Key:
    """Return the primary key of a row."""
    return tuple(value for column, value in zip(table.columns, row, strict=True) if column.primary_key)


def pack_key(key: Key) -> list[Any]:
    """Return a key as JSON values."""
    return [value.isoformat() if isinstance(value, datetime) else value for value in key]


def unpack_key(table: Table, packed: Sequence[Any]) -> Key:
    """Return the key that `pack_key` packed."""
    kinds = [_kind(column) for column in table.primary_key]
    return tuple(datetime.fromisoformat(value) if kind is datetime else value for kind, value in zip(kinds, packed, strict=True))


def check_rows(table: Table, rows: Sequence[Values]) -> None:
    """See that PostgreSQL can hold rows that SQLite, which looks at no type, may hold.

    :raises UnfitError: it cannot; names the row and the column, and not the value.
    """
    for row in rows:
        for column, value in zip(table.columns, row, strict=True):
            if reason := _unfit(column, value):
                where = f"{', '.join(c.name for c in table.primary_key)} {', '.join(map(repr, pack_key(key_of(table, row))))}"
                raise UnfitError(
                    f"Column {column.name} of table {table.name} ({where}) {reason}. Change it in the source and run this again."
                )


def _kind(column: Column[Any]) -> type[Any]:
    """Return the type that values of a column have in Python."""
    decorated = column.type
    kind: type[Any] = (decorated.impl_instance if isinstance(decorated, TypeDecorator) else decorated).python_type
    return kind


def _unfit(column: Column[Any], value: Any) -> str:
    """Return why PostgreSQL cannot hold a value; empty if it can."""
    kind = _kind(column)
    if value is None:
        return "" if column.nullable else "has no value, and needs one"
    if type(value) is not kind:
        return f"holds {type(value).__name__} where {kind.__name__} belongs"
    if kind is str:
        return _unfit_text(column, value)
    if kind is int:
        bits = 64 if isinstance(column.type, BigInteger) else 32
        return "" if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else f"holds a number of more than {bits} bits"
    return ""


def _unfit_text(column: Column[Any], value: str) -> str:
    if "\0" in value:
        return "holds a NUL character, which PostgreSQL cannot keep"
    length = column.type.length if isinstance(column.type, String) else None
    if length is not None and len(value) > length:
        return f"holds more than {length} characters"
    if isinstance(column.type, _Verbatim):
        try:
            json.loads(value, parse_constant=_refuse_constant)
        except ValueError:
            return "is not JSON"
    return ""


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


@dataclass(frozen=True)
class Sum:
    """What a table holds."""

    rows: int = 0
    digest: int = 0
    """Sum of the digests of all rows, which so need not come in the same order: databases sort text in ways of their own."""

    def with_rows(self, table: Table, rows: Sequence[Values]) -> "Sum":
        """Return the sum with these rows in it."""
        digests = sum(_digest(table, row) for row in rows)
        return Sum(self.rows + len(rows), (self.digest + digests) % _MODULUS)

    @property
    def text(self) -> str:
        """The digest in hexadecimal digits."""
        return f"{self.digest:064x}"


def _digest(table: Table, row: Values) -> int:
    """Return the SHA-256 of a row in a form that is the same on every kind of database, as a number."""
    parts = [table.name.encode(), *(_canonical(value) for value in row)]
    return int.from_bytes(hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest(), "big")


def _canonical(value: Any) -> bytes:
    match value:
        case None:
            return b"-"
        case bool():
            return b"t" if value else b"f"
        case int():
            return b"i%d" % value
        case str():
            return b"s" + value.encode()
        case bytes():
            return b"b" + value
        case datetime():
            return b"d" + value.astimezone(UTC).isoformat(timespec="microseconds").encode()
        case _:
            raise UnfitError(f"A value of the type {type(value).__name__} has no form to be compared in.")
