"""What was found by attacking: each of these once worked."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from idp import access, applications, authorizations, outbound, realms, users
from idp import sessions as session_domain
from idp.app import close_app, create_app
from idp.applications import ApplicationSheet, SecretSheet
from idp.authorizations import LogoutNotice, notices
from idp.db import commit, db
from idp.errors import InvalidMembersError
from idp.oauth.backchannel import deliver_notices
from idp.settings import Settings
from tests.factories import Factory, Made, claims_of, session_of, set_api, set_application, set_realm, set_user
from tests.sign_in.conftest import DONE, ORIGIN, PASSWORD, Browser, told

ISSUER = "http://localhost:8080/auth/realms/acme"
EVIL = "https://evil.example/cb"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# -- who may have applications that people sign in to -------------------------------------------------------------------


@pytest.fixture
def maker(app: Flask, make: Factory) -> dict[str, str]:
    """Somebody who may write applications, and holds nothing else."""
    permissions = ["applications:read", "applications:write"]
    make.do(lambda realm: access.create_role(realm, "app-maker", access.RoleSheet.read({"permissions": permissions})))
    make.user("mallory@example.test", roles=("app-maker",))
    return session_of(app.test_client(), "mallory@example.test")


HARMLESS = {"consent": True, "scopes": ["openid", "email"]}


@pytest.mark.spec("T108", "T40")
@pytest.mark.parametrize("kind", ["web", "native", "browser"])
def test_who_may_write_applications_cannot_fish_for_what_others_can_do(web: Browser, maker: dict[str, str], kind: str) -> None:
    def make_one(**spec: Any) -> int:
        body = {"metadata": {"name": "innocent"}, "spec": {"kind": kind, "redirectUris": [EVIL]} | spec}
        return web.client.post("/v1/applications", json=body, headers=maker).status_code

    for spec in (
        {},
        {"consent": True},
        {"scopes": ["openid"]},
        HARMLESS | {"scopes": ["roles"]},
        HARMLESS | {"audience": [ISSUER]},
    ):
        assert make_one(**spec) == 403, spec
    assert make_one(**HARMLESS) == 201
    for change in ({"consent": False}, {"scopes": []}, {"scopes": ["openid", "project:vision"]}, {"audience": [ISSUER]}):
        answer = web.client.patch("/v1/applications/innocent", json={"spec": change}, headers=maker)
        assert answer.status_code == 403, change
    assert (
        web.client.patch("/v1/applications/innocent", json={"spec": {"redirectUris": [DONE]}}, headers=maker).status_code == 204
    )


def test_nor_by_an_application_that_is_there(web: Browser, maker: dict[str, str]) -> None:
    for change in ({"redirectUris": [EVIL]}, HARMLESS, {"enabled": False}, {"kind": "machine", "redirectUris": []}):
        assert web.client.patch("/v1/applications/shop", json={"spec": change}, headers=maker).status_code == 403, change
    made = web.client.post("/v1/applications/shop/secrets", json={"metadata": {"name": "evil"}}, headers=maker)
    assert made.status_code == 403
    body = {"metadata": {"name": "machine-like"}, "spec": {"grants": ["device_code"]}}
    assert web.client.post("/v1/applications", json=body, headers=maker).status_code == 403
    assert web.client.post("/v1/applications", json={"metadata": {"name": "bot"}}, headers=maker).status_code == 201


# -- what an application can do with somebody's token --------------------------------------------------------------------


@pytest.mark.spec("R9", "T52")
def test_application_that_was_told_who_somebody_is_does_not_act_for_them(
    app: Flask, web: Browser, make: Factory, ann: str, settings: Settings
) -> None:
    assert told(web.ask(resource=ISSUER))["error"] == "invalid_target", "nobody gets at this server by asking for it"
    metrics = "https://metrics.example"
    make.change(lambda realm, row: set_application(realm, row, audience=[ISSUER, metrics]), "shop")
    make.do(lambda realm: set_api(realm, "metrics", audience=metrics, rules=[{"methods": ["POST"], "path": "/x", "roles": []}]))
    code = web.signed_in(scope="openid")["code"]
    token = web.redeem(code).json["access_token"]
    for path in ("/v1/users/info", f"/v1/users/{ann}", "/v1/sessions", "/v1/apiKeys", "/auth/v1/tokens"):
        assert app.test_client().get(path, headers=bearer(token)).status_code == 401, path
    check = "/gateway/check/acme/metrics?method=POST&uri=/x"
    proxied = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    assert proxied.test_client().get(check, headers=bearer(token)).status_code == 401
    with_roles = web.redeem(told(web.ask(scope="openid roles"))["code"]).json["access_token"]
    assert app.test_client().get("/v1/users/info", headers=bearer(with_roles)).status_code == 200
    assert proxied.test_client().get(check, headers=bearer(with_roles)).status_code == 200
    close_app(proxied)


def test_it_makes_no_credential_that_outlives_it(app: Flask, web: Browser, make: Factory) -> None:
    make.user("adm@example.test", roles=("administrator",), projects=(("vision", "researcher"), ("speech", "researcher")))
    key = make.key("adm@example.test", name="k")
    make.change(lambda realm, row: set_application(realm, row, audience=[ISSUER]), "shop")
    answer = web.sign_in(web.ask(scope="openid roles project:vision"), name="adm@example.test")
    headers = bearer(web.redeem(told(answer)["code"]).json["access_token"])
    client = app.test_client()
    assert client.get("/v1/apiKeys", headers=headers).status_code == 200
    for path, body in (
        (f"/v1/apiKeys/{key.uid}/rotate", {"expiryHours": 8760}),
        ("/v1/apiKeys", {"metadata": {"name": "x"}}),
        ("/v1/personalTokens", {}),
    ):
        assert client.post(path, json=body, headers=headers).status_code in {403, 404, 405}, path
    state = client.put(f"/v1/apiKeys/{key.uid}/state", json={"isActive": False}, headers=headers)
    assert state.status_code == 403


def test_name_is_told_only_where_it_was_asked_for(web: Browser) -> None:
    tokens = web.tokens(scope="openid")
    shown = [claims_of(tokens["access_token"]), web.introspect(tokens["access_token"]), web.introspect(tokens["refresh_token"])]
    assert "ann@example.test" not in str(shown)
    named = web.redeem(told(web.ask(scope="openid profile"))["code"]).json
    assert web.introspect(named["access_token"])["username"] == "ann@example.test"


def test_scopes_that_were_taken_from_an_application_are_gone_at_the_next_refresh(web: Browser, make: Factory) -> None:
    tokens = web.tokens(scope="openid roles offline_access")
    make.change(lambda realm, row: set_application(realm, row, scopes=["openid"]), "shop")
    again = web.refresh(tokens["refresh_token"]).json
    assert again["scope"] == "openid"
    assert claims_of(again["access_token"])["realm_access"] == {"roles": []}


def test_secret_that_works_once_is_not_for_signing_in(web: Browser, make: Factory) -> None:
    def add(realm: Any, row: Any) -> str:
        return applications.add_secret(realm, row, "once", SecretSheet(single_use=True))[1]

    plain = make.change(add, "shop")
    assert web.redeem(web.signed_in()["code"], client_secret=plain).status_code == 401


# -- signing out ----------------------------------------------------------------------------------------------------------


def console_in(web: Browser, name: str = "ann@example.test") -> None:
    form = web.form_of(web.client.get("/console/sign-in"))
    sent = dict(form.values) | {"organisation": "acme", "name": name, "password": PASSWORD}
    assert web.client.post("/console/sign-in", data=sent, headers={"Origin": ORIGIN}).status_code == 303


def console_out(web: Browser) -> None:
    form = web.form_of(web.client.get("/console/my/applications"), "sign-out")
    assert web.client.post(form.action, data=dict(form.values), headers={"Origin": ORIGIN}).status_code == 303


def is_in_console(web: Browser) -> bool:
    return web.client.get("/console/my/applications").status_code == 200


@pytest.mark.spec("R114", "T91")
def test_signing_out_ends_what_was_begun_before_signing_in_anew(web: Browser) -> None:
    first = web.tokens()
    second = web.redeem(told(web.sign_in(web.ask(prompt="login")))["code"]).json
    assert web.refresh(first["refresh_token"]).status_code == 200, "signing in anew ends nothing"
    web.client.get(f"{web.base}logout", query_string={"id_token_hint": second["id_token"]})
    assert web.refresh(second["refresh_token"]).status_code == 400
    assert web.userinfo(first["access_token"]).status_code == 401


@pytest.mark.spec("R114", "T91")
def test_console_and_applications_sign_out_together(web: Browser, make: Factory) -> None:
    console_in(web)
    tokens = web.redeem(told(web.sign_in(web.ask(prompt="login")))["code"]).json
    assert is_in_console(web)
    web.client.get(f"{web.base}logout", query_string={"id_token_hint": tokens["id_token"]})
    assert not is_in_console(web)
    console_in(web)
    again = web.redeem(told(web.sign_in(web.ask(prompt="login")))["code"]).json
    old = [(cookie.key, cookie.value) for cookie in web.client._cookies.values() if "session-" in cookie.key]
    console_out(web)
    assert web.refresh(again["refresh_token"]).status_code == 400
    thief = Browser(web.app, web.made)
    thief.client.set_cookie(*old[0])
    assert told(thief.ask(prompt="none"))["error"] == "login_required"


def test_somebody_else_at_an_application_is_somebody_else_in_the_console(web: Browser, make: Factory) -> None:
    make.user("bob@example.test")
    console_in(web)
    web.sign_in(web.ask(prompt="login"))
    told(web.sign_in(web.ask(prompt="login"), name="bob@example.test"))
    page = web.client.get("/console/my/applications")
    assert "bob@example.test" in page.text
    assert "ann@example.test" not in page.text


@pytest.mark.parametrize("what", ["everywhere", "session", "disabled"])
def test_sign_out_in_the_middle_of_a_redemption_wins(
    app: Flask, web: Browser, make: Factory, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    code = web.signed_in(scope="openid offline_access")["code"]
    real = authorizations.begin

    def act(realm: Any, sid: str) -> None:
        user = users.get_user(realm, "ann@example.test")
        if what == "everywhere":
            users.sign_out_everywhere(realm, user)
        elif what == "disabled":
            set_user(realm, user, enabled=False)
        else:
            session_domain.end_session(realm, session_domain.get_session(realm, sid))

    def late(realm: Any, beginning: Any) -> Any:
        def run() -> None:
            with app.app_context():
                act(realms.get_realm("acme"), beginning.session)
                commit()

        db.session.rollback()  # the transaction of the redemption begins after this one
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return real(realm, beginning)

    monkeypatch.setattr(authorizations, "begin", late)
    answer = web.redeem(code)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_codes_under_way_end_with_what_is_taken_back(web: Browser, make: Factory) -> None:
    first = web.signed_in(scope="openid offline_access")["code"]
    spare = told(web.ask(scope="openid offline_access"))["code"]
    web.redeem(first)

    def disconnect(realm: Any) -> None:
        user, row = users.get_user(realm, "ann@example.test"), applications.get_application(realm, "shop")
        authorizations.take_back(realm.name, user.id, row.id, row.name, authorizations.End.PERSON)

    make.do(disconnect)
    assert web.redeem(spare).json["error"] == "invalid_grant"
    assert web.redeem(told(web.ask())["code"]).status_code == 200, "and one that is given afterwards works"


@pytest.mark.parametrize("what", ["user", "application", "realm"])
def test_what_has_ended_does_not_come_back(web: Browser, make: Factory, what: str) -> None:
    tokens = web.tokens(scope="openid offline_access")
    switches: dict[str, Callable[[Any, bool], None]] = {
        "user": lambda realm, on: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=on),
        "application": lambda realm, on: set_application(realm, applications.get_application(realm, "shop"), enabled=on),
        "realm": lambda realm, on: set_realm(realm, enabled=on),
    }
    for on in (False, True):
        make.do(lambda realm, on=on: switches[what](realm, on))
    assert web.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert web.userinfo(tokens["access_token"]).status_code == 401


def test_another_application_of_the_same_name_is_another(web: Browser, make: Factory) -> None:
    tokens = web.tokens()
    make.change(applications.delete_application, "shop")
    make.application("shop", kind="web", redirect_uris=[DONE], roles=())
    assert web.userinfo(tokens["access_token"]).status_code == 401


# -- notices to applications ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["https://a.example:99999/", "https://[::::]/x", "https://a.example:0/"])
def test_address_that_cannot_be_is_not_registered(web: Browser, make: Factory, uri: str) -> None:
    with pytest.raises(InvalidMembersError):
        make.change(lambda realm, row: set_application(realm, row, backchannel_logout_uri=uri), "shop")
    with pytest.raises(outbound.OutboundError):
        outbound.post_form(uri, b"", {}, reach=outbound.Reach(private=True))


def test_notice_that_cannot_be_sent_stands_in_the_way_of_no_other(
    web: Browser, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.change(lambda realm, row: set_application(realm, row, backchannel_logout_uri="https://a.example/"), "shop")
    for _ in range(2):
        web.signed_in()
        web.redeem(told(web.ask())["code"])
        make.do(lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")))

    def fail(*_: Any, **__: Any) -> int:
        raise RuntimeError("whatever it is")

    monkeypatch.setattr(outbound, "post_form", fail)
    with web.app.app_context():
        assert deliver_notices() == 0
        assert [row.tries for row in db.session.query(LogoutNotice)] == [1, 1]
        assert notices.claim() is None, "each is put off"


def test_receiver_that_takes_its_time_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "LONGEST", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"a")
                except OSError:
                    return

    thread = threading.Thread(target=trickle)
    thread.start()
    started = time.monotonic()
    try:
        with pytest.raises(outbound.OutboundError):
            outbound.post_form(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"", {}, reach=outbound.Reach(private=True))
        assert time.monotonic() - started < outbound.TIMEOUT * 10, "it ended by itself"
    finally:
        stop.set()
        thread.join()
        listener.close()


@pytest.mark.spec("T75")
@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "fec0::1",
        "192.0.0.8",
        "198.18.0.1",
        "240.0.0.1",
        "::",
        "::1",
    ],
)
def test_addresses_that_lead_inside_by_another_name_are_none(address: str) -> None:
    assert not outbound._is_public(address)


@pytest.mark.parametrize("address", ["203.0.114.7", "8.8.8.8", "2606:4700::1111"])
def test_addresses_of_others_are_called(address: str) -> None:
    assert outbound._is_public(address)


# -- what strangers can fill ------------------------------------------------------------------------------------------------


def test_only_parameters_that_mean_something_are_kept(spa: Browser) -> None:
    junk = {f"x{number}": "y" * 3900 for number in range(14)}
    assert spa.client.post(f"{spa.base}ext/par/request", data=spa.parameters() | junk).status_code == 201
    with spa.app.app_context():
        (row,) = db.session.query(authorizations.PushedRequest)
        assert row.parameters.keys() == spa.parameters().keys()
    long = spa.parameters(login_hint="x" * 3900, state="y" * 3900, claims="{}" + " " * 900)
    assert spa.client.post(f"{spa.base}ext/par/request", data=long).json["error"] == "invalid_request"


def test_stranger_is_slowed_down(spa: Browser) -> None:
    statuses = [spa.client.post(f"{spa.base}ext/par/request", data=spa.parameters()).status_code for _ in range(150)]
    assert statuses[0] == 201
    assert statuses[-1] == 429


def test_two_devices_never_show_the_same_code(app: Flask, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.application("tv", kind="native", roles=(), secret=False)
    monkeypatch.setattr("idp.authorizations.devices.secrets.choice", lambda letters: letters[0])
    url = "/auth/realms/acme/protocol/openid-connect/auth/device"
    assert app.test_client().post(url, data={"client_id": "tv"}).status_code == 200
    busy = app.test_client().post(url, data={"client_id": "tv"})
    assert (busy.status_code, busy.json["error"]) == (503, "temporarily_unavailable")


WEIRD = [
    "", "\x00", "a\r\nb", "%ff", "é" * 1000, "[", "{", "[1]", "null", "[[]]" * 1000, '{"id_token":{"sub":{"value":"\\ud800"}}}',
    '{"id_token":{"acr":{"essential":true,"values":[[1]]}}}', '{"id_token":[]}', '{"userinfo":1}', '"x"', "1e999", "-1", "9" * 11,
    "٣", "login consent", "urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:x\x00", "a.b.c",
    "openid roles project:", "project:nope", "http://127.0.0.1:99999/x", "https://[::::]/", "idp_rt_x", f"{DONE}?code=1", "\u202e",
]  # fmt: skip # a list of what nobody should send


@pytest.mark.parametrize("where", ["auth", "par", "device", "token", "logout", "forms"])
def test_whatever_is_sent_nothing_fails_and_nothing_is_split(web: Browser, make: Factory, where: str) -> None:
    make.application("tv", kind="native", roles=(), secret=False)
    made = Made("tv", "", "")
    names = [
        *web.parameters(),
        "nonce",
        "response_mode",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "claims",
        "resource",
        "request",
        "request_uri",
    ]
    grants = ("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code")
    client = web.client
    asks: dict[str, Callable[[str], list[Any]]] = {
        "auth": lambda odd: [client.get(f"{web.base}auth?{urlencode(web.parameters(**{name: odd}))}") for name in names],
        "par": lambda odd: [
            client.post(f"{web.base}ext/par/request", data=web.made.form | web.parameters(**{name: odd})) for name in names
        ],
        "device": lambda odd: [
            client.post(f"{web.base}auth/device", data={"client_id": made.client_id} | {name: odd})
            for name in ("client_id", "scope", "resource")
        ],
        "token": lambda odd: [
            web.post_token(grant_type=grant, **{"code": "x", "refresh_token": "x", "device_code": "x"} | {name: odd})
            for grant in grants
            for name in ("code", "refresh_token", "device_code", "scope", "resource", "redirect_uri")
        ],
        "logout": lambda odd: [
            client.get(f"{web.base}logout?{urlencode({name: odd})}")
            for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
        ],
        "forms": lambda odd: [
            client.post(path, data={name: odd}, headers={"Origin": ORIGIN})
            for path in (
                "/sign-in/acme",
                "/sign-in/acme/consent",
                "/sign-in/acme/sign-out",
                "/device",
                "/device/acme/decide",
                "/sign-in/nope",
            )
            for name in ("flow", "user_code")
        ],
    }
    for odd in WEIRD:
        for answer in asks[where](odd):
            assert answer.status_code < 500, (odd[:40], answer.text)
            assert not {"\r", "\n"} & set(answer.headers.get("Location", "")), odd[:40]


def test_sheet_of_an_application_that_nobody_signs_in_to_is_as_it_was() -> None:
    assert (ApplicationSheet().kind, ApplicationSheet().redirect_uris) == ("machine", [])
