"""People who call the API."""

import pytest
from flask.testing import FlaskClient

from tests.factories import Factory, session_of


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    """The header of an administrator of acme."""
    make.user("admin@example.test", roles=("administrator",))
    return session_of(client, "admin@example.test")


@pytest.fixture
def operator(client: FlaskClient, make: Factory) -> dict[str, str]:
    """The header of an operator."""
    make.user("operator@example.test", realm="master", roles=("administrator",))
    return session_of(client, "operator@example.test", org="master")
