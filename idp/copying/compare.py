"""Whether two databases hold the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Table, func, select

from idp.copying.counters import read_counters
from idp.copying.ends import End, Role
from idp.copying.rows import Sum, all_tables, read_pages


class Act(StrEnum):
    """What is done with a table."""

    CHECK = "checking"
    COPY = "copying"
    COMPARE = "comparing"


@dataclass(frozen=True)
class Step:
    """How far the work on one table has come."""

    act: Act
    table: str
    done: int
    total: int
    """Rows."""
    role: Role | None = None
    """Of which database it is read, where both are."""
    is_last: bool = False
    """Whether the table is done."""


Watch = Callable[[Step], None]


@dataclass(frozen=True)
class Compared:
    """What both databases hold of one table."""

    table: str
    source: Sum
    target: Sum
    last_source: int
    """The largest number that was given to a row; 0 where none is."""
    last_target: int

    @property
    def difference(self) -> str:
        """In what they differ; empty for nothing."""
        if self.source.rows != self.target.rows:
            return f"{self.source.rows} rows in the source, {self.target.rows} in the target"
        if self.source != self.target:
            return f"{self.source.rows} rows in both, which are not the same"
        if self.last_target < self.last_source:
            return f"the target would give numbers again: it is at {self.last_target}, and the source at {self.last_source}"
        return ""


def compare_ends(source: End, target: End, watch: Watch) -> list[Compared]:
    """Read all tables of both, and return what each holds."""
    with source.reading() as one, target.reading() as other:
        with source.errors():
            counters = read_counters(one)
        with target.errors():
            copied = read_counters(other)
        return [
            Compared(
                table.name,
                _sum(source, one, table, watch),
                _sum(target, other, table, watch),
                counters.get(table.name, 0),
                copied.get(table.name, 0),
            )
            for table in all_tables()
        ]


def _sum(end: End, connection: Connection, table: Table, watch: Watch) -> Sum:
    total, found = count_rows(connection, table), Sum()
    with end.errors(table.name):
        for rows in read_pages(connection, table):
            found = found.with_rows(table, rows)
            watch(Step(Act.COMPARE, table.name, found.rows, total, end.role))
    watch(Step(Act.COMPARE, table.name, found.rows, total, end.role, is_last=True))
    return found


def count_rows(connection: Connection, table: Table) -> int:
    """Return how many rows a table has."""
    return connection.scalar(select(func.count()).select_from(table)) or 0


def differences(compared: list[Compared]) -> Iterator[str]:
    """Return what is not the same."""
    return (f"{each.table}: {each.difference}" for each in compared if each.difference)
