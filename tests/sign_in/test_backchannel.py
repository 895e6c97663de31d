"""Applications are told that somebody has signed out (OpenID Connect Back-Channel Logout), and nothing else is called (T75 to T77)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask import Flask

from idp import outbound, users
from idp.authorizations import LogoutNotice
from idp.db import db
from idp.oauth.backchannel import deliver_notices
from tests.called import Called, being_called
from tests.conftest import FrozenClock
from tests.factories import Factory, set_application, set_user
from tests.sign_in.conftest import Browser, told


@pytest.fixture
def listener() -> Iterator[Called]:
    """An application that is told."""
    with being_called(200) as found:
        yield found


@pytest.fixture
def telling(web: Browser, make: Factory, listener: Called, monkeypatch: pytest.MonkeyPatch) -> Browser:
    make.change(lambda realm, row: set_application(realm, row, backchannel_logout_uri=listener.url), "shop")
    monkeypatch.setattr(outbound, "_is_public", lambda _: True)
    return web


def deliver(app: Flask) -> int:
    with app.app_context():
        return deliver_notices()


def waiting(app: Flask) -> int:
    with app.app_context():
        return db.session.query(LogoutNotice).count()


def test_metadata(web: Browser) -> None:
    document = web.client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert document["backchannel_logout_supported"] is document["backchannel_logout_session_supported"] is True


@pytest.mark.spec("R83", "R88")
def test_rp_initiated_logout_sends_a_logout_token(telling: Browser, listener: Called, ann: str) -> None:
    tokens = telling.tokens()
    said = telling.open(tokens["id_token"]).claims
    telling.client.get(f"{telling.base}logout", query_string={"id_token_hint": tokens["id_token"]})
    assert listener.heard == [], "nobody who signs out waits for it"
    assert deliver(telling.app) == 1
    (heard,) = listener.heard
    form = parse_qs(heard.body)
    (token,) = form["logout_token"]
    opened = telling.open(token, "logout+jwt")
    claims = opened.claims
    assert opened.header["typ"] == "logout+jwt"
    assert (claims["iss"], claims["aud"], claims["sub"], claims["sid"]) == (said["iss"], "shop", ann, said["sid"])
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims
    assert claims["exp"] - claims["iat"] == 120
    assert len(claims["jti"]) == 32
    assert (deliver(telling.app), waiting(telling.app)) == (0, 0)
    for taken in (
        telling.userinfo(token).status_code,
        telling.client.get("/v1/applications", headers={"Authorization": f"Bearer {token}"}).status_code,
    ):
        assert taken == 401, "it is no other kind of token"
    assert told(telling.ask(id_token_hint=token, prompt="none"))["error"] == "invalid_request"


@pytest.mark.parametrize("act", ["signed out everywhere", "disabled"])
def test_so_it_is_however_sessions_end(telling: Browser, listener: Called, make: Factory, act: str) -> None:
    telling.tokens()
    acts: dict[str, Any] = {
        "signed out everywhere": lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")),
        "disabled": lambda realm: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=False),
    }
    make.do(acts[act])
    assert deliver(telling.app) == 1
    assert len(listener.heard) == 1


def test_applications_that_do_not_want_to_be_told_are_not(web: Browser) -> None:
    web.tokens()
    web.send(web.client.get(f"{web.base}logout"))
    assert (waiting(web.app), deliver(web.app)) == (0, 0)


def test_what_is_not_taken_is_tried_again_and_given_up_at_last(
    telling: Browser, listener: Called, frozen_clock: FrozenClock
) -> None:
    telling.tokens()
    telling.send(telling.client.get(f"{telling.base}logout"))
    listener.answers = [(status, None) for status in [500, 302, 400] + [503] * 10]
    assert (deliver(telling.app), deliver(telling.app)) == (0, 0)
    assert len(listener.heard) == 1, "not before it is due again"
    for _ in range(10):
        frozen_clock.advance(hours=1)
        deliver(telling.app)
    assert len(listener.heard) == 7
    assert waiting(telling.app) == 0


def test_what_comes_again_can_be_told_from_what_is_new(telling: Browser, listener: Called, frozen_clock: FrozenClock) -> None:
    """An application may have heard a notice whose answer was lost: by its `jti` it can see that it has."""
    for _ in range(2):
        telling.tokens()
        telling.send(telling.client.get(f"{telling.base}logout"))
        listener.answers = [(503, None), (503, None)]
        for _ in range(3):
            deliver(telling.app)
            frozen_clock.advance(minutes=1)
    assert waiting(telling.app) == 0
    told_of = [telling.open(parse_qs(heard.body)["logout_token"][0], "logout+jwt").claims for heard in listener.heard]
    first, second = told_of[:3], told_of[3:]
    assert [len({claims["jti"] for claims in each}) for each in (first, second)] == [1, 1]
    assert [len({claims["iat"] for claims in each}) for each in (first, second)] == [3, 3], "each is as young as its call"
    assert first[0]["jti"] != second[0]["jti"]


@pytest.mark.spec("T75", "T76", "T77")
def test_nothing_of_this_machine_or_its_network_is_called(web: Browser, make: Factory, listener: Called) -> None:
    make.change(lambda realm, row: set_application(realm, row, backchannel_logout_uri=listener.url), "shop")
    web.tokens()
    web.send(web.client.get(f"{web.base}logout"))
    assert deliver(web.app) == 0
    assert listener.heard == []
    port = listener.server_address[1]
    for host in (
        "127.0.0.1",
        "localhost",
        "[::1]",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::]",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
        "100.64.0.1",
        "224.0.0.1",
    ):
        with pytest.raises(outbound.OutboundError):
            outbound.post_form(f"http://{host}:{port}/logout", b"x=1", {}, reach=outbound.Reach())
    assert listener.heard == []


@pytest.mark.spec("T75")
def test_what_follows_the_status_is_not_waited_for(telling: Browser, listener: Called, make: Factory) -> None:
    telling.tokens()
    make.do(lambda realm: users.sign_out_everywhere(realm, users.get_user(realm, "ann@example.test")))
    listener.holds_on = True
    assert deliver(telling.app) == 1


def test_address_is_the_one_that_was_checked(listener: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a name that means something else the second time is not looked up a second time."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", ("203.0.113.7" if len(asked) == 1 else "127.0.0.1", port))]

    connected: list[Any] = []

    def connect(address: Any, *_: Any) -> None:
        connected.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(outbound.socket, "create_connection", connect)
    monkeypatch.setattr(outbound, "_is_public", lambda address: address == "203.0.113.7")
    with pytest.raises(outbound.OutboundError):
        outbound.post_form(f"http://rebound.example:{listener.server_address[1]}/", b"", {}, reach=outbound.Reach())
    assert (asked, connected[0][0]) == (["rebound.example"], "203.0.113.7")
