"""Programs that show what an issuer outside says of them, at the token endpoint."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import federation
from idp.realms import Realm
from tests.factories import Factory, ask, assertion_form, claims_of
from tests.federation.issuing import Issuer, github, kubernetes


@pytest.fixture
def hub() -> Issuer:
    return github()


def trust(make: Factory, issuer: Issuer, name: str = "hub", preset: str = "github", **fields: Any) -> None:
    sheet = {"preset": preset, "issuer": issuer.url, "key_source": "uploaded", "jwks": issuer.jwks} | fields
    make.do(lambda realm: federation.create_issuer(realm, name, federation.TrustedIssuerSheet.read(sheet)))


def rule(make: Factory, application: str, lines: dict[str, str], name: str = "", issuer: str = "hub", **fields: Any) -> None:
    def add(realm: Realm) -> None:
        said = [{"claim": claim, "value": value} for claim, value in lines.items()]
        sheet = federation.FederationRuleSheet.read({"issuer": issuer, "application": application, "lines": said} | fields)
        federation.create_rule(realm, name or f"{application}-rule", sheet, frozen=None)

    make.do(add)


def ask_with(client: FlaskClient, assertion: str, *, realm: str = "acme", **form: str) -> Any:
    return ask(client, "token", assertion_form(assertion, grant_type="client_credentials", **form), realm=realm)


APP = {"repository_id": "4711", "ref": "refs/heads/main"}


def test_an_assertion_gets_a_token_that_says_by_whose_word(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer", roles=("viewer",))
    trust(make, hub)
    rule(make, "deployer", APP)
    answer = ask_with(client, hub.sign())
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json["access_token"])
    assert claims["client_id"] == "deployer"
    assert claims["realm_access"] == {"roles": ["viewer"]}
    assert claims["federation"] == {"iss": hub.url, "sub": "repo:acme/app:ref:refs/heads/main", "rule": "deployer-rule"}
    assert answer.json["expires_in"] == claims["exp"] - claims["iat"] == 3600


def test_a_claim_within_others_is_named_by_its_path(client: FlaskClient, make: Factory) -> None:
    cluster = kubernetes()
    make.application("builder")
    trust(make, cluster, preset="kubernetes")
    uid = cluster.claims["kubernetes.io"]["serviceaccount"]["uid"]
    rule(make, "builder", {"kubernetes.io.serviceaccount.uid": uid, "kubernetes.io.namespace": "ci"})
    token = cluster.sign()
    assert [ask_with(client, token).status_code for _ in range(2)] == [200, 200], "a pod shows the same token again"
    moved = kubernetes().claims["kubernetes.io"] | {"namespace": "prod"}
    assert ask_with(client, cluster.sign(**{"kubernetes.io": moved})).status_code == 401


def test_where_each_counts_once_it_does(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    token = hub.sign()
    assert [ask_with(client, token).status_code for _ in range(3)] == [200, 401, 401]


def test_a_rule_gives_less_than_the_application_has(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer", roles=("viewer", "editor"), projects=("vision", "speech"))
    trust(make, hub, token_seconds=900)
    rule(make, "deployer", APP, roles=["researcher"], projects=["vision"], token_seconds=300)
    answer = ask_with(client, hub.sign()).json
    claims = claims_of(answer["access_token"])
    assert claims["realm_access"] == {"roles": []}
    assert [each["name"] for each in claims["projects"]] == ["vision"]
    assert answer["expires_in"] == 300


def test_one_subject_serves_several_applications_and_the_request_names_which(
    client: FlaskClient, make: Factory, hub: Issuer
) -> None:
    for name in ("deployer", "tester", "other"):
        make.application(name)
    trust(make, hub)
    rule(make, "deployer", APP)
    rule(make, "tester", {"repository_id": "4711"})
    assert ask_with(client, hub.sign()).status_code == 401, "which of them is not said"
    for name in ("deployer", "tester"):
        answer = ask_with(client, hub.sign(), client_id=name)
        assert claims_of(answer.json["access_token"])["client_id"] == name
    assert ask_with(client, hub.sign(), client_id="other").status_code == 401
    assert ask_with(client, hub.sign(ref="refs/heads/else"), client_id="deployer").status_code == 401
    assert ask_with(client, hub.sign(ref="refs/heads/else")).status_code == 200, "one is left"


def test_a_header_with_a_thumbprint_as_github_has_it_is_accepted(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    assert ask_with(client, hub.sign(header={"x5t": "abc"})).status_code == 200


def test_a_rule_in_audit_mode_admits_nobody_and_records_what_it_would_have_refused(
    client: FlaskClient, make: Factory, hub: Issuer
) -> None:
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP | {"environment": "production"}, name="strict", mode="audit")
    assert ask_with(client, hub.sign()).status_code == 401
    rule(make, "deployer", {"repository_id": "4711"}, name="wide")
    assert ask_with(client, hub.sign()).status_code == 200
    assert ask_with(client, hub.sign(environment="staging")).status_code == 200
    events = make.do(misses)
    assert [(each["rule"], each["admitted_by"], each["line"], each["found"]) for each in events] == [
        ("strict", "wide", "environment = production", ["staging"])
    ]


def misses(_realm: Realm) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from idp.audit import AuditEvent, Tag
    from idp.db import db

    return [row.detail for row in db.session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.FEDERATION_RULE_MISS))]


def test_what_is_taken_away_counts_no_more(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    assert ask_with(client, hub.sign()).status_code == 200
    make.do(lambda realm: federation.delete_rule(realm, federation.get_rule(realm, "deployer-rule")))
    assert ask_with(client, hub.sign()).status_code == 401


def test_rules_are_found_without_the_database(client: FlaskClient, make: Factory, hub: Issuer) -> None:
    """Also where rules of the issuer pin another claim that the assertion has, and that none pins to what it says."""
    from sqlalchemy import event

    from idp.db import db

    make.application("deployer")
    make.application("other")
    trust(make, hub)
    rule(make, "deployer", APP)
    rule(make, "other", {"repository_owner_id": "43"})
    assert ask_with(client, hub.sign()).status_code == 200
    statements: list[str] = []
    with make.app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert ask_with(client, hub.sign()).status_code == 200
    assert not [each for each in statements if "federation_rule" in each]
    rule(make, "other", {"repository_owner_id": "42", "ref": "refs/heads/else"}, name="later")
    assert claims_of(ask_with(client, hub.sign(ref="refs/heads/else")).json["access_token"])["client_id"] == "other"
