"""Asking for less: scope=project:<name>, resource and audience (RFC 6749 §3.3, RFC 8707 §2)."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from tests.conftest import FrozenClock
from tests.factories import Factory, ask_token, claims_of

JOBS, DATA = "https://jobs.example", "https://data.example"


def project_names(token: str) -> list[str]:
    return [project["name"] for project in claims_of(token)["projects"]]


@pytest.mark.spec("R32")
@pytest.mark.parametrize(
    ("asked", "granted", "projects"),
    [
        ("", None, ["speech", "vision"]),
        ("openid", "openid", ["speech", "vision"]),
        ("project:vision", "project:vision", ["vision"]),
        ("openid project:speech", "openid project:speech", ["speech"]),
        ("project:vision  project:vision", "project:vision", ["vision"]),
        ("openid profile email roles", "openid", ["speech", "vision"]),
        ("profile", None, ["speech", "vision"]),
        ("openid profile email offline_access groups address phone", "openid", ["speech", "vision"]),
        ("acr basic web-origins microprofile-jwt service_account project:vision", "project:vision", ["vision"]),
    ],
)
def test_scope_narrows_the_projects(
    client: FlaskClient, make: Factory, asked: str, granted: str | None, projects: list[str]
) -> None:
    answer = ask_token(client, make.application(projects=("vision", "speech")), scope=asked).json
    assert answer.get("scope") == granted
    assert claims_of(answer["access_token"]).get("scope") == granted
    assert project_names(answer["access_token"]) == projects
    assert ("id_token" in answer) is ("openid" in asked)


@pytest.mark.spec("R36", "T52")
@pytest.mark.parametrize(
    "scope",
    [
        "admin",
        "openid admin",
        "project:",
        "project:speech",
        "project:nowhere",
        "project:VISION",
        "OPENID",
        'x"y',
        "é",
        "a\\b",
        "a\tb",
    ],
)
def test_scope_that_is_not_held_is_refused(client: FlaskClient, make: Factory, scope: str) -> None:
    answer = ask_token(client, make.application(projects=("vision",)), scope=scope)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.spec("R36")
def test_unknown_scope_is_named(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    description = ask_token(client, made, scope="openid profile jobs:read jobs:write").json["error_description"]
    assert description.startswith("The scope jobs:read (and 1 more) is unknown.")
    description = ask_token(client, made, scope="x" * 500).json["error_description"]
    assert "x" * 60 + "..." in description
    assert "x" * 61 not in description


@pytest.mark.spec("R85")
def test_audience_can_be_narrowed_to_one_of_several(client: FlaskClient, make: Factory) -> None:
    made = make.application(audience=[JOBS, DATA])
    assert claims_of(ask_token(client, made).json["access_token"])["aud"] == [JOBS, DATA]
    for parameters in ({"resource": JOBS}, {"audience": JOBS}, {"resource": JOBS, "audience": JOBS}):
        assert claims_of(ask_token(client, made, **parameters).json["access_token"])["aud"] == JOBS


@pytest.mark.spec("R85", "R100")
@pytest.mark.parametrize(
    "parameters",
    [
        {"resource": "https://other.example"},
        {"audience": JOBS + "/"},
        {"resource": JOBS, "audience": DATA},
        {"audience": "ci-bot"},
    ],
)
def test_audience_that_is_not_held_is_refused(client: FlaskClient, make: Factory, parameters: dict[str, str]) -> None:
    answer = ask_token(client, make.application(audience=[JOBS, DATA]), **parameters)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_target")


def test_grant_ends_at_its_date_for_new_tokens(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    made = make.application(projects=("vision",), until=frozen_clock.now() + timedelta(minutes=5))
    assert project_names(ask_token(client, made).json["access_token"]) == ["vision"]
    frozen_clock.advance(minutes=4, seconds=59)
    assert project_names(ask_token(client, made).json["access_token"]) == ["vision"]
    frozen_clock.advance(seconds=2)
    assert project_names(ask_token(client, made).json["access_token"]) == []
    assert ask_token(client, made, scope="project:vision").json["error"] == "invalid_scope"


def test_remembered_answers_are_those_of_the_same_request_only(client: FlaskClient, make: Factory) -> None:
    made = make.application(audience=[JOBS, DATA], projects=("vision", "speech"))
    for _ in range(2):
        for scope, resource in (("project:vision", JOBS), ("project:speech", DATA), ("", JOBS), ("project:vision", "")):
            claims = claims_of(ask_token(client, made, scope=scope, resource=resource).json["access_token"])
            assert claims["aud"] == (resource or [JOBS, DATA])
            wanted = [scope.removeprefix("project:")] if scope else ["speech", "vision"]
            assert [project["name"] for project in claims["projects"]] == wanted


def test_more_different_requests_than_are_remembered(client: FlaskClient, make: Factory) -> None:
    made = make.application(projects=("vision",))
    for number in range(120):
        scope = "project:vision" + " " * number
        assert project_names(ask_token(client, made, scope=scope).json["access_token"]) == ["vision"]
