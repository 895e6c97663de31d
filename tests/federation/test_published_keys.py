"""Applications that publish their keys at a URL (RFC 7591 §2, `jwks_uri`): fetched beside requests, as those of issuers are."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import applications
from idp.applications import ApplicationKeySet, ApplicationSheet
from idp.db import db
from idp.errors import InvalidMembersError, InvalidValueError
from idp.jose import Key
from idp.realms import Realm
from idp.settings import Settings
from tests.api.test_credentials_grow import give_administrator, mallory, roles_of
from tests.conftest import FrozenClock
from tests.console.surfing import Surfer
from tests.factories import Factory, ask, assertion, assertion_form, at_once, key_pair, session_of
from tests.federation.hosting import HOST, Host, answer, hosted
from tests.protocol.test_client_auth import ISSUER
from tests.sign_in.test_registration import WEB, made, own, register, registration_token

__all__ = ["mallory"]  # a fixture

BOT = "ci-bot"

_look_up = socket.getaddrinfo


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a server that may fetch from loopback."""
    return settings.model_copy(update={"outbound_networks": ("127.0.0.0/8",)})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """An application's web server, under a name that this process finds on loopback."""

    def look_up(name: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        return _look_up("127.0.0.1" if name == HOST else name, port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with hosted(tmp_path) as found:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "realmgate.pem"))
        yield found


@pytest.fixture
def pair(host: Host, make: Factory) -> tuple[Key, dict[str, Any]]:
    """The key of an application that publishes it."""
    key, public = key_pair()
    host.serve("/keys", public)
    make.application(BOT, secret=False, jwks_uri=f"{host.url}/keys")
    return key, public


def status(client: FlaskClient, key: Key, kid: str = "client-key") -> int:
    form = assertion_form(assertion(key, BOT, ISSUER, header={"kid": kid}))
    return ask(client, "token", form).status_code


def due(make: Factory) -> int:
    with make.app.app_context():
        return applications.fetch_due_keys()


def key_set(make: Factory, name: str = BOT) -> ApplicationKeySet | None:
    def find(realm: Realm) -> ApplicationKeySet | None:
        found = applications.find_key_set(applications.get_application(realm, name))
        db.session.expunge_all()
        return found

    found: ApplicationKeySet | None = make.do(find)
    return found


def error_of(make: Factory) -> str:
    found = key_set(make)
    assert found is not None
    return found.fetch_error


def test_keys_are_fetched_beside_requests(client: FlaskClient, make: Factory, host: Host, pair: tuple[Key, Any]) -> None:
    assert status(client, pair[0]) == 401, "none are there yet"
    assert host.asked == [], "no request has fetched any"
    assert due(make) == 1
    assert status(client, pair[0]) == 200
    assert status(client, key_pair()[0]) == 401, "signed by another key of that name"
    assert host.asked == ["/keys"]
    assert due(make) == 0, "they are kept"


def test_a_refusal_tells_nothing_of_keys(client: FlaskClient, make: Factory, pair: tuple[Key, Any]) -> None:
    def told(key: Key) -> tuple[int, str]:
        found = ask(client, "token", assertion_form(assertion(key, BOT, ISSUER)))
        return found.status_code, found.text

    never_fetched = told(pair[0])
    assert due(make) == 1
    assert told(key_pair()[0]) == never_fetched


def test_an_unknown_key_has_them_fetched_and_not_again_and_again(
    client: FlaskClient, make: Factory, host: Host, pair: tuple[Key, Any], frozen_clock: FrozenClock
) -> None:
    assert due(make) == 1
    new, public = key_pair()
    host.serve("/keys", {"keys": [public["keys"][0] | {"kid": "new"}]})
    assert [status(client, new, "new") for _ in range(4)] == [401] * 4
    assert due(make) == 1
    assert status(client, new, "new") == 200
    assert status(client, pair[0]) == 401, "the one of before is gone"
    assert due(make) == 0, "a minute has not passed"
    frozen_clock.advance(seconds=61)
    assert status(client, pair[0]) == 401
    assert due(make) == 1


