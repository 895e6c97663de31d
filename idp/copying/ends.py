"""The two databases: opened for one who works alone in them, so that nobody writes meanwhile who is not noticed."""

import contextlib
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idp import migrations
from idp.copying.errors import CopyError, InUseError
from idp.copying.rows import all_tables
from idp.db import WAIT_FOR_LOCK, make_engine_apart
from idp.outages import explain, is_locked
from idp.settings import Settings
from idp.written import one_line

_LOOK_EVERY = 0.1

_OTHERS = (
    "SELECT coalesce(nullif(application_name, ''), 'a program without a name') AS program, usename AS name, "
    "coalesce(host(client_addr), 'this machine') AS address FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL "
    "AND coalesce(backend_type, 'client backend') = 'client backend' ORDER BY backend_start"
)
"""Who else is connected. Of other users' programs PostgreSQL may tell that they are there, and no more."""

_NO_LIMITS = (
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN "
    "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)


class Role(StrEnum):
    """Which of the two a database is."""

    SOURCE = "source"
    TARGET = "target"


class End:
    """One of the two databases."""

    def __init__(self, settings: Settings, role: Role) -> None:
        self.role = role
        self.is_sqlite = settings.is_sqlite
        self.name = settings.show("database_url")
        self.file = settings.sqlite_path
        self._engine = make_engine_apart(settings)
        self._only: Connection | None = None
        """The connection that everything goes over while others are kept out: a file, nobody else can open meanwhile."""
        self._guard: Connection | None = None
        """The connection whose transaction keeps others out of PostgreSQL."""

    def __str__(self) -> str:
        return f"The {self.role} ({self.name})"

    @contextlib.contextmanager
    def held(self, *, ignore_connections: bool = False) -> Iterator[None]:
        """Keep everybody else out during the block, and see first that nobody is in.

        A file of SQLite is locked against all others. PostgreSQL keeps those out who would set it up, and from the tables of
        the source whoever would write.

        :param ignore_connections: of PostgreSQL, take no notice of others who are connected.
        :raises InUseError: somebody is at work in it.
        """
        with contextlib.ExitStack() as stack, self.errors():
            stack.callback(self._leave)
            if self.is_sqlite:
                self._only = self._lock_file()
            else:
                self._guard = stack.enter_context(self._engine.connect())
                self._lock_out_others(self._guard, ignore_connections=ignore_connections)
                self._only = self._engine.connect()
            yield

    def see_held(self) -> None:
        """See that others are still kept out: a connection that broke off keeps nobody out.

        :raises CopyError: they are not.
        """
        if self._guard is not None:
            with self.errors():
                self._guard.execute(text("SELECT 1"))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read in one transaction, which sees one state and no later one."""
        with self.errors(), self._connected(read_only=True) as connection, connection.begin():
            if not self.is_sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                connection.execute(text(_NO_LIMITS))
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write in one transaction, which is committed at the end of the block."""
        with self.errors(), self._connected(read_only=False) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(text(_NO_LIMITS))
            yield connection

    @contextlib.contextmanager
    def errors(self, table: str = "") -> Iterator[None]:
        """Say which of the two does not answer, and why.

        :param table: what it is about.
        :raises CopyError: it does not.
        """
        try:
            yield
        except SQLAlchemyError as error:
            where = f", at table {table}" if table else ""
            raise CopyError(f"{self} cannot be used{where}: {explain(error)}.") from error

    def identity(self) -> str:
        """Return what tells a database from every other one."""
        if self.file is not None:
            if not self.file.exists():
                return str(self.file.resolve())
            found = self.file.stat()
            return f"{found.st_dev} {found.st_ino}"
        query = "SELECT pg_postmaster_start_time()::text || ' ' || oid FROM pg_database WHERE datname = current_database()"
        with self.reading() as connection:
            return str(connection.execute(text(query)).scalar_one())

    def close(self) -> None:
        """Give everything back."""
        self._leave()
        self._engine.dispose()

    @contextlib.contextmanager
    def _connected(self, *, read_only: bool) -> Iterator[Connection]:
        if self._only is not None:
            yield self._only
            return
        with self._engine.connect().execution_options(read_only=read_only) as connection:
            yield connection

    def _leave(self) -> None:
        only, self._only = self._only, None
        if only is not None:
            only.close()

    def _lock_file(self) -> Connection:
        _open_alone(self._engine)
        try:
            connection = self._engine.connect()
            with connection.begin():
                connection.execute(text("SELECT count(*) FROM sqlite_master"))
        except DBAPIError as error:
            if is_locked(error):
                raise InUseError(
                    f"{self} is in use. Stop every server and command that has it open, then run this again."
                ) from None
            raise
        return connection

    def _lock_out_others(self, connection: Connection, *, ignore_connections: bool) -> None:
        try:
            migrations.take_turn(connection, seconds=WAIT_FOR_LOCK)
        except DBAPIError as error:
            if is_locked(error):
                raise InUseError(f"{self} is being set up, or copied, by another command. Wait until it ends.") from None
            raise
        if not ignore_connections:
            self._refuse_others(connection)
        if self.role is Role.SOURCE and not connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
            quote = connection.dialect.identifier_preparer.quote
            connection.execute(text(f"LOCK TABLE {', '.join(quote(table.name) for table in all_tables())} IN SHARE MODE"))
        connection.execute(text(_NO_LIMITS))

    def _refuse_others(self, connection: Connection) -> None:
        """See that nobody else is connected; who was killed a moment ago may still seem to be.

        :raises InUseError: somebody is.
        """

        def look() -> list[str]:
            connection.execute(text("SELECT pg_stat_clear_snapshot()"))
            rows = connection.execute(text(_OTHERS))
            return sorted({one_line(f"{row.program} of {row.name} from {row.address}") for row in rows})

        if others := _wait_until_none(look):
            raise InUseError(
                f"{self} is in use: others are connected ({'; '.join(others)}). Stop every server and command, and a PgBouncer, "
                "which keeps connections; if what is left is not a server of Realmgate, add --ignore-connections."
            )


def _wait_until_none(look: Callable[[], list[str]]) -> list[str]:
    end = time.monotonic() + WAIT_FOR_LOCK
    while (found := look()) and time.monotonic() < end:
        time.sleep(_LOOK_EVERY)
    return found


def _open_alone(engine: Engine) -> None:
    """Have SQLite open files so that no other process can, nor could before: it refuses if one has it open."""

    @event.listens_for(engine, "connect", insert=True)
    def _connect(connection: object, _record: object) -> None:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # type: ignore[attr-defined]
