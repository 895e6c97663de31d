"""What a token is for: each grant makes the `resource` that is asked for the token's `aud`, or refuses (RFC 8707 §2)."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import tokens
from tests.factories import Factory, ask, ask_token, claims_of
from tests.federation.issuing import github
from tests.federation.test_admission import APP, ask_with, rule, trust
from tests.protocol.test_exchange import ACCESS, GRANT
from tests.sign_in.conftest import DONE, Browser, ann, told  # noqa: F401 (ann is a fixture)
from tests.sign_in.test_device import GRANT as DEVICE
from tests.sign_in.test_device import enter
from tests.sign_in.test_pushed import go, push

MCP, DATA, ROOT = "https://tools.example/mcp", "https://data.example/v1/", "https://bare.example"
AUDIENCE = [MCP, DATA, ROOT]

ASKED = [
    (MCP, MCP),
    (f"{MCP}/", MCP),
    (DATA, DATA),
    (DATA.removesuffix("/"), DATA),
    (f"{ROOT}/", ROOT),
    (f"{MCP} {DATA}", [MCP, DATA]),
    (f"{MCP} {MCP}/", MCP),
]
"""What is asked for, with spaces between several, and the `aud` that follows: as the application's audience is written."""

REFUSED = [
    "https://other.example",
    f"{MCP}//",
    "https://tools.example",
    f"{MCP}/x",
    f"{MCP}?x",
    MCP.upper(),
    f"{MCP} https://other.example",
    "x" * 300,
]


def body(**parameters: str) -> str:
    """Return a body in which each resource is a parameter of its own."""
    resources = [("resource", each) for each in parameters.pop("resource", "").split(" ")]
    return urlencode([*parameters.items(), *resources])


@pytest.mark.spec("RS2")
@pytest.mark.parametrize(("asked", "aud"), ASKED)
def test_programs_own_token_is_for_the_resource(client: FlaskClient, make: Factory, asked: str, aud: Any) -> None:
    made = make.application(audience=AUDIENCE)
    answer = ask(client, "token", body(grant_type="client_credentials", **made.form, resource=asked))
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json["access_token"])["aud"] == aud


@pytest.mark.spec("RS2")
@pytest.mark.parametrize("asked", REFUSED)
def test_program_is_refused_what_it_may_not_address(client: FlaskClient, make: Factory, asked: str) -> None:
    made = make.application(audience=AUDIENCE)
    answer = ask(client, "token", body(grant_type="client_credentials", **made.form, resource=asked))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_target")


def test_what_is_written_with_and_without_a_slash_stays_apart(client: FlaskClient, make: Factory) -> None:
    made = make.application(audience=[MCP, f"{MCP}/", "tools"])
    for asked in (MCP, f"{MCP}/"):
        assert claims_of(ask_token(client, made, resource=asked).json["access_token"])["aud"] == asked
    assert ask_token(client, made, resource="tools/").json["error"] == "invalid_target", "a name is no URL"
    assert ask_token(client, made, resource=MCP, audience=f"{MCP}/").json["error"] == "invalid_target"
    only = make.application("only", audience=[MCP])
    assert ask_token(client, only, audience=f"{MCP}/").json["error"] == "invalid_target", "an audience is compared as it is"
    assert claims_of(ask_token(client, only, resource=f"{MCP}/", audience=MCP).json["access_token"])["aud"] == MCP


@pytest.fixture
def web(app: Flask, make: Factory, ann: str) -> Browser:
    made = make.application("shop", kind="web", redirect_uris=[DONE], roles=(), audience=AUDIENCE)
    return Browser(app, made)


def aud(found: dict[str, Any]) -> Any:
    return claims_of(found["access_token"])["aud"]


@pytest.mark.spec("RS2")
@pytest.mark.parametrize(("asked", "expected"), ASKED)
def test_persons_token_is_for_the_resource(web: Browser, asked: str, expected: Any) -> None:
    found = web.tokens(resource=asked)
    assert aud(found) == expected
    again = web.refresh(found["refresh_token"]).json
    assert aud(again) == expected
    assert aud(web.refresh(again["refresh_token"], resource=asked.split(" ")).json) == expected


@pytest.mark.spec("RS2")
def test_each_resource_may_be_a_parameter_of_its_own(web: Browser) -> None:
    query = urlencode([*web.parameters().items(), ("resource", MCP), ("resource", f"{ROOT}/")])
    code = told(web.sign_in(web.client.get(f"{web.base}auth?{query}")))["code"]
    assert aud(web.redeem(code, resource=[MCP, ROOT]).json) == [MCP, ROOT]
    twice = web.client.get(f"{web.base}auth?{query}&scope=openid")
    assert told(twice)["error"] == "invalid_request", "nothing else may be repeated"


