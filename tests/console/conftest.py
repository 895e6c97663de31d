"""Somebody at the console."""

import pytest
from flask import Flask

from tests.console.surfing import Surfer
from tests.factories import Factory


@pytest.fixture
def ann(app: Flask, make: Factory) -> Surfer:
    """An administrator of realm acme, signed in."""
    make.user(roles=("administrator",))
    return Surfer(app).sign_in()


@pytest.fixture
def operator(app: Flask, make: Factory) -> Surfer:
    """An operator, signed in."""
    make.user("root@example.test", realm="master", roles=("administrator",))
    return Surfer(app).sign_in("root@example.test", "master")
