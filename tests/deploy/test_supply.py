"""What the server is made of: described from the lock, and looked up in a database of vulnerabilities that may be out of reach."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from idp import __version__
from tests.prepare import TOOLS, tools_missing
from tests.serving import PATIENCE, PROJECT, free_port

pytestmark = pytest.mark.skipif(tools_missing() is not None, reason=str(tools_missing()))

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) is not None)
"""
LOCK = PROJECT / "requirements" / "server.txt"


def run(*arguments: str | Path, given: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with the tools."""
    surroundings = os.environ | {"PYTHONPATH": str(TOOLS)} | environment
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=surroundings, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def locked() -> dict[str, str]:
    """Return the versions that the lock has, by name."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE))


def test_bill_of_materials_has_everything_that_is_locked_with_its_hashes_and_is_always_the_same(tmp_path: Path) -> None:
    texts = []
    for name in ("first", "second"):
        made = run(PROJECT / "deploy/sbom.py", tmp_path / name, PIP_INDEX_URL="http://127.0.0.1:1/simple", TZ="Asia/Tokyo")
        assert made.returncode == 0, made.stderr
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert "127.0.0.1" not in texts[0]
    assert str(PROJECT) not in texts[0]
    valid = run("-c", VALIDATE, given=texts[0])
    assert valid.returncode == 0, valid.stderr
    bom = json.loads(texts[0])
    root = bom["metadata"]["component"]
    blocks = {block.partition("==")[0]: block for block in re.split(r"^(?=[a-z0-9])", LOCK.read_text(), flags=re.MULTILINE)}
    assert (root["name"], root["version"]) == ("realmgate", __version__)
    assert {each["name"]: each["version"] for each in bom["components"]} == {
        name: version for name, version in locked().items() if name != "setuptools"
    }
    for each in bom["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
        hashes = {found["content"] for reference in each["externalReferences"] for found in reference["hashes"]}
        assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", blocks[each["name"]]))
    (graph,) = [each for each in bom["dependencies"] if each["ref"] == root["bom-ref"]]
    assert set(graph["dependsOn"]) == {each["bom-ref"] for each in bom["components"]}


@pytest.fixture
def database() -> Iterator[Any]:
    """A database of vulnerabilities that speaks as osv.dev does; what it holds is for the test to say, by package."""
    known: dict[str, list[dict[str, Any]]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps({"vulns": found} if (found := known.get(asked["package"]["name"])) else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield known, f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join()


def audit(url: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the audit against a database of our own."""
    return run(PROJECT / "deploy/audit.py", LOCK, f"--osv-url={url}", f"--cache-dir={folder}")


def test_audit_names_what_is_vulnerable_and_tells_clean_from_not_known(database: Any, tmp_path: Path) -> None:
    known, url = database
    clean = audit(url, tmp_path)
    assert clean.returncode == 0, clean.stderr
    assert re.match(r"No known vulnerability in \d\d packages", clean.stdout)
    name = "jinja2"
    known[name] = [
        {
            "id": "PYSEC-2030-1",
            "aliases": ["CVE-2030-1"],
            "summary": "A hole.",
            "affected": [
                {
                    "package": {"name": name, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
                    "versions": [locked()[name]],
                }
            ],
        }
    ]
    found = audit(url, tmp_path)
    assert found.returncode == 1, found.stderr
    assert found.stdout == f"jinja2 {locked()[name]}: PYSEC-2030-1 (CVE-2030-1), mended in: 99\n"
    unreachable = audit(f"http://127.0.0.1:{free_port()}/v1/query", tmp_path)
    assert unreachable.returncode == 2
    assert unreachable.stdout == ""
    assert "Nothing was audited: the database of vulnerabilities cannot be reached." in unreachable.stderr
