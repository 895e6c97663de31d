"""Schemathesis goes through the whole description: no 5xx, and no answer that is not described.

What it finds depends on the values it tries. `SCHEMATHESIS_EXAMPLES=200 make test ARGS=tests/api/test_described.py` tries more.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from idp import setup
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.described import description
from tests.factories import Factory
from tests.serving import PROJECT

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))

load_all_checks()
api = schemathesis.openapi.from_dict(description(), config=SchemathesisConfig.from_dict({}))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One application for all operations: what one leaves behind, the next one meets."""
    folder: Path = tmp_path_factory.mktemp("described")
    settings = Settings.load(
        data_dir=folder,
        realms_dir=PROJECT / "realms",
        rate_api=0,
        rate_password_reset=0,
        rate_failures=1_000_000,
        sign_up="approval",
        sign_in_limit_account=1_000_000,
        sign_in_limit_address=1_000_000,
    )
    close_app(setup.set_up(settings)[0])
    app = create_app(settings)
    make = Factory(app)
    make.user("operator@example.test", realm="master", roles=("administrator",))
    yield app.test_client(), make.key("operator@example.test", realm="master").header
    close_app(app)


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_no_answer_outside_the_description(case: Any, shared: Any) -> None:
    client, header = shared
    shown = {"authorization", "apikey", "cookie"}
    sent = {name: value for name, value in (case.headers or {}).items() if name.lower() not in shown}
    case.headers, case.cookies = sent | header | {"X-Organization-Id": "acme"}, {}
    response = case.call(app=client.application, base_url="http://localhost")
    assert response.status_code < 500, response.text
    if response.status_code in {404, 405} and "nothing at this URL" in response.text:
        return  # a value with a slash in it leads elsewhere
    case.validate_response(response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance])
