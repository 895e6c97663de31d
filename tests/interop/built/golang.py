"""Building Go programs, and running them for a while."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.serving import PATIENCE, wait_until

BUILD_PATIENCE = 1_800
"""Seconds that fetching and building may take on a machine that has not done so before."""

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")


def go(folder: Path, *arguments: str, **environment: str) -> None:
    """Run the go command in a folder.

    :raises AssertionError: it fails.
    """
    program = shutil.which("go")
    assert program is not None
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=os.environ | {"GOFLAGS": "-mod=mod", "GOWORK": "off"} | environment,
        capture_output=True,
        text=True,
        timeout=BUILD_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"go {' '.join(arguments)}:\n{done.stdout}{done.stderr}"


def version_of(module: str, folder: Path) -> str:
    """Return the version of a module that the go.mod of a folder requires."""
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    assert match is not None, f"go.mod does not require {module}"
    return match[1]


@contextlib.contextmanager
def running(command: list[str], environment: Mapping[str, str], answers: Callable[[], object], log: Path) -> Iterator[None]:
    """Run a program until the block ends.

    :param answers: true once it serves; may raise OSError until then.
    :param log: where to write what it prints; shown when it ends too early.
    """

    def is_up() -> object:
        assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()}"
        try:
            return answers()
        except OSError:
            return False

    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            wait_until(is_up, f"the start of {command[0]}")
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)
