"""What every kind of token says, to the letter: a token that changes is noticed by every API that reads it."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from idp import applications
from idp.access import HeldRole, freeze
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, ask_token, session_of, set_api

ISSUER = "http://localhost:8080/auth/realms/acme"
API, DATA = "https://jobs.example", "https://data.example"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
API_KEY = "urn:realmgate:params:oauth:token-type:api-key"
EXPECTED = json.loads((Path(__file__).parents[1] / "vectors" / "claims.json").read_text())


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """A client that is a trusted proxy, too."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    yield app.test_client(use_cookies=False)
    close_app(app)


@pytest.fixture
def make(client: FlaskClient) -> Factory:
    return Factory(client.application)


def text_of(token: str, now: int) -> str:
    """Return the claims of a token as they are written, with names in place of what differs from one token to the next."""
    payload = token.split(".")[1]
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", "<id>", text)
    text = re.sub(r"idp_ak_\w{8}", "<key>", text)
    named = re.compile(r'"credential":("[^"]*"|\[[^]]*\])')
    text = named.sub(lambda found: re.sub(r'"[\w-]{11}"', '"<credential>"', found[0]), text)
    text = re.sub(r'("at_hash":)"[^"]*"', r'\1"<hash>"', text)
    text = re.sub(r'("contractNumber":)\d+', r"\1<number>", text)
    return re.sub(r"\b(1[7-9]\d{8})\b", lambda found: f"<{int(found[1]) - now:+}>", text)


def of_application(client: FlaskClient, make: Factory, **parameters: str) -> dict[str, str]:
    made = make.application(audience=[API, DATA], projects=("vision", "speech"))
    answer: dict[str, str] = ask_token(client, made, **parameters).json
    return answer


def limited(client: FlaskClient, make: Factory) -> Made:
    """Make an application whose secret carries a part of what it holds."""
    made = make.application("limited", audience=[API], projects=("vision",), secret=False)
    kept = freeze([HeldRole("researcher", "", "", float("inf"), frozenset({"projects:read"}))], 0)
    secret = make.change(lambda realm, each: applications.add_secret(realm, each, "main", frozen=kept)[1], name="limited")
    return Made(made.client_id, secret, made.uid)


def ending(client: FlaskClient, make: Factory, clock: FrozenClock) -> str:
    made = make.application(projects=("vision",), until=clock.now().replace(microsecond=0) + timedelta(hours=1))
    token: str = ask_token(client, made).json["access_token"]
    return token


def of_person(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user(roles=("administrator",), projects=(("vision", "researcher"),))
    return session_of(client)


def of_key(client: FlaskClient, make: Factory, owner: str, **form: str) -> str:
    if "@" in owner:
        make.user(roles=("viewer",), projects=(("vision", "researcher"),))
    else:
        make.application(owner, roles=("viewer",), projects=("vision",))
    shown = {"grant_type": EXCHANGE, "subject_token": make.key(owner).plain, "subject_token_type": API_KEY}
    token: str = ask(client, "token", shown | form).json["access_token"]
    return token


def exchanged(client: FlaskClient, make: Factory, first: Made | None = None, **parameters: str) -> str:
    first = first or make.application("first", audience=[API], projects=("vision", "speech"))
    second = make.application("second", audience=[DATA], resources=[API])
    token = ask_token(client, first).json["access_token"]
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, **second.form, **parameters}
    answer: str = ask(client, "token", form).json["access_token"]
    return answer


def upstream(client: FlaskClient, make: Factory, headers: dict[str, str]) -> str:
    rules = [{"methods": ["GET"], "path": "/"}]
    make.do(lambda realm: set_api(realm, "metrics", audience=API, rules=rules))
    answer = client.get("/gateway/check/acme/metrics", headers=headers, environ_overrides={"QUERY_STRING": "method=GET&uri=/x"})
    return answer.headers["Authorization"].removeprefix("Bearer ")


def personal(client: FlaskClient, make: Factory) -> str:
    session = of_person(client, make)["Authorization"]
    headers = {"Authorization": f"Bearer {session}"}
    token: str = client.get("/auth/v1/tokens/generate", headers=headers).json["token"]
    return token


