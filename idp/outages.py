"""What an error of the database says: is it away or are we wrong, is the connection still good, and what is the matter."""

import re
import sqlite3
import time
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import Pool

from idp.errors import StorageFullError, StorageUnavailableError
from idp.patience import SlowDatabaseError
from idp.stuck import SilentServerError
from idp.written import one_line

READ_ONLY = "it accepts no writes now because it is read-only or a standby"
_LOCKED = "somebody else has locked it for too long"
_FULL = "its disk is full"
_NO_MEMORY = "it is out of memory"
_NO_CONNECTION = "it has no connection left for us (max_connections, or a limit of the role or the database)"
_STOPPING = "it is starting or stopping"
_NO_DATABASE = "it has no database with that name"
_WRONG_PASSWORD = "the user name or the password is wrong"  # noqa: S105 (a sentence)

_AWAY = {
    "08": "the connection was lost",
    "25006": READ_ONLY,
    "25P03": "a transaction was idle for too long",
    "25P04": "a transaction took too long",
    "40001": "another change at the same moment came first",
    "40003": "the connection was lost in a commit",
    "40P01": "another change at the same moment came first",
    "53": "it has run out of a resource",
    "53100": _FULL,
    "53200": _NO_MEMORY,
    "53300": _NO_CONNECTION,
    "55P03": _LOCKED,
    "57": "it was stopped by its operator",
    "57014": "a statement took too long",
    "57P01": _STOPPING,
    "57P02": _STOPPING,
    "57P03": _STOPPING,
    "58": "it cannot read or write its files",
}
"""By SQLSTATE (PostgreSQL's documentation, appendix A), or by the class that its first two characters are: what passes."""

_LASTING = {
    "28": _WRONG_PASSWORD,
    "3D000": _NO_DATABASE,
    "3F000": "it has no schema in which the tables could be created",
    "42501": "the user is not allowed to do that there (permission denied)",
    "42P01": "it does not have the tables of this version",
}
"""The same for what stays until somebody mends it, and is no outage."""

_SQLITE = {
    "BUSY": _LOCKED,
    "CANTOPEN": "its file cannot be opened: check that its folder exists and belongs to this user",
    "CORRUPT": "its file is damaged",
    "FULL": _FULL,
    "IOERR": "its file cannot be read or written (disk I/O error)",
    "LOCKED": _LOCKED,
    "NOMEM": _NO_MEMORY,
    "NOTADB": "its file is not a database",
    "PERM": "this user is not allowed to use its file",
    "PROTOCOL": _LOCKED,
    "READONLY": "its file, or the folder of it, cannot be written by this user or at all (read-only)",
}
"""By the second word of the name of SQLite's result code (https://sqlite.org/rescode.html)."""

_STILL_GOOD = {"BUSY", "FULL", "LOCKED"}
"""Results of SQLite after which the same connection may succeed. After others the file is opened anew."""

_CONNECTING = (
    # libpq tells why it could not connect in words only; the first that fits
    (r"password authentication failed|no password supplied|SASL|role .* does not exist|no such user", _WRONG_PASSWORD),
    (r"database .* does not exist|no such database", _NO_DATABASE),
    (r"permission denied for database", "the user is not allowed to connect to that database"),
    (r"no pg_hba.conf entry.*(no encryption|SSL off)", "it accepts this user over TLS only, or not at all (pg_hba.conf)"),
    (r"no pg_hba.conf entry", "it does not accept this user from here (pg_hba.conf)"),
    (r"SSL required", "it accepts connections over TLS only (sslmode=require)"),
    (r"does not support SSL", "it does not speak TLS, which sslmode asks for"),
    (r"certificate|SSL error", "its TLS certificate, or ours, is not accepted (sslmode, sslrootcert)"),
    (r"too many (clients|connections)|connection slots|no more connections allowed", _NO_CONNECTION),
    (r"not currently accepting", "that database accepts no connections now"),
    (r"starting up|shutting down|recovery mode|not yet accepting|not accepting", _STOPPING),
    (r"session is (not )?read-only|server is (not )?in hot standby", "no server of the kind that target_session_attrs asks for"),
    (r"translate host name|resolve host|[Nn]ame or service not known|name resolution|getaddrinfo", "its host name is not known"),
    (r"Connection refused", "nothing is listening there (connection refused)"),
    (r"[Pp]ermission denied", "this user is not allowed to use its socket"),
    (r"No such file or directory", "its socket does not exist"),
    (r"timeout|timed out", "it did not answer in time"),
    (r"No route to host|unreachable", "there is no network route to it"),
    (r"Could not decode to UTF-8", "a text in it is damaged: it is not UTF-8"),  # the driver repeats the text
    (r"startup parameter", "PgBouncer refuses a parameter of the connection (options, perhaps)"),
    (r"closed the connection|connection (is|was) (lost|closed)|reset by peer|SSL SYSCALL", _AWAY["08"]),
)


