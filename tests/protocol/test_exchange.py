"""Token exchange (RFC 8693) at the token endpoint: keys for session tokens, access tokens for narrower ones."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import access, apikeys, applications, crypto, users
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, MadeKey, ask, ask_token, claims_of, session_of, set_application

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
API_KEY = "urn:realmgate:params:oauth:token-type:api-key"
SESSION = "urn:realmgate:params:oauth:token-type:session-token"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
JOBS, DATA = "https://jobs.example", "https://data.example"


def exchange(client: FlaskClient, *, realm: str = "acme", **form: str) -> TestResponse:
    return ask(client, "token", {"grant_type": GRANT, **form}, realm=realm)


def exchange_key(client: FlaskClient, key: MadeKey, **form: str) -> TestResponse:
    return exchange(client, **{"subject_token": key.plain, "subject_token_type": API_KEY, **form})


@pytest.mark.spec("R99", "R101")
def test_key_is_exchanged_for_a_session_token_in_three_ways_alike(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",), projects=(("vision", "researcher"),))
    key = make.key()
    answer = exchange_key(client, key)
    assert answer.status_code == 200
    body = answer.json
    assert (body["issued_token_type"], body["token_type"], body["expires_in"]) == (SESSION, "Bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"
    first = claims_of(body["access_token"])
    second = claims_of(client.post("/v1/auth/exchange", headers=key.header).json["Authorization"])
    changing = ("jti", "iat", "nbf", "exp")
    assert {k: v for k, v in first.items() if k not in changing} == {k: v for k, v in second.items() if k not in changing}
    assert (first["sid"], first["key"], first["auth_method"]) == (key.uid, key.public_part, "api_key")
    assert first["exp"] - first["iat"] == 900


@pytest.mark.spec("R99", "R101")
def test_client_that_authenticates_is_the_actor(client: FlaskClient, make: Factory) -> None:
    make.user()
    bot = make.application()
    claims = claims_of(exchange_key(client, make.key(), **bot.form).json["access_token"])
    assert claims["act"] == {"sub": bot.uid, "client_id": "ci-bot"}
    assert claims["auth_method"] == "token_exchange"
    answer = exchange_key(client, make.key(), client_id="ci-bot", client_secret="wrong")
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    token = exchange_key(client, make.key(), **bot.form).json["access_token"]
    assert client.get("/v1/users/info", headers={"Authorization": token}).status_code == 200
    make.change(lambda realm, application: set_application(realm, application, enabled=False))
    assert client.get("/v1/users/info", headers={"Authorization": token}).status_code == 401


@pytest.mark.spec("R101")
def test_session_token_does_not_outlive_key_or_grant(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    from datetime import timedelta

    make.user()
    key = make.key(hours=1)
    frozen_clock.advance(minutes=50)
    assert 598 <= exchange_key(client, key).json["expires_in"] <= 600
    until = frozen_clock.now() + timedelta(seconds=300)
    make.do(
        lambda realm: access.grant_role(realm, users.holder_of(users.get_user(realm, "ann@example.test")), "viewer", until=until)
    )
    assert 298 <= exchange_key(client, key).json["expires_in"] <= 300


@pytest.mark.spec("R101")
def test_scope_narrows_and_never_widens(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",), projects=(("vision", "researcher"), ("speech", "researcher")))
    key, narrow = make.key(), make.key(projects=["vision"])
    claims = claims_of(exchange_key(client, key, scope="project:vision").json["access_token"])
    assert ([each["name"] for each in claims["projects"]], claims["realm_access"]["roles"]) == (["vision"], [])
    assert exchange_key(client, key, scope="project:vision").json["scope"] == "project:vision"
    for scope in ("project:speech", "admin", "openid", "project:", "x" * 5_000, "project:nowhere"):
        answer = exchange_key(client, narrow, scope=scope)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope"), scope
    assert client.post("/v1/auth/exchange?scope=project:speech", headers=narrow.header).status_code == 400


@pytest.mark.spec("R100", "T67")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"subject_token_type": "urn:x"}, "invalid_request"),
        ({"subject_token_type": ACCESS}, "invalid_client"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"actor_token_type": ACCESS}, "invalid_request"),
        ({"requested_token_type": ACCESS}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"audience": JOBS}, "invalid_target"),
        ({"resource": JOBS}, "invalid_target"),
        ({"subject_token": "idp_ak_" + "0" * 57}, "invalid_request"),
        ({"subject_token": "x" * 20_000}, "invalid_request"),
    ],
    ids=str,
)
def test_missing_unknown_and_foreign_parameters_are_refused(
    client: FlaskClient, make: Factory, change: dict[str, str], error: str
) -> None:
    make.user()
    answer = exchange_key(client, make.key(), **change)
    assert answer.json["error"] == error
    assert "access_token" not in answer.json


@pytest.mark.spec("T67")
def test_repeated_subject_token_is_refused(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make.key()
    body = f"grant_type={GRANT}&subject_token={key.plain}&subject_token={key.plain}&subject_token_type={API_KEY}"
    assert ask(client, "token", body).json["error"] == "invalid_request"


@pytest.mark.spec("T15", "R100")
def test_key_of_another_realm_dead_keys_and_wrong_ones_are_refused_alike(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.realm()
    make.user()
    make.user("eve@example.test", realm="other")
    foreign, revoked, expired = make.key("eve@example.test", realm="other"), make.key(), make.key(hours=1)
    make.do(lambda realm: apikeys.revoke_key(realm, apikeys.get_key(realm, revoked.uid), "test"))
    body = revoked.plain[:-6][:-1] + ("0" if revoked.plain[-7] != "0" else "1")
    wrong = MadeKey("", body + crypto.checksum(body), "")
    answers = [exchange_key(client, key) for key in (foreign, revoked, wrong)]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1
    frozen_clock.advance(hours=2)
    assert "because the key expired on" in exchange_key(client, expired).json["error_description"]


def test_rate_of_a_key_is_kept_here_too(client: FlaskClient, make: Factory) -> None:
    make.user()
    key = make.key(rate_per_minute=2)
    answers = [exchange_key(client, key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


# access tokens


@pytest.fixture
def front(make: Factory) -> Made:
    return make.application("front", roles=("viewer",), projects=("vision", "speech"), audience=[JOBS])


@pytest.fixture
def jobs(make: Factory) -> Made:
    return make.application("jobs-api", roles=(), resources=[JOBS], audience=[DATA])


def hand_on(client: FlaskClient, actor: Made, token: str, **form: str) -> TestResponse:
    return exchange(client, subject_token=token, subject_token_type=ACCESS, **actor.form, **form)


@pytest.mark.spec("R99", "R101")
def test_access_token_is_exchanged_for_a_narrower_one_for_another_audience(
    client: FlaskClient, front: Made, jobs: Made, frozen_clock: FrozenClock
) -> None:
    token = ask_token(client, front).json["access_token"]
    frozen_clock.advance(hours=1)
    answer = hand_on(client, jobs, token, audience=DATA, scope="project:vision")
    assert answer.status_code == 200, answer.text
    assert answer.json["issued_token_type"] == ACCESS
    claims, before = claims_of(answer.json["access_token"]), claims_of(token)
    assert (claims["sub"], claims["aud"], claims["client_id"]) == (front.uid, DATA, "jobs-api")
    assert claims["act"] == {"sub": jobs.uid, "client_id": "jobs-api"}
    assert [project["name"] for project in claims["projects"]] == ["vision"]
    assert claims["realm_access"] == before["realm_access"]
    assert claims["exp"] == before["exp"]
    assert answer.json["expires_in"] == 36_000 - 3_600


@pytest.mark.spec("R101")
def test_actors_stand_one_behind_the_other_up_to_a_limit(client: FlaskClient, make: Factory, front: Made) -> None:
    token = ask_token(client, front).json["access_token"]
    chain = [
        make.application(
            f"hop-{n}", roles=(), resources=[f"https://hop-{n}.example" if n else JOBS], audience=[f"https://hop-{n + 1}.example"]
        )
        for n in range(6)
    ]
    for number, hop in enumerate(chain):
        answer = hand_on(client, hop, token)
        if number == 5:
            assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
            break
        token = answer.json["access_token"]
    actors, act = [], claims_of(token)["act"]
    while act:
        actors.append(act["client_id"])
        act = act.get("act")
    assert actors == [f"hop-{n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.spec("R100", "R101", "T64")
def test_exchange_of_access_tokens_is_refused(client: FlaskClient, make: Factory, front: Made, jobs: Made) -> None:
    token = ask_token(client, front, scope="openid").json
    stranger = make.application("stranger", roles=(), audience=[DATA])
    make.user()
    session = session_of(client)["Authorization"]
    cases: dict[str, tuple[TestResponse, str]] = {
        "not made for who asks": (hand_on(client, stranger, token["access_token"]), "invalid_request"),
        "foreign target": (hand_on(client, jobs, token["access_token"], audience="https://other.example"), "invalid_target"),
        "two targets": (hand_on(client, jobs, token["access_token"], audience=DATA, resource=JOBS), "invalid_target"),
        "ID token": (hand_on(client, jobs, token["id_token"]), "invalid_request"),
        "session token": (hand_on(client, jobs, session), "invalid_request"),
        "no token": (hand_on(client, jobs, "x.y.z"), "invalid_request"),
        "foreign project": (hand_on(client, jobs, token["access_token"], scope="project:nowhere"), "invalid_scope"),
        "unknown scope": (hand_on(client, jobs, token["access_token"], scope="openid"), "invalid_scope"),
        "other type wanted": (hand_on(client, jobs, token["access_token"], requested_token_type=SESSION), "invalid_request"),
    }
    assert {name: answer.json["error"] for name, (answer, _) in cases.items()} == {
        name: error for name, (_, error) in cases.items()
    }


@pytest.mark.spec("R101")
def test_scopes_of_habit_are_left_out_of_what_an_exchange_grants(
    client: FlaskClient, make: Factory, front: Made, jobs: Made
) -> None:
    token = ask_token(client, front).json["access_token"]
    answer = hand_on(client, jobs, token, scope="profile offline_access").json
    assert "scope" not in answer
    assert "scope" not in claims_of(answer["access_token"])
    refused = hand_on(client, jobs, token, scope="profile openid").json
    assert refused["error_description"].startswith("The scope openid is unknown. Known here: project:<name>")


@pytest.mark.spec("R101", "T68", "T69")
def test_exchanged_token_dies_with_what_it_came_from(client: FlaskClient, make: Factory, front: Made, jobs: Made) -> None:
    data = make.application("data-api", roles=(), resources=[DATA])

    def is_active(token: str) -> Any:
        make.forget()
        return ask(client, "token/introspect", {"token": token, **data.form}).json

    token = ask_token(client, front).json["access_token"]
    derived = hand_on(client, jobs, token).json["access_token"]
    seen = is_active(derived)
    assert (seen["active"], seen["act"]["client_id"]) == (True, "jobs-api")
    assert ask(client, "revoke", {"token": token, **front.form}).status_code == 200
    assert is_active(derived) == {"active": False}
    assert hand_on(client, jobs, token).json["error"] == "invalid_request"
    second = hand_on(client, jobs, ask_token(client, front).json["access_token"]).json["access_token"]
    assert is_active(second)["active"]
    make.do(
        lambda realm: access.remove_grant(realm, applications.holder_of(applications.get_application(realm, "front")), "viewer")
    )
    assert is_active(second)["realm_access"] == {"roles": []}
    make.change(lambda realm, application: set_application(realm, application, enabled=False), "front")
    assert is_active(second) == {"active": False}
    make.change(lambda realm, application: set_application(realm, application, enabled=True), "front")
    make.change(lambda realm, application: set_application(realm, application, enabled=False), "jobs-api")
    assert is_active(second) == {"active": False}


@pytest.mark.spec("R101", "T68")
@pytest.mark.parametrize("end", ["first revoked", "second revoked", "first disabled", "second disabled", "first deleted"])
def test_everything_on_the_way_counts_for_what_was_exchanged(client: FlaskClient, make: Factory, front: Made, end: str) -> None:
    """A was exchanged for B by the first, and B for C by the second: C dies with each of them."""
    first = make.application("first", roles=(), resources=[JOBS], audience=[DATA])
    second = make.application("second", roles=(), resources=[DATA], audience=["https://last.example"])
    last = make.application("last", roles=(), resources=["https://last.example"])
    a = ask_token(client, front).json["access_token"]
    b = hand_on(client, first, a).json["access_token"]
    c = hand_on(client, second, b).json["access_token"]

    def is_active() -> bool:
        make.forget()
        return bool(ask(client, "token/introspect", {"token": c, **last.form}).json["active"])

    assert is_active()
    name, act = end.split()
    if act == "revoked":
        token, owner = (a, front) if name == "first" else (b, first)
        assert ask(client, "revoke", {"token": token, **owner.form}).status_code == 200
    elif act == "disabled":
        make.change(lambda realm, application: set_application(realm, application, enabled=False), name)
    else:
        make.change(applications.delete_application, name)
    assert not is_active()


def test_introspection_knows_session_tokens_of_the_realm(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    watcher = make.application("watcher", roles=(), resources=["http://localhost:8080/auth/realms/acme"])
    header = session_of(client)
    key = make.key()
    exchanged = exchange_key(client, key).json["access_token"]
    for token, method in ((header["Authorization"], "password"), (exchanged, "api_key")):
        answer = ask(client, "token/introspect", {"token": token, **watcher.form}).json
        assert (answer["active"], answer["auth_method"], answer["username"]) == (True, method, "ann@example.test")
    client.post("/v1/auth/logout", headers=header)
    make.do(lambda realm: apikeys.revoke_key(realm, apikeys.get_key(realm, key.uid), "test"))
    for token in (header["Authorization"], exchanged):
        assert ask(client, "token/introspect", {"token": token, **watcher.form}).json == {"active": False}
    other = make.application("other", roles=())
    assert ask(client, "token/introspect", {"token": session_of(client)["Authorization"], **other.form}).json == {"active": False}


def test_token_of_an_exchanged_key_can_be_ended_by_itself(client: FlaskClient, make: Factory) -> None:
    make.user()
    watcher = make.application("watcher", roles=(), resources=["http://localhost:8080/auth/realms/acme"])
    key = make.key()
    first, second = (exchange_key(client, key).json["access_token"] for _ in range(2))
    header = {"Authorization": first}
    assert client.get("/v1/users/info", headers=header).status_code == 200
    assert client.post("/v1/users/auth/tokens/revoke", headers=key.header, json={"tokens": [first]}).status_code == 204
    assert client.get("/v1/users/info", headers=header).status_code == 401
    assert ask(client, "token/introspect", {"token": first, **watcher.form}).json == {"active": False}
    assert client.get("/v1/users/info", headers={"Authorization": second}).status_code == 200
