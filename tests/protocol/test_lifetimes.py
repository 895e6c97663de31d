"""How long the tokens live that applications get for themselves: as long as the realm and the application let them."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import Factory, ask, ask_token, claims_of, set_application, set_realm

ACCESS = "urn:ietf:params:oauth:token-type:access_token"
API = "https://api.example"


def lives(answer: Any) -> set[int]:
    """Return how long the tokens of an answer live, by what they say and by what is said of them."""
    found = {answer["expires_in"]}
    for name in ("access_token", "id_token"):
        claims = claims_of(answer[name])
        found.add(claims["exp"] - claims["iat"])
    return found


@pytest.mark.parametrize(
    ("of_realm", "of_application", "seconds"),
    [(None, None, 36_000), (3600, None, 3600), (None, 60, 60), (3600, 600, 600), (600, 3600, 600)],
)
def test_the_shorter_of_realm_and_application_counts_and_the_answer_says_so(
    client: FlaskClient, make: Factory, of_realm: int | None, of_application: int | None, seconds: int
) -> None:
    made = make.application("bot", token_seconds=of_application)
    if of_realm is not None:
        make.do(lambda realm: set_realm(realm, token_seconds=of_realm))
    assert lives(ask_token(client, made, scope="openid").json) == {seconds}


def test_a_change_counts_for_the_next_token_and_no_former_one(client: FlaskClient, make: Factory) -> None:
    made = make.application("bot", roles=("viewer",))
    long = ask_token(client, made, scope="openid").json
    make.change(lambda realm, row: set_application(realm, row, token_seconds=60), "bot")
    assert lives(ask_token(client, made, scope="openid").json) == {60}
    assert lives(long) == {36_000}
    assert ask(client, "token/introspect", {"token": long["access_token"], **made.form}).json["active"] is True


def test_an_exchanged_token_lives_no_longer_than_those_of_who_asks_nor_than_what_it_is_for(
    client: FlaskClient, make: Factory
) -> None:
    front = make.application("front", audience=["https://front.example"], token_seconds=300)
    middle = make.application("middle", resources=["https://front.example"], audience=[API], token_seconds=120)
    token = ask_token(client, front).json["access_token"]
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token, "subject_token_type": ACCESS}
    answer = ask(client, "token", form | middle.form).json
    claims = claims_of(answer["access_token"])
    assert (answer["expires_in"], claims["exp"] - claims["iat"]) == (120, 120)
    make.change(lambda realm, row: set_application(realm, row, token_seconds=None), "middle")
    answer = ask(client, "token", form | middle.form).json
    assert answer["expires_in"] <= 300
    assert claims_of(answer["access_token"])["exp"] == claims_of(token)["exp"]


@pytest.mark.parametrize("seconds", [0, 59, 36_001])
def test_a_length_out_of_bounds_is_refused(client: FlaskClient, make: Factory, seconds: int) -> None:
    admin = make.application("admin", roles=("administrator",), audience=["http://localhost:8080/auth/realms/acme"])
    bearer = {"Authorization": f"Bearer {ask_token(client, admin).json['access_token']}"}
    answer = client.patch("/v1/applications/admin", json={"spec": {"tokenSeconds": seconds}}, headers=bearer)
    assert answer.status_code == 400
    assert "60 to 36000 seconds" in answer.text
