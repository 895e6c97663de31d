"""Refresh tokens: each works once, in a line that ends as one (T54, T55, T70, T91)."""

from typing import Any

import pytest
from flask import Flask

from idp import access, applications, authorizations, realms, sessions, users
from tests.conftest import FrozenClock
from tests.factories import Factory, password_hash, set_application, set_realm, set_user
from tests.sign_in.conftest import DONE, Browser, told


def works(browser: Browser, refresh_token: str) -> bool:
    answer = browser.refresh(refresh_token)
    assert answer.status_code == 200 or answer.json["error"] == "invalid_grant", answer.text
    return answer.status_code == 200


@pytest.mark.spec("R10", "R11", "T54", "T55", "AUTHLIB-2")
@pytest.mark.parametrize("kind", ["web", "spa"])
def test_used_again_all_of_its_line_ends(kind: str, request: pytest.FixtureRequest, frozen_clock: FrozenClock) -> None:
    browser: Browser = request.getfixturevalue(kind)
    first = browser.tokens()
    second = browser.refresh(first["refresh_token"]).json
    third = browser.refresh(second["refresh_token"]).json
    assert browser.userinfo(third["access_token"]).status_code == 200
    frozen_clock.advance(seconds=11)
    assert not works(browser, first["refresh_token"])
    assert not works(browser, third["refresh_token"]), "the newest has died with it"
    assert browser.userinfo(third["access_token"]).status_code == 401


def test_client_that_lost_the_answer_gets_the_same_once_more(web: Browser, frozen_clock: FrozenClock) -> None:
    first = web.tokens()
    second = web.refresh(first["refresh_token"]).json
    frozen_clock.advance(seconds=9)
    again = web.refresh(first["refresh_token"]).json
    assert again["refresh_token"] == second["refresh_token"], "a line never forks"
    assert again["access_token"] != second["access_token"]
    third = web.refresh(second["refresh_token"]).json
    assert not works(web, first["refresh_token"]), "its successor was used: now it is a replay"
    assert not works(web, third["refresh_token"])


def test_overlap_can_be_turned_off(web: Browser, make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, refresh_overlap_seconds=0))
    first = web.tokens()
    second = web.refresh(first["refresh_token"]).json
    assert not works(web, first["refresh_token"])
    assert not works(web, second["refresh_token"])


@pytest.mark.spec("R13", "R118")
def test_unused_and_old_refresh_tokens_expire(web: Browser, make: Factory, frozen_clock: FrozenClock) -> None:
    make.do(lambda realm: set_realm(realm, refresh_idle_hours=1, refresh_hours=2))
    token = web.tokens(scope="openid offline_access")["refresh_token"]
    for _ in range(2):
        frozen_clock.advance(minutes=50)
        token = web.refresh(token).json["refresh_token"]
    last = web.refresh(token).json
    assert last["expires_in"] == 900
    frozen_clock.advance(minutes=15)
    last = web.refresh(last["refresh_token"]).json
    assert last["expires_in"] == 300, "its tokens live no longer than it"
    frozen_clock.advance(minutes=5)
    assert not works(web, last["refresh_token"])
    make.do(lambda realm: set_realm(realm, refresh_hours=100))
    idle = web.signed_in(scope="openid offline_access")["code"]
    idle_token = web.redeem(idle).json["refresh_token"]
    frozen_clock.advance(minutes=60)
    assert not works(web, idle_token)


def test_without_offline_access_it_ends_with_the_session_at_the_latest(web: Browser, frozen_clock: FrozenClock) -> None:
    bound = web.tokens()["refresh_token"]
    lasting = web.redeem(told(web.ask(scope="openid offline_access"))["code"]).json["refresh_token"]
    frozen_clock.advance(hours=11)
    bound, lasting = (web.refresh(each).json["refresh_token"] for each in (bound, lasting))
    frozen_clock.advance(hours=1)
    assert not works(web, bound)
    assert works(web, lasting)


