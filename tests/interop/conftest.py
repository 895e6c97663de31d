"""Fixtures of the pages in docs/integrations."""

import pytest

from tests.interop.apis import Callers
from tests.serving import Server


@pytest.fixture(scope="session")
def callers(served: Server) -> Callers:
    """Tokens of those who call the APIs on the pages."""
    return Callers.of(served, "jobs-api", "at+jwt")


@pytest.fixture(scope="session")
def jwt_callers(served: Server) -> Callers:
    """Tokens as `callers`, of applications whose access tokens say JWT, as ID tokens do."""
    return Callers.of(served, "old-jobs-api", "JWT")
