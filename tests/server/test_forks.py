"""The process that watches the workers forks them while its threads run: what those do must need nothing that is to be loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.serving import PROJECT, free_port

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
