"""Set-up for the tests that pip cannot do: clients from npm, when node is there. `make test` runs it first."""

import shutil
import subprocess
from pathlib import Path

NODE_FOLDER = Path(__file__).parent / "interop"


def node_clients_missing() -> str | None:
    """Return why the clients from npm cannot be run, or None when they can."""
    if shutil.which("node") is None:
        return "node is not installed, so the clients from npm are not tried"
    if not (NODE_FOLDER / "node_modules" / "openid-client").is_dir():
        return "the clients from npm could not be installed (tests/interop/package.json)"
    return None


def main() -> None:
    """Install the clients from npm unless they are there already."""
    npm = shutil.which("npm")
    if npm is not None and shutil.which("node") is not None and node_clients_missing() is not None:
        print("Installing clients from npm into tests/interop ...", flush=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        subprocess.run(command, cwd=NODE_FOLDER, timeout=300, check=False)
    missing = node_clients_missing()
    if missing is not None:
        print(f"Skipping: {missing}.")


if __name__ == "__main__":
    main()
