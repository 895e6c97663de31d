"""The tutorial works word by word: its commands are run as they stand, with other ports only."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PATIENCE, PROJECT, Server, free_port, send, wait_until

TUTORIAL = (PROJECT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"```sh( \w+)?\n(.*?)```", TUTORIAL, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like the project's, in which the commands may leave their files."""
    for name in ("docs", "realms", "idp"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").write_text(f'export PATH="{Path(sys.executable).parent}:$PATH"\n')
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder / "var")
    yield server.start()
    server.stop()


def surroundings(server: Server) -> dict[str, str]:
    """Return the environment for the commands of a page, which reach no line of the program that other tests do not."""
    return {name: value for name, value in server.environment.items() if not name.startswith("COVERAGE_")}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_of_the_tutorial_works(folder: Path, server: Server) -> None:
    api_port = free_port()
    environment = surroundings(server) | {"PORT": str(api_port)}

    def localised(text: str) -> str:
        return text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("127.0.0.1:9090", f"127.0.0.1:{api_port}")

    (api_block,) = (text for kind, text in BLOCKS if kind.strip() == "api")
    script = "set -eu\n" + "\n".join(localised(text) for kind, text in BLOCKS if not kind.strip())
    api = subprocess.Popen(
        ["bash", "-c", localised(api_block).replace("\nISSUER", "\nexec env ISSUER")],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(api_port), "the start of the example API")
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=5 * PATIENCE, check=False
        )
    finally:
        api.terminate()
        api.wait(PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        '"application":"tutorial-bot"',
        '"project":"vision"',
        "insufficient_scope",
        "invalid_token",
        "Retired secret main",
        "Deleted tutorial-bot",
    ):
        assert expected in done.stdout, expected
    assert '"client_secret": "idp_cs_' in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == [".venv", "docs", "idp", "realms", "var"]


def _answers(port: int) -> bool:
    try:
        return send(f"http://127.0.0.1:{port}/whoami").status == 401
    except OSError:
        return False


def test_server_block_is_the_readme_command() -> None:
    assert [text for kind, text in BLOCKS if kind.strip() == "server"] == ["make serve\n"]
    assert "make serve" in (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("page", [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_links_of_the_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
