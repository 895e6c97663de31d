"""The three ways in: a client assertion, an authorization grant, and an exchange; and grants for people."""

import hashlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import audit, federation, tokens
from tests.factories import Factory, Made, ask, claims_of, set_application
from tests.federation.issuing import REALM_ISSUER, Issuer, github
from tests.federation.test_admission import APP, ask_with, rule, trust

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture
def hub() -> Issuer:
    return github()


@pytest.fixture
def deployer(make: Factory, hub: Issuer) -> Made:
    made = make.application("deployer", roles=("viewer",), audience=["https://api.example", REALM_ISSUER])
    trust(make, hub)
    rule(make, "deployer", APP)
    return made


def grant(client: FlaskClient, assertion: str, **form: str) -> Any:
    return ask(client, "token", {"grant_type": BEARER, "assertion": assertion, **form})


def exchange(client: FlaskClient, assertion: str, **form: str) -> Any:
    said = {"grant_type": EXCHANGE, "subject_token": assertion, "subject_token_type": JWT}
    return ask(client, "token", said | form)


WAYS = {"client assertion": ask_with, "authorization grant": grant, "exchange": exchange}


@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize("way", WAYS)
def test_each_way_gives_the_same_token(client: FlaskClient, make: Factory, hub: Issuer, way: str) -> None:
    assertion = hub.sign()
    answer = WAYS[way](client, assertion, resource="https://api.example")
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json["access_token"])
    assert claims["client_id"] == "deployer"
    assert claims["aud"] == "https://api.example"
    assert claims["federation"] == {"iss": hub.url, "sub": hub.claims["sub"], "rule": "deployer-rule"}
    assert answer.json["expires_in"] == 3600
    assert "refresh_token" not in answer.json
    again = WAYS[way](client, assertion)
    expected = {"client assertion": (401, "invalid_client"), "authorization grant": (400, "invalid_grant")}
    assert (again.status_code, again.json["error"]) == expected.get(way, (400, "invalid_request"))

    def told(realm: Any) -> Any:
        tokens.usage(make.app.extensions["realmgate"]).flush()
        return [event.detail for event in audit.list_events(realm.name, limit=20)]

    found = [detail for detail in make.do(told) if "assertion" in detail]
    assert found[0]["assertion"] == hashlib.sha256(assertion.encode()).hexdigest()
    assert (found[0]["issuer"], found[0]["subject"], found[0]["rule"]) == (hub.url, hub.claims["sub"], "deployer-rule")
    assert assertion not in str(found)


@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize("way", WAYS)
def test_the_request_may_name_the_application_and_only_the_one_that_is_admitted(
    client: FlaskClient, make: Factory, hub: Issuer, way: str
) -> None:
    other = make.application("other")
    assert WAYS[way](client, hub.sign(), client_id="deployer").status_code == 200
    assert WAYS[way](client, hub.sign(), client_id="other").status_code in {400, 401}
    if way != "client assertion":
        answer = WAYS[way](client, hub.sign(), client_id=other.client_id, client_secret=other.secret)
        assert answer.status_code == 400, "who has shown another credential is admitted as nobody else"


@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize("way", WAYS)
def test_an_application_of_a_profile_that_has_keys_of_its_own_is_admitted_by_nobodys_word(
    client: FlaskClient, make: Factory, hub: Issuer, way: str
) -> None:
    make.change(lambda realm, row: set_application(realm, row, profile="fapi2"), "deployer")
    assert WAYS[way](client, hub.sign()).status_code in {400, 401}


@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize("way", WAYS)
def test_a_proof_binds_the_token_whatever_the_way(client: FlaskClient, make: Factory, hub: Issuer, way: str) -> None:
    make.change(lambda realm, row: set_application(realm, row, dpop_bound_access_tokens=True), "deployer")
    answer = WAYS[way](client, hub.sign())
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_dpop_proof"), answer.text


@pytest.mark.usefixtures("deployer")
def test_the_owner_of_an_application_may_show_both(client: FlaskClient, hub: Issuer, deployer: Made) -> None:
    form = {"client_id": deployer.client_id, "client_secret": deployer.secret}
    assert grant(client, hub.sign(), **form).status_code == 200
    assert grant(client, hub.sign(), **(form | {"client_secret": "wrong"})).status_code == 401


@pytest.mark.usefixtures("deployer")
def test_an_exchange_answers_as_rfc_8693_has_it(client: FlaskClient, hub: Issuer) -> None:
    answer = exchange(client, hub.sign(), audience="https://api.example", requested_token_type=ACCESS)
    assert answer.json["issued_token_type"] == ACCESS
    assert (answer.json["token_type"], answer.headers["Cache-Control"]) == ("Bearer", "no-store")
    assert exchange(client, hub.sign(), audience="https://elsewhere.example").json["error"] == "invalid_target"
    assert exchange(client, hub.sign(), requested_token_type=JWT).json["error"] == "invalid_request"


