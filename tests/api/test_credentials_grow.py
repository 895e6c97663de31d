"""A credential that somebody has made for somebody else carries what its owner held then, and never more."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from sqlalchemy import select

from idp import access, applications, realms, users, vault
from idp.db import db
from idp.mail import MailMessage
from idp.users import LinkPurpose
from tests.factories import Factory, Made, ask, ask_token, claims_of, session_of

DESK = ("applications:read", "applications:write", "api-keys:write")


@pytest.fixture
def mallory(client: FlaskClient, make: Factory) -> dict[str, str]:
    """Somebody who may write applications, and is no administrator."""
    make.do(lambda realm: access.create_role(realm, "desk", access.RoleSheet(permissions=list(DESK))))
    make.user("mallory@example.test", roles=("desk",))
    return session_of(client, "mallory@example.test")


def give_administrator(make: Factory, name: str = "planted") -> None:
    def give(realm: Any, application: Any) -> None:
        access.grant_role(realm, applications.holder_of(application), "administrator")

    make.change(give, name)


def roles_of(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    found: list[str] = claims_of(answer.json["access_token"])["realm_access"]["roles"]
    return sorted(found)


def make_planted(client: FlaskClient, header: dict[str, str], **spec: Any) -> Made:
    made = client.post("/v1/applications", headers=header, json={"metadata": {"name": "planted"}, "spec": spec})
    assert made.status_code == 201, made.text
    return Made("planted", made.json["clientSecret"], made.json["uid"])


def by_first_secret(client: FlaskClient, mallory: dict[str, str], make: Factory) -> Callable[[], Any]:
    planted = make_planted(client, mallory)
    return lambda: ask_token(client, planted)


def by_second_secret(client: FlaskClient, mallory: dict[str, str], make: Factory) -> Callable[[], Any]:
    make.application("planted", roles=())
    made = client.post("/v1/applications/planted/secrets", headers=mallory, json={"metadata": {"name": "mine"}})
    planted = Made("planted", made.json["clientSecret"], "")
    return lambda: ask_token(client, planted)


def by_public_key(client: FlaskClient, mallory: dict[str, str], make: Factory) -> Callable[[], Any]:
    from joserfc import jwt

    key = ECKey.generate_key("P-256")
    make.application("planted", roles=())
    jwks = {"keys": [key.as_dict(private=False)]}
    changed = client.patch("/v1/applications/planted", headers=mallory, json={"spec": {"jwks": jwks}})
    assert changed.status_code == 204, changed.text
    numbers = iter(range(100))

    def fetch() -> Any:
        now = int(time.time())
        issuer = "http://localhost:8080/auth/realms/acme"
        claims = {"iss": "planted", "sub": "planted", "aud": issuer, "iat": now, "exp": now + 60, "jti": f"j{next(numbers)}"}
        assertion = jwt.encode({"alg": "ES256"}, claims, key, algorithms=["ES256"])
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": assertion}
        return ask(client, "token", form)

    return fetch


@pytest.mark.spec("T108")
@pytest.mark.parametrize("plant", [by_first_secret, by_second_secret, by_public_key])
def test_planted_credential_does_not_grow_with_its_application(
    client: FlaskClient, make: Factory, mallory: dict[str, str], plant: Any
) -> None:
    fetch = plant(client, mallory, make)
    assert roles_of(fetch()) == []
    give_administrator(make)
    make.forget()
    assert roles_of(fetch()) == []
    found = client.get("/v1/users", headers={"Authorization": f"Bearer {fetch().json['access_token']}"})
    assert found.status_code in {401, 403}


def test_credential_made_by_an_administrator_grows(client: FlaskClient, make: Factory) -> None:
    make.user("root@example.test", roles=("administrator",))
    root = session_of(client, "root@example.test")
    planted = make_planted(client, root)
    give_administrator(make)
    make.forget()
    assert roles_of(ask_token(client, planted)) == ["administrator"]
    (shown,) = client.get("/v1/applications/planted/secrets", headers=root).json["items"]
    assert shown["spec"]["limited"] is False


def test_limited_secret_says_so_and_an_administrator_replaces_it(
    client: FlaskClient, make: Factory, mallory: dict[str, str]
) -> None:
    make_planted(client, mallory)
    (shown,) = client.get("/v1/applications/planted/secrets", headers=mallory).json["items"]
    assert shown["spec"]["limited"] is True
    give_administrator(make)
    make.user("root@example.test", roles=("administrator",))
    root = session_of(client, "root@example.test")
    made = client.post("/v1/applications/planted/secrets", headers=root, json={"metadata": {"name": "next"}})
    assert roles_of(ask_token(client, Made("planted", made.json["clientSecret"], ""))) == ["administrator"]


def test_limited_secret_carries_what_was_held_when_it_was_made(client: FlaskClient, make: Factory) -> None:
    make.do(
        lambda realm: access.create_role(realm, "lead", access.RoleSheet(permissions=[*DESK, "grants:write", "projects:read"]))
    )
    make.user("lead@example.test", roles=("lead",))
    planted = make_planted(client, session_of(client, "lead@example.test"), roles=["viewer"])
    give_administrator(make)
    make.forget()
    assert roles_of(ask_token(client, planted)) == ["viewer"]


@pytest.mark.spec("T108")
def test_planted_mail_address_gets_no_codes(client: FlaskClient, make: Factory) -> None:
    make.do(lambda realm: access.create_role(realm, "help", access.RoleSheet(permissions=["users:read", "users:write"])))
    make.user("mallory@example.test", roles=("help",))
    victim = make.user("victim@example.test")
    mallory = session_of(client, "mallory@example.test")
    changed = client.patch(f"/v1/users/{victim}", headers=mallory, json={"spec": {"emailId": "mallory@evil.test"}})
    assert changed.status_code == 204, changed.text

    def address_of_code() -> str:
        with make.app.app_context():
            realm = realms.get_realm("acme")
            user = users.find_user(realm, "victim@example.test")
            assert user is not None
            users.send_link(realm, user, LinkPurpose.RESET)
            db.session.flush()
            newest = db.session.scalars(select(MailMessage).order_by(MailMessage.id.desc())).first()
            assert newest is not None
            content = json.loads(vault.unseal(newest.sealed, context=f"mail {newest.occasion}"))
            db.session.rollback()
        return str(content["to"])

    assert address_of_code() == "victim@example.test", "the password would grow with the account"
    make.user("root@example.test", roles=("administrator",))
    root = session_of(client, "root@example.test")
    changed = client.patch(f"/v1/users/{victim}", headers=root, json={"spec": {"emailId": "victim.private@example.test"}})
    assert changed.status_code == 204
    assert address_of_code() == "victim.private@example.test"


@pytest.mark.spec("T108")
def test_token_of_a_limited_secret_does_not_grow_with_its_roles(client: FlaskClient, make: Factory) -> None:
    """Roles stand in a token by their names; what they permit is looked up later, and may have become more."""
    make.do(lambda realm: access.create_role(realm, "worker", access.RoleSheet(permissions=["projects:read"])))
    make.do(
        lambda realm: access.create_role(realm, "lead", access.RoleSheet(permissions=[*DESK, "grants:write", "projects:read"]))
    )
    make.user("lead@example.test", roles=("lead",))
    planted = make_planted(client, session_of(client, "lead@example.test"), roles=["worker"])
    make.do(lambda realm: access.set_permissions(realm, "worker", list(access.PERMISSIONS)))
    make.forget()
    token = ask_token(client, planted, resource="http://localhost:8080/auth/realms/acme").json["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/projects", headers=header).status_code == 200
    assert client.get("/v1/users", headers=header).status_code == 403
    made = client.post("/v1/applications/planted/secrets", headers=header, json={"metadata": {"name": "more"}})
    assert made.status_code == 403
    shown = ask(client, "token/introspect", {"token": token, **planted.form}).json
    assert shown["realm_access"] == {"roles": ["worker"]}
