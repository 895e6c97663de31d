"""Token revocation (RFC 7009)."""

import sqlite3
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import audit
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, MadeKey, ask, ask_token, claims_of, session_of


def revoke(client: FlaskClient, by: Made, token: str, **more: str) -> Any:
    return ask(client, "revoke", {"token": token, **by.form, **more})


def is_active(client: FlaskClient, by: Made, token: str) -> bool:
    active: bool = ask(client, "token/introspect", {"token": token, **by.form}).json["active"]
    return active


@pytest.mark.spec("R50", "R51")
@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "rubbish"])
def test_revoked_token_is_inactive_at_once(client: FlaskClient, make: Factory, hint: str) -> None:
    made = make.application()
    token, other = (ask_token(client, made).json["access_token"] for _ in range(2))
    answer = revoke(client, made, token, token_type_hint=hint)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert not is_active(client, made, token)
    assert is_active(client, made, other)


@pytest.mark.spec("R49")
def test_unknown_and_dead_tokens_are_success(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    for each in ("x", "a.b.c", token[:-1], token, token):
        assert (revoke(client, made, each).status_code, revoke(client, made, each).data) == (200, b"")
    frozen_clock.advance(hours=11)
    assert revoke(client, made, token).status_code == 200


@pytest.mark.spec("R48", "R120")
def test_another_applications_token_is_refused_and_left_alone(client: FlaskClient, make: Factory) -> None:
    owner, other = make.application("owner"), make.application("other")
    token = ask_token(client, owner).json["access_token"]
    answer = revoke(client, other, token)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert is_active(client, owner, token)


@pytest.mark.spec("R48")
def test_caller_must_authenticate(client: FlaskClient, make: Factory) -> None:
    token = ask_token(client, make.application()).json["access_token"]
    assert ask(client, "revoke", {"token": token}).status_code == 401


@pytest.mark.spec("R52")
def test_id_token_cannot_be_revoked(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    token = ask_token(client, made, scope="openid").json["id_token"]
    answer = revoke(client, made, token)
    assert (answer.status_code, answer.json["error"]) == (400, "unsupported_token_type")


def test_revocation_is_recorded(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    revoke(client, made, token)
    with make.app.app_context():
        (event,) = audit.list_events("acme", tag="client:token:revoke")
        assert event.actor == "application:ci-bot"
        assert event.address == "127.0.0.1"
        assert event.target == f"token:{claims_of(token)['jti']}"


def test_token_from_a_node_whose_clock_is_ahead_can_be_revoked(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    frozen_clock.advance(seconds=-30)
    assert is_active(client, made, token)
    revoke(client, made, token)
    assert not is_active(client, made, token)


def test_revocation_is_recorded_once(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    token = ask_token(client, made).json["access_token"]
    for _ in range(5):
        assert revoke(client, made, token).status_code == 200
    with make.app.app_context():
        assert len(audit.list_events("acme", tag="client:token:revoke")) == 1


def test_revocations_are_kept_until_the_token_has_expired(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    from idp.db import db
    from idp.setup import rotate_keys_and_tidy
    from idp.tokens import RevokedToken

    made = make.application()
    token = ask_token(client, made).json["access_token"]
    revoke(client, made, token)
    for hours, left in ((9.9, 1), (0.2, 0)):
        frozen_clock.advance(hours=hours)
        with make.app.app_context():
            rotate_keys_and_tidy()
            assert db.session.query(RevokedToken).count() == left


@pytest.mark.spec("R52", "T57")
def test_revocation_that_cannot_be_stored_is_503(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    app = create_app(settings)
    client, made = app.test_client(), Factory(app).application()
    token = ask_token(client, made).json["access_token"]
    other_writer = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other_writer.execute("BEGIN IMMEDIATE")
    answer = revoke(client, made, token)
    other_writer.close()
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert is_active(client, made, token)
    assert revoke(client, made, token).status_code == 200
    assert not is_active(client, made, token)
    close_app(app)


@pytest.mark.spec("R48", "R52")
def test_every_kind_of_credential_is_revoked_or_refused_and_never_passed_over(client: FlaskClient, make: Factory) -> None:
    """What lives after a 200 was never revoked; so a 200 means that it does not."""
    bot, other = make.application("bot"), make.application("other")
    make.user(roles=("viewer",))
    own_key, anns_key, others_key = make.key("bot"), make.key(), make.key("other")
    session = session_of(client)["Authorization"]
    personal = client.post("/v1/personalTokens", headers={"Authorization": session}, json={"spec": {}}).json["token"]

    def exchanged(key: MadeKey) -> str:
        return str(client.post("/v1/auth/exchange", headers=key.header).json["Authorization"])

    def works(header: dict[str, str]) -> bool:
        make.forget()
        return client.get("/v1/projects", headers=header).status_code == 200

    refused = {
        "a person's session": {"Authorization": session},
        "a personal token": {"Authorization": personal},
        "a person's key": anns_key.header,
        "another's key": others_key.header,
    }
    for what, header in refused.items():
        (credential,) = header.values()
        answer = revoke(client, bot, credential)
        assert (answer.status_code, answer.json["error"]) == (400, "unsupported_token_type"), what
        assert works(header), what
    foreign = exchanged(others_key)
    assert revoke(client, bot, foreign).json["error"] == "invalid_grant"
    assert works({"Authorization": foreign})
    token = exchanged(own_key)
    assert works({"Authorization": token})
    assert revoke(client, bot, token).status_code == 200
    assert not works({"Authorization": token})
    assert works(own_key.header), "the key was not meant"
    assert revoke(client, bot, own_key.plain).status_code == 200
    assert not works(own_key.header)
    assert revoke(client, bot, own_key.plain).status_code == 200, "it is dead already"
    assert revoke(client, other, "idp_ak_" + "0" * 57).status_code == 200, "nobody has it"
