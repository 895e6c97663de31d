"""Building the verifiers in TypeScript and Go, without the network."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.prepare import TYPESCRIPT, go_missing, typescript_missing
from tests.serving import PROJECT

GO = PROJECT / "clients" / "go"
PATIENCE = 300
"""Seconds that a busy machine may take to build one of them and to run its tests."""

MISSING = {"typescript": typescript_missing(), "go": go_missing()}
"""Why a language cannot be tried; None where it can."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command and return what it printed.

    :raises AssertionError: it failed.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:]
    return done.stdout


def program(name: str) -> str:
    """Return where a program is, which must be there."""
    found = shutil.which(name)
    assert found is not None
    return found


def go(*arguments: str, cwd: Path = GO, **environment: str) -> str:
    """Run the go command with what is on this machine: the verifier needs nothing else."""
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return run(program("go"), *arguments, cwd=cwd, **offline | environment)


def build_typescript() -> None:
    """Check the types of the package, and build it."""
    run(program("node"), "node_modules/typescript/bin/tsc", cwd=TYPESCRIPT)
