"""The wheel: the same sources make the same bytes, wherever and by whomever they are built."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from idp import __version__
from tests.serving import PATIENCE, PROJECT

SCRIPT = "deploy/build_wheel.py"


def copy_project(folder: Path, umask: int) -> Path:
    """Return a working copy with modes of its own."""
    folder.mkdir()
    for name in ("idp", "pyproject.toml", "README.md", "LICENSE", SCRIPT):
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
    return folder


def build(folder: Path, umask: int, **environment: str) -> bytes:
    """Build the wheel in a working copy, and return it."""
    command = [sys.executable, folder / SCRIPT, folder / "dist"]
    surroundings = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1767225600"} | environment
    done = subprocess.run(
        command, env=surroundings, umask=umask, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).read_bytes()


def test_two_builds_in_different_surroundings_are_the_same_bit_by_bit(tmp_path: Path) -> None:
    here = copy_project(tmp_path / "here", 0o022)
    there = copy_project(tmp_path / "a folder elsewhere", 0o077)
    # what was left by somebody who worked there
    (there / "build" / "lib" / "idp").mkdir(parents=True)
    (there / "build" / "lib" / "idp" / "left.py").write_text("")
    (there / "idp" / "__pycache__").mkdir(exist_ok=True)
    (there / "idp" / "__pycache__" / "left.cpython-311.pyc").write_bytes(b"")
    first = build(here, 0o022, TZ="UTC", PYTHONHASHSEED="1", LC_ALL="C.UTF-8")
    second = build(there, 0o077, TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C", HOME=str(tmp_path))
    assert first == second
    (wheel,) = (here / "dist").iterdir()
    assert wheel.name == f"realmgate-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {each.date_time for each in archive.infolist()} == {(2026, 1, 1, 0, 0, 0)}
    assert "idp/py.typed" in names
    assert not [name for name in names if "left" in name or "pycache" in name or not name.startswith(("idp/", "realmgate-"))]
    files = [path for path in (PROJECT / "idp").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    packed = {name for name in names if name.startswith("idp/")}
    assert packed == {str(path.relative_to(PROJECT)) for path in files}, "every file of the package is in the wheel"


def test_a_build_without_a_time_says_what_is_missing(tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "here", 0o022)
    command = [sys.executable, folder / SCRIPT, folder / "dist"]
    surroundings = {"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "set SOURCE_DATE_EPOCH" in done.stderr