def test_a_server_that_is_down_keeps_the_keys_for_a_day(
    client: FlaskClient, make: Factory, host: Host, pair: tuple[Key, Any], frozen_clock: FrozenClock
) -> None:
    assert due(make) == 1
    host.answers.clear()
    frozen_clock.advance(hours=2)
    assert due(make) == 0
    assert "status 404" in error_of(make)
    frozen_clock.advance(hours=23, minutes=50)
    assert due(make) == 0
    assert status(client, pair[0]) == 200, "its last keys count"
    frozen_clock.advance(minutes=20)
    assert status(client, pair[0]) == 401
    host.serve("/keys", pair[1])
    assert due(make) == 1
    assert (status(client, pair[0]), error_of(make)) == (200, "")


def test_keys_that_are_kept_for_a_day_count_until_they_are_fetched_again(
    client: FlaskClient, make: Factory, host: Host, pair: tuple[Key, Any], frozen_clock: FrozenClock
) -> None:
    host.serve("/keys", pair[1], Cache_Control="max-age=999999")
    assert due(make) == 1
    frozen_clock.advance(hours=24, seconds=5)
    assert status(client, pair[0]) == 200
    assert due(make) == 1


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.1", "169.254.169.254"])
def test_nothing_inside_is_called(make: Factory, host: Host, address: str) -> None:
    make.application(BOT, secret=False, jwks_uri=f"https://{address}:{host.port}/keys")
    assert due(make) == 0
    assert "private network" in error_of(make)
    assert host.asked == []


def test_a_key_set_is_bounded_and_its_redirects_are_not_followed(make: Factory, host: Host, pair: tuple[Key, Any]) -> None:
    def again() -> str:
        found = key_set(make)
        assert found is not None
        with make.app.app_context():
            row = db.session.get_one(ApplicationKeySet, found.id)
            row.fetch_at = row.created_at
            db.session.commit()
        assert due(make) == 0
        return error_of(make)

    good = pair[1]["keys"][0]
    host.serve("/keys", {"keys": [good] * 11})
    assert "at most 10 keys" in again()
    host.serve("/keys", {"keys": [good], "more": "x" * 262_144})
    assert "more than 262,144 bytes" in again()
    host.serve("/keys", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})
    assert "no key that assertions can be signed with" in again()
    host.answers["/keys"] = lambda handler: answer(handler, 302, b"", {"Location": f"{host.url}/other"})
    assert "status 302" in again()


def test_one_of_several_workers_fetches(make: Factory, host: Host, pair: tuple[Key, Any]) -> None:
    assert pair
    assert sum(at_once(6, lambda: due(make))) == 1
    assert host.asked == ["/keys"]


def test_another_url_begins_anew(client: FlaskClient, make: Factory, host: Host, pair: tuple[Key, Any]) -> None:
    """Keys from elsewhere do not count any more, also those that were on their way at that time."""
    assert due(make) == 1

    def move(realm: Realm) -> None:
        application = applications.get_application(realm, BOT)
        moved = ApplicationSheet.of(application).changed({"jwks_uri": f"{host.url}/moved"})
        applications.update_application(realm, application, moved)

    make.do(move)
    assert status(client, pair[0]) == 401
    new, public = key_pair()

    def move_on(handler: Any) -> None:
        host.serve("/moved", public)
        make.do(lambda realm: _set(realm, jwks_uri=f"{host.url}/elsewhere"))
        answer(handler, 200, b'{"keys": []}')

    host.answers["/moved"] = move_on
    assert due(make) == 0
    found = key_set(make)
    assert found is not None
    assert (found.fetched_keys, found.fetch_error) == ([], "")
    make.do(lambda realm: _set(realm, jwks_uri=f"{host.url}/moved"))
    assert due(make) == 1
    assert status(client, new) == 200
    make.do(lambda realm: _set(realm, jwks_uri=None))
    assert key_set(make) is None
    assert status(client, new) == 401


def _set(realm: Realm, **values: Any) -> None:
    application = applications.get_application(realm, BOT)
    applications.update_application(realm, application, ApplicationSheet.of(application).changed(values))


def test_keys_of_a_disabled_application_are_not_fetched(make: Factory, host: Host, pair: tuple[Key, Any]) -> None:
    assert pair
    make.do(lambda realm: _set(realm, enabled=False))
    assert due(make) == 0
    assert host.asked == []


@pytest.mark.parametrize(
    "uri",
    ["http://app.example/keys", "http://127.0.0.1/keys", "https://a:b@app.example/keys", "https://app.example/#k", "keys", ""],
)
def test_only_https_urls_are_taken(uri: str) -> None:
    with pytest.raises(InvalidMembersError, match="https URL"):
        ApplicationSheet.read({"jwks_uri": uri})


