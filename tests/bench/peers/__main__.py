"""`make bench-peers`: node oidc-provider and django-oauth-toolkit beside this server, by the method of `tests.bench.outside`.

Both are fetched from their registries into `build/peers`, and run with the short programs of this folder: in memory, or on SQLite
with what a durable server would not do without left out. Figures say what a request costs here, and nothing of what else one can do.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.__main__ import machine, say
from tests.bench.load import post
from tests.bench.outside import CONNECTIONS, Subject, measure_in_turn, start_ours
from tests.bench.serving import LOAD_CORE, launch, pin, set_up
from tests.serving import PROJECT, free_port, send, wait_until

BUILD = PROJECT / "build" / "peers"
OWN = Path(__file__).parent

NODE = "oidc-provider@9.13.3"
DJANGO = ("django-oauth-toolkit==3.4.1", "granian==2.8.7")
THREADS = 32

OURS = (
    "access ES256", "access RS256", "introspection ES256", "introspection RS256",
)  # fmt: skip # a list of words
"""What the others have, too."""


def start_node() -> Subject:
    """Start node oidc-provider: a client whose tokens are opaque, and one for JWTs of each algorithm."""
    folder = BUILD / "node"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules").exists():
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", NODE],
            cwd=folder,
            check=True,
            stdout=sys.stderr,
        )
    program = shutil.copy(OWN / "oidc_provider.mjs", folder)
    port, secret = free_port(), secrets.token_urlsafe(32)
    process = launch(["node", program, str(port), secret], stderr=subprocess.DEVNULL)

    def form(client: str) -> bytes:
        return f"grant_type=client_credentials&client_id={client}&client_secret={secret}".encode()

    url = f"http://127.0.0.1:{port}/token"
    token = _first_token(url, form("opaque"))
    asked = f"client_id=opaque&client_secret={secret}&token={token}".encode()
    return Subject(
        port,
        process.pid,
        {
            "access ES256": post("/token", form("es256")),
            "access RS256": post("/token", form("rs256")),
            "access opaque": post("/token", form("opaque")),
            "introspection opaque": post("/token/introspection", asked),
        },
    )


def start_django() -> Subject:
    """Start django-oauth-toolkit, by the HTTP server that ours runs on: its tokens are opaque, and rows of a database."""
    folder = BUILD / "django"
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *DJANGO], check=True, stdout=sys.stderr)
    program = shutil.copy(OWN / "django_oauth_toolkit.py", folder)
    for former in folder.glob("peer.sqlite*"):
        former.unlink()
    port, secret = free_port(), secrets.token_urlsafe(32)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(python), program, secret], cwd=folder, env=environment, check=True)
    command = [str(python), "-m", "granian", "--interface", "wsgi", "--port", str(port), "--http", "1", "--no-ws"]
    command += ["--blocking-threads", str(THREADS), "--log-level", "error", "--working-dir", str(folder)]
    process = launch([*command, "django_oauth_toolkit:application"], env=environment, stderr=subprocess.DEVNULL)

    def form(client: str) -> bytes:
        return f"grant_type=client_credentials&client_id={client}&client_secret={secret}".encode()

    token = _first_token(f"http://127.0.0.1:{port}/o/token/", form("plain"))
    asked = f"client_id=plain&client_secret={secret}&token={token}".encode()
    return Subject(
        port,
        process.pid,
        {
            "access opaque": post("/o/token/", form("plain")),
            "access opaque, secret hashed (the default)": post("/o/token/", form("hashed")),
            "introspection opaque": post("/o/introspect/", asked),
        },
    )


def _first_token(url: str, form: bytes) -> str:
    def ask() -> Any:
        try:
            answer = send(url, form)
        except OSError:
            return None
        assert answer.status == 200, answer.body
        return answer.json["access_token"]

    return str(wait_until(ask, f"the first token of {url}"))


def main() -> None:
    """Measure all three in turn."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds, seconds = (2, 1.0) if parser.parse_args().quick else (5, 2.0)
    pin(LOAD_CORE)
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        server = set_up(Path(name))
        ours = start_ours(server)
        kept = {request: ours.requests[request] for request in OURS}
        say("Starting oidc-provider and django-oauth-toolkit; the first time, they are fetched ...")
        subjects = {
            "Realmgate": Subject(ours.port, ours.process, kept),
            "oidc-provider": start_node(),
            "django-oauth-toolkit": start_django(),
        }
        say(f"Measuring, {rounds} rounds ...")
        found = measure_in_turn(subjects, rounds, seconds)
        server.stop()
    alone = found["Realmgate"]["signature_microseconds"]
    result = {"machine": machine(), "connections": CONNECTIONS, "signature_microseconds": alone}
    print(json.dumps(result | {"answers": {name: each["answers"] for name, each in found.items()}}, indent=2))
    say(f"{'server':22} {'answer':44} {'us':>9} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for name, each in found.items():
        for request, row in each["answers"].items():
            figures = f"{row['microseconds']:9.0f} {row['per_second']:8.0f} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f}"
            say(f"{name:22} {request:44} {figures}")
    say(f"one signature alone: {', '.join(f'{algorithm} {spent} us' for algorithm, spent in alone.items())}")


if __name__ == "__main__":
    main()
