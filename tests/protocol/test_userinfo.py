"""UserInfo: who a token with the scope `openid` was issued to."""

import pytest
from flask.testing import FlaskClient

from tests.factories import Factory, ask, ask_token, session_of

URL = "/auth/realms/acme/protocol/openid-connect/userinfo"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bearer_is_told_who_the_token_was_issued_to(client: FlaskClient, make: Factory, method: str) -> None:
    made = make.application()
    token = ask_token(client, made, scope="openid").json["access_token"]
    answer = client.open(URL, method=method, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "sub": made.uid,
        "preferred_username": f"service-account-{made.client_id}",
        "client_id": made.client_id,
    }


def test_token_without_the_scope_is_403(client: FlaskClient, make: Factory) -> None:
    token = ask_token(client, make.application()).json["access_token"]
    answer = client.get(URL, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    assert 'scope="openid"' in answer.headers["WWW-Authenticate"]


def test_what_is_no_active_access_token_is_401(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    make.user()
    issued = ask_token(client, made, scope="openid").json
    assert ask(client, "revoke", {"token": issued["access_token"], **made.form}).status_code == 200
    session = session_of(client)["Authorization"]
    for header in ({"Authorization": f"Bearer {issued[name]}"} for name in ("access_token", "id_token")):
        answer = client.get(URL, headers=header)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    client.delete_cookie("Authorization")
    assert client.get(URL, headers={"Authorization": f"Bearer {session}"}).status_code == 401
    nothing = client.get(URL)
    assert (nothing.status_code, nothing.headers["WWW-Authenticate"]) == (401, "Bearer")
    client.set_cookie("Authorization", ask_token(client, made, scope="openid").json["access_token"])
    assert client.get(URL).status_code == 401
