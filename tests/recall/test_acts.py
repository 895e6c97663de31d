"""What each act does to tokens that were issued before: an API that follows the feed says soon what introspection says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from idp import (
    access,
    apikeys,
    applications,
    authorizations,
    clock,
    federation,
    keys,
    organisations,
    realms,
    runtime,
    sessions,
    tokens,
    users,
)
from idp.apikeys import ApiKey
from idp.db import db
from idp.realms import Realm
from tests.factories import (
    PASSWORD,
    Factory,
    ask,
    ask_token,
    assertion,
    assertion_form,
    claims_of,
    key_pair,
    set_application,
    set_key,
    set_user,
)
from tests.federation.issuing import Issuer, github
from tests.federation.test_admission import APP, rule, trust
from tests.federation.test_ways_in import for_person
from tests.protocol.test_exchange import ACCESS, GRANT, exchange, exchange_key
from tests.recall.conftest import API, ISSUER, Api
from tests.sign_in.conftest import DONE, Browser


@dataclass
class Stage:
    """What the acts of the table are done to."""

    app: Flask
    make: Factory

    def application_token(self) -> str:
        made = self.make.application(audience=[API])
        answer = ask_token(self.app.test_client(), made)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def exchanged_token(self) -> str:
        """A token of ci-bot that `worker` has exchanged."""
        worker = self.make.application("worker", audience=["https://data.example"], resources=[API])
        answer = exchange(
            self.app.test_client(), subject_token=self.application_token(), subject_token_type=ACCESS, **worker.form
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def signed_token(self) -> str:
        """A token of ci-bot, which has signed for it by the first of its two public keys."""
        key, first = key_pair()
        _, second = key_pair("RS256")
        self.make.application(secret=False, audience=[API], jwks={"keys": first["keys"] + second["keys"]})
        answer = ask(self.app.test_client(), "token", assertion_form(assertion(key, "ci-bot", ISSUER)))
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def federated_token(self) -> str:
        hub = github()
        self.make.application("deployer", roles=("viewer",), audience=[API])
        trust(self.make, hub)
        rule(self.make, "deployer", APP)
        form = assertion_form(hub.sign(), grant_type="client_credentials")
        answer = ask(self.app.test_client(), "token", form)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def acted_token(self) -> str:
        """A token of ci-bot that `worker` has exchanged, of a token that `deployer` has exchanged, whom an issuer vouches for."""
        deployer, subject = (
            self.admitted("deployer", audience=["https://jobs.example"], resources=[API]),
            self.application_token(),
        )
        form = {"subject_token": subject, "subject_token_type": ACCESS, **deployer}
        answer = exchange(self.app.test_client(), **form)
        assert answer.status_code == 200, answer.text
        worker = self.make.application("worker", audience=["https://data.example"], resources=["https://jobs.example"])
        form = {"subject_token": str(answer.json["access_token"]), "subject_token_type": ACCESS, **worker.form}
        answer = exchange(self.app.test_client(), **form)
        assert answer.status_code == 200, answer.text
        assert claims_of(answer.json["access_token"])["act"]["act"]["federation"]["rule"] == "deployer-rule"
        return str(answer.json["access_token"])

    def admitted_key_token(self) -> str:
        """The session token of a key of ann's, which `deployer` has presented, whom an issuer vouches for."""
        self.make.user(roles=("viewer",))
        answer = exchange_key(self.app.test_client(), self.make.key(), **self.admitted("deployer"))
        assert answer.status_code == 200, answer.text
        assert claims_of(answer.json["access_token"])["act"]["federation"]["rule"] == "deployer-rule"
        return str(answer.json["access_token"])

    def admitted(self, name: str, **fields: Any) -> dict[str, str]:
        """Make an application that an issuer vouches for, and return what it shows."""
        hub = github()
        self.make.application(name, roles=("viewer",), **fields)
        trust(self.make, hub)
        rule(self.make, name, APP)
        return assertion_form(hub.sign(), grant_type=GRANT)

    def linked_token(self) -> str:
        """A token of ann's at the shop, by the word of her organisation's sign-in server."""
        okta = Issuer(url="https://login.acme.example", claims={"sub": "00u1", "client_id": "shop", "scope": "profile"})
        self.make.user()
        trust(self.make, okta, name="okta", preset="oidc")
        self.make.do(lambda realm: federation.link_person(realm, "okta", "00u1", "ann@example.test"))
        shop = self.make.application("shop", kind="web", redirect_uris=[DONE], audience=[API])
        answer = for_person(self.app.test_client(), okta, shop)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def exchanged_linked_token(self) -> str:
        token = self.linked_token()
        worker = self.make.application("worker", audience=["https://data.example"], resources=[API])
        answer = exchange(self.app.test_client(), subject_token=token, subject_token_type=ACCESS, **worker.form)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def session_token(self) -> str:
        self.make.user(roles=("viewer",))
        body = {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}
        answer = self.app.test_client().post("/v1/auth/authenticate?setCookie=false", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json["Authorization"]).removeprefix("Bearer ")

    def key_token(self) -> str:
        """The session token of a key of ann's."""
        self.make.user(roles=("viewer",))
        answer = exchange_key(self.app.test_client(), self.make.key())
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    def acted_key_token(self) -> str:
        """The session token of a key of ann's, which ci-bot has presented."""
        bot = self.make.application()
        self.make.user(roles=("viewer",))
        return str(exchange_key(self.app.test_client(), self.make.key(), **bot.form).json["access_token"])

    def persons_token(self) -> str:
        self.make.user(roles=("viewer",))
        shop = self.make.application("shop", kind="web", redirect_uris=[DONE], roles=(), audience=[API])
        return str(Browser(self.app, shop).tokens(scope="openid roles")["access_token"])

    def exchanged_persons_token(self) -> str:
        """A token of ann's at the shop that `worker` has exchanged, in whose claims the shop is not named any more."""
        token = self.persons_token()
        worker = self.make.application("worker", audience=["https://data.example"], resources=[API])
        answer = exchange(self.app.test_client(), subject_token=token, subject_token_type=ACCESS, **worker.form)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])


