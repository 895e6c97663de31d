"""`IDP_DATABASE_URL`: what it may be, what it names, and how it is shown.

What comes after `postgresql://` is libpq's, which parses it: several hosts, IPv6, sockets, services, certificates are its own.
"""

import re
from pathlib import Path
from urllib.parse import quote, unquote

_SQLITE = "sqlite:///"
_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+psycopg)?://")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPES = "an @, : or / in the user name or the password is written %40, %3A or %2F"
TAKES = "takes sqlite:////absolute/path.db or postgresql://user:password@host:port/name"


def check_url(url: str) -> None:
    """See that a URL can be used. What is said never repeats it, for it may hold a password.

    :raises ValueError: half a sentence that says what it takes.
    """
    if url.startswith(_SQLITE):
        _check_path(url)
    elif _POSTGRESQL.match(url):
        _check_parameters(url)
    else:
        raise ValueError(TAKES)


def is_sqlite(url: str) -> bool:
    """Tell whether a URL names the embedded database."""
    return url.startswith(_SQLITE)


def sqlite_url(path: Path) -> str:
    """Return the URL of a file."""
    return _SQLITE + quote(str(path))


def sqlite_path(url: str) -> Path:
    """Return the file that a URL of the embedded database names."""
    return Path(unquote(url.removeprefix(_SQLITE)))


def libpq_parameters(url: str) -> dict[str, str]:
    """Return what a URL tells libpq, by the names of its parameters: host, port, dbname, user, password and others.

    :raises ValueError: libpq does not take it.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415 (of no use to who runs SQLite)
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 (SQLite needs no driver of PostgreSQL)

    try:
        parsed = conninfo_to_dict(_POSTGRESQL.sub("postgresql://", url, count=1))
    except (ProgrammingError, UnicodeError):
        raise ValueError(f"{TAKES}; {_ESCAPES}") from None  # libpq's own words repeat parts of it
    return {name: str(value) for name, value in parsed.items() if value is not None}


def at_database(url: str, name: str) -> str:
    """Return the URL of another database on the server of PostgreSQL that a URL names, for the same user."""
    parameters = libpq_parameters(url) | {"dbname": name}
    return "postgresql:///?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())


def _check_path(url: str) -> None:
    path = url.removeprefix(_SQLITE)
    if not path.startswith("/") or path == "/" or not unquote(path).isprintable():
        raise ValueError(TAKES)
    if "?" in path or _BROKEN_ESCAPE.search(path):
        raise ValueError("takes no ? and no lone % in the path of a file: write %3F for a question mark, %25 for a percent sign")


def _check_parameters(url: str) -> None:
    names = [unquote(each.partition("=")[0]) for each in _split(url)[1].partition("?")[2].split("&") if each]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError("takes each parameter after the ? once: several hosts are written host1:5432,host2:5433/name")
    parameters = libpq_parameters(url)
    hosts, ports = (parameters.get(name, "").split(",") for name in ("host", "port"))
    name = parameters.get("dbname", "")
    if any("@" in host[1:] for host in hosts) or ("@" in name and "user" not in parameters):
        raise ValueError(f"{TAKES}; {_ESCAPES}")
    if any(not _is_port(port) for port in ports) or len(ports) not in {1, max(len(hosts), 1)}:
        raise ValueError(f"{TAKES}, with one port for all hosts or one for each; {_ESCAPES}")
    if not all(value.isprintable() for value in parameters.values()):
        raise ValueError(f"{TAKES}, all of it printable")


def _is_port(text: str) -> bool:
    return not text or (re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) < 65_536)


def _split(url: str) -> tuple[str, str]:
    """Return who connects, and the rest: what libpq takes for user and password ends at the first `@` before any `/`."""
    rest = url.partition("://")[2]
    who, at, place = rest.partition("@")
    return (who, place) if at and "/" not in who else ("", rest)
