"""Building and running the Java programs of docs/integrations."""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.serving import PATIENCE, Answer, free_port, send, wait_until

MISSING = ", ".join(each for each in ("java", "mvn") if shutil.which(each) is None)
"""What the machine lacks to build Java programs; empty when it has all."""

_BUILD_SECONDS = 540
"""The first build fetches everything from Maven's registry."""


def build(folder: Path) -> None:
    """Build a folder that has a pom.xml, without the network when everything is there already.

    :raises AssertionError: it does not build.
    """
    if _maven(folder, "-o").returncode != 0:
        done = _maven(folder)
        assert done.returncode == 0, done.stdout + done.stderr


def _maven(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mvn", "-q", "-B", *options, "package"], cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
    )


@contextlib.contextmanager
def running(jar: Path, *, port: str, address: str, number: int = 0, answers: str = "/open") -> Iterator[str]:
    """Run a program that serves HTTP on loopback, and yield its URL once it answers.

    :param port: the program's own name for the setting, as for the address.
    :param number: the port itself; one that is free by default.
    :param answers: a path that is answered 200 once it serves.
    """
    number = number or free_port()
    process = subprocess.Popen(
        ["java", "-Xmx256m", f"-D{port}={number}", f"-D{address}=127.0.0.1", "-jar", str(jar)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=output.extend, args=(process.stdout,), daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{number}"
    try:
        wait_until(lambda: _answers(process, url + answers, output), f"the start of {jar.name}", 4 * PATIENCE)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        process.stdout.close()


def _answers(process: subprocess.Popen[str], url: str, output: list[str]) -> bool:
    assert process.poll() is None, "the program ended:\n" + "".join(output)
    try:
        return send(url).status == 200
    except OSError:
        return False


def lines_of(folder: Path, main: str, lines: Iterable[str], *arguments: str) -> list[str]:
    """Run a main class of a built folder, and return the lines that it says to those it is given."""
    path = f"{folder / 'target/classes'}:{folder / 'target/lib'}/*"
    done = subprocess.run(
        ["java", "-Xmx256m", "-cp", path, main, *arguments],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def call(url: str, token: str = "", *, post: bool = False) -> Answer:
    """Call an API, with a bearer token or without."""
    return send(url, {} if post else None, {"Authorization": f"Bearer {token}"} if token else {})
