"""SQL statements that are compiled once a process, whichever of the tests' many databases they are run in."""

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

_compiled: LRUCache[Any, Any] = LRUCache(5_000)


def remember_statements() -> None:
    """Have all engines of this process for SQLite share what statements were compiled to.

    What a statement is compiled to depends on it and on the dialect, and all engines for SQLite have dialects that are alike.
    """

    def read(engine: Engine) -> Any:
        return _compiled if isinstance(engine.dialect, SQLiteDialect) else engine.__dict__["_compiled_cache"]

    def write(engine: Engine, cache: Any) -> None:
        engine.__dict__["_compiled_cache"] = cache

    Engine._compiled_cache = property(read, write)  # type: ignore[assignment]
    SQLiteDialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
    SQLiteDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