Act = Callable[[Stage, dict[str, Any]], Any]


def retire_all(realm: Realm, row: Any) -> None:
    for each in applications.list_secrets(row):
        applications.retire_secret(realm, row, each.name)


def keep_key(number: int) -> Callable[[Realm, Any], None]:
    return lambda realm, row: set_application(realm, row, jwks={"keys": [row.jwks["keys"][number]]})


def to_application(act: Callable[[Realm, Any], Any], name: str = "ci-bot") -> Act:
    return lambda stage, _: stage.make.change(act, name)


def to_user(act: Callable[[Realm, users.User], Any]) -> Act:
    return lambda stage, _: stage.make.do(lambda realm: act(realm, users.get_user_by_name(realm, "ann@example.test")))


def to_key(act: Callable[[Realm, ApiKey], Any]) -> Act:
    return lambda stage, _: stage.make.do(lambda realm: act(realm, db.session.scalars(select(ApiKey)).one()))


def to_realm(act: Callable[[Realm], Any]) -> Act:
    return lambda stage, _: stage.make.do(act)


def enable(on: bool) -> Callable[[Realm, Any], Any]:
    return lambda realm, row: set_application(realm, row, enabled=on)


def set_rule(realm: Realm, **fields: Any) -> None:
    row = federation.get_rule(realm, "deployer-rule")
    sheet = federation.FederationRuleSheet.read(
        {"issuer": "hub", "application": "deployer", "lines": row.lines, "enabled": True} | fields
    )
    federation.update_rule(realm, row, sheet, frozen=None)


def set_issuer(realm: Realm, **fields: Any) -> None:
    row = federation.get_issuer(realm, "hub")
    sheet = {"preset": "github", "issuer": row.issuer, "key_source": "uploaded", "jwks": row.jwks} | fields
    federation.update_issuer(realm, row, federation.TrustedIssuerSheet.read(sheet))


def delete_issuer(realm: Realm) -> None:
    federation.delete_rule(realm, federation.get_rule(realm, "deployer-rule"))
    federation.delete_issuer(realm, federation.get_issuer(realm, "hub"))


def unlink(realm: Realm) -> None:
    people = federation.people_listing(realm, issuer="okta").take("created", descending=True, after=None, limit=1)
    federation.unlink_person(realm, people[0].uid)


