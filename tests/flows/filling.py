"""Rows for every table there is, with the values that one kind of database keeps otherwise than another, if nobody looks."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    String,
    Text,
    cast,
    insert,
    literal,
    null,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from idp import vault
from idp.db import Base

EACH = 4
"""Rows of each table."""

FIRST = 1_000_000
"""Number of the first of them, where rows are numbered."""

HARD = "ä\N{GRINNING FACE}\N{COMBINING ACUTE ACCENT}'\"\\\t\r\n \x1b\x7f\N{LINE SEPARATOR}%s{}:x$1\\N\\x00 ünï Ω"
"""Text that quoting, escaping, encoding and COPY's own form each trip over in their own way."""

JSONS = (
    '{"b": 1, "a": [1.5, true, null, "\\u0000 \\ud83d\\ude00 ä"], "a2": {"z": {}, "y": 12345678901234567890}}',
    "null",
    None,
    '[["p", "r", null, ["x:read"]]]',
)
"""Spaces, order, escapes and large numbers are kept; and `null` is not the same as no value."""

TIMES = (
    datetime(2026, 3, 29, 1, 30, 0, 1, UTC),
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999_999, UTC),
    datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
)
BYTES = (b"\0\xff\n\\x41\\000", b"", bytes(range(256)), b"'")


def fill_every_table(engine: Engine) -> None:
    """Add rows to every table that the models know. Run it in the application's context."""
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            for number in range(EACH):
                values = {column.name: _value(connection, column, number) for column in table.columns}
                if table.name == "api_key":  # has one owner
                    values["user_id" if number % 2 else "application_id"] = None
                if table.name == "pepper":  # the master key opens each
                    values["sealed"] = vault.seal(bytes(32), context=f"pepper {values['id']}")
                connection.execute(insert(table).values(values))


def _value(connection: Connection, column: Column[Any], number: int) -> Any:
    if column.foreign_keys:
        return _reference(connection, column, number)
    if (column.table.name, column.name) == ("audit_sealing", "gaps"):
        return [[5, "2026-01-01T00:00:00+00:00", 77 + number]] * number
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if column.primary_key and kind.python_type is int:
        return FIRST + number
    if isinstance(kind, JSON):
        return _json(connection, JSONS[number] or ("[]" if not column.nullable else None))
    if column.nullable and number == 2:
        return None
    return _of_type(column.name, kind, number)


def _json(connection: Connection, written: str | None) -> Any:
    """Return JSON as it is written, as a value to insert."""
    if written is None:
        return null()
    value = literal(written, Text)
    return cast(value, JSON) if connection.dialect.name == "postgresql" else type_coerce(value, Text)


def _reference(connection: Connection, column: Column[Any], number: int) -> Any:
    """Return something that is there to point to; in a row's own table, the row before."""
    target = next(iter(column.foreign_keys)).column
    if target.table is column.table:
        return FIRST + number - 1 if number else None
    return connection.scalar(select(target).order_by(target.desc()).offset(number).limit(1))


def _of_type(name: str, kind: TypeEngine[Any], number: int) -> Any:
    if isinstance(kind, DateTime):
        return TIMES[number]
    if isinstance(kind, LargeBinary):
        return BYTES[number]
    if isinstance(kind, String):
        length = kind.length or 5_000
        return f"{number}{HARD}{name}".ljust(length if number % 2 else 0, "Ω")[:length]
    if kind.python_type is bool:
        return bool(number % 2)
    beyond = 2**63 if isinstance(kind, BigInteger) else 2**31
    return (beyond - 1, 0, 1 - beyond, -beyond)[number]
