"""Set-up for the tests that pip cannot do at once: clients and a compiler from npm, and old clients from PyPI; proxies, poolers, Prometheus, a browser and faketime from Debian.

`make test` runs it first.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
INTEROP = Path(__file__).parent / "interop"
TOOLS = PROJECT / "build" / "tools"
NODE_FOLDER = INTEROP
TYPESCRIPT = PROJECT / "clients" / "typescript"
OLD_RUNAPY = ("0.5.1", "0.8.0")
"""Clients of before that cannot be installed beside the one of today."""
MCP = "2.3.0"
"""MCP's client, in a folder of its own: it comes with a web server and an HTTP client that nothing else here uses."""
GOOGLE_AUTH = "2.63.0"
"""Google's client, in a folder of its own: nothing else here uses it."""
PACKAGES = {
    "nginx": "nginx-light",
    "caddy": "caddy",
    "haproxy": "haproxy",
    "prometheus": "prometheus",
    "chromium": "chromium",
    "pgbouncer": "pgbouncer",
    "softhsm2-util": "softhsm2",
    "faketime": "faketime",
}
"""Programs that the gateway, the console, the database and clocks are tried with, and Debian's packages of them."""


def node_clients_missing() -> str | None:
    """Return why the clients from npm cannot be run, or None when they can."""
    if shutil.which("node") is None:
        return "node is not installed, so the clients from npm are not tried"
    if not _has_all(NODE_FOLDER, "dependencies"):
        return "the clients from npm could not be installed (tests/interop/package.json)"
    return None


def jose_missing() -> str | None:
    """Return why jose from npm cannot be run, whatever there is of the others, or None when it can."""
    if shutil.which("node") is None:
        return "node is not installed, so jose from npm is not tried"
    if _installed(NODE_FOLDER, "jose") != json.loads((NODE_FOLDER / "package.json").read_text())["dependencies"]["jose"]:
        return "jose could not be installed from npm (tests/interop/package.json)"
    return None


def typescript_missing() -> str | None:
    """Return why the verifier in TypeScript cannot be built and run, or None when it can."""
    if shutil.which("node") is None:
        return "node is not installed, so the verifier in TypeScript is not tried"
    if not _has_all(TYPESCRIPT, "devDependencies"):
        return "the compiler of TypeScript could not be installed (clients/typescript/package.json)"
    return None


def go_missing() -> str | None:
    """Return why the verifier in Go cannot be built and run, or None when it can."""
    return "go is not installed, so the verifier in Go is not tried" if shutil.which("go") is None else None


def _has_all(folder: Path, which: str) -> bool:
    """Tell whether a folder has all packages from npm that it asks for, in the versions that it asks for."""
    wanted = json.loads((folder / "package.json").read_text())[which]
    return all(_installed(folder, name) == version for name, version in wanted.items())


def _installed(folder: Path, name: str) -> str | None:
    """Return the version of a package from npm, or None when it is not there."""
    described = folder / "node_modules" / name / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.is_file() else None


def _install_from_npm(folder: Path) -> None:
    """Install the packages that a folder asks for."""
    npm = shutil.which("npm")
    if npm is not None:
        print(f"Installing packages from npm into {folder.relative_to(PROJECT)} ...", flush=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, timeout=300, check=False)


def runapy_missing(version: str) -> str | None:
    """Return why an old client of Run:ai cannot be run, or None when it can."""
    if not (INTEROP / f"runapy-{version}" / "runai").is_dir():
        return f"runapy {version} could not be fetched from PyPI (tests/interop/runapy_{version}.txt)"
    return None


def mcp_missing() -> str | None:
    """Return why MCP's client from PyPI cannot be run, or None when it can."""
    if not (INTEROP / f"mcp-{MCP}" / "mcp").is_dir():
        return f"mcp {MCP} could not be fetched from PyPI (tests/interop/mcp_{MCP}.txt)"
    return None


def google_auth_missing() -> str | None:
    """Return why Google's client from PyPI cannot be run, or None when it can."""
    if not (INTEROP / f"google-auth-{GOOGLE_AUTH}" / "google" / "auth").is_dir():
        return f"google-auth {GOOGLE_AUTH} could not be fetched from PyPI (tests/interop/google-auth_{GOOGLE_AUTH}.txt)"
    return None


def program_missing(program: str) -> str | None:
    """Return why a proxy, what stands behind it, a browser, a pooler, a security module or another clock cannot be run; None when it can."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        what = {
            "chromium": "console", "pgbouncer": "database", "haproxy": "server", "softhsm2-util": "master key", "faketime": "clock"
        }.get(program, "gateway")  # fmt: skip # a list of words
        return f"{program} is not installed, so the {what} is not tried with it (apt-get install {PACKAGES[program]})"
    return None


def tools_missing() -> str | None:
    """Return why the bill of materials and the audit cannot be tried, or None when they can."""
    if not (TOOLS / ".made").is_file():
        return "cyclonedx-bom and pip-audit could not be fetched from PyPI (requirements/tools.txt)"
    return None


def _unpack_tools() -> None:
    """Unpack the tools into a folder of their own, if it is not there or older than their lock."""
    lock, made = PROJECT / "requirements" / "tools.txt", TOOLS / ".made"
    if made.is_file() and made.stat().st_mtime >= lock.stat().st_mtime:
        return
    print("Fetching cyclonedx-bom and pip-audit into build/tools ...", flush=True)
    shutil.rmtree(TOOLS, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    if subprocess.run([*command, "--target", TOOLS, "-r", lock], timeout=300, check=False).returncode == 0:
        made.touch()


def _install_programs() -> None:
    """Install what is missing with apt, where that is possible without asking: as root of a machine that says it is a CI's."""
    missing = [package for program, package in PACKAGES.items() if program_missing(program)]
    if missing and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing)} with apt-get ...", flush=True)
        # packaged services must not start by themselves
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends"]
        # one by one: a package that this system has not must not keep the others away
        for command in (["apt-get", "update", "-qq"], *([*install, package] for package in missing)):
            subprocess.run(
                command, env=environment, timeout=600, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )


def _unpack_client(name: str, version: str) -> None:
    """Unpack a client into a folder of its own; what it needs is installed with the others, or in its lock."""
    print(f"Fetching {name} {version} into tests/interop ...", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    options = ["--target", INTEROP / f"{name}-{version}", "-r", INTEROP / f"{name}_{version}.txt"]
    subprocess.run([*command, *options], timeout=300, check=False)


def main() -> None:
    """Install the clients from npm, and old ones and tools from PyPI, and in CI the programs, unless they are there already."""
    _install_programs()
    for folder, missing in ((NODE_FOLDER, node_clients_missing()), (TYPESCRIPT, typescript_missing())):
        if shutil.which("node") is not None and missing is not None:
            _install_from_npm(folder)
    for version in OLD_RUNAPY:
        if runapy_missing(version) is not None:
            _unpack_client("runapy", version)
    if mcp_missing() is not None:
        _unpack_client("mcp", MCP)
    if google_auth_missing() is not None:
        _unpack_client("google-auth", GOOGLE_AUTH)
    _unpack_tools()
    absent = (node_clients_missing(), typescript_missing(), go_missing(), mcp_missing(), google_auth_missing(), tools_missing())
    for missing in (*absent, *map(runapy_missing, OLD_RUNAPY), *map(program_missing, PACKAGES)):
        if missing is not None:
            print(f"Skipping: {missing}.")


if __name__ == "__main__":
    if sys.argv[1:] == ["tools"]:
        _unpack_tools()
        sys.exit(tools_missing())
    main()
