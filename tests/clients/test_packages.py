"""The own tests of the verifiers in TypeScript and Go, with the vectors that all share."""

import json
import re
import shutil

import pytest

import idp
from tests.clients.building import GO, MISSING, build_typescript, go, program, run
from tests.prepare import TYPESCRIPT

needs_typescript = pytest.mark.skipif(MISSING["typescript"] is not None, reason=str(MISSING["typescript"]))
needs_go = pytest.mark.skipif(MISSING["go"] is not None, reason=str(MISSING["go"]))


@needs_typescript
def test_typescript() -> None:
    build_typescript()
    files = sorted(str(path.relative_to(TYPESCRIPT)) for path in TYPESCRIPT.glob("test/*.test.mjs"))
    printed = run(program("node"), "--test", "--test-reporter=tap", *files, cwd=TYPESCRIPT)
    passed = re.search(r"^# pass (\d+)$", printed, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 700, "the vectors were not tried"


@needs_go
def test_go() -> None:
    go("vet", "./...")
    assert run(program("gofmt"), "-l", ".", cwd=GO) == "", "these are not formatted"
    can_watch_races = go("env", "CGO_ENABLED").strip() == "1" and shutil.which("gcc") is not None
    printed = go("test", "-count=1", "-v", *(["-race"] if can_watch_races else []), "./...")
    assert printed.count("    --- PASS: ") > 700, "the vectors were not tried"


def test_versions_are_the_one_of_the_server() -> None:
    assert json.loads((TYPESCRIPT / "package.json").read_text())["version"] == idp.__version__
    assert f'VERSION = "{idp.__version__}"' in (TYPESCRIPT / "src" / "index.ts").read_text()
    assert f'Version = "{idp.__version__}"' in (GO / "doc.go").read_text()
    assert f"realmgate.example/verifier v{idp.__version__}\n" in (GO / "README.md").read_text()


def test_packages_need_nothing_else() -> None:
    assert "dependencies" not in json.loads((TYPESCRIPT / "package.json").read_text())
    assert "require" not in (GO / "go.mod").read_text()
