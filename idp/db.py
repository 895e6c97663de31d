"""The database: declarative base, UTC times, the Flask-SQLAlchemy session, and how each engine is set up."""

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    String,
    collate,
    create_engine,
    event,
    func,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from idp import clock, outages, patience
from idp.database_url import libpq_parameters
from idp.patience import SlowDatabaseError
from idp.pool import BoundedPool
from idp.settings import Settings
from idp.statements import end_commit
from idp.stuck import Watch, connecting
from idp.telemetry import span

WAIT_FOR_LOCK = 4
"""Seconds that a statement waits for another writer, or for the database server, before it gives up."""


WAIT_FOR_CONNECTION = 4.5
"""Seconds that a thread waits for one of this process's connections; see `idp.patience.LONGEST_CALL`."""

CONNECT_WITHIN, CONNECT_WITHIN_EACH = 3, 2
"""Seconds in which PostgreSQL is to accept a connection; the second for each of several hosts in the URL, and libpq's least."""


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

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's)
        """Mark what SQLite returns without a zone as the UTC it is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SharedNow(FunctionElement[datetime]):
    """The time of day by the clock that all nodes share, PostgreSQL's or else this machine's; later by the seconds that are said.

    For a moment that is compared with one that another node has noted: a session's beginning and a sign-out, say. The clocks
    of nodes may be a minute off, and one that is set wrong is noticed only after something was written by it.
    """

    inherit_cache = True
    type = UtcDateTime()
    name = "shared_now"


@compiles(SharedNow)
def _shared_now(element: Any, compiler: Any, **options: Any) -> str:
    later = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {later}))" if later else "clock_timestamp()"


@compiles(SharedNow, "sqlite")
def _shared_now_in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"shared_now({compiler.process(element.clauses, **options)})"


def _this_machines_now(later: float = 0) -> str:
    return (clock.now() + timedelta(seconds=later)).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def shared_now() -> datetime:
    """Return the time of day by the clock that all nodes share; see `SharedNow`. On PostgreSQL that is a way to the server."""
    if db.engine.dialect.name == "sqlite":
        return clock.now()
    return db.session.execute(select(SharedNow())).scalar_one()


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


class AfterColon(FunctionElement[str]):
    """What comes after the first colon of a text column, or all of it where there is none, as `after_colon` has it."""

    inherit_cache = True
    type = String()
    name = "after_colon"


@compiles(AfterColon)
def _after_colon(element: Any, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"substr({column}, strpos({column}, ':') + 1)"


@compiles(AfterColon, "sqlite")
def _after_colon_in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"substr({column}, instr({column}, ':') + 1)"


def after_colon(text: str) -> str:
    """Return what comes after the first colon of a text, or all of it where there is none: `ann` of the actor `user:ann`."""
    return text.partition(":")[2] if ":" in text else text


class SealedText(TypeDecorator[str]):
    """Something sealed, as text. SQLite would fail on a byte that is not UTF-8 any more: it is read, and does not open."""

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
_BARE_UID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)


def is_uid(text: str) -> bool:
    """Tell whether a text has the form of a uid, in whatever case (RFC 9562 §4)."""
    return _UID.fullmatch(text) is not None


def resembles_uid(text: str) -> bool:
    """Tell whether a reader or a library would take a text for a uid: also written without hyphens. No name may be so."""
    return is_uid(text) or _BARE_UID.fullmatch(text) is not None


def is_meant(table: Any, named: str) -> ColumnElement[bool]:
    """Return the condition that a row is the one that a text means which may be a uid or a name.

    A text in the form of a uid means that uid, even where something from before that was refused is called so: that is
    addressed by its own uid. Any other text is a name.

    :param table: one that is `Identified`, and whose rows have a `name`.
    """
    meant: ColumnElement[bool] = table.uid == named.lower() if is_uid(named) else table.name == named
    return meant


SLOW = "slow"
"""Mark, in `info`, of an index of a table that may have many millions of rows: it is built while others write. The value is the
name of the one kind of database that has it, or `EVERYWHERE`."""

EVERYWHERE = "every database"

BigId = BigInteger().with_variant(Integer, "sqlite")
"""Numbers of rows that come by the million. SQLite's INTEGER has 64 bits as it is."""


