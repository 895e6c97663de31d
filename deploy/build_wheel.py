"""Build the wheel of Realmgate so that the same sources give the same bytes, in whatever folder, by whomever, and whenever.

    python deploy/build_wheel.py FOLDER

Needs Python and setuptools in the version of requirements/server.txt. What would differ is set: the time in the archive is
SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), by default the time of the commit; files have the
modes that this script gives them, and not those of a working copy; and what earlier builds have left is not there, since a copy
is built.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ALSO = ("pyproject.toml", "README.md", "LICENSE")
"""What makes the wheel beside the package."""

LEFT_OUT = ("__pycache__", "*.pyc", "*.egg-info")


def copy_sources(folder: Path) -> None:
    """Copy what the wheel is made of, with modes that are the same everywhere."""
    shutil.copytree(PROJECT / "idp", folder / "idp", ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in ALSO:
        shutil.copy(PROJECT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def time_of_sources() -> str:
    """Return the seconds since 1970 that the files of the archive are said to be of.

    :raises SystemExit: nothing says so.
    """
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return said
    command = ["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        sys.exit("Not a git working copy: set SOURCE_DATE_EPOCH to the time of the sources, in seconds since 1970.")


def build(target: Path) -> Path:
    """Build the wheel into a folder, and return its path."""
    os.umask(0o022)
    environment = os.environ | {"SOURCE_DATE_EPOCH": time_of_sources()}
    with tempfile.TemporaryDirectory() as made:
        sources, wheels = Path(made) / "sources", Path(made) / "wheels"
        sources.mkdir()
        copy_sources(sources)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
        options = ["--no-build-isolation", "--wheel-dir", str(wheels), str(sources)]
        subprocess.run([*command, *options], env=environment, check=True)
        (wheel,) = wheels.glob("realmgate-*.whl")
        target.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(wheel, target / wheel.name))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(Path(sys.argv[1])))