def end_grant(stage: Stage, claims: dict[str, Any]) -> None:
    def end(realm: Realm) -> None:
        authorizations.end(realm.name, authorizations.get(realm.id, claims["grant_id"]), authorizations.End.ADMINISTRATOR)

    stage.make.do(end)


def end_session(stage: Stage, claims: dict[str, Any]) -> None:
    stage.make.do(lambda realm: sessions.end_session(realm, sessions.get_session(realm, claims["sid"])))


def revoke_jti(stage: Stage, jti: str, claims: dict[str, Any]) -> None:
    known = {**claims, "jti": jti}
    stage.make.do(lambda realm: tokens.write_revocation(realms.known_realm(runtime.current(), realm.name), known))  # type: ignore[arg-type]


def revoke_signing_key(stage: Stage, claims: dict[str, Any]) -> None:
    def revoke(realm: Realm) -> None:
        active = next(key for key in keys.list_keys(realm) if key.algorithm == realm.signing_algorithm)
        keys.revoke_key(realm, active.uid, "it has leaked")

    keys.prepare()
    stage.make.do(revoke)


def end_secret(realm: Realm, row: Any, act: Callable[[Realm, Any], None]) -> None:
    """Do something to an application whose secret has come to the end that it was given."""
    applications.find_secret(row, "main").expires_at = clock.now() - timedelta(seconds=1)  # type: ignore[union-attr]
    db.session.flush()
    act(realm, row)


ENDING: dict[str, tuple[Callable[[Stage], str], Act]] = {
    "application disabled": (Stage.application_token, to_application(enable(False))),
    "application deleted": (Stage.application_token, to_application(applications.delete_application)),
    "token revoked": (Stage.application_token, lambda stage, claims: revoke_jti(stage, claims["jti"], claims)),
    "subject of exchanged token disabled": (Stage.exchanged_token, to_application(enable(False))),
    "actor of exchanged token disabled": (Stage.exchanged_token, to_application(enable(False), "worker")),
    "actor of exchanged token deleted": (Stage.exchanged_token, to_application(applications.delete_application, "worker")),
    "token revoked that was exchanged": (
        Stage.exchanged_token,
        lambda stage, claims: revoke_jti(stage, claims["origin"][0], claims),
    ),
    "user of session disabled": (Stage.session_token, to_user(lambda realm, user: set_user(realm, user, enabled=False))),
    "user of session deleted": (Stage.session_token, to_user(users.delete_user)),
    "session: signed out everywhere": (Stage.session_token, to_user(users.sign_out_everywhere)),
    "session ended": (Stage.session_token, end_session),
    "key revoked": (Stage.key_token, to_key(lambda realm, key: apikeys.revoke_key(realm, key, "why"))),
    "key made inactive": (Stage.key_token, to_key(lambda realm, key: set_key(realm, key, active=False))),
    "key deleted": (Stage.key_token, to_key(apikeys.delete_key)),
    "secret of key renewed": (Stage.key_token, to_key(lambda realm, key: apikeys.renew_secret(realm, key, frozen=None))),
    "key replaced at once": (
        Stage.key_token,
        to_key(lambda realm, key: apikeys.rotate_key(realm, key, overlap=timedelta(0), frozen=None, may_exceed=True)),
    ),
    "owner of key disabled": (Stage.key_token, to_user(lambda realm, user: set_user(realm, user, enabled=False))),
    "who presented a key disabled": (Stage.acted_key_token, to_application(enable(False))),
    "session token of a key revoked": (Stage.key_token, lambda stage, claims: revoke_jti(stage, claims["jti"], claims)),
    "grant ended": (Stage.persons_token, end_grant),
    "person disabled": (Stage.persons_token, to_user(lambda realm, user: set_user(realm, user, enabled=False))),
    "person deleted": (Stage.persons_token, to_user(users.delete_user)),
    "person signed out everywhere": (Stage.persons_token, to_user(users.sign_out_everywhere)),
    "session of the browser ended": (Stage.persons_token, end_session),
    "application of grant disabled": (Stage.persons_token, to_application(enable(False), "shop")),
    "application of grant deleted": (Stage.persons_token, to_application(applications.delete_application, "shop")),
    "application of grant behind an exchange disabled": (Stage.exchanged_persons_token, to_application(enable(False), "shop")),
    "application of grant behind an exchange deleted": (
        Stage.exchanged_persons_token,
        to_application(applications.delete_application, "shop"),
    ),
    "signing key revoked": (Stage.application_token, revoke_signing_key),
    "realm deactivated": (Stage.application_token, to_realm(realms.deactivate_realm)),
    "realm deleted": (Stage.application_token, to_realm(realms.delete_realm)),
    "rule disabled": (Stage.federated_token, to_realm(lambda realm: set_rule(realm, enabled=False))),
    "rule deleted": (
        Stage.federated_token,
        to_realm(lambda realm: federation.delete_rule(realm, federation.get_rule(realm, "deployer-rule"))),
    ),
    "issuer disabled": (Stage.federated_token, to_realm(lambda realm: set_issuer(realm, enabled=False))),
    "issuer deleted": (Stage.federated_token, to_realm(delete_issuer)),
    "secret retired": (Stage.application_token, to_application(retire_all)),
    "secret retired behind an exchange": (Stage.exchanged_token, to_application(retire_all)),
    "secret of who exchanged a token retired": (Stage.exchanged_token, to_application(retire_all, "worker")),
    "secret retired of who presented a key": (Stage.acted_key_token, to_application(retire_all)),
    "secret retired of where a person has signed in": (Stage.persons_token, to_application(retire_all, "shop")),
    "secret retired of where a person has signed in, behind an exchange": (
        Stage.exchanged_persons_token,
        to_application(retire_all, "shop"),
    ),
    "secret retired that had ended": (
        Stage.application_token,
        to_application(lambda realm, row: end_secret(realm, row, retire_all)),
    ),
    "public key taken away": (Stage.signed_token, to_application(keep_key(1))),
    "all public keys taken away": (
        Stage.signed_token,
        to_application(lambda realm, row: set_application(realm, row, jwks=None)),
    ),
    "public keys published elsewhere": (
        Stage.signed_token,
        to_application(lambda realm, row: set_application(realm, row, jwks=None, jwks_uri="https://bot.example/keys")),
    ),
    "rule of an actor disabled": (Stage.acted_token, to_realm(lambda realm: set_rule(realm, enabled=False))),
    "issuer of an actor deleted": (Stage.acted_token, to_realm(delete_issuer)),
    "rule of who presented a key disabled": (Stage.admitted_key_token, to_realm(lambda realm: set_rule(realm, enabled=False))),
    "person unlinked": (Stage.linked_token, to_realm(unlink)),
    "person unlinked behind an exchange": (Stage.exchanged_linked_token, to_realm(unlink)),
}


