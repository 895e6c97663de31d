"""That nothing is kept from the linters without a reason beside it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PROJECT

UNREASONED = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|fmt:\s*skip|type:\s*ignore)\s*$")
FETCHED = ("node_modules", "runapy-", "mcp-", "google-auth-")
"""Folders of what the tests fetch."""


def files(folder: str) -> Iterator[Path]:
    for path in sorted((PROJECT / folder).rglob("*.py")):
        if not any(part.startswith(FETCHED) for part in path.parts):
            yield path


@pytest.mark.parametrize("folder", ["idp", "tests", "docs"])
def test_what_is_kept_from_the_linters_has_a_reason(folder: str) -> None:
    found = [
        f"{path}:{number}"
        for path in files(folder)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNREASONED.search(line)
    ]
    assert found == []
