"""Unique secrets in every field, then searched for everywhere: logs at DEBUG, errors, the audit trail, a dump of the database."""

import base64
import logging
import sqlite3
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import apikeys, runtime, tokens, users
from idp.app import close_app, create_app
from idp.settings import Settings
from idp.users import LinkPurpose
from tests.factories import PASSWORD, Factory, ask, session_of
from tests.keysets.lending import borrower, take, token_of, wish


@pytest.mark.spec("R124", "T107", "T22")
def test_no_secret_is_found_where_it_does_not_belong(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    client, make = app.test_client(use_cookies=False), Factory(app)
    make.user(roles=("administrator",))
    make.user("new@example.test", password=False)
    secrets, answers = _use_everything(client, make)
    wrong = [f"canary-{n}-{'x' * 30}" for n in range(12)]
    answers += _fail_everything(client, wrong)
    with app.app_context():
        apikeys.key_usage(runtime.current()).flush()
        tokens.usage(runtime.current()).flush()
    close_app(app)
    path = settings.sqlite_path
    assert path is not None
    with sqlite3.connect(path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    logs = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (*secrets, *wrong, PASSWORD, "another good one"):
        assert secret not in dump, f"{secret[:12]} in the database"
        assert secret.encode().hex() not in dump.lower()
        assert secret not in logs, f"{secret[:12]} in the logs"
    for secret in (*wrong, PASSWORD, "another good one"):
        assert not any(secret in answer.text or secret in str(answer.headers) for answer in answers), secret[:12]


def _use_everything(client: FlaskClient, make: Factory) -> tuple[list[str], list[Any]]:
    """Get every kind of secret, and return the secret part of each, and the answers that were not to hold one."""
    header = session_of(client)
    key = client.post("/v1/apiKeys", headers=header, json={}).json
    exchanged = client.post("/v1/auth/exchange", headers={"apiKey": key["apiKey"]}).json["Authorization"]
    rotated = client.post(f"/v1/apiKeys/{key['uid']}/rotate", headers=header, json={}).json
    personal = client.get("/auth/v1/tokens/generate", headers=header).json["token"]
    code = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "new@example.test"), LinkPurpose.INVITATION))
    second = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "new@example.test"), LinkPurpose.INVITATION))
    bot = make.application()
    access = ask(client, "token", {"grant_type": "client_credentials", **bot.form}).json["access_token"]
    answers = [
        client.get("/v1/apiKeys", headers=header),
        client.get("/v1/users", headers=header),
        client.get("/v1/sessions", headers=header),
        client.get("/auth/v1/tokens", headers=header),
        client.patch(f"/v1/auth/password/{second}/activate", json={"password": "another good one"}),
        client.get("/gateway/check/acme/telemetry?method=GET&uri=/", headers={"apiKey": key["apiKey"]}),
    ]
    values = [{"type": "pub", "value": "canary-of-a-keyset"}, {"type": "pvt", "value": "canary-that-is-lent"}]
    local = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}
    answers += [
        client.post("/v1/keysets", json=wish(keys=values), headers=header | {"Idempotency-Key": "k"}, environ_overrides=local),
        client.post("/v1/keysets/prod aws/versions", json={"spec": {"keys": values}}, headers=header, environ_overrides=local),
        client.get("/v1/keysets/prod aws", headers=header),
        client.get("/v1/keysets", headers=header),
    ]
    secure = {"X-Forwarded-Proto": "https"}
    taken = take(client, token_of(client, borrower(make, project=None)) | secure, "prod aws")
    assert taken.json["values"] == {each["type"]: each["value"] for each in values}
    answers += [client.get(taken.headers["Location"], headers=header), client.get("/v1/leases", headers=header)]
    refreshed = client.get(f"/v1/auth/refresh/{header['Authorization']}?setCookie=false").json["Authorization"]
    whole = [key["apiKey"], rotated["apiKey"], code, second, bot.secret]
    signed = [token.rsplit(".", 1)[1] for token in (header["Authorization"], exchanged, personal, access, refreshed)]
    assert not any("canary" in answer.text for answer in answers)
    return [*(secret[15:] for secret in whole), *signed, *(each["value"] for each in values)], answers


