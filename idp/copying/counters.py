"""The numbers that a database gives to its next rows: none that was ever given is given again, of rows that are gone neither."""

from sqlalchemy import Connection, Table, func, select, text

from idp.copying.rows import all_tables, numbers_itself


def read_counters(connection: Connection) -> dict[str, int]:
    """Return by table the largest number that was given to a row; 0 for none."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence")) if _has_sequences(connection) else ()
        given = {row.name: int(row.seq) for row in rows}
    else:
        given = {table.name: _last_of(connection, table) for table in all_tables() if numbers_itself(table)}
    return {
        table.name: max(given.get(table.name, 0), _largest(connection, table)) for table in all_tables() if numbers_itself(table)
    }


def set_counters(connection: Connection, given: dict[str, int]) -> None:
    """Have the numbers go on after those that were given in another database, and after the largest that is there."""
    for table in all_tables():
        largest = max(given.get(table.name, 0), _largest(connection, table)) if _is_numbered(table) else 0
        if not largest:
            continue
        if connection.dialect.name == "postgresql":
            if sequence := _sequence_of(connection, table):
                connection.execute(text("SELECT setval(CAST(:name AS regclass), :value)"), {"name": sequence, "value": largest})
        elif numbers_itself(table):
            values = {"name": table.name, "value": largest}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)"), values)


def _is_numbered(table: Table) -> bool:
    keys = list(table.primary_key)
    return len(keys) == 1 and keys[0].name == "id" and keys[0].type.python_type is int


def _largest(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.max(table.c.id))) or 0


def _has_sequences(connection: Connection) -> bool:
    return bool(connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")))


def _sequence_of(connection: Connection, table: Table) -> str | None:
    quoted = connection.dialect.identifier_preparer.quote(table.name)
    found: str | None = connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": quoted})
    return found


def _last_of(connection: Connection, table: Table) -> int:
    sequence = _sequence_of(connection, table)
    if sequence is None:
        return 0
    row = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608 (quoted by PostgreSQL)
    return int(row.last_value) if row.is_called else int(row.last_value) - 1
