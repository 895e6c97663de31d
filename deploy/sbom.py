"""Write what the server is made of, as CycloneDX JSON: Realmgate, and all that requirements/server.txt locks, with its hashes.

    python deploy/sbom.py FILE

Needs cyclonedx-bom. The same lock makes the same bytes: there is no time and no serial number in it. The lock says what there
is and not who brought it, so all packages are dependencies of Realmgate; some of them are for other systems or older Pythons.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
BUILD_ONLY = "setuptools"
"""What the lock has to build Realmgate with, and no server runs."""


def locked() -> str:
    """Return the lock without what only builds."""
    text = (PROJECT / "requirements" / "server.txt").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return "".join(block for block in blocks if not block.startswith(f"{BUILD_ONLY}=="))


def version() -> str:
    """Return Realmgate's version without importing it."""
    match = re.search(r'^__version__ = "(.+)"$', (PROJECT / "idp" / "__init__.py").read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


def describe() -> dict[str, Any]:
    """Return the description as cyclonedx-py makes it, with what pyproject.toml leaves to the build."""
    command = [sys.executable, "-W", "ignore::UserWarning", "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
    options = ["--of", "JSON", "--sv", "1.6", "--pyproject", str(PROJECT / "pyproject.toml"), "-o", "-", "-"]
    made = subprocess.run([*command, *options], input=locked(), stdout=subprocess.PIPE, text=True, check=True, cwd=PROJECT)
    bom: dict[str, Any] = json.loads(made.stdout)
    server = bom["metadata"]["component"]
    server |= {"version": version(), "purl": f"pkg:pypi/{server['name']}@{version()}"}
    for each in bom["components"]:
        each.pop("description", None)  # the line of the lock, which the rest of the component says again
    by_name = {each["name"]: each["bom-ref"] for each in bom["components"]}
    bom["dependencies"] = [
        {"ref": server["bom-ref"], "dependsOn": sorted(by_name.values())},
        *({"ref": each} for each in sorted(by_name.values())),
    ]
    return bom


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(describe(), indent=2, sort_keys=True) + "\n")
    print(target)
