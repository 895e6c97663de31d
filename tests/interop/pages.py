"""The files that the pages in docs/integrations show: they are written out and run, so that the pages are what is tried."""

import re
from pathlib import Path

from tests.serving import PROJECT

PAGES = PROJECT / "docs" / "integrations"

_FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path, replaced: dict[str, str]) -> None:
    """Write the files that a page shows, each below a comment `<!-- file: path -->`, into a folder.

    :param page: name of the page in docs/integrations, without its ending.
    :param replaced: what stands on the page for the reader's own, and what is put in its place; each must be there.
    """
    text = (PAGES / f"{page}.md").read_text()
    files = [(match["path"], match["text"]) for match in _FILE.finditer(text)]
    assert files, f"docs/integrations/{page}.md shows no files"
    for old in replaced:
        assert any(old in content for _, content in files), f"docs/integrations/{page}.md has no {old}"
    for path, content in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_put_in(content, replaced))


def _put_in(content: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        content = content.replace(old, new)
    return content
