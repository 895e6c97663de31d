"""The two headers `typ` that access tokens may have, and that no ID token is taken for one of them."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from idp.jose import read_unverified
from tests.factories import Factory, ask, ask_token, claims_of, set_realm

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
ISSUER = "http://localhost:8080/auth/realms/acme"
API = "https://api.example"


def typ_of(token: str) -> Any:
    return read_unverified(token).header["typ"]


def test_type_of_the_application_wins_over_the_realms(client: FlaskClient, make: Factory) -> None:
    plain, old, new = (
        make.application("plain"),
        make.application("old", access_token_type="JWT"),
        make.application("new", access_token_type="at+jwt"),
    )
    applications = (plain, old, new)
    assert [typ_of(ask_token(client, each).json["access_token"]) for each in applications] == ["at+jwt", "JWT", "at+jwt"]
    make.do(lambda realm: set_realm(realm, access_token_type="JWT"))
    assert [typ_of(ask_token(client, each).json["access_token"]) for each in applications] == ["JWT", "JWT", "at+jwt"]
    answer = ask_token(client, old, scope="openid").json
    assert typ_of(answer["id_token"]) == "JWT"
    assert (claims_of(answer["access_token"])["typ"], claims_of(answer["id_token"])["typ"]) == ("Bearer", "ID")


@pytest.mark.parametrize("typ", ["at+jwt", "JWT"])
def test_either_type_is_introspected_exchanged_used_and_revoked(client: FlaskClient, make: Factory, typ: str) -> None:
    made = make.application(roles=("administrator",), audience=[ISSUER, API], access_token_type=typ)
    token = ask_token(client, made, scope="openid", resource=ISSUER).json["access_token"]
    assert typ_of(token) == typ
    bearer = {"Authorization": f"Bearer {token}"}
    assert ask(client, "token/introspect", {"token": token, **made.form}).json["active"] is True
    assert client.get("/v1/applications", headers=bearer).status_code == 200
    assert client.get("/auth/realms/acme/protocol/openid-connect/userinfo", headers=bearer).json["sub"] == made.uid
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "audience": API, **made.form}
    exchanged = ask(client, "token", form).json["access_token"]
    assert typ_of(exchanged) == typ
    assert ask(client, "revoke", {"token": token, **made.form}).status_code == 200
    for dead in (token, exchanged):
        assert ask(client, "token/introspect", {"token": dead, **made.form}).json == {"active": False}
    assert client.get("/v1/applications", headers=bearer).status_code == 401


@pytest.mark.parametrize("typ", ["at+jwt", "JWT"])
def test_id_token_is_no_access_token_and_the_answer_says_so(client: FlaskClient, make: Factory, typ: str) -> None:
    made = make.application("ci-bot", roles=("administrator",), audience=[ISSUER, API], access_token_type=typ)
    id_token = ask_token(client, made, scope="openid", resource=ISSUER).json["id_token"]
    bearer = {"Authorization": f"Bearer {id_token}"}
    sentence = "This is an ID token; send access_token"
    native = client.get("/v1/applications", headers=bearer)
    assert native.status_code == 401
    assert sentence in native.json["message"]
    userinfo = client.get("/auth/realms/acme/protocol/openid-connect/userinfo", headers=bearer)
    assert userinfo.status_code == 401
    assert sentence in userinfo.json["error_description"]
    form = {"grant_type": EXCHANGE, "subject_token": id_token, "subject_token_type": ACCESS, "audience": API, **made.form}
    exchange = ask(client, "token", form)
    assert exchange.status_code == 400
    assert sentence in exchange.json["error_description"]
    assert ask(client, "token/introspect", {"token": id_token, **made.form}).json == {"active": False}
    revoked = ask(client, "revoke", {"token": id_token, **made.form})
    assert (revoked.status_code, revoked.json["error"]) == (400, "unsupported_token_type")
