"""Fixtures of the pages in docs/integrations."""

import pytest

from tests.interop.apis import Callers, Realm
from tests.serving import Server


@pytest.fixture(scope="session")
def realm_of_apis(served: Server) -> Realm:
    """The realm that the APIs on the pages take tokens of."""
    return Realm(served)


@pytest.fixture(scope="session")
def callers(realm_of_apis: Realm) -> Callers:
    """Tokens of those who call the APIs on the pages."""
    return Callers.of(realm_of_apis, "jobs-api", "at+jwt")


@pytest.fixture(scope="session")
def jwt_callers(realm_of_apis: Realm) -> Callers:
    """Tokens as `callers`, of applications whose access tokens say JWT, as ID tokens do."""
    return Callers.of(realm_of_apis, "old-jobs-api", "JWT")
