"""What was used up stays so, whatever becomes of who is trusted to sign it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from idp import applications, federation, organisations, realms, setup
from idp.db import db
from idp.realms import Realm
from idp.spent_assertions import SpentAssertion
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask, assertion, assertion_form, key_pair, set_application
from tests.federation.issuing import REALM_ISSUER, Issuer, github
from tests.federation.test_admission import APP, ask_with, rule, trust
from tests.federation.test_ways_in import WAYS, for_person, grant

JAG = {"typ": "oauth-id-jag+jwt"}


def forget_issuer(make: Factory, name: str = "hub") -> None:
    def forget(realm: Realm) -> None:
        for each in federation.list_rules(realm):
            federation.delete_rule(realm, each)
        db.session.flush()
        federation.delete_issuer(realm, federation.get_issuer(realm, name))

    make.do(forget)


@pytest.mark.parametrize("way", WAYS)
def test_an_assertion_counts_once_also_when_its_issuer_is_trusted_anew(client: FlaskClient, make: Factory, way: str) -> None:
    hub = github()
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    shown = hub.sign()
    assert WAYS[way](client, shown).status_code == 200
    forget_issuer(make)
    trust(make, hub, name="again")
    rule(make, "deployer", APP, issuer="again")
    assert WAYS[way](client, shown).status_code in {400, 401}
    assert WAYS[way](client, hub.sign()).status_code == 200, "it is trusted"


def test_an_assertion_counts_once_whatever_its_issuer_is_known_by(client: FlaskClient, make: Factory) -> None:
    spire = Issuer(url="https://spire.acme.example", claims={"sub": "spiffe://acme.example/deployer"})
    make.application("deployer")
    trust(make, spire, name="by-url", preset="oidc", replay="once")
    rule(make, "deployer", {"sub": spire.claims["sub"]}, issuer="by-url")
    shown = spire.sign()
    assert ask_with(client, shown).status_code == 200
    forget_issuer(make, "by-url")
    trust(make, replace(spire, url="spiffe://acme.example"), name="by-domain", preset="spiffe", replay="once")
    rule(make, "deployer", {"sub": spire.claims["sub"]}, issuer="by-domain")
    assert ask_with(client, shown).status_code == 401
    assert ask_with(client, spire.sign()).status_code == 200


def test_what_one_organisation_has_accepted_another_may_once(client: FlaskClient, make: Factory) -> None:
    hub, aud = github(), "https://everywhere.example"
    make.realm("other")
    make.application("deployer")
    make.application("deployer", realm="other", roles=())
    trust(make, hub, audiences=[aud])
    rule(make, "deployer", APP)

    def elsewhere(realm: Realm) -> None:
        sheet = {"preset": "github", "issuer": hub.url, "key_source": "uploaded", "jwks": hub.jwks, "audiences": [aud]}
        federation.create_issuer(realm, "hub", federation.TrustedIssuerSheet.read(sheet))
        lines = [{"claim": claim, "value": value} for claim, value in APP.items()]
        said = {"issuer": "hub", "application": "deployer", "lines": lines}
        federation.create_rule(realm, "deploy", federation.FederationRuleSheet.read(said), frozen=None)

    make.do(elsewhere, realm="other")
    shown = hub.sign(aud=aud)
    answers = [ask_with(client, shown, realm=realm).status_code for realm in ("acme", "other", "acme", "other")]
    assert answers == [200, 200, 401, 401]


def shop(make: Factory) -> Made:
    made = make.application("shop")
    fields = {"kind": "web", "redirect_uris": ["https://shop.example/done"], "audience": ["https://api.example"]}
    make.change(lambda realm, row: set_application(realm, row, **fields), "shop")
    return made


def without_issuer(make: Factory, okta: Issuer) -> None:
    forget_issuer(make, "okta")
    trust(make, okta, name="okta", preset="oidc")
    make.do(lambda realm: federation.link_person(realm, "okta", "00u1", "ann@example.test"))


def without_application(make: Factory, okta: Issuer) -> None:
    make.change(applications.delete_application, "shop")


@pytest.mark.parametrize("forget", [without_issuer, without_application])
def test_a_grant_for_a_person_is_redeemed_once_also_when_who_is_part_of_it_is_made_anew(
    client: FlaskClient, make: Factory, forget: Callable[[Factory, Issuer], None]
) -> None:
    okta = Issuer(url="https://login.acme.example", claims={"sub": "00u1", "client_id": "shop", "scope": "profile"})
    make.user()
    trust(make, okta, name="okta", preset="oidc")
    make.do(lambda realm: federation.link_person(realm, "okta", "00u1", "ann@example.test"))
    made, shown = shop(make), okta.sign(header=JAG)
    assert grant(client, shown, client_id="shop", client_secret=made.secret).status_code == 200
    forget(make, okta)
    if forget is without_application:
        made = shop(make)
    again = grant(client, shown, client_id="shop", client_secret=made.secret)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert for_person(client, okta, made).status_code == 200


def test_an_assertion_of_an_application_counts_once_also_when_it_is_registered_anew(client: FlaskClient, make: Factory) -> None:
    key, jwks = key_pair()
    make.application("builder", secret=False, jwks=jwks)
    shown = assertion(key, "builder", REALM_ISSUER)
    form = assertion_form(shown, grant_type="client_credentials")
    assert ask(client, "token", form).status_code == 200
    make.change(applications.delete_application, "builder")
    make.application("builder", secret=False, jwks=jwks)
    assert ask(client, "token", form).status_code == 401
    other = assertion_form(assertion(key, "builder", REALM_ISSUER), grant_type="client_credentials")
    assert ask(client, "token", other).status_code == 200


def test_what_was_used_up_is_forgotten_once_it_has_expired(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    hub = github()
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    assert ask_with(client, hub.sign()).status_code == 200

    def kept(_: Realm) -> int:
        setup.rotate_keys_and_tidy()
        return len(db.session.scalars(select(SpentAssertion)).all())

    assert make.do(kept) == 1
    frozen_clock.advance(seconds=300)
    assert make.do(kept) == 1, "a clock that is behind might accept it still"
    frozen_clock.advance(seconds=61)
    assert make.do(kept) == 0


def test_what_was_used_up_goes_with_the_organisation(client: FlaskClient, make: Factory) -> None:
    hub = github()
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    assert ask_with(client, hub.sign()).status_code == 200
    make.do(realms.delete_realm)
    with make.app.app_context():
        organisations.purge_realm("acme")
        assert db.session.scalars(select(SpentAssertion)).all() == []