def _fail_everything(client: FlaskClient, wrong: list[str]) -> list[Any]:
    """Put a canary into every field that may hold a secret, and return the answers."""
    basic = "Basic " + base64.b64encode(f"{wrong[0]}:{wrong[1]}".encode()).decode()
    return [
        client.post("/v1/auth/authenticate", json={"emailId": wrong[2], "password": wrong[3]}),
        client.post("/v1/auth/authenticate", json={"emailId": {"x": wrong[3]}, "password": wrong[3]}),
        client.post("/v1/users/default/login", json={"username": wrong[2], "password": wrong[3]}),
        client.get(f"/v1/auth/refresh/{wrong[4]}"),
        client.patch(f"/v1/auth/password/{wrong[5]}/reset", json={"password": wrong[6]}),
        client.patch(
            "/v1/users/password/change", json={"emailId": wrong[2], "currentPassword": wrong[6], "newPassword": wrong[7]}
        ),
        client.get("/v1/users/info", headers={"apiKey": wrong[8]}),
        client.get("/v1/users/info", headers={"Authorization": f"Bearer {wrong[9]}"}),
        client.get("/v1/users/info", headers={"Cookie": f"Authorization={wrong[9]}"}),
        client.get("/auth/v1/tokens", headers={"Authorization": basic}),
        client.post("/v1/auth/credentials/report", json={"credential": wrong[10]}),
        client.post("/v1/auth/user/password/reset", json={"emailId": wrong[11]}),
        client.get("/gateway/check/acme/telemetry?method=GET&uri=/", headers={"apiKey": wrong[8]}),
        *_keysets_that_will_not_do(client, wrong),
        ask(
            client,
            "token",
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": wrong[8],
                "subject_token_type": "urn:realmgate:params:oauth:token-type:api-key",
            },
        ),
    ]


def _keysets_that_will_not_do(client: FlaskClient, wrong: list[str]) -> list[Any]:
    """Send values in keysets that are refused, in every way, and return the answers."""
    header = session_of(client)
    local = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}
    bad: list[Any] = [
        [{"type": "pub", "value": wrong[0]}],
        [{"type": "pub", "value": wrong[0]}, {"type": wrong[1], "value": wrong[2]}],
        [{"type": "pub", "value": [wrong[0]]}, {"type": "pvt", "value": {"x": wrong[1]}}],
        [{"type": "pub", "value": wrong[0] + "x" * 20_000}, {"type": "pvt", "value": wrong[2]}],
    ]
    answers = [client.post("/v1/keysets", json=wish(keys=each), headers=header, environ_overrides=local) for each in bad]
    ssh = wish(keys=[{"type": "pub", "value": f"ssh-rsa {wrong[4]}"}], category="user_ssh", entity="")
    answers.append(client.post("/v1/keysets", json=ssh, headers=header, environ_overrides=local))
    taken = wish(keys=[{"type": "pub", "value": wrong[5]}, {"type": "pvt", "value": wrong[6]}])
    answers.append(client.post("/v1/keysets", json=taken, headers=header, environ_overrides=local))
    answers.append(client.post("/v1/keysets", json=taken, headers=header, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}))
    keys = [{"key_type": "pub", "key": wrong[7]}, {"key_type": "pvt", "key": [wrong[8]]}]
    org = f"/orgs/{client.get('/orgs', headers=header).json[0]['pk']}/keysets"
    wrong_members = ({"name": "x", "category": "provider", "entity": "aws", "keys": keys}, {"name": [wrong[9]]})
    answers += [client.post(org, json=data, headers=header, environ_overrides=local) for data in wrong_members]
    form = {"name": "x", "category": "provider", "entity": "aws", "keys[0]key_type": "pub", "keys[0]key": wrong[10]}
    answers.append(client.post(org, data=form, headers=header, environ_overrides=local))
    assert all(400 <= answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    return answers