ENDS: dict[str, Any] = {
    "user disabled": lambda realm: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=False),
    "user deleted": lambda realm: users.delete_user(realm, users.get_user(realm, "ann@example.test")),
    "password changed": lambda realm: users.set_password(
        realm, users.get_user(realm, "ann@example.test"), password_hash(), _tag()
    ),
    "signed out everywhere": lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")),
    "session ended": lambda realm: sessions.end_session(realm, sessions.list_sessions(realm)[0][0]),
    "application disabled": lambda realm: set_application(realm, applications.get_application(realm, "shop"), enabled=False),
    "application deleted": lambda realm: applications.delete_application(realm, applications.get_application(realm, "shop")),
    "grant taken": lambda realm: set_application(
        realm, applications.get_application(realm, "shop"), grant_types=["authorization_code"]
    ),
    "consent taken back": lambda realm: authorizations.take_back(
        "acme",
        users.get_user(realm, "ann@example.test").id,
        applications.get_application(realm, "shop").id,
        "shop",
        authorizations.End.PERSON,
    ),
    "realm disabled": lambda realm: set_realm(realm, enabled=False),
}


def _tag() -> Any:
    from idp import audit

    return audit.Tag.PASSWORD_CHANGE


@pytest.mark.spec("R13", "R53", "R114", "T69", "T70", "T91")
@pytest.mark.parametrize("what", ENDS)
def test_it_dies_and_its_access_token_with_it(web: Browser, make: Factory, app: Flask, what: str) -> None:
    watcher = make.application("watcher", resources=["http://localhost:8080/auth/realms/acme/apis"])
    tokens = web.tokens(scope="openid offline_access")
    make.do(ENDS[what])
    answer = web.refresh(tokens["refresh_token"])
    assert answer.status_code in {400, 401, 403}, answer.text
    if what != "grant taken":
        assert web.userinfo(tokens["access_token"]).status_code in {401, 403}
        told_of = Browser(app, watcher).client.post(
            f"{web.base}token/introspect", data=watcher.form | {"token": tokens["access_token"]}
        )
        assert told_of.status_code == 403 or told_of.json == {"active": False}


def test_signing_out_of_the_console_ends_it_too(web: Browser, make: Factory) -> None:
    from tests.console.surfing import Surfer
    from tests.factories import PASSWORD

    surfer = Surfer(web.app)
    surfer.open("/console/sign-in").send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    web.client = surfer.client
    token = web.redeem(told(web.ask(prompt="none"))["code"]).json["refresh_token"]
    surfer.open("/console/").send("Sign out")
    assert not works(web, token)
    assert told(web.ask(prompt="none"))["error"] == "login_required"


@pytest.mark.spec("R12", "R41")
def test_scope_is_narrowed_and_never_widened(web: Browser) -> None:
    token = web.tokens(scope="openid email profile")["refresh_token"]
    narrowed = web.refresh(token, scope="openid").json
    assert narrowed["scope"] == "openid"
    assert "email" not in web.userinfo(narrowed["access_token"]).json
    full = web.refresh(narrowed["refresh_token"]).json
    assert full["scope"] == "openid email profile", "narrowing was for one token"
    wider = web.refresh(full["refresh_token"], scope="openid roles")
    assert (wider.status_code, wider.json["error"]) == (400, "invalid_scope")
    assert works(web, full["refresh_token"]), "what was refused has used nothing up"
    assert web.refresh(full["refresh_token"], scope="openid email address").status_code == 200, "what gives nothing is left out"


@pytest.mark.spec("T71")
def test_altered_tokens_are_unknown_and_harm_nobody(web: Browser) -> None:
    token = web.tokens()["refresh_token"]
    from idp import crypto

    other_number = token[:29] + "000001" + token[35:-6]
    for altered in (
        token[:-1],
        token + "0",
        token.swapcase(),
        "idp_rt_" + "0" * 77,
        other_number + crypto.checksum(other_number),
        "x",
    ):
        assert not works(web, altered)
    assert works(web, token)


@pytest.mark.spec("R48", "R49", "R50", "R51", "R53")
def test_revoking_a_refresh_token_ends_its_access_tokens(app: Flask, web: Browser, spa: Browser, make: Factory) -> None:
    for browser in (web, spa):
        tokens = browser.tokens()
        shown = {"client_id": "spa"} if browser.public else browser.made.form
        foreign = make.application(f"not-{browser.made.client_id}")
        refused = browser.client.post(f"{browser.base}revoke", data=foreign.form | {"token": tokens["refresh_token"]})
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_grant")
        for _ in range(2):
            answer = browser.client.post(
                f"{browser.base}revoke", data=shown | {"token": tokens["refresh_token"], "token_type_hint": "access_token"}
            )
            assert (answer.status_code, answer.data) == (200, b"")
        assert browser.userinfo(tokens["access_token"]).status_code == 401
        assert not works(browser, tokens["refresh_token"])


