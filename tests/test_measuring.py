"""The measure of the tests: `coverage` below `make test` in CI."""

import os
import subprocess
import sys
from pathlib import Path

import coverage

from idp import clock
from tests.serving import PROJECT

TESTS = """
import atexit, os, signal
from idp import clock

def test_that_its_worker_is_killed_before_it_has_left():
    clock.timestamp()
    atexit.register(os.kill, os.getpid(), signal.SIGKILL)
"""


def test_what_a_worker_reached_is_kept_when_it_is_killed_on_its_way_out(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    measured = tmp_path / "measured"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTEST_", "COV_"))}
    coverage_run = ["coverage", "run", f"--rcfile={PROJECT / 'pyproject.toml'}", f"--data-file={measured / 'data'}"]
    pytest = ["pytest", "-n1", "-p", "tests.measuring", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", *coverage_run, "-m", *pytest],
        check=False,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    all_of_them = coverage.Coverage(data_file=str(measured / "data"), config_file=False)
    all_of_them.combine([str(measured)])
    lines = all_of_them.get_data().lines(str(PROJECT / "idp" / "clock.py")) or []
    assert clock.timestamp.__code__.co_firstlineno + 2 in lines, lines
