"""The database: declarative base, UTC times, the Flask-SQLAlchemy session, and how each engine is set up."""

import contextlib
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    event,
    inspect,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from idp import clock
from idp.database_url import libpq_parameters
from idp.errors import StorageUnavailableError
from idp.settings import Settings

WAIT_FOR_LOCK = 5
"""Seconds that a statement waits for another writer, or for the database server, before it gives up."""


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware and in UTC in Python, whatever the database makes of it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Refuse naive times, and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database; use clock.now()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Mark what SQLite returns without a zone as the UTC it is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _AsBytes(FunctionElement[bytes]):
    """A column as the bytes that it is made of, where the database does not see to it that they are what the column holds."""

    inherit_cache = True
    name = "as_bytes"


@compiles(_AsBytes)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_AsBytes, "sqlite")
def _as_blob(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


class SealedText(TypeDecorator[str]):
    """Something sealed, as text. SQLite would fail on a byte that is no UTF-8 any more: it is read, and does not open."""

    impl = String
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        """Read bytes on SQLite."""
        return type_coerce(_AsBytes(column), self)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's)
        """Return text, whatever the bytes are."""
        return value.decode(errors="replace") if isinstance(value, bytes) else value


class SealedBytes(TypeDecorator[bytes]):
    """Something sealed, as bytes, also if SQLite was made to hold a text in their place."""

    impl = LargeBinary
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        """Read bytes on SQLite."""
        return type_coerce(_AsBytes(column), self)


class Base(DeclarativeBase):
    """Base of every table. Constraint names are fixed, so that migrations can name them on every database."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={datetime: UtcDateTime},
    )


class Identified:
    """Columns of everything that has an identity of its own: a row number for joins, a UUID for the world."""

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True, default=lambda: str(uuid.uuid4()))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_uid(text: str) -> bool:
    """Tell whether a text has the form of a uid, in whatever case (RFC 9562 §4). No name may have it."""
    return _UID.fullmatch(text) is not None


def is_meant(table: Any, named: str) -> ColumnElement[bool]:
    """Return the condition that a row is the one that a text means which may be a uid or a name.

    A text in the form of a uid means that uid, even where something from before that was refused is called so: that is
    addressed by its own uid. Any other text is a name.

    :param table: one that is `Identified`, and whose rows have a `name`.
    """
    meant: ColumnElement[bool] = table.uid == named.lower() if is_uid(named) else table.name == named
    return meant


BigId = BigInteger().with_variant(Integer, "sqlite")
"""Numbers of rows that come by the million. SQLite's INTEGER has 64 bits as it is."""

db = SQLAlchemy(model_class=Base)


def engine_url(settings: Settings) -> URL:
    """Return which driver connects; for SQLite to which file. What libpq is told stands in `connect_args`."""
    if settings.is_sqlite:
        return URL.create("sqlite", database=str(settings.sqlite_path))
    return URL.create("postgresql+psycopg")


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of `create_engine` for the configured database."""
    if settings.is_sqlite:
        return {"connect_args": {"timeout": WAIT_FOR_LOCK}, "pool_size": settings.threads + 2, "hide_parameters": True}
    return {
        "hide_parameters": True,
        "pool_size": settings.threads + 2,
        "pool_timeout": WAIT_FOR_LOCK,
        "pool_pre_ping": True,
        "connect_args": {
            **libpq_parameters(settings.database_url),
            "connect_timeout": WAIT_FOR_LOCK,
            # a server that has silently gone is noticed by the operating system, not by a request that hangs
            "keepalives_idle": WAIT_FOR_LOCK,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "tcp_user_timeout": WAIT_FOR_LOCK * 1000,
            "options": f"-c timezone=UTC -c statement_timeout={WAIT_FOR_LOCK * 1000} -c lock_timeout={WAIT_FOR_LOCK * 1000}",
        },
    }


def prepare_sqlite(engine: Engine) -> None:
    """Make SQLite durable and honest about transactions. Other engines are left as they are.

    Writers begin IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once, without
    waiting, when a neighbour has committed in between.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late for DDL and savepoints
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        options = connection.get_execution_options()
        if not options.get("autonomous", False):
            connection.exec_driver_sql("BEGIN" if options.get("read_only", False) else "BEGIN IMMEDIATE")


def without_transaction(engine: Engine) -> Engine:
    """Return the engine in a form whose statements stand alone, for a connection that is kept open for good."""
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    return engine.execution_options(autonomous=True, **level)


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """A session for reads that must not wait for writers, on a transaction of its own.

    :raises StorageUnavailableError: the database does not answer.
    """
    with storage_errors(), Session(db.engine.execution_options(read_only=True)) as session:
        yield session


def only_read() -> None:
    """Have the unit of work keep no writer waiting: it will only read. One that has begun stays as it is."""
    if not db.session().in_transaction():
        db.session.connection(execution_options={"read_only": True})


def commit() -> None:
    """Commit the unit of work. An answer is sent only after this has returned.

    :raises StorageUnavailableError: the database does not answer; nothing was stored.
    """
    with storage_errors():
        db.session.commit()


def insert_if_new(table: type[Base], **values: Any) -> bool:
    """Insert a row unless one with its key is there. One statement decides: of several callers at once, one gets True."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    claim = insert(table).values(**values).on_conflict_do_nothing().returning(*inspect(table).primary_key)
    return db.session.execute(claim).first() is not None


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn "the database does not answer" into our own error; programming errors pass through."""
    try:
        yield
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise StorageUnavailableError("The database does not answer. Try again in a few seconds.") from error
        raise


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error says that the database is locked, full, away or overloaded, and not that we asked wrongly."""
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR":
        return False  # a wrong statement, such as one for a table that is not there
    return isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)