TOKENS: dict[str, Callable[[FlaskClient, Factory, FrozenClock], str]] = {
    "access": lambda client, make, _: of_application(client, make)["access_token"],
    "access, openid": lambda client, make, _: of_application(client, make, scope="openid")["access_token"],
    "access, narrowed": lambda client, make, _: of_application(client, make, scope="project:vision", resource=API)[
        "access_token"
    ],
    "access, limited": lambda client, make, _: ask_token(client, limited(client, make)).json["access_token"],
    "access, ending": ending,
    "ID": lambda client, make, _: of_application(client, make, scope="openid")["id_token"],
    "session of a person": lambda client, make, _: of_person(client, make)["Authorization"],
    "session of a user's key": lambda client, make, _: of_key(client, make, "ann@example.test"),
    "session of an application's key": lambda client, make, _: of_key(client, make, "bot"),
    "session of a key, narrowed": lambda client, make, _: of_key(client, make, "bot", scope="project:vision"),
    "session of a key, shown by another": lambda client, make, _: of_key(client, make, "bot", **make.application("other").form),
    "exchanged": lambda client, make, _: exchanged(client, make),
    "exchanged, limited": lambda client, make, _: exchanged(client, make, limited(client, make)),
    "exchanged, narrowed": lambda client, make, _: exchanged(client, make, scope="project:vision"),
    "upstream, of an application": lambda client, make, _: upstream(client, make, make_key(make)),
    "upstream, of a person": lambda client, make, _: upstream(client, make, of_person(client, make)),
    "personal": lambda client, make, _: personal(client, make),
}


def make_key(make: Factory) -> dict[str, str]:
    make.application("bot", roles=("viewer",), projects=("vision",))
    return make.key("bot").header


@pytest.mark.parametrize("kind", TOKENS)
def test_token_says_what_it_always_did(client: FlaskClient, make: Factory, frozen_clock: FrozenClock, kind: str) -> None:
    token = TOKENS[kind](client, make, frozen_clock)
    assert text_of(token, int(frozen_clock.now().timestamp())) == EXPECTED[kind]


def test_every_kind_is_written_down() -> None:
    assert EXPECTED.keys() == TOKENS.keys()


def names_shown(client: FlaskClient, token: str, made: Made) -> list[str]:
    """Return the names in the answer of introspection, in their order."""
    answer = ask(client, "token/introspect", {"token": token, **made.form})
    return list(json.loads(answer.text))


def test_introspection_shows_what_it_always_did(client: FlaskClient, make: Factory) -> None:
    checker = make.application("checker", resources=[API, DATA, ISSUER], audience=[API])
    always = ["active", "token_type", "username", "iss", "sub", "aud"]
    times, roles = ["exp", "iat", "nbf", "jti", "preferred_username", "realm_access"], ["projects"]
    access_token = of_application(client, make, scope="openid")["access_token"]
    client_names = ["azp", "client_id"]
    assert names_shown(client, access_token, checker) == [
        *always,
        *client_names,
        "scope",
        *times,
        "resource_access",
        *roles,
    ]
    assert names_shown(client, exchanged(client, make), checker) == [*always, *client_names, *times, *roles, "act"]
    token = of_key(client, make, "bot", **make.application("other").form)
    assert names_shown(client, token, checker) == [*always, *client_names, *times, *roles, "act", "sid", "auth_method"]
    personal_names = ["exp", "iat", "jti", "preferred_username", "realm_access", *roles]
    assert names_shown(client, personal(client, make), checker) == [*always, *personal_names]


def test_discovery_and_userinfo_name_what_they_always_did(client: FlaskClient, make: Factory) -> None:
    assert client.get("/auth/realms/acme/.well-known/openid-configuration").json["claims_supported"] == [
        "iss",
        "sub",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "jti",
        "at_hash",
        "client_id",
        "scope",
        "preferred_username",
        "realm_access",
        "resource_access",
        "projects",
        "federation",
        "act",
        "sid",
        "auth_method",
        "nonce",
        "acr",
        "amr",
        "name",
        "given_name",
        "family_name",
        "email",
        "email_verified",
        "updated_at",
        "groups",
        "auth_time",
    ]
    made = make.application("known", audience=[ISSUER])
    token = ask_token(client, made, scope="openid").json["access_token"]
    answer = client.get("/auth/realms/acme/protocol/openid-connect/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert list(json.loads(answer.text)) == ["sub", "preferred_username", "client_id"]
