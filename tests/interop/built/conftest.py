"""Runs these tests only where they are asked for, and keeps what was seen on docs/interop.md."""

import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.serving import PROJECT

WANTED = "INTEROP"
"""Environment variable that `make interop` sets."""

collect_ignore_glob = [] if os.environ.get(WANTED) else ["test_*.py"]

_HEAD = """\
# Clients and libraries that were tried

Made by `make interop` on {day}, with the served program and each client as its own registry has it. The pages in
[integrations](integrations/README.md) are what the clients here were built of. Python's and npm's clients run with every `make test`
(tests/interop, tests/compat).

| client | version | what it did | seen |
|---|---|---|---|
"""

_rows: list[tuple[str, str, str, str]] = []


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """Return what notes which client a test tries, in which version, and what it does."""

    def note(name: str, version: str, what: str) -> None:
        request.node.user_properties.append(("client", (name, version, what)))

    return note


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather the clients that were tried, and those that could not be."""
    if report.skipped and isinstance(report.longrepr, tuple):
        _rows.append(
            (report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " "), "", report.longrepr[2], "not tried")
        )
    if report.when == "call":
        for kind, value in report.user_properties:
            if kind == "client" and isinstance(value, tuple | list):
                name, version, what = value
                _rows.append((str(name), str(version), str(what), "works" if report.passed else "**fails**"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page when the whole was run."""
    if os.environ.get(WANTED) == "write" and _rows and session.testscollected:
        table = "".join(f"| {' | '.join(row)} |\n" for row in sorted(_rows))
        (PROJECT / "docs" / "interop.md").write_text(_HEAD.format(day=datetime.now(UTC).date()) + table)