_PREFIX = re.compile(r"connection (failed|is bad): ")


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error says that the database is away, read-only, locked, full or overloaded, not that we asked wrongly."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_result(error) in _SQLITE
    state = _sqlstate(error)
    if state:
        return state in _AWAY or state[:2] in _AWAY
    return isinstance(error, OperationalError | InterfaceError)  # there was no server that could say anything


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that the disk of the database is full: reading works, writing may not."""
    # without space SQLite cannot enlarge what its processes share either, and has a code of its own for that
    shared = isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE"
    return shared or (isinstance(error, DBAPIError) and (_sqlite_result(error) == "FULL" or _sqlstate(error) == "53100"))


_full_at: WeakKeyDictionary[Pool, float] = WeakKeyDictionary()


def seconds_since_full(engine: Engine) -> float:
    """Return how long ago a database has last said that its disk is full, on whichever of an engine's connections."""
    return time.monotonic() - _full_at.get(engine.pool, float("-inf"))


def as_outage(error: BaseException) -> StorageUnavailableError | None:
    """Return an error of the database as our own, if it says that the database is away or cannot be used; None otherwise."""
    if isinstance(error, StorageUnavailableError):
        return error
    if not is_unavailable(error):
        return None
    return (StorageFullError if is_full(error) else StorageUnavailableError)(cause=explain(error))


def is_locked(error: BaseException) -> bool:
    """Tell whether an error says that somebody else has locked what was asked for."""
    return isinstance(error, DBAPIError) and (
        _sqlite_result(error) in {"BUSY", "LOCKED"} or _sqlstate(error) in {"55P03", "57014"}
    )


def explain(error: BaseException) -> str:
    """Return in half a sentence what is the matter. It names nothing of the URL, and no statement."""
    if isinstance(error, StorageUnavailableError):
        return error.cause or str(error)
    if isinstance(error, SilentServerError | SlowDatabaseError):
        return str(error)
    if isinstance(error, PoolTimeoutError):
        return "all connections to it were in use for too long (IDP_DATABASE_CONNECTIONS)"
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    if is_full(error):
        return _FULL
    known = _SQLITE.get(_sqlite_result(error))
    state = _sqlstate(error)
    for table in (_AWAY, _LASTING):
        known = known or table.get(state) or table.get(state[:2])
    return known or _in_its_words(error)


def explain_any(error: BaseException) -> str:
    """Return what is the matter, for a log: of an error of the database as `explain` does, of others what they say."""
    return explain(error) if isinstance(error, SQLAlchemyError | StorageUnavailableError) else one_line(str(error))


def drop_connections(context: ExceptionContext) -> None:
    """Have the connections of an engine replaced after an error that says that the server is another one, or is read-only.

    A listener of SQLAlchemy's event `handle_error`.
    """
    error = context.sqlalchemy_exception
    if not isinstance(error, DBAPIError):
        return
    if is_full(error) and context.engine is not None:
        _full_at[context.engine.pool] = time.monotonic()
    state, result = _sqlstate(error), _sqlite_result(error)
    if state in {"25006", "57P01", "57P02", "57P03"} or state[:2] == "08" or (result in _SQLITE and result not in _STILL_GOOD):
        context.is_disconnect = True


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_result(error: DBAPIError) -> str:
    name: str = getattr(error.orig, "sqlite_errorname", "")
    return f"{name}__".split("_")[1]


def _in_its_words(error: DBAPIError) -> str:
    """Return what the driver says, where it has a word of ours in our words: it is no use to read about sockets and hints."""
    said = str(error.orig)
    for pattern, cause in _CONNECTING if not _sqlstate(error) else ():
        if re.search(pattern, said):
            return cause
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return one_line(primary or _PREFIX.sub("", said.strip()).partition("\n")[0])[:200]
