"""Runs these tests only where they are asked for, and builds what they need, once."""

import os
import shutil
from pathlib import Path

import pytest

from tests.interop.built.golang import go

WANTED = "CHARTS"
"""Environment variable that `make charts` sets."""

collect_ignore_glob = [] if os.environ.get(WANTED) else ["test_*.py"]

PROGRAMS = {"helm": "helm.sh/helm/v3/cmd/helm", "objects": "./objects", "compose": "./compose", "envoy": "./envoy"}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the programs, built. The first time this takes ten minutes."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    sources = tmp_path_factory.mktemp("go") / "sources"
    # the go command writes to go.mod
    shutil.copytree(Path(__file__).parent, sources, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, package in PROGRAMS.items():
        go(sources, "build", "-o", str(sources / "bin" / name), package)
    return sources / "bin"
