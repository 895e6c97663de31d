"""Key sets of issuers: fetched beside requests, by a client that is not led astray."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import clock, federation, outbound
from idp.federation.fetching import MOST_KEYS
from idp.outbound import OutboundError, Reach, fetch_json
from idp.realms import Realm
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory
from tests.federation.hosting import HOST, Host, answer, hosted
from tests.federation.issuing import Issuer
from tests.federation.test_admission import ask_with, rule

NEAR = Reach(networks=("127.0.0.0/8",))
LOOKED_UP: dict[str, list[str]] = {}
"""What names are looked up as, one answer after the other; the last one stays."""

_look_up = socket.getaddrinfo


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """An issuer's web server, under a name that this process finds on loopback."""
    LOOKED_UP.clear()
    LOOKED_UP[HOST] = ["127.0.0.1"]

    def look_up(name: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        found = LOOKED_UP.get(name)
        if found is None:
            return _look_up(name, port, *arguments, **named)
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with hosted(tmp_path) as found:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "realmgate.pem"))
        yield found


def fetch(url: str, reach: Reach = NEAR) -> dict[str, Any]:
    return fetch_json(url, reach=reach, longest=10_000).content


def test_a_document_is_fetched(host: Host) -> None:
    host.serve("/keys", {"keys": []}, Cache_Control="public, max-age=77")
    found = fetch_json(f"{host.url}/keys", reach=NEAR, longest=100)
    assert (found.content, found.max_age) == ({"keys": []}, 77)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.0.192",
        "224.0.0.1",
    ],
)
def test_nothing_inside_is_called(host: Host, address: str) -> None:
    """The metadata service of a cloud (169.254.169.254), this machine, and private networks."""
    host.serve("/keys", {})
    LOOKED_UP[HOST] = [address]
    with pytest.raises(OutboundError, match="an address of this machine or of a private network"):
        fetch(f"{host.url}/keys", Reach())
    for url in (f"https://{address}:{host.port}/keys", f"https://[::ffff:{address}]:{host.port}/keys"):
        with pytest.raises(OutboundError):
            fetch(url, Reach())
    assert host.asked == []


def test_the_address_that_was_checked_is_the_one_that_is_called(host: Host) -> None:
    """A name that leads elsewhere between the check and the call (DNS rebinding) leads nowhere."""
    host.serve("/keys", {"keys": []})
    LOOKED_UP[HOST] = ["127.0.0.1", "169.254.169.254"]
    assert fetch(f"{host.url}/keys") == {"keys": []}
    assert LOOKED_UP[HOST] == ["169.254.169.254"], "it was looked up once"


def test_an_allowed_network_is_no_way_into_others(host: Host) -> None:
    host.serve("/keys", {})
    LOOKED_UP[HOST] = ["10.1.2.3"]
    with pytest.raises(OutboundError, match="private network"):
        fetch(f"{host.url}/keys")


def test_no_redirect_is_followed(host: Host) -> None:
    host.answers["/keys"] = lambda handler: answer(handler, 302, b"", {"Location": f"{host.url}/other"})
    host.serve("/other", {"keys": []})
    with pytest.raises(OutboundError, match="status 302"):
        fetch(f"{host.url}/keys")
    assert host.asked == ["/keys"]


@pytest.mark.parametrize("url", ["http://issuer.example.test/keys", "file:///etc/passwd", "ftp://x/y", "gopher://x", "//x/y", ""])
def test_nothing_but_https_is_spoken(url: str) -> None:
    with pytest.raises(OutboundError, match="not an https URL"):
        fetch(url)


def test_an_unknown_certificate_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.serve("/keys", {})
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OutboundError, match="SSLCertVerificationError"):
        fetch(f"{host.url}/keys")
    assert host.asked == []


def test_a_certificate_of_another_name_is_refused(host: Host) -> None:
    LOOKED_UP["other.example.test"] = ["127.0.0.1"]
    with pytest.raises(OutboundError, match="SSLCertVerificationError"):
        fetch(f"https://other.example.test:{host.port}/keys")


def test_an_endless_body_is_given_up(host: Host) -> None:
    sent = threading.Event()

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not sent.is_set():
                handler.wfile.write(b" " * 65_536)
        except OSError:
            sent.set()

    host.answers["/keys"] = pour
    with pytest.raises(OutboundError, match="more than 10,000 bytes"):
        fetch(f"{host.url}/keys")
    assert sent.wait(10), "the connection was ended"


