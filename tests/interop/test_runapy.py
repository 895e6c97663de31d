"""The vendor's clients of Run:ai, unchanged, against the served program: what was written by hand, and what is generated."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.prepare import INTEROP, runapy_missing
from tests.serving import PATIENCE, Server


def _run(served: Server, version: str, **environment: str) -> Any:
    bot = served.create_application(f"runapy-{version.replace('.', '-')}", "--role", "administrator")
    done = subprocess.run(
        [sys.executable, INTEROP / "runapy_client.py", served.url, f"acme/{bot['client_id']}", bot["client_secret"], version],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(version, marks=pytest.mark.skipif(runapy_missing(version) is not None, reason=str(runapy_missing(version))))
        for version in ("0.5.1", "0.8.0")
    ],
)
def test_clients_of_before(served: Server, version: str) -> None:
    suffix = version.replace(".", "-")
    assert _run(served, version, PYTHONPATH=str(INTEROP / f"runapy-{version}")) == {
        "role": "viewer",
        "projects": [f"dev-{suffix}"],
        "no projects": [],
        "rules": [True],
        "no rules": 0,
        "updated": f"dev-{suffix}",
        "read": f"dev-{suffix}",
        "deleted": [],
    }


def test_client_that_is_generated(served: Server) -> None:
    assert _run(served, "1.224") == {
        "made": ["runapy-made", "runapy@example.test"],
        "failed": [],
        "found": [["runapy@example.test", "runapy"]],
        "counted": {"count": 2},
        "taken": [2, []],
        "makers": ["runapy-1-224"],
        "people": ["runapy@example.test"],
        "disabled": False,
        "changed": "Ours.",
        "listed": ["runapy"],
        "deleted": [204, 204, 204],
    }
