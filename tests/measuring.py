"""A plugin of pytest: what a run of the tests reached is written down when they end, not when their processes do.

pytest-xdist gives its workers ten seconds to leave, and kills them then. What they stop on their way out, a PostgreSQL among it,
may take longer on a busy machine; coverage writes last of all, so half of the run would be missing, and its gate would fail.
"""

import coverage
import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write down what this process reached so far, where it is measured."""
    if measured := coverage.Coverage.current():
        measured.save()
