"""What receivers are told: an event for each act that ends tokens, and for each that changes a credential."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from idp import apikeys, applications, keys, realms, users
from idp.db import db
from idp.errors import ConflictError
from tests.factories import Factory, claims_of, password_hash, set_application, set_user
from tests.recall.conftest import Api, api, base  # noqa: F401 (fixtures)
from tests.recall.test_acts import ENDING, Stage
from tests.signals.conftest import CREDENTIAL_CHANGE, ISSUER, SESSION_REVOKED, Receiver

BY_CREDENTIAL = {
    "signing key": "signing-key",
    "rule": "federation-rule",
    "issuer": "trusted-issuer",
    "secret": "client-secret",
    "public key": "public-key",
    "all public keys": "public-key",
}
"""Acts that end what something has admitted, fetched or signed, by how they are called: told as a change of that."""

WHOLE_REALM = {"realm deactivated", "realm deleted"}


def is_about(subject: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Tell whether a subject is one that a token names, by what an API that reads the event would compare."""
    acting, actors = claims.get("act"), []
    while acting:
        actors.append(acting["sub"])
        acting = acting.get("act")
    match subject["format"]:
        case "iss_sub":
            return subject["iss"] == claims["iss"] and subject["sub"] in {claims["sub"], *actors}
        case "jwt_id":
            origin = claims.get("origin", [])
            return subject["jti"] in {claims["jti"], *([origin] if isinstance(origin, str) else origin)}
        case "complex":
            return subject["session"]["id"] in {claims.get("sid"), claims.get("grant_id"), claims.get("key")}
        case "uri":
            return subject["uri"] == claims["iss"]
    return False


@pytest.mark.parametrize("act", ENDING)
def test_an_act_that_ends_a_token_is_told(act: str, app: Flask, make: Factory, receiving: Callable[..., Receiver]) -> None:
    get, does = ENDING[act]
    stage = Stage(app, make)
    token = get(stage)
    siem = receiving()
    siem.stream()
    assert siem.events() == []
    claims = claims_of(token)
    does(stage, claims)
    if act in WHOLE_REALM:
        assert siem.poll().status_code in {401, 403}, "nor does its own token count"
        if act == "realm deleted":
            make.do(realms.restore_realm)
        make.do(realms.activate_realm)
    if act == "signing key revoked":
        siem.sign_in()
    told = siem.events()
    changed = {each["events"].get(CREDENTIAL_CHANGE, {}).get("credential_type") for each in told}
    credential = next((kind for beginning, kind in BY_CREDENTIAL.items() if act.startswith(beginning)), None)
    if credential is not None and act != "secret of key renewed":
        assert credential in changed, told
        return
    ended = [each for each in told if SESSION_REVOKED in each["events"]]
    assert any(is_about(each["sub_id"], claims) for each in ended), [each["sub_id"] for each in told]
    for each in told:
        (event,) = each["events"].values()
        assert event["reason_admin"]["en"]
        assert {"sub", "exp"}.isdisjoint(each)
        assert each["iss"] == ISSUER
        assert each["aud"] == "siem"


def of_application(act: Callable[[Any, Any], Any]) -> Callable[[Factory], Any]:
    return lambda make: make.change(act)


def of_ann(act: Callable[[Any, Any], Any]) -> Callable[[Factory], Any]:
    return lambda make: make.do(lambda realm: act(realm, users.get_user_by_name(realm, "ann@example.test")))


def of_key(act: Callable[[Any, Any], Any]) -> Callable[[Factory], Any]:
    return lambda make: make.do(lambda realm: act(realm, db.session.query(apikeys.ApiKey).one()))


JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a"}]}

CHANGES: dict[str, tuple[Callable[[Factory], Any], str, str]] = {
    "secret added": (of_application(lambda realm, row: applications.add_secret(realm, row, "next")), "client-secret", "create"),
    "secret retired": (
        of_application(lambda realm, row: applications.retire_secret(realm, row, "main")),
        "client-secret",
        "revoke",
    ),
    "public keys": (of_application(lambda realm, row: set_application(realm, row, jwks=JWKS)), "public-key", "update"),
    "password": (
        of_ann(lambda realm, user: users.set_password(realm, user, password_hash(), users.service.audit.Tag.PASSWORD_CHANGE)),
        "password",
        "update",
    ),
    "key made": (lambda make: make.key(name="other"), "api-key", "create"),
    "key revoked": (of_key(lambda realm, key: apikeys.revoke_key(realm, key, "why")), "api-key", "revoke"),
    "signing key": (lambda make: make.do(lambda realm: keys.rotate_key(realm, "ES256")), "signing-key", "update"),
}


@pytest.mark.parametrize("act", CHANGES)
def test_a_change_of_a_credential_is_told(act: str, make: Factory, receiving: Callable[..., Receiver]) -> None:
    does, credential, change = CHANGES[act]
    uid, ann = make.application().uid, make.user(roles=("viewer",))
    make.key()
    siem = receiving()
    siem.stream(events_requested=[CREDENTIAL_CHANGE])
    does(make)
    told = siem.events()
    found = [each for each in told if each["events"][CREDENTIAL_CHANGE]["credential_type"] == credential]
    assert [each["events"][CREDENTIAL_CHANGE]["change_type"] for each in found][:1] == [change], told
    if credential in {"client-secret", "public-key"}:
        assert found[0]["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": uid}
    elif credential in {"password", "api-key"}:
        assert found[0]["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": ann}
    else:
        assert found[0]["sub_id"] == {"format": "uri", "uri": ISSUER}


def test_an_act_that_is_taken_back_is_not_told(make: Factory, siem: Receiver, app: Flask) -> None:
    make.application()
    siem.stream()

    def fail(realm: realms.Realm, row: applications.Application) -> None:
        set_application(realm, row, enabled=False)
        applications.create_application(realm, "ci-bot", applications.ApplicationSheet())

    with pytest.raises(ConflictError):
        make.change(fail)
    make.application("other")
    assert [each["events"] for each in siem.events() if SESSION_REVOKED in each["events"]] == []


def test_who_did_it_is_told(make: Factory, siem: Receiver, app: Flask) -> None:
    siem.stream(events_requested=[SESSION_REVOKED])
    make.user()
    make.do(lambda realm: set_user(realm, users.get_user_by_name(realm, "ann@example.test"), enabled=False))
    (told,) = siem.events()
    event = told["events"][SESSION_REVOKED]
    assert event["initiating_entity"] == "system"
    assert told["iat"] - 5 <= event["event_timestamp"] <= told["iat"]


def test_other_realms_are_told_nothing(make: Factory, siem: Receiver) -> None:
    make.realm()
    siem.stream()
    make.application("theirs", realm="other")
    make.change(lambda realm, row: set_application(realm, row, enabled=False), "theirs", "other")
    assert siem.events() == []


def test_what_a_savepoint_takes_back_takes_nothing_else_along(app: Flask, make: Factory, siem: Receiver, api: Api) -> None:
    """Mails are counted in a savepoint: one too many, and what was done before it was told to nobody (no worker, no verifier)."""
    token = Stage(app, make).key_token()
    api.agrees(token, active=True)
    siem.stream()

    def revoke(realm: realms.Realm) -> None:
        apikeys.revoke_key(realm, db.session.query(apikeys.ApiKey).one(), "why")
        with contextlib.suppress(RuntimeError), db.session.begin_nested():
            raise RuntimeError

    make.do(revoke)
    api.agrees(token, active=False)
    assert {SESSION_REVOKED, CREDENTIAL_CHANGE} == {kind for each in siem.events() for kind in each["events"]}