def test_keys_and_their_url_do_not_go_together(make: Factory) -> None:
    with pytest.raises(InvalidValueError, match="not both"):
        make.application(BOT, jwks=key_pair()[1], jwks_uri="https://app.example/keys")
    make.application("other", jwks=key_pair()[1])
    with pytest.raises(InvalidValueError, match="not both"):
        make.do(
            lambda realm: applications.update_application(
                realm,
                (found := applications.get_application(realm, "other")),
                ApplicationSheet.of(found).changed({"jwks_uri": "https://app.example/keys"}),
            )
        )


def test_api_refuses_http_and_both(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("administrator",))
    headers = session_of(client)

    def create(**spec: Any) -> Any:
        return client.post("/v1/applications", json={"metadata": {"name": "bot"}, "spec": spec}, headers=headers)

    assert create(jwksUri="http://app.example/keys").status_code == 400
    assert create(jwksUri="https://app.example/keys", jwks=key_pair()[1]).status_code == 400
    assert create(jwksUri="https://app.example/keys").status_code == 201
    shown = client.get("/v1/applications/bot", headers=headers).json
    assert shown["spec"]["jwksUri"] == "https://app.example/keys"


def test_console_makes_an_application_that_publishes_its_keys(app: Flask, make: Factory, host: Host) -> None:
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in().open("/console/realms/acme/new-application")
    surfer.send("Create", {"name": "bot", "credential": "key", "jwks_uri": f"{host.url}/keys"})
    assert "not fetched yet" in surfer.text
    assert "cannot fetch tokens" not in surfer.text
    assert due(make) == 0
    assert "status 404" in surfer.open("/console/realms/acme/applications/bot").text
    secrets: Any = make.do(lambda realm: list(applications.list_secrets(applications.get_application(realm, "bot"))))
    assert secrets == []


def test_an_application_registers_the_url_of_its_keys(client: FlaskClient, make: Factory, host: Host) -> None:
    key, public = key_pair()
    host.serve("/keys", public)
    method = {"token_endpoint_auth_method": "private_key_jwt"}
    token = registration_token(make)
    refused = [
        register(client, token, jwks_uri=f"{host.url}/keys"),
        register(client, token, jwks_uri=f"{host.url}/keys", jwks=public, **method),
        register(client, token, jwks_uri="http://app.example/keys", **method),
        register(client, token, jwks_uri=7, **method),
        register(client, token, **method),
    ]
    assert [(each.status_code, each.json["error"]) for each in refused] == [(400, "invalid_client_metadata")] * 5
    told = made(register(client, token, jwks_uri=f"{host.url}/keys", **method))
    assert (told["jwks_uri"], "jwks" in told, "client_secret" in told) == (f"{host.url}/keys", False, False)
    assert due(make) == 1
    form = assertion_form(
        assertion(key, told["client_id"], ISSUER),
        grant_type="authorization_code",
        code="x",
        code_verifier="v" * 43,
        redirect_uri="https://app.example/",
    )
    assert ask(client, "token", form).json["error"] == "invalid_grant", "it has shown who it is"
    url, headers = own(told)
    assert client.get(url, headers=headers).json["jwks_uri"] == f"{host.url}/keys"
    body = WEB | method | {"client_id": told["client_id"], "jwks": public}
    changed = client.put(url, json=body, headers=headers)
    assert (changed.status_code, "jwks_uri" in changed.json) == (200, False), changed.text
    assert key_set(make, told["client_id"]) is None


@pytest.mark.spec("T108")
def test_a_url_that_somebody_planted_does_not_grow_with_its_application(
    client: FlaskClient, make: Factory, host: Host, mallory: dict[str, str]
) -> None:
    """Whoever chooses the URL acts as the application, with what it held then."""
    key, public = key_pair()
    host.serve("/keys", public)
    make.application("planted", roles=())
    changed = client.patch("/v1/applications/planted", json={"spec": {"jwksUri": f"{host.url}/keys"}}, headers=mallory)
    assert changed.status_code == 204, changed.text
    give_administrator(make)
    assert due(make) == 1
    assert roles_of(ask(client, "token", assertion_form(assertion(key, "planted", ISSUER)))) == []