class UnitOfWork(FlaskSession):
    """The session of a request, which ends also where the database has gone in the meantime."""

    def close(self) -> None:
        """End it. What was to be stored is committed, and the answer is decided: a lost connection changes neither."""
        try:
            super().close()
        except SQLAlchemyError as error:
            if not outages.is_unavailable(error):
                raise
            self.invalidate()


db = SQLAlchemy(model_class=Base, session_options={"class_": UnitOfWork})


def engine_url(settings: Settings) -> URL:
    """Return which driver connects; for SQLite to which file. What libpq is told stands in `connect_args`."""
    if settings.is_sqlite:
        return URL.create("sqlite", database=str(settings.sqlite_path))
    return URL.create("postgresql+psycopg")


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of `create_engine` for the configured database."""
    return {
        "hide_parameters": True,
        "poolclass": BoundedPool,
        # an open file costs SQLite's machine nothing; of PostgreSQL's connections, one is the feed's, which has no pool
        "pool_size": 2 * settings.threads + 8 if settings.is_sqlite else settings.database_connections - 1,
        "max_overflow": 0,
        "pool_timeout": WAIT_FOR_CONNECTION,
        "pool_pre_ping": not settings.is_sqlite,
        "connect_args": _connect_args(settings),
    }


def make_engine_apart(settings: Settings) -> Engine:
    """Make an engine without a pool, for a connection that is kept open for good."""
    engine = create_engine(engine_url(settings), hide_parameters=True, poolclass=NullPool, connect_args=_connect_args(settings))
    prepare_engine(engine)
    return engine


def _connect_args(settings: Settings) -> dict[str, Any]:
    if settings.is_sqlite:
        return {"timeout": WAIT_FOR_LOCK}
    theirs = libpq_parameters(settings.database_url)
    ours = {
        # what operators, and `idp database copy`, see them by in pg_stat_activity; the URL may name them otherwise
        "fallback_application_name": "realmgate",
        "connect_timeout": CONNECT_WITHIN_EACH if "," in theirs.get("host", "") else CONNECT_WITHIN,
        # a server that has silently gone is noticed by the operating system, not by a request that hangs
        "keepalives_idle": WAIT_FOR_LOCK,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": WAIT_FOR_LOCK * 1000,
        # PgBouncer hands each transaction to another connection of its own, where what was prepared here is not known
        "prepare_threshold": None,
    }
    return ours | theirs


def prepare_engine(engine: Engine) -> None:
    """Have each transaction of an engine begin as it should, and connections to a server that is not the one any more dropped."""
    event.listen(engine, "handle_error", outages.drop_connections)
    patience.count_statements(engine)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgresql(engine)


def _prepare_sqlite(engine: Engine) -> None:
    """Make SQLite durable and honest about transactions.

    Writers begin IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once, without
    waiting, when a neighbour has committed in between.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late for DDL and savepoints
        # SQLite's own knows the letters of English only
        connection.create_function("lower", 1, _lower, deterministic=True)
        connection.create_function("shared_now", -1, _this_machines_now)
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


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def holds(column: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains a text, in whatever case.

    The database folds both: what is spelt alike is found, whichever database it is.
    """
    pattern = f"%{text.replace('/', '//').replace('%', '/%').replace('_', '/_')}%"
    found: ColumnElement[bool]
    if not text.isascii():
        found = func.lower(column).like(func.lower(pattern), escape="/")
    elif db.engine.dialect.name == "sqlite":
        # its LIKE folds the letters of English by itself, while `lower` is a call of Python's for each row
        found = column.like(pattern, escape="/")
    else:
        # letters beyond these need not be folded for a text that has none, which costs a third
        found = collate(column, "C").ilike(pattern, escape="/")
    return found


def _prepare_postgresql(engine: Engine) -> None:
    """Bound what a statement waits, in each transaction anew.

    Settings of a session would be lost, or another's, behind PgBouncer in transaction mode, and it takes none in the first
    packet. They go with the BEGIN, which so is ours and not the driver's: it costs no further way to the server.
    """
    wait = int(WAIT_FOR_LOCK * 1000)
    ours = f"SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = {wait}; SET LOCAL lock_timeout = {wait}"

    Watch(engine, WAIT_FOR_LOCK, lambda: renew_connections(engine))

    @event.listens_for(engine, "do_connect")
    def _connect_unless_silent(dialect: Dialect, _record: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        if patience.left() < CONNECT_WITHIN_EACH:  # less than libpq can be told
            raise SlowDatabaseError("the database answers too slowly")
        left = max(patience.left_for_one(), CONNECT_WITHIN_EACH)
        within = {} if left > int(named["connect_timeout"]) > 0 else {"connect_timeout": int(left)}
        with connecting():
            return dialect.connect(*arguments, **named | within)

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.autocommit = True  # the driver sends no BEGIN of its own

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # what only reads has several statements make one thing up, which are to see it as of one moment; SQLite's always do
        is_reading = connection.get_execution_options().get("read_only", False)
        level = " ISOLATION LEVEL REPEATABLE READ" if is_reading else ""
        connection.exec_driver_sql(f"BEGIN{level}; {ours}")


def without_transaction(engine: Engine) -> Engine:
    """Return the engine in a form whose statements stand alone on SQLite. On PostgreSQL there are transactions all the same."""
    return engine.execution_options(autonomous=True)


def tell_before_waiting(engine: Engine, act: Callable[[], None]) -> None:
    """Have something done by each thread that is about to take a connection of an engine, and then to wait for answers."""
    assert isinstance(engine.pool, BoundedPool)
    engine.pool.before_waiting = act


def renew_connections(engine: Engine) -> None:
    """Have each connection that is open now be replaced before it is used again: what answers may be another server."""
    if isinstance(engine.pool, BoundedPool):
        engine.pool.renew()


def write_alone(statement: Executable, values: Mapping[str, Any], *, within: float) -> None:
    """Carry out a statement in a transaction of its own, and commit it.

    :param within: seconds that it may wait for others, or take.
    :raises StorageUnavailableError: the database does not answer, or cannot be written.
    """
    with storage_errors(), db.engine.connect() as connection, _waiting(connection, min(within, WAIT_FOR_LOCK)):
        connection.execute(statement, values)
        connection.commit()


@contextlib.contextmanager
def _waiting(connection: Connection, seconds: float) -> Iterator[None]:
    """Have a connection on which nothing has begun wait no longer than that in its next transaction."""
    wait = int(seconds * 1000)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {wait}; SET LOCAL lock_timeout = {wait}")
        yield
        return
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {wait}")
    try:
        yield
    finally:
        if not connection.invalidated:
            cursor.execute(f"PRAGMA busy_timeout = {int(WAIT_FOR_LOCK * 1000)}")


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """A session for reads that must not wait for writers, on a transaction of its own, in which all are as of one moment.

    :raises StorageUnavailableError: the database does not answer.
    """
    with storage_errors(), Session(db.engine.execution_options(read_only=True)) as session:
        yield session


def only_read() -> None:
    """Have the unit of work keep no writer waiting: it will only read, as of one moment. One that has begun stays as it is."""
    if not db.session().in_transaction():
        db.session.connection(execution_options={"read_only": True})


def commit() -> None:
    """Commit the unit of work. An answer is sent only after this has returned.

    :raises StorageUnavailableError: the database does not answer; nothing was stored.
    """
    with storage_errors(), span("commit"):
        try:
            db.session.commit()
        finally:
            end_commit()


def insert_if_new(table: type[Base], **values: Any) -> bool:
    """Insert a row unless one with its key is there. One statement decides: of several callers at once, one gets True."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    claim = insert(table).values(**values).on_conflict_do_nothing().returning(*inspect(table).primary_key)
    return db.session.execute(claim).first() is not None


def insert_alone(table: type[Base], **values: Any) -> bool:
    """Do the same in a transaction of its own that does not wait for the disk: for what a crash may take back.

    Every other transaction sees it from now on. The caller must not have written anything that is not committed yet: on SQLite it
    would wait for itself.
    """
    with storage_errors(), db.engine.connect() as connection, _hasty(connection):
        claim = _claiming(table, connection.dialect.name)
        is_new = connection.execute(claim, values).first() is not None
        connection.commit()
        return is_new


@cache
def _claiming(table: type[Base], dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*inspect(table).primary_key)


@contextlib.contextmanager
def _hasty(connection: Connection) -> Iterator[None]:
    """Have the next transaction of a connection, on which nothing has begun, not wait for the disk; it damages nothing."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield
        return
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        connection.rollback()  # of what has failed; it cannot be set within a transaction
        if not connection.invalidated:
            cursor.execute("PRAGMA synchronous=FULL")


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn "the database does not answer" into our own error; programming errors pass through."""
    try:
        yield
    except SQLAlchemyError as error:
        outage = outages.as_outage(error)
        if outage is None:
            raise
        raise outage from error
