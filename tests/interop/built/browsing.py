"""A browser for those who sign in through the programs that are built."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.prepare import program_missing
from tests.serving import PATIENCE


@pytest.fixture
def page() -> Iterator[Page]:
    """Yield a page of Chromium, with no cookies. Certificates are not checked: those of the tests are their own."""
    missing = program_missing("chromium")
    if missing is not None:
        pytest.skip(missing)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page(ignore_https_errors=True)
        page.set_default_timeout(PATIENCE * 1_000)
        yield page
        browser.close()
