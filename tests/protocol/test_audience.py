"""Whom a token is for: this server takes only those that were wanted for it."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, applications
from tests.factories import Factory, ask_token, claims_of, session_of
from tests.serving import Server, send

ISSUER = "http://localhost:8080/auth/realms/acme"


def manage(client: FlaskClient, token: str) -> int:
    return client.get("/v1/users", headers={"Authorization": f"Bearer {token}"}).status_code


def give_administrator(realm: Any, application: Any) -> None:
    access.grant_role(realm, applications.holder_of(application), "administrator")


@pytest.mark.spec("R85")
def test_token_for_no_api_in_particular_does_not_administer(client: FlaskClient, make: Factory) -> None:
    bot = make.application(roles=("researcher",))
    make.change(give_administrator, bot.client_id)
    make.forget()
    token = ask_token(client, bot).json["access_token"]
    assert claims_of(token)["aud"] == f"{ISSUER}/apis"
    assert claims_of(token)["realm_access"]["roles"] == ["administrator", "researcher"]
    assert manage(client, token) == 401
    wanted = ask_token(client, bot, resource=ISSUER).json["access_token"]
    assert claims_of(wanted)["aud"] == ISSUER
    assert manage(client, wanted) == 200


def test_application_that_is_for_an_api_does_not_administer_by_asking(client: FlaskClient, make: Factory) -> None:
    bot = make.application(roles=("administrator",), audience=["https://jobs.example"])
    assert manage(client, ask_token(client, bot).json["access_token"]) == 401
    assert ask_token(client, bot, resource=ISSUER).json["error"] == "invalid_target"


def test_application_that_is_made_to_administer_has_the_issuer_in_its_audience(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    root = session_of(client, "root@example.test")
    for roles, audience in ((["administrator"], [ISSUER]), (["viewer"], []), ([], [])):
        name = f"app-{len(roles)}-{len(audience)}"
        spec = {"roles": roles}
        assert client.post("/v1/applications", headers=root, json={"metadata": {"name": name}, "spec": spec}).status_code == 201
        assert client.get(f"/v1/applications/{name}", headers=root).json["spec"]["audience"] == audience


def test_printed_line_of_an_administering_application_keeps_working(served: Server) -> None:
    made = served.create_application("governor", "--role", "administrator")
    token = served.token(made).json["access_token"]
    assert send(f"{served.url}/v1/users", headers={"Authorization": f"Bearer {token}"}).status == 200
    assert served.issuer() in served.idp("applications", "show", "--realm", "acme", "governor")
    plain = served.create_application("worker", "--role", "viewer")
    token = served.token(plain).json["access_token"]
    assert send(f"{served.url}/v1/projects", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_application_that_is_given_such_a_role_later_is_warned_about(client: FlaskClient, make: Factory) -> None:
    make.application("grown", roles=())
    make.application("governor", roles=("administrator",))
    make.change(give_administrator, "grown")
    assert make.change(lambda _, application: applications.cannot_administer(application), "grown")
    assert not make.change(lambda _, application: applications.cannot_administer(application), "governor")
    assert make.do(applications.list_mute) == ["grown"]