def test_an_application_that_gets_no_tokens_for_itself_gets_none(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("shop")
    make.change(
        lambda realm, row: set_application(
            realm, row, kind="web", redirect_uris=["https://shop.example/done"], grant_types=["authorization_code"]
        ),
        "shop",
    )
    trust(make, hub)
    rule(make, "shop", APP)
    assert grant(client, hub.sign()).json["error"] == "unauthorized_client"


# Grants for people: draft-ietf-oauth-identity-assertion-authz-grant.


@pytest.fixture
def okta(make: Factory) -> Issuer:
    """The organisation's sign-in server, which knows Ann."""
    issuer = Issuer(url="https://login.acme.example", claims={"sub": "00u1", "client_id": "shop", "scope": "profile email"})
    make.user(roles=("viewer",))
    trust(make, issuer, name="okta", preset="oidc")
    make.do(lambda realm: federation.link_person(realm, "okta", "00u1", "ann@example.test"))
    return issuer


@pytest.fixture
def shop(make: Factory) -> Made:
    made = make.application("shop")
    make.change(
        lambda realm, row: set_application(
            realm, row, kind="web", redirect_uris=["https://shop.example/done"], audience=["https://api.example"]
        ),
        "shop",
    )
    return made


def for_person(client: FlaskClient, issuer: Issuer, made: Made, *, typ: str = "oauth-id-jag+jwt", **form: Any) -> Any:
    claims = form.pop("claims", {})
    return grant(client, issuer.sign(header={"typ": typ}, **claims), client_id=made.client_id, client_secret=made.secret, **form)


def test_a_grant_for_a_person_gives_a_token_of_theirs(client: FlaskClient, okta: Issuer, shop: Made) -> None:
    answer = for_person(client, okta, shop)
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json["access_token"])
    assert (claims["client_id"], claims["preferred_username"]) == ("shop", "ann@example.test")
    assert claims["federation"] == {"iss": okta.url, "sub": "00u1"}
    assert answer.json["scope"] == "profile email"
    assert not {"refresh_token", "id_token"} & answer.json.keys()
    form = {"token": answer.json["access_token"], "client_id": "shop", "client_secret": shop.secret}
    said = ask(client, "token/introspect", form).json
    assert (said["active"], said["federation"]["sub"]) == (True, "00u1")


def test_a_grant_for_a_person_is_redeemed_once(client: FlaskClient, okta: Issuer, shop: Made) -> None:
    assertion = okta.sign(header={"typ": "oauth-id-jag+jwt"})
    form = {"client_id": "shop", "client_secret": shop.secret}
    first = grant(client, assertion, **form)
    assert first.status_code == 200
    assert grant(client, assertion, **form).json["error"] == "invalid_grant"
    said = ask(client, "token/introspect", {"token": first.json["access_token"]} | form)
    assert said.json["active"] is False, "somebody has a copy of it"


@pytest.mark.parametrize(
    ("change", "typ"),
    [
        ({"sub": "00u2"}, "oauth-id-jag+jwt"),
        ({"client_id": "other"}, "oauth-id-jag+jwt"),
        ({"client_id": None}, "oauth-id-jag+jwt"),
        ({"jti": ""}, "oauth-id-jag+jwt"),
        ({"aud": "https://else.example"}, "oauth-id-jag+jwt"),
        ({"iss": "https://else.example"}, "oauth-id-jag+jwt"),
        ({"exp": 1}, "oauth-id-jag+jwt"),
        ({"scope": ["profile"]}, "oauth-id-jag+jwt"),
        ({}, "JWT"),
        ({}, "at+jwt"),
    ],
)
def test_a_grant_for_a_person_that_is_not_right_gives_nothing(
    client: FlaskClient, okta: Issuer, shop: Made, change: dict[str, Any], typ: str
) -> None:
    answer = for_person(client, okta, shop, typ=typ, claims=change)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant"), answer.text


def test_a_grant_for_a_person_needs_the_client_and_gives_no_more_than_it_says(
    client: FlaskClient, make: Factory, okta: Issuer, shop: Made
) -> None:
    assertion = okta.sign(header={"typ": "oauth-id-jag+jwt"})
    assert grant(client, assertion, client_id="shop").status_code == 401, "nobody has shown who they are"
    for scope in ("payments:admin", "profile " + "x" * 3_000, "project:none"):
        refused = for_person(client, okta, shop, claims={"scope": scope, "jti": f"j{len(scope)}"})
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_scope"), scope
    far = for_person(client, okta, shop, claims={"resource": "https://elsewhere.example"})
    assert (far.status_code, far.json["error"]) == (400, "invalid_target")
    narrower = for_person(client, okta, shop, scope="profile openid offline_access project:vision")
    assert narrower.json["scope"] == "profile"
    make.do(
        lambda realm: federation.unlink_person(
            realm, federation.people_listing(realm).take("created", descending=True, after=None, limit=1)[0].uid
        )
    )
    assert for_person(client, okta, shop).status_code == 400


def test_a_grant_for_a_person_is_none_for_a_program(client: FlaskClient, make: Factory, okta: Issuer) -> None:
    make.application("deployer")
    rule(make, "deployer", {"sub": "00u1"}, issuer="okta")
    assertion = okta.sign(header={"typ": "oauth-id-jag+jwt"})
    assert ask_with(client, assertion).status_code == 401
    assert exchange(client, assertion).status_code == 400