def test_revoking_an_access_token_leaves_the_others(web: Browser) -> None:
    tokens = web.tokens()
    assert web.client.post(f"{web.base}revoke", data=web.made.form | {"token": tokens["access_token"]}).status_code == 200
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert works(web, tokens["refresh_token"])


@pytest.mark.spec("R55", "R57", "R58", "T64")
def test_introspection_knows_refresh_tokens(app: Flask, web: Browser, ann: str, make: Factory) -> None:
    tokens = web.tokens(scope="openid email")
    told_of = web.introspect(tokens["refresh_token"])
    assert (told_of["active"], told_of["sub"], told_of["client_id"], told_of["scope"]) == (True, ann, "shop", "openid email")
    assert told_of["token_type"] == "refresh_token"
    other = Browser(app, make.application("other"))
    assert other.introspect(tokens["refresh_token"]) == {"active": False}
    web.refresh(tokens["refresh_token"])
    assert web.introspect(tokens["refresh_token"]) == {"active": False}, "another has taken its place"


def test_resource_is_bound_into_the_tokens(app: Flask, make: Factory, ann: str) -> None:
    made = make.application(
        "shop", kind="web", redirect_uris=[DONE], roles=(), audience=["https://a.example", "https://b.example"]
    )
    browser = Browser(app, made)
    tokens = browser.tokens(resource="https://a.example")
    assert browser.open(tokens["access_token"], "at+jwt").claims["aud"] == "https://a.example"
    again = browser.refresh(tokens["refresh_token"]).json
    assert browser.open(again["access_token"], "at+jwt").claims["aud"] == "https://a.example"
    assert browser.refresh(again["refresh_token"], resource="https://b.example").json["error"] == "invalid_target"
    assert told(browser.ask(resource="https://c.example"))["error"] == "invalid_target"
    open_one = browser.redeem(told(browser.ask())["code"], resource="https://b.example").json
    assert browser.open(open_one["access_token"], "at+jwt").claims["aud"] == "https://b.example"


@pytest.mark.spec("T52")
def test_roles_are_in_a_token_only_where_they_were_asked_for(web: Browser, make: Factory) -> None:
    none = web.open(web.tokens()["access_token"], "at+jwt").claims
    assert (none["realm_access"], none["projects"]) == ({"roles": []}, [])
    every = web.open(web.redeem(told(web.ask(scope="openid roles"))["code"]).json["access_token"], "at+jwt").claims
    assert every["realm_access"] == {"roles": ["viewer"]}
    assert [project["name"] for project in every["projects"]] == ["vision"]
    one = web.open(web.redeem(told(web.ask(scope="openid project:vision"))["code"]).json["access_token"], "at+jwt").claims
    assert (one["realm_access"], [project["name"] for project in one["projects"]]) == ({"roles": []}, ["vision"])
    answer = web.redeem(told(web.ask(scope="openid project:speech"))["code"])
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


def test_userinfo_of_who_has_lost_a_project_tells_of_nothing_instead(web: Browser, make: Factory, ann: str) -> None:
    token = web.tokens(scope="openid roles project:vision")["access_token"]
    before = web.userinfo(token).json

    def take(realm: realms.Realm) -> None:
        access.grant_role(realm, users.holder_of(users.get_user(realm, ann)), "researcher", project="speech")
        access.remove_grant(realm, users.holder_of(users.get_user(realm, ann)), "researcher", project="vision")

    make.do(take)
    answer = web.userinfo(token)
    assert (answer.status_code, answer.json["sub"]) == (200, before["sub"])
    assert "speech" not in answer.text
    assert "vision" not in answer.text


@pytest.mark.spec("T52")
def test_scopes_that_are_not_registered_cannot_be_asked_for(web: Browser, make: Factory) -> None:
    make.change(lambda realm, row: set_application(realm, row, scopes=["openid", "email"]), "shop")
    assert told(web.ask(scope="openid profile"))["error"] == "invalid_scope"
    assert told(web.ask(scope="openid email project:vision"))["error"] == "invalid_scope"
    assert "code" in web.signed_in(scope="openid email")
    tokens = web.redeem(told(web.ask(claims='{"id_token": {"name": null, "email": null}}'))["code"]).json
    claims = web.open(tokens["id_token"]).claims
    assert "email" in claims
    assert "name" not in claims, "the parameter claims is no way round"