@pytest.mark.parametrize("act", ENDING)
def test_an_act_that_ends_a_token_ends_it_at_verifiers(act: str, app: Flask, make: Factory, api: Api) -> None:
    get, does = ENDING[act]
    stage = Stage(app, make)
    token = get(stage)
    api.agrees(token, active=True)
    does(stage, claims_of(token))
    api.agrees(token, active=False)


def test_a_backup_put_back_ends_all_of_before(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    token, other = stage.application_token(), stage.session_token()
    api.agrees(token, active=True)
    api.agrees(other, active=True)
    make.do(lambda realm: organisations.end_what_was_restored(replace_keys=False))
    with app.app_context():
        runtime.current().feed.cache("session").clear()  # the numbers of the change feed tell that its timeline is another
    api.agrees(token, active=False)
    api.agrees(other, active=False)


def retire_another(realm: Realm, row: Any) -> None:
    applications.add_secret(realm, row, "next")
    db.session.flush()
    applications.retire_secret(realm, row, "next")


def add_same(realm: Realm, row: Any) -> None:
    """Give the application another secret of the name of the one that has ended, which that leaves behind."""
    applications.add_secret(realm, row, "main")


def rename_keys(realm: Realm, row: Any) -> None:
    set_application(realm, row, jwks={"keys": [each | {"kid": f"{each['kid']}-2"} for each in row.jwks["keys"]]})


def take_role(realm: Realm, row: Any) -> None:
    access.remove_grant(realm, applications.holder_of(row), "researcher")


GOING_ON: dict[str, tuple[Callable[[Stage], str], Act]] = {
    "secret added": (Stage.application_token, to_application(lambda realm, row: applications.add_secret(realm, row, "next"))),
    "another secret retired": (Stage.application_token, to_application(retire_another)),
    "secret has ended": (Stage.application_token, to_application(lambda realm, row: end_secret(realm, row, add_same))),
    "another public key taken away": (Stage.signed_token, to_application(keep_key(0))),
    "secret given to who signs, and retired": (Stage.signed_token, to_application(retire_another)),
    "public key called otherwise": (Stage.signed_token, to_application(rename_keys)),
    "role taken away": (Stage.application_token, to_application(take_role)),
    "application described": (
        Stage.application_token,
        to_application(lambda realm, row: set_application(realm, row, description="x")),
    ),
    "keys rotated": (Stage.application_token, to_realm(lambda realm: keys.rotate_key(realm, realm.signing_algorithm))),
    "key replaced with time": (
        Stage.key_token,
        to_key(lambda realm, key: apikeys.rotate_key(realm, key, overlap=timedelta(days=1), frozen=None, may_exceed=True)),
    ),
    "rule changed": (Stage.federated_token, to_realm(lambda realm: set_rule(realm, description="x"))),
}


@pytest.mark.parametrize("act", GOING_ON)
def test_an_act_that_ends_no_token_leaves_it_to_verifiers(act: str, app: Flask, make: Factory, api: Api) -> None:
    get, does = GOING_ON[act]
    stage = Stage(app, make)
    token = get(stage)
    api.agrees(token, active=True)
    does(stage, claims_of(token))
    api.agrees(token, active=True)
    make.user("last@example.test")
    make.do(lambda realm: users.delete_user(realm, users.get_user_by_name(realm, "last@example.test")))
    api.recall.refresh()
    api.agrees(token, active=True)


def test_what_works_again_counts_again(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    of_application, of_key = stage.application_token(), stage.key_token()
    for token, act in (
        (of_application, lambda on: to_application(enable(on))),
        (of_key, lambda on: to_key(lambda realm, key: set_key(realm, key, active=on))),
    ):
        api.agrees(token, active=True)
        for on in (False, True, False, True):
            act(on)(stage, {})
            api.agrees(token, active=on)


def test_a_public_key_that_is_given_again_counts_again(app: Flask, make: Factory, api: Api) -> None:
    token = Stage(app, make).signed_token()
    with app.app_context():
        both = make.change(lambda _, row: row.jwks)
    api.agrees(token, active=True)
    for on in (False, True, False, True):
        kept = both if on else {"keys": both["keys"][1:]}
        make.change(lambda realm, row, kept=kept: set_application(realm, row, jwks=kept))
        api.agrees(token, active=on)


def test_what_people_had_does_not_come_back(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    token = stage.persons_token()
    api.agrees(token, active=True)
    for on in (False, True):
        to_user(lambda realm, user, on=on: set_user(realm, user, enabled=on))(stage, {})  # type: ignore[misc]
        api.agrees(token, active=False)


def test_a_realm_that_works_again_has_its_tokens_back_but_those_of_people(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    token, persons = stage.application_token(), stage.persons_token()
    api.agrees(persons, active=True)
    make.do(realms.deactivate_realm)
    api.agrees(token, active=False)
    make.do(realms.activate_realm)
    api.agrees(token, active=True)
    api.agrees(persons, active=False)


def test_who_signs_in_again_at_once_is_not_refused(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    former = stage.session_token()
    api.agrees(former, active=True)
    to_user(users.sign_out_everywhere)(stage, {})
    body = {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}
    token = str(app.test_client().post("/v1/auth/authenticate?setCookie=false", json=body).json["Authorization"])
    api.agrees(former, active=False)
    api.agrees(token.removeprefix("Bearer "), active=True)


def test_a_key_that_was_replaced_ends_when_its_time_is_over(app: Flask, make: Factory, api: Api) -> None:
    stage = Stage(app, make)
    token = stage.key_token()
    api.agrees(token, active=True)
    overlap = timedelta(minutes=5)
    to_key(lambda realm, key: apikeys.rotate_key(realm, key, overlap=overlap, frozen=None, may_exceed=True))(stage, {})
    api.agrees(token, active=True)
    api.recall.refresh()
    assert api.accepts(token)
    causes = api.recall._causes
    assert causes is not None
    known = claims_of(token)
    assert causes.reason("", known, clock.timestamp(), session=True) is None
    assert causes.reason("", known, clock.timestamp() + overlap.total_seconds(), session=True)
