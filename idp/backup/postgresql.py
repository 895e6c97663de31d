"""PostgreSQL: its own programs copy and restore; which of them, and what they are told without others seeing it."""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from idp.backup.errors import RestoreError, ToolError
from idp.backup.progress import Act, Step, Watch
from idp.backup.shelf import sync_file
from idp.copying import End
from idp.database_url import at_database, libpq_parameters
from idp.redaction import redact
from idp.settings import Settings
from idp.written import one_line

FILE = "realmgate.dump"
_LOOK_EVERY = 0.2
_MOST_SAID = 500

_HELD = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
)


class Tool:
    """A program of PostgreSQL."""

    def __init__(self, name: str, server: int) -> None:
        """Find it.

        :param server: the major version of the server that it is to work with.
        :raises ToolError: it is not there, or is older than the server.
        """
        found = shutil.which(name)
        if found is None:
            raise ToolError(f"{name} is not installed, or not on the PATH. {_install(server)}")
        command = [found, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (its name is ours)
        version = re.search(r"\(PostgreSQL\) ((\d+)\S*)", done.stdout)
        if version is None or int(version[2]) < server:
            raise ToolError(
                f"{found} ({one_line(done.stdout.strip()) or 'of no known version'}) is older than the server, which is "
                f"PostgreSQL {server}. {_install(server)}"
            )
        self.name, self.version, self._path = name, version[1], found

    def run(self, url: str, arguments: Sequence[str], act: Act, watch: Watch, growing: Path | None = None) -> None:
        """Run it to its end.

        :param url: of the database. What of it is secret goes into the program's environment, which others cannot read.
        :param growing: the file that it writes, whose size shows how far it is.
        :raises ToolError: it has failed; with what it said.
        """
        environment, dsn = connection_of(url)
        command = [self._path, "--no-password", f"--dbname={dsn}", *arguments]
        with subprocess.Popen(  # noqa: S603 (its name is ours)
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                said = _wait(process, act, watch, growing)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise ToolError(f"{self.name} has failed: {redact(one_line(said[:_MOST_SAID]).strip()) or process.returncode}")


def _wait(process: "subprocess.Popen[str]", act: Act, watch: Watch, growing: Path | None) -> str:
    while True:
        try:
            return process.communicate(timeout=_LOOK_EVERY)[1].replace("\n", " ")
        except subprocess.TimeoutExpired:
            size = growing.stat().st_size if growing is not None and growing.exists() else 0
            watch(Step(act, size, 0, "bytes"))


def _install(server: int) -> str:
    return (
        f"Install the client programs of PostgreSQL {server} (Debian and Ubuntu: apt-get install postgresql-client-{server}; "
        f"Fedora and RHEL: dnf install postgresql{server}; Alpine: apk add postgresql{server}-client), or put the folder of a "
        "newer pg_dump and pg_restore first on the PATH."
    )


def connection_of(url: str) -> tuple[dict[str, str], str]:
    """Return how a program of PostgreSQL is told of a database: in its environment, and what has no variable, as an argument.

    :raises ToolError: it holds a secret that there is no variable for.
    """
    from psycopg import pq  # noqa: PLC0415 (of no use to who runs SQLite)
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 (the same)

    variables = {each.keyword.decode(): each.envvar.decode() for each in pq.Conninfo.get_defaults() if each.envvar}
    environment, rest = {"PGAPPNAME": "realmgate backup"}, {}
    for name, value in libpq_parameters(url).items():
        if name in variables:
            environment[variables[name]] = value
        elif name == "sslpassword":
            raise ToolError(
                "The URL of the database holds sslpassword, which pg_dump and pg_restore take only where other users can read "
                "it. Use a key file without a password, readable by this user only."
            )
        else:
            rest[name] = value
    rest["dbname"] = environment.pop("PGDATABASE", "")
    return environment, make_conninfo(**rest)


def server_version(connection: Connection) -> int:
    """Return the major version of the server."""
    return int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000


def dump(settings: Settings, tool: Tool, snapshot: str, target: Path, watch: Watch) -> None:
    """Copy a database as it is in a snapshot.

    :param snapshot: as `pg_export_snapshot` names it; its transaction must stay open.
    """
    arguments = ["--format=custom", f"--snapshot={snapshot}", "--lock-wait-timeout=60000", f"--file={target}"]
    tool.run(settings.database_url, arguments, Act.COPY, watch, target)
    sync_file(target)


def check_free(end: End, connection: Connection) -> None:
    """See that a database holds nothing yet, and can hold everything.

    :raises RestoreError: it does, or cannot.
    """
    if connection.execute(text(_HELD)).scalar_one():
        raise RestoreError(
            f"{end} holds tables. A backup is restored into an empty database: create one with CREATE DATABASE … ENCODING "
            "'UTF8' TEMPLATE template0, set IDP_DATABASE_URL to it, and run this again."
        )
    if (encoding := connection.execute(text("SHOW server_encoding")).scalar_one()) != "UTF8":
        raise RestoreError(
            f"{end} keeps text as {encoding}. Create it with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def load(settings: Settings, tool: Tool, source: Path, watch: Watch) -> None:
    """Restore a copy into an empty database, all of it or nothing.

    :raises ToolError: that has failed; it says why.
    """
    arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--no-tablespaces"]
    arguments += ["--no-publications", "--no-subscriptions", "--no-security-labels", str(source)]
    tool.run(settings.database_url, arguments, Act.LOAD, watch)


@contextlib.contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Create a database on a server, return its URL, and remove it at the end.

    :param url: of any database on that server, of a user who may create databases.
    :raises RestoreError: the server does not let us.
    """
    import psycopg  # noqa: PLC0415 (of no use to who runs SQLite)
    from psycopg import sql  # noqa: PLC0415 (the same)

    name = f"realmgate_check_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(**libpq_parameters(url), autocommit=True) as server:  # type: ignore[arg-type]
            server.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name)))
            try:
                yield at_database(url, name)
            finally:
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise RestoreError(f"No scratch database can be created there: {redact(one_line(str(error)))}") from error
