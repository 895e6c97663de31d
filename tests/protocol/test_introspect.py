"""Token introspection (RFC 7662)."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, applications, keys, realms
from idp.db import commit
from idp.jose import read_unverified
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, ask_token, claims_of, compact, set_application

API = "https://api.example"
INACTIVE = {"active": False}


def introspect(client: FlaskClient, by: Made, token: str, **more: str) -> Any:
    return ask(client, "token/introspect", {"token": token, **by.form, **more})


@pytest.mark.spec("R54", "R58")
def test_own_token_is_shown(client: FlaskClient, make: Factory) -> None:
    made = make.application(projects=("vision",))
    token = ask_token(client, made, scope="openid").json["access_token"]
    answer = introspect(client, made, token, token_type_hint="whatever")
    assert answer.headers["Cache-Control"] == "no-store"
    shown = answer.json
    assert shown["active"] is True
    assert shown["token_type"] == "Bearer"
    assert shown["username"] == "service-account-ci-bot"
    expected = claims_of(token)
    for name in ("typ", "credential"):  # of no use to an API that asks
        expected.pop(name)
        assert name not in shown
    assert {name: shown[name] for name in expected} == expected


@pytest.mark.spec("R54")
def test_caller_must_authenticate(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    assert ask(client, "token/introspect", {"token": token}).status_code == 401
    assert ask(client, "token/introspect", {"token": token, "client_id": made.client_id}).status_code == 401


def test_token_is_required(client: FlaskClient, make: Factory) -> None:
    answer = ask(client, "token/introspect", make.application().form)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.spec("R55", "R57", "T64", "T65")
def test_only_the_resource_server_it_is_meant_for_sees_anothers_token(client: FlaskClient, make: Factory) -> None:
    caller = make.application("caller", audience=[API])
    token = ask_token(client, caller).json["access_token"]
    api = make.application("api", resources=[API])
    stranger = make.application("stranger", resources=["https://other.example"])
    assert introspect(client, api, token).json["client_id"] == "caller"
    assert introspect(client, stranger, token).json == INACTIVE


@pytest.mark.spec("R57")
def test_application_named_in_the_audience_sees_the_token(client: FlaskClient, make: Factory) -> None:
    caller = make.application("caller", audience=["billing"])
    token = ask_token(client, caller).json["access_token"]
    assert introspect(client, make.application("billing"), token).json["active"] is True


@pytest.mark.spec("R55", "R88", "T71")
def test_what_is_no_active_access_token_is_inactive_and_nothing_more(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    answer = ask_token(client, made, scope="openid").json
    token: str = answer["access_token"]
    header, payload, signature = token.split(".")
    variants = [
        "",
        "x",
        "..",
        "a.b.c",
        answer["id_token"],
        token[:-1],
        token[1:],
        token + "=",
        token + " ",
        token.swapcase(),
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}.",
        token.replace(".", "\n"),
        f"{header}.{payload}.{signature[:-2]}",
        f"{payload}.{header}.{signature}",
        f"{header}.{payload[:-4]}.{signature}",
        compact(read_unverified(token).header, read_unverified(token).claims),
        "x" * 20_000,
        "." * 1_000,
    ]
    for variant in variants:
        shown = introspect(client, made, variant)
        if variant.strip():
            assert (shown.status_code, shown.json) == (200, INACTIVE), variant
        else:
            assert shown.status_code in {200, 400}


@pytest.mark.spec("R58")
def test_expired_token_is_inactive(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    frozen_clock.advance(seconds=35_999)
    assert introspect(client, made, token).json["active"] is True
    frozen_clock.advance(seconds=1)
    assert introspect(client, made, token).json == INACTIVE


@pytest.mark.spec("R58", "T15", "T69", "T73")
def test_token_of_another_realm_is_inactive(client: FlaskClient, make: Factory) -> None:
    make.realm("other")
    made = make.application()
    foreign = make.application(realm="other")
    token = ask_token(client, foreign, realm="other").json["access_token"]
    assert introspect(client, made, token).json == INACTIVE


@pytest.mark.spec("R58", "T69")
@pytest.mark.parametrize("fate", ["disabled", "deleted", "deleted and made again"])
def test_token_of_an_application_that_is_gone_is_inactive(client: FlaskClient, make: Factory, fate: str) -> None:
    caller = make.application("caller", audience=["api"])
    api = make.application("api")
    token = ask_token(client, caller).json["access_token"]
    assert introspect(client, api, token).json["active"] is True
    if fate == "disabled":
        make.change(lambda realm, app: set_application(realm, app, enabled=False), "caller")
    else:
        make.change(applications.delete_application, "caller")
    if fate == "deleted and made again":
        make.application("caller", audience=["api"])
    assert introspect(client, api, token).json == INACTIVE


def test_roles_lost_since_are_not_shown(client: FlaskClient, make: Factory) -> None:
    made = make.application(roles=("researcher", "viewer"), projects=("vision", "speech"))
    token = ask_token(client, made).json["access_token"]

    def take_away(realm: Any, application: Any) -> None:
        holder = applications.holder_of(application)
        access.remove_grant(realm, holder, "viewer")
        access.remove_grant(realm, holder, "researcher", project="speech")
        access.grant_role(realm, holder, "editor")

    make.change(take_away)
    shown = introspect(client, made, token).json
    assert shown["realm_access"] == {"roles": ["researcher"]}
    assert [project["name"] for project in shown["projects"]] == ["vision"]


def test_token_signed_by_a_revoked_key_is_inactive(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    kid = read_unverified(token).header["kid"]
    with make.app.app_context():
        keys.revoke_key(realms.get_realm("acme"), kid, "leaked")
        commit()
        make.forget()
    assert introspect(client, made, token).json == INACTIVE
    fresh = ask_token(client, made).json["access_token"]
    assert introspect(client, made, fresh).json["active"] is True
