"""The process that watches the workers has loaded for them what they are made of, and forks them while its threads run.

So those must need nothing that is to be loaded, and there must be nothing in that process that two processes cannot share.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving import PROJECT, Server, free_port, wait_until

SCRIPT = """
import json, pathlib, sys, tempfile
from idp import server
from idp.management import ManagementPort, ask_worker
from idp.settings import Settings
from idp.telemetry import share_metrics

settings, folder = Settings.load(), pathlib.Path(tempfile.mkdtemp())
share_metrics(folder)
port = ManagementPort(settings, folder)
loaded = set(sys.modules)
port.start()
answers = [ask_worker(settings, "/health/live")[0]]
here = settings.model_copy(update={"host": "127.0.0.1", "port": settings.management_port})
answers += [ask_worker(here, path)[0] for path in ("/health/live", "/health/ready", "/metrics", "/none")]
port.stop()
print(json.dumps([answers, sorted(set(sys.modules) - loaded)]))
"""


def test_threads_beside_the_forking_load_nothing(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "IDP_CONFIG": os.devnull,
        "IDP_DATA_DIR": str(tmp_path),
        "IDP_PORT": str(free_port()),
        "IDP_MANAGEMENT_PORT": str(free_port()),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[503, 200, 503, 200, 404], []]


AT_FORK = """
import gc, json, os, pathlib, sys, threading

told = pathlib.Path(sys.argv.pop())

def tell(name, what):
    told.with_name(f"{name}.new").write_text(json.dumps(what))
    told.with_name(f"{name}.new").rename(told.with_name(name))

def look():
    gc.unfreeze()
    loaded = set(sys.modules)
    tell("parent", {
        "threads": sorted(each.name for each in threading.enumerate()),
        "of_the_system": len(os.listdir("/proc/self/task")),
        "files": sorted({os.readlink(each) for each in pathlib.Path("/proc/self/fd").iterdir() if each.is_symlink()}),
        "objects": sorted({f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()}),
        "modules": sorted(loaded),
    })
    worker = sys.modules["idp.server.worker"]
    made = worker.load

    def load():
        app = made()
        tell("worker", sorted(set(sys.modules) - loaded))
        return app

    worker.load = load

os.register_at_fork(before=look)
from idp.cli import main
main(["serve"])
"""

OF_ONE_PROCESS = {
    "flask.app.Flask",
    "idp.keys.signer.Signer",
    "idp.master_keys.ring.MasterKeys",
    "idp.runtime.Runtime",
    "sqlalchemy.engine.base.Connection",
    "sqlalchemy.engine.base.Engine",
    "sqlalchemy.orm.session.Session",
    "sqlite3.Connection",
    "ssl.SSLContext",
}
"""What two processes cannot share, or only those are to have that serve."""


@pytest.fixture(scope="module")
def at_fork(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there is in the process that watches when it forks the worker, and what the worker loads for itself."""
    folder = tmp_path_factory.mktemp("forks")
    server = Server(folder / "data", settings={"IDP_MANAGEMENT_PORT": str(free_port())})
    server.idp("setup")
    process = subprocess.Popen(
        [sys.executable, "-c", AT_FORK, str(folder / "told")], cwd=PROJECT, env=server.environment, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: (folder / "worker").exists() or process.poll() is not None, "the start of the worker")
    finally:
        process.terminate()
        process.wait(60)
    at_fork: dict[str, Any] = json.loads((folder / "parent").read_text())
    return at_fork | {"worker": json.loads((folder / "worker").read_text())}


def test_nothing_is_open_or_unlocked_where_workers_are_forked(at_fork: dict[str, Any]) -> None:
    assert set(at_fork["threads"]) == {"MainThread", "announcement", "management"}
    assert at_fork["of_the_system"] == len(at_fork["threads"]), "a library has threads of its own"
    assert not [file for file in at_fork["files"] if "sqlite" in file or file.endswith((".db", ".key", ".lock", "-wal"))]
    assert not OF_ONE_PROCESS & set(at_fork["objects"])


def test_workers_find_loaded_what_they_are_made_of_and_nobody_loads_what_is_of_no_use(at_fork: dict[str, Any]) -> None:
    assert "idp.api" in at_fork["modules"]
    assert not [name for name in at_fork["worker"] if name.startswith(("idp", "sqlalchemy", "pydantic", "cryptography"))]
    loaded = {name.partition(".")[0] for name in (*at_fork["modules"], *at_fork["worker"])}
    assert not loaded & {"alembic", "boto3", "botocore", "lxml", "opentelemetry", "pkcs11", "pygal", "valkey"}


def test_workers_that_begin_later_are_forked_off_the_same_process(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.idp("setup")
    application = server.create_application("later")
    server.start()
    try:
        assert server.process is not None
        watcher = psutil.Process(server.process.pid)
        for number, whom in ((signal.SIGKILL, "worker"), (signal.SIGHUP, "watcher")):
            (former,) = watcher.children()
            (former if whom == "worker" else watcher).send_signal(number)
            wait_until(lambda former=former: not former.is_running() or former.status() == psutil.STATUS_ZOMBIE, "its end")
            wait_until(lambda: _is_served(server, application), "another worker")
            assert former.pid not in {each.pid for each in watcher.children()}
    finally:
        server.stop()


def _is_served(server: Server, application: dict[str, str]) -> bool:
    try:
        return server.token(application).status == 200
    except OSError:
        return False