@pytest.mark.spec("RS2")
@pytest.mark.parametrize("asked", REFUSED)
def test_person_is_not_asked_for_what_the_application_may_not_address(web: Browser, asked: str) -> None:
    assert told(web.ask(resource=asked))["error"] == "invalid_target"
    assert push(web, resource=asked).json["error"] == "invalid_target"


@pytest.mark.spec("RS3")
def test_code_and_refresh_narrow_and_never_widen(web: Browser) -> None:
    answer = web.redeem(web.signed_in(resource=f"{MCP} {ROOT}")["code"], resource=f"{MCP}/")
    assert aud(answer.json) == MCP
    token = answer.json["refresh_token"]
    refused = web.refresh(token, resource=DATA)
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_target")
    assert web.redeem(web.signed_in(resource=MCP)["code"], resource=ROOT).json["error"] == "invalid_target"
    left_open = web.redeem(web.signed_in()["code"])
    assert aud(left_open.json) == AUDIENCE
    assert aud(web.refresh(left_open.json["refresh_token"], resource=ROOT).json) == ROOT


@pytest.mark.spec("RS2")
def test_pushed_request_keeps_its_resource(web: Browser) -> None:
    form = web.made.form | web.parameters() | {"resource": [f"{MCP}/", ROOT]}
    pushed = web.app.test_client().post(f"{web.base}ext/par/request", data=form)
    code = told(web.sign_in(go(web, pushed.json["request_uri"])))["code"]
    assert aud(web.redeem(code).json) == [MCP, ROOT]


def test_devices_token_is_for_the_resource(app: Flask, make: Factory, ann: str) -> None:
    made = make.application("tv", kind="native", roles=(), secret=False, audience=AUDIENCE)
    tv = Browser(app, made, public=True)
    begin = {"client_id": "tv", "scope": "openid"}
    device = app.test_client().post(f"{tv.base}auth/device", data=begin | {"resource": [f"{MCP}/", ROOT]}).json
    tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="agree")
    refused = tv.post_token(grant_type=DEVICE, device_code=device["device_code"], resource=DATA)
    assert refused.json["error"] == "invalid_target"
    unknown = app.test_client().post(f"{tv.base}auth/device", data=begin | {"resource": "https://other.example"})
    assert unknown.json["error"] == "invalid_target"


@pytest.mark.spec("RS3")
@pytest.mark.parametrize(("resource", "expected"), [(None, [MCP, ROOT]), (ROOT, ROOT)])
def test_device_may_narrow_what_the_person_has_agreed_to(
    app: Flask, make: Factory, ann: str, resource: Any, expected: Any
) -> None:
    made = make.application("tv", kind="native", roles=(), secret=False, audience=AUDIENCE)
    tv = Browser(app, made, public=True)
    form = {"client_id": "tv", "scope": "openid", "resource": [f"{MCP}/", ROOT]}
    device = app.test_client().post(f"{tv.base}auth/device", data=form).json
    tv.send(tv.sign_in(enter(tv, device["user_code"])), decision="agree")
    answer = tv.post_token(grant_type=DEVICE, device_code=device["device_code"], resource=resource)
    assert answer.status_code == 200, answer.text
    assert aud(answer.json) == expected


@pytest.mark.spec("RS2")
@pytest.mark.parametrize(("asked", "expected"), ASKED)
def test_exchanged_token_is_for_the_resource(client: FlaskClient, make: Factory, asked: str, expected: Any) -> None:
    front = make.application("front", audience=["https://jobs.example"])
    jobs = make.application("jobs", roles=(), audience=AUDIENCE, resources=["https://jobs.example"])
    subject = ask_token(client, front).json["access_token"]
    form = {"grant_type": GRANT, **jobs.form, "subject_token": subject, "subject_token_type": ACCESS}
    assert aud(ask(client, "token", body(**form, resource=asked)).json) == expected
    for refused in REFUSED:
        assert ask(client, "token", body(**form, resource=refused)).json["error"] == "invalid_target"


@pytest.mark.spec("RS2")
def test_token_for_an_outside_assertion_is_for_the_resource(client: FlaskClient, make: Factory) -> None:
    hub = github()
    make.application("deployer", audience=AUDIENCE)
    trust(make, hub)
    rule(make, "deployer", APP)
    assert aud(ask_with(client, hub.sign(), resource=f"{ROOT}/").json) == ROOT
    assert ask_with(client, hub.sign(), resource="https://other.example").json["error"] == "invalid_target"


def test_key_is_exchanged_for_the_issuer_and_nothing_else(client: FlaskClient, make: Factory) -> None:
    make.user()
    form = {
        "grant_type": GRANT,
        "subject_token": make.key().plain,
        "subject_token_type": "urn:realmgate:params:oauth:token-type:api-key",
    }
    assert ask(client, "token", form | {"resource": MCP}).json["error"] == "invalid_target"


def test_nothing_asked_for_is_nothing() -> None:
    assert tokens.targets_among(AUDIENCE, "") == ()
    assert tokens.targets_among(AUDIENCE, "  ") == ()
