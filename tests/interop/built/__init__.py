"""Clients that need a Maven or Go build: `make interop` runs them, `make test` passes them over.

What they are built of stands on the pages in docs/integrations, so that the pages are what is tried.
"""

from tests.interop.pages import PAGES, write_files

__all__ = ["PAGES", "write_files"]
