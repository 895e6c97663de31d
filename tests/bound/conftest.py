"""Clients that make proofs, and applications that people sign in to by them."""

import pytest
from flask import Flask

from tests.bound.proving import Prover
from tests.factories import Factory
from tests.sign_in.conftest import DONE, Browser


@pytest.fixture
def prover() -> Prover:
    return Prover()


@pytest.fixture
def web(app: Flask, make: Factory) -> Browser:
    """An application with a secret that ann signs in to."""
    make.user(roles=("viewer",))
    return Browser(app, make.application("web", kind="web", redirect_uris=[DONE], roles=()))


@pytest.fixture
def spa(app: Flask, make: Factory) -> Browser:
    """One in the browser, which has none."""
    make.user(roles=("viewer",))
    made = make.application("spa", kind="browser", redirect_uris=[DONE], roles=(), secret=False)
    return Browser(app, made, public=True)
