"""Finding rows by a part of what they say, by the indexes on any three letters that migrations 0016 and 0017 have made.

Who searches pays for what is found, and not for what there is: the index names all that can be meant, or says that they are many.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, TextClause, and_, any_, literal, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute

from idp import runtime
from idp.db import db, holds

FEW = {"sqlite": 1_000, "postgresql": 10_000}
"""Rows up to which the index names those that may be meant. What more of them contain is soon found in any order.

PostgreSQL takes their numbers as one value, and so counts them sooner than it looks through all rows."""

SHORTEST = 3
"""Letters that the index is made of."""

_EXTENSION = "text search"


@dataclass(frozen=True)
class TextSearch:
    """How rows of one table are found by their texts."""

    table: Any
    """The model: its rows belong to realms."""
    columns: tuple[InstrumentedAttribute[str], ...]
    """All that is searched, as the index has it."""
    always: tuple[InstrumentedAttribute[str], ...]
    """What is searched for one or two letters, which are in most longer texts anyway."""
    fts5: str
    """The table of FTS5 that SQLite has for it."""
    _statements: dict[str, TextClause] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Write down how the index is asked."""
        name, grams = self.table.__tablename__, " || chr(10) || ".join(column.name for column in self.columns)
        of_sqlite = f"SELECT rowid FROM {self.fts5} WHERE {self.fts5} MATCH :text LIMIT :few"  # noqa: S608 (a table of ours)
        of_postgresql = f"SELECT id FROM {name} WHERE grams_of({grams}) @> :grams AND realm_id = :realm LIMIT :few"  # noqa: S608 (the same)
        self._statements.update(sqlite=text(of_sqlite), postgresql=text(of_postgresql))

    def containing(self, realm_id: int, wanted: str) -> ColumnElement[bool]:
        """Return the condition that a row of a realm contains a text, in whatever case."""
        if len(wanted) < SHORTEST:
            return or_(*(holds(column, wanted) for column in self.always))
        found = or_(*(holds(column, wanted) for column in self.columns))
        ids = self._candidates(realm_id, wanted)
        return found if ids is None else and_(is_one_of(self.table.id, ids), found)

    def few(self, realm_id: int, wanted: str, column: InstrumentedAttribute[str]) -> list[int] | None:
        """Return the numbers of the rows of a realm of which one column contains a text, in whatever case; None for too many."""
        ids = self._candidates(realm_id, wanted) if len(wanted) >= SHORTEST else None
        if ids is None:
            return None
        return list(db.session.scalars(select(self.table.id).where(is_one_of(self.table.id, ids), holds(column, wanted))))

    def _candidates(self, realm_id: int, wanted: str) -> list[int] | None:
        """Return the row numbers of all rows of a realm that can contain a text, or more; None for any."""
        if not wanted.isascii() or not wanted.isprintable():
            return None
        kind = db.engine.dialect.name
        if kind == "postgresql":
            folded = wanted.lower()
            grams = sorted({folded[place : place + SHORTEST] for place in range(len(folded) - SHORTEST + 1)})
            asked: dict[str, Any] = {"grams": grams, "realm": realm_id}
        elif self._has_fts5():
            asked = {"text": '"' + wanted.replace('"', '""') + '"'}
        else:
            return None
        few = FEW[kind]
        ids = [row[0] for row in db.session.execute(self._statements[kind], asked | {"few": few + 1})]
        return ids if len(ids) <= few else None

    def _has_fts5(self) -> bool:
        """Tell whether this database has the table of FTS5: one that was set up by a build of SQLite without it has none."""
        known: dict[str, bool] = runtime.current().extensions.setdefault(_EXTENSION, {})
        if self.fts5 not in known:
            query = text("SELECT 1 FROM sqlite_master WHERE name = :name")
            known[self.fts5] = db.session.execute(query, {"name": self.fts5}).first() is not None
        return known[self.fts5]


def few_rows(query: Select[Any]) -> list[int] | None:
    """Return the row numbers that a query finds; None for too many of them, or where looking for them first gains nothing."""
    kind = db.engine.dialect.name
    if kind != "postgresql":
        return None
    ids = list(db.session.scalars(query.limit(FEW[kind] + 1)))
    return ids if len(ids) <= FEW[kind] else None


def is_one_of(column: Any, ids: list[int]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these row numbers, of which there may be as many as `FEW`."""
    found: ColumnElement[bool] = column.in_(ids)
    return column == any_(literal(ids, ARRAY(column.type))) if db.engine.dialect.name == "postgresql" else found