def test_an_issuer_that_takes_its_time_is_given_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "LONGEST", 0.3)
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not ended.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            pass

    host.answers["/keys"] = drip
    with pytest.raises(OutboundError):
        fetch(f"{host.url}/keys")
    ended.set()


def test_a_handshake_that_takes_its_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "LONGEST", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(OutboundError):
            fetch(f"https://127.0.0.1:{silent.getsockname()[1]}/keys")
        assert time.monotonic() - begun < outbound.TIMEOUT / 2, "not only once it has said nothing for so long"


@pytest.mark.parametrize("body", [b"", b"[]", b"nope", b"[" * 9_000, b'{"keys": ', b"\xff"])
def test_what_is_no_json_object_is_refused(host: Host, body: bytes) -> None:
    host.answers["/keys"] = lambda handler: answer(handler, 200, body)
    with pytest.raises(OutboundError, match="JSON object"):
        fetch(f"{host.url}/keys")


# The life of an issuer's keys.


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a server that may fetch from loopback."""
    return settings.model_copy(update={"outbound_networks": ("127.0.0.0/8",)})


@pytest.fixture
def near(make: Factory) -> Factory:
    """Such a server."""
    assert make.app.extensions["realmgate"].settings.outbound_networks
    return make


@pytest.fixture
def issuer(host: Host, near: Factory) -> Issuer:
    """An issuer that is discovered, and admits `deployer`."""
    found = Issuer(url=host.url, claims={"sub": "job:7"})
    host.serve("/.well-known/openid-configuration", {"issuer": host.url, "jwks_uri": f"{host.url}/keys"})
    host.serve("/keys", found.jwks)
    near.application("deployer")
    sheet = {"preset": "oidc", "issuer": host.url, "replay": "reuse", "keep_keys_hours": 2}
    near.do(lambda realm: federation.create_issuer(realm, "hub", federation.TrustedIssuerSheet.read(sheet)))
    rule(near, "deployer", {"sub": "job:7"})
    return found


def due(make: Factory) -> int:
    with make.app.app_context():
        return federation.fetch_due_keys()


@dataclass(frozen=True)
class Row:
    """What is stored of the issuer."""

    state: str
    fetch_error: str
    fetched_keys: list[dict[str, Any]]
    kept: timedelta


def row(make: Factory) -> Row:
    def read(realm: Realm) -> Row:
        found = federation.get_issuer(realm, "hub")
        return Row(found.state(clock.now()).value, found.fetch_error, found.fetched_keys, found.fetch_at - clock.now())

    found: Row = make.do(read)
    return found


def test_keys_are_fetched_beside_requests(client: FlaskClient, near: Factory, host: Host, issuer: Issuer) -> None:
    assert ask_with(client, issuer.sign()).status_code == 401, "none are there yet"
    assert host.asked == [], "no request has fetched any"
    assert due(near) == 1
    assert ask_with(client, issuer.sign()).status_code == 200
    assert due(near) == 0, "they are kept"


def test_an_unknown_key_has_them_fetched_and_not_again_and_again(
    client: FlaskClient, near: Factory, host: Host, issuer: Issuer, frozen_clock: FrozenClock
) -> None:
    assert due(near) == 1
    other = Issuer(url=host.url, kid="k2", claims=issuer.claims)
    host.serve("/keys", {"keys": issuer.jwks["keys"] + other.jwks["keys"]})
    for _ in range(5):
        assert ask_with(client, other.sign()).status_code == 401
    assert due(near) == 1
    assert ask_with(client, other.sign()).status_code == 200
    stranger = Issuer(url=host.url, kid="k3", claims=issuer.claims)
    for _ in range(5):
        assert ask_with(client, stranger.sign()).status_code == 401
    assert due(near) == 0, "a minute has not passed"
    frozen_clock.advance(seconds=61)
    assert ask_with(client, stranger.sign(iat=int(clock.timestamp()), nbf=1, exp=int(clock.timestamp()) + 60)).status_code == 401
    assert due(near) == 1


def test_an_issuer_that_is_down_keeps_its_keys_for_a_while(
    client: FlaskClient, near: Factory, host: Host, issuer: Issuer, frozen_clock: FrozenClock
) -> None:
    def sign() -> str:
        now = int(clock.timestamp())
        return issuer.sign(iat=now, nbf=now, exp=now + 60)

    assert due(near) == 1
    host.answers.clear()
    frozen_clock.advance(seconds=3_700)
    assert due(near) == 0
    assert (row(near).state, "status 404" in row(near).fetch_error) == ("failing", True)
    assert ask_with(client, sign()).status_code == 200, "its last keys count"
    frozen_clock.advance(seconds=3_700)
    assert due(near) == 0
    assert row(near).state == "lost"
    assert ask_with(client, sign()).status_code == 401
    host.serve("/.well-known/openid-configuration", {"issuer": host.url, "jwks_uri": f"{host.url}/keys"})
    host.serve("/keys", issuer.jwks)
    frozen_clock.advance(seconds=3_700)
    assert due(near) == 1
    assert (row(near).state, row(near).fetch_error) == ("ready", "")
    assert ask_with(client, sign()).status_code == 200


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}, "of another issuer"),
        ({"issuer": "", "jwks_uri": 7}, "of another issuer"),
    ],
)
def test_a_discovery_document_of_somebody_else_is_refused(
    near: Factory, host: Host, issuer: Issuer, document: dict[str, Any], problem: str
) -> None:
    host.serve("/.well-known/openid-configuration", document)
    assert due(near) == 0
    assert problem in row(near).fetch_error
    assert (issuer.url, row(near).fetched_keys) == (host.url, [])


def test_a_discovery_document_may_not_lead_inside(near: Factory, host: Host, issuer: Issuer) -> None:
    inside = "https://169.254.169.254/latest/meta-data"
    host.serve("/.well-known/openid-configuration", {"issuer": issuer.url, "jwks_uri": inside})
    assert due(near) == 0
    assert "private network" in row(near).fetch_error


def test_a_key_set_is_bounded_and_only_what_is_usable_is_kept(near: Factory, host: Host, issuer: Issuer) -> None:
    good = issuer.jwks["keys"][0]
    useless = [
        {"kty": "oct", "k": "c2VjcmV0"},
        {**good, "use": "enc"},
        {**good, "d": "AQAB"},
        {"kty": "XX"},
        "no object",
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
    ]
    host.serve("/keys", {"keys": [*useless, {**good, "x5c": ["MIIB"]}]})
    assert due(near) == 1
    assert [set(key) for key in row(near).fetched_keys] == [{"kty", "n", "e", "kid", "alg", "use"}]
    host.serve("/keys", {"keys": [{"kty": "oct"}] * (MOST_KEYS + 1)})
    near.do(lambda realm: federation.refresh_issuer(realm, federation.get_issuer(realm, "hub")))
    assert due(near) == 0
    assert f"at most {MOST_KEYS} keys" in row(near).fetch_error
    host.serve("/keys", {"keys": [{"kty": "oct", "k": "A" * 40}] * 10_000})
    near.do(lambda realm: federation.refresh_issuer(realm, federation.get_issuer(realm, "hub")))
    assert due(near) == 0
    assert "more than 262,144 bytes" in row(near).fetch_error
    assert len(row(near).fetched_keys) == 1, "the last good ones are kept"


def test_one_of_several_workers_fetches(near: Factory, host: Host, issuer: Issuer) -> None:
    from tests.factories import at_once

    assert issuer.url == host.url
    assert sum(at_once(6, lambda: due(near))) == 1
    assert host.asked.count("/keys") == 1


def test_how_long_keys_are_kept_has_a_floor_and_a_ceiling(near: Factory, host: Host, issuer: Issuer) -> None:
    for said, least, most in ((0, 290, 310), (10**8, 86_000, 86_500), (1_800, 1_790, 1_810)):
        host.serve("/keys", issuer.jwks, Cache_Control=f"max-age={said}")
        near.do(lambda realm: federation.refresh_issuer(realm, federation.get_issuer(realm, "hub")))
        assert due(near) == 1
        kept = row(near).kept
        assert timedelta(seconds=least) < kept < timedelta(seconds=most), said


def test_keys_that_were_on_their_way_when_an_issuer_moved_do_not_count(near: Factory, host: Host, issuer: Issuer) -> None:
    def move(realm: Realm) -> None:
        found = federation.get_issuer(realm, "hub")
        elsewhere = {"key_source": "url", "jwks_url": f"{host.url}/moved"}
        federation.update_issuer(realm, found, federation.TrustedIssuerSheet.of(found).changed(elsewhere))

    def answer_late(handler: BaseHTTPRequestHandler) -> None:
        near.do(move)
        answer(handler, 200, json.dumps(issuer.jwks).encode())

    host.answers["/keys"] = answer_late
    due(near)
    assert row(near).fetched_keys == []
