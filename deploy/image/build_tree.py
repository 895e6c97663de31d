"""Build the tree of the image: Realmgate's wheel and all that it depends on, in one folder that needs nothing but Python.

    python deploy/image/build_tree.py WHEEL FOLDER [INTERPRETER]

deploy/Containerfile runs it, and the tests do the same outside a container. Every dependency is a wheel with a hash of
requirements/server.txt; Realmgate's own wheel comes as a file. INTERPRETER is the Python of the image, /usr/bin/python3 by
default: it must be of the same version as the one that runs this, and is named in the first line of FOLDER/bin/idp.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "server.txt"
MOST = 150_000_000
"""Bytes of all files of the tree together. More is an error: whoever adds a dependency is to know what it weighs."""

UNUSED = (
    # needed to build the wheel alone
    "setuptools*", "pkg_resources", "_distutils_hack", "distutils-precedence.pth",
    # scripts with the path of the Python that built the tree; bin/idp is written below
    "bin",
    # of Bootstrap the pages use one style sheet (idp/console/assets.py)
    "flask_bootstrap/static/bootstrap4", "flask_bootstrap/static/bootstrap5/css/bootswatch",
    "flask_bootstrap/static/bootstrap5/icons", "flask_bootstrap/static/bootstrap5/js",
    # tests of dependencies
    "sqlalchemy/testing/suite", "google/protobuf/internal/*_test*",
)  # fmt: skip # a reason above each line
"""What the server never reads of that which its dependencies bring, as patterns below the tree."""

COMMAND = """\
#!{interpreter}
import sys

sys.path[0] = {tree!r}
from idp.cli import main

main()
"""


def install(wheel: Path, tree: Path) -> None:
    """Install the dependencies, each with its hash, and the wheel."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    pip += ["--root-user-action=ignore", "--target", str(tree), "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--only-binary=:all:", "-r", str(LOCK)], check=True)
    subprocess.run([*pip, "--upgrade", "--no-index", str(wheel)], check=True)


def trim(tree: Path) -> None:
    """Remove what the server never reads."""
    for pattern in UNUSED:
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Babel knows 1,000 locales, and the pages speak the languages of their catalogues and English.
    spoken = {"root", "en", *(file.stem for file in (tree / "idp" / "web" / "locale").glob("*.po"))}
    for path in (tree / "babel" / "locale-data").glob("*.dat"):
        if path.stem not in spoken:
            path.unlink()


def compile_all(tree: Path) -> None:
    """Compile every module: a read-only file system keeps no cache. Hashes instead of times make the same tree every time."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(tree, quiet=2, workers=0, invalidation_mode=mode, stripdir=str(tree), prependdir="/opt/realmgate")


def write_command(tree: Path, interpreter: str, place: str) -> None:
    """Write `bin/idp`, which needs neither a shell nor `env`."""
    command = tree / "bin" / "idp"
    command.parent.mkdir()
    command.write_text(COMMAND.format(interpreter=interpreter, tree=place))
    command.chmod(0o755)


def weigh(tree: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())


def build(wheel: Path, tree: Path, interpreter: str, place: str = "/opt/realmgate") -> int:
    """Build the tree, and return its bytes.

    :param place: where it is in the image.
    :raises SystemExit: it is too large.
    """
    os.umask(0o022)
    install(wheel, tree)
    trim(tree)
    compile_all(tree)
    write_command(tree, interpreter, place)
    if (weight := weigh(tree)) > MOST:
        sys.exit(f"The tree has {weight / 1e6:.0f} MB, and may have {MOST / 1e6:.0f}.")
    return weight


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    bytes_ = build(Path(sys.argv[1]), Path(sys.argv[2]), (sys.argv[3:] or ["/usr/bin/python3"])[0])
    print(f"{bytes_ / 1e6:.1f} MB in {sys.argv[2]}, dependencies and compiled modules included, Python itself not")
