"""Authenticating applications: the three methods, one credential at a time, and one answer for every failure."""

import base64
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import applications, clock, feed
from idp.app import close_app, create_app
from idp.applications import ASSERTION_ALGORITHMS
from idp.realms import publish_application
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import (
    Factory,
    Made,
    ask,
    ask_token,
    assertion,
    assertion_form,
    at_once,
    basic,
    claims_of,
    compact,
    key_pair,
    set_application,
)

ISSUER = "http://localhost:8080/auth/realms/acme"
ENDPOINT = f"{ISSUER}/protocol/openid-connect/token"
HEADERS = json.loads((Path(__file__).parents[1] / "vectors" / "authorization_headers.json").read_text())


@pytest.fixture(scope="module")
def pairs() -> dict[str, Any]:
    return {"ES256": key_pair("ES256"), "RS256": key_pair("RS256"), "PS256": key_pair("PS256")}


def by_basic(client: FlaskClient, header: str, **form: str) -> Any:
    return ask(client, "token", {"grant_type": "client_credentials", **form}, headers={"Authorization": header})


@pytest.mark.spec("R30", "R47")
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
def test_basic_works_in_any_letter_case(client: FlaskClient, make: Factory, scheme: str) -> None:
    made = make.application()
    header = basic(made.client_id, made.secret).replace("Basic", scheme)
    assert by_basic(client, header).status_code == 200
    assert by_basic(client, header, client_id=made.client_id).status_code == 200


@pytest.mark.spec("R30")
def test_basic_credentials_are_form_decoded(client: FlaskClient, make: Factory) -> None:
    odd = "a+b%c:d e~" + "x" * 32
    made = make.application(secret=False)
    make.change(lambda realm, application: applications.add_secret(realm, application, "odd", plain_secret=odd))
    assert by_basic(client, basic(made.client_id, odd)).status_code == 200


def raw_basic(client_id: str, secret: str) -> str:
    """Return a Basic header as RFC 7617 alone has it, with nothing encoded."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.mark.spec("R30")
@pytest.mark.parametrize("odd", ["a+b%c:d e~", "100%25", "%FF", "a+b", "%41+%zz"])
@pytest.mark.parametrize("encode", [basic, raw_basic])
def test_basic_secret_may_be_encoded_or_not(client: FlaskClient, make: Factory, odd: str, encode: Any) -> None:
    odd += "x" * 32
    made = make.application(secret=False)
    make.change(lambda realm, application: applications.add_secret(realm, application, "odd", plain_secret=odd))
    assert by_basic(client, encode(made.client_id, odd)).status_code == 200
    assert by_basic(client, encode(made.client_id, odd), client_secret=odd).status_code == 200
    assert by_basic(client, encode(made.client_id, odd + "x")).status_code == 401


@pytest.mark.spec("T88")
def test_two_readings_of_a_wrong_secret_cost_the_same_for_everybody(
    client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp import crypto

    hashes: list[str] = []
    hashed = crypto.keyed_hash
    monkeypatch.setattr(crypto, "keyed_hash", lambda *given: hashes.append("hash") or hashed(*given))
    make.application()
    for name in ("ci-bot", "nobody"):
        hashes.clear()
        assert by_basic(client, raw_basic(name, "wrong+%41")).status_code == 401
        assert len(hashes) == 2 * applications.known.MOST_COMPARED, name


@pytest.mark.spec("R34", "T29")
@pytest.mark.parametrize("vector", HEADERS, ids=[vector["name"] for vector in HEADERS])
def test_malformed_authorization_is_refused(client: FlaskClient, make: Factory, vector: dict[str, Any]) -> None:
    make.application()
    answer = by_basic(client, vector["header"] * vector.get("repeat", 1))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="acme", charset="UTF-8"'


def break_nothing(_realm: Any, _application: Any) -> None:
    """Leave the application as it is."""


def disable(realm: Any, application: Any) -> None:
    set_application(realm, application, enabled=False)


def retire(realm: Any, application: Any) -> None:
    applications.retire_secret(realm, application, "main")


def expire(realm: Any, application: Any) -> None:
    secret = applications.find_secret(application, "main")
    assert secret is not None
    secret.expires_at = clock.now() - timedelta(seconds=1)
    publish_application(realm.name, application.name)


def delete(realm: Any, application: Any) -> None:
    applications.delete_application(realm, application)


FAILURES = {
    "disabled application": (disable, {}),
    "retired secret": (retire, {}),
    "expired secret": (expire, {}),
    "deleted application": (delete, {}),
    "wrong secret": (break_nothing, {"client_secret": "idp_cs_" + "0" * 57}),
    "secret with a space": (break_nothing, {"client_secret": "{secret} "}),
    "secret cut short": (break_nothing, {"client_secret": "{short}"}),
    "secret in capitals": (break_nothing, {"client_secret": "{upper}"}),
    "no secret": (break_nothing, {"client_secret": ""}),
    "very long secret": (break_nothing, {"client_secret": "x" * 10_000}),
    "unknown application": (break_nothing, {"client_id": "nobody"}),
    "no application": (break_nothing, {"client_id": ""}),
    "application in capitals": (break_nothing, {"client_id": "CI-BOT"}),
    "impossible application": (break_nothing, {"client_id": "ci-bot\0' OR 1=1 --"}),
}


@pytest.mark.spec("R34", "T69", "T88", "AUTHLIB-7")
@pytest.mark.parametrize("cause", FAILURES)
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_every_failure_looks_the_same(client: FlaskClient, make: Factory, cause: str, warm: bool) -> None:
    break_it, changes = FAILURES[cause]
    made = make.application()
    if warm:
        assert ask_token(client, made).status_code == 200
    make.change(break_it)
    texts = {"secret": made.secret, "short": made.secret[:-1], "upper": made.secret.upper()}
    form = {name: value.format(**texts) for name, value in (made.form | changes).items()}
    answer = ask(client, "token", {"grant_type": "client_credentials", **form})
    reference = ask(client, "token", {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"})
    assert answer.status_code == 401
    assert answer.json["error"] == "invalid_client"
    assert answer.data == reference.data
    assert list(answer.headers) == list(reference.headers)


@pytest.mark.spec("T88")
def test_every_failure_costs_the_same_reads(client: FlaskClient, make: Factory, pairs: Any) -> None:
    from sqlalchemy import event

    from idp.db import db

    made = make.application(jwks=pairs["ES256"][1])
    ask_token(client, made)
    reads: Counter[str] = Counter()
    with make.app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: reads.update([args[2]]))
    seen = []
    for client_id in ("ci-bot", "nobody", "", "impossible name"):
        reads.clear()
        ask(client, "token", {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"})
        seen.append({text: count for text, count in reads.items() if "FROM" in text and "change" not in text})
    foreign_key, _ = key_pair("ES256")
    ask(client, "token", assertion_form(assertion(foreign_key, "any", ISSUER)))  # reads the trusted issuers of the realm, once
    for client_id in ("ci-bot", "nobody"):
        reads.clear()
        ask(client, "token", assertion_form(assertion(foreign_key, client_id, ISSUER)))
        seen.append({text: count for text, count in reads.items() if "FROM" in text and "change" not in text})
    assert seen[0], "a wrong secret must cost a read"
    assert seen == [seen[0]] * 6


@pytest.mark.spec("T88")
def test_every_failure_costs_the_same_hashes_and_signatures(
    client: FlaskClient, make: Factory, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idp import crypto
    from idp.jose import reader

    hashes: list[str] = []
    signatures: list[str] = []
    hashed, opened = crypto.keyed_hash, reader.jws.deserialize_compact
    monkeypatch.setattr(crypto, "keyed_hash", lambda *given: hashes.append("hash") or hashed(*given))
    monkeypatch.setattr(
        reader.jws, "deserialize_compact", lambda *given, **options: signatures.append("signature") or opened(*given, **options)
    )
    made = make.application(jwks=pairs["ES256"][1])
    make.application("keyless")
    make.application("many")
    for name in ("second", "third"):
        make.change(lambda realm, each, name=name: applications.add_secret(realm, each, name), name="many")
    make.application("gone", jwks=pairs["ES256"][1])
    make.change(disable, name="gone")
    stranger = {alg: key_pair(alg)[0] for alg in ("ES256", "RS256", "PS256")}
    for client_id in ("ci-bot", "keyless", "many", "gone", "nobody"):
        for _ in ("cold", "warm"):
            hashes.clear()
            ask(client, "token", {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"})
            assert len(hashes) == applications.known.MOST_COMPARED, client_id
            for alg, key in stranger.items():
                signatures.clear()
                answer = ask(client, "token", assertion_form(assertion(key, client_id, ISSUER, alg=alg)))
                assert (answer.status_code, len(signatures)) == (401, 1), (client_id, alg)
    hashes.clear()
    assert ask_token(client, made).status_code == 200
    assert len(hashes) == 1, "who shows the right secret pays for nothing else"


@pytest.mark.spec("R53")
def test_what_another_worker_made_a_moment_ago_counts(
    client: FlaskClient, make: Factory, settings: Settings, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make.application()
    assert ask_token(client, made).status_code == 200, "now it is in memory"
    for name in ("CONFIRM_AFTER", "CONFIRM_AT_LAST"):
        monkeypatch.setattr(feed, name, 600)
    neighbour = create_app(settings)
    there = Factory(neighbour)
    secret = there.change(lambda realm, each: applications.add_secret(realm, each, "next")[1])
    form = {"grant_type": "client_credentials", "client_id": made.client_id}
    assert ask(client, "token", form | {"client_secret": secret}).status_code == 200
    key, jwks = pairs["ES256"]
    there.change(lambda realm, each: set_application(realm, each, jwks=jwks))
    assert ask(client, "token", assertion_form(assertion(key, made.client_id, ISSUER))).status_code == 200
    there.change(disable)
    assert ask(client, "token", form | {"client_secret": "wrong"}).status_code == 401, "it has looked, and knows by now"
    there.change(lambda realm, each: set_application(realm, each, enabled=True))
    assert ask_token(client, made).status_code == 200
    close_app(neighbour)


@pytest.mark.parametrize("alg", ASSERTION_ALGORITHMS)
def test_every_kind_of_key_proves_who_it_is(client: FlaskClient, make: Factory, alg: str) -> None:
    key, jwks = key_pair(alg)
    made = make.application(jwks=jwks, secret=False)
    assert ask(client, "token", assertion_form(assertion(key, made.client_id, ISSUER, alg=alg))).status_code == 200
    stranger = key_pair(alg)[0]
    assert ask(client, "token", assertion_form(assertion(stranger, made.client_id, ISSUER, alg=alg))).status_code == 401
    assert ask(client, "token", assertion_form(assertion(stranger, "nobody", ISSUER, alg=alg))).status_code == 401


@pytest.mark.parametrize(("kind", "alg"), [("RS256", "RS384"), ("PS256", "RS256"), ("EdDSA", "Ed25519"), ("RS512", "PS512")])
def test_key_is_used_with_no_algorithm_but_its_own(client: FlaskClient, make: Factory, kind: str, alg: str) -> None:
    key, jwks = key_pair(kind)
    made = make.application(jwks=jwks, secret=False)
    assert ask(client, "token", assertion_form(assertion(key, made.client_id, ISSUER, alg=alg))).status_code == 401


def test_what_an_application_has_no_key_for_is_refused_whoever_signed_it(
    client: FlaskClient, make: Factory, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared with a key that nobody has; if somebody had it, it would be worth nothing."""
    from idp.jose import import_key

    for alg in ("ES256", "RS256"):
        key, jwks = pairs[alg]
        monkeypatch.setattr(applications.assertions, "_nobodys_key", lambda _alg, jwks=jwks: import_key(jwks["keys"][0]))
        make.application(f"keyless-{alg.lower()}")
        for client_id in (f"keyless-{alg.lower()}", "nobody"):
            assert ask(client, "token", assertion_form(assertion(key, client_id, ISSUER, alg=alg))).status_code == 401


@pytest.mark.spec("R29", "AUTHLIB-10")
@pytest.mark.parametrize("basic_right", [True, False])
@pytest.mark.parametrize("form_right", [True, False])
def test_two_different_credentials_are_refused_even_if_both_are_right(
    client: FlaskClient, make: Factory, basic_right: bool, form_right: bool
) -> None:
    made = make.application()
    other = make.change(lambda realm, application: applications.add_secret(realm, application, "next")[1])
    header = basic(made.client_id, made.secret if basic_right else "wrong")
    answer = by_basic(client, header, client_id=made.client_id, client_secret=other if form_right else "false")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.spec("R29")
def test_the_same_credential_in_header_and_body_is_one(client: FlaskClient, make: Factory) -> None:
    """As Keycloak's adapter for Node.js sends it."""
    made = make.application()
    header = basic(made.client_id, made.secret)
    assert by_basic(client, header, client_id=made.client_id, client_secret=made.secret).status_code == 200
    assert by_basic(client, header, client_secret=made.secret).status_code == 200
    wrong = by_basic(client, basic(made.client_id, "wrong"), client_id=made.client_id, client_secret="wrong")
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    for form in ({"client_id": "somebody-else"}, {"client_assertion": "x.y.z"}):
        assert by_basic(client, header, client_secret=made.secret, **form).json["error"] == "invalid_request"
    foreign = by_basic(client, f"Bearer {made.secret}", client_id=made.client_id, client_secret=made.secret)
    assert foreign.json["error"] == "invalid_request"


@pytest.mark.spec("R29")
def test_secret_and_assertion_together_are_refused(client: FlaskClient, make: Factory) -> None:
    key, jwks = key_pair()
    made = make.application(jwks=jwks)
    form = assertion_form(assertion(key, "ci-bot", ISSUER)) | made.form
    assert ask(client, "token", form).json["error"] == "invalid_request"


def test_client_id_beside_basic_must_be_the_same(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    answer = by_basic(client, basic(made.client_id, made.secret), client_id="somebody-else")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_any_number_of_secrets_works_until_one_is_retired(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    second = make.change(lambda realm, application: applications.add_secret(realm, application, "next")[1])
    new = Made(made.client_id, second, made.uid)
    assert [ask_token(client, each).status_code for each in (made, new)] == [200, 200]
    make.change(retire)
    assert [ask_token(client, each).status_code for each in (made, new)] == [401, 200]


@pytest.mark.spec("R108")
def test_single_use_secret_works_once_in_a_race(client: FlaskClient, make: Factory) -> None:
    made = make.application(secret=False)
    plain = make.change(
        lambda realm, application: applications.add_secret(realm, application, "once", applications.SecretSheet(single_use=True))[
            1
        ]
    )
    once = Made("ci-bot", plain, made.uid)
    statuses = at_once(8, lambda: ask_token(make.app.test_client(), once).status_code)
    assert Counter(statuses) == {200: 1, 401: 7}


def grant_too_much(realm: Any, application: Any) -> None:
    from idp import access

    for number in range(80):
        access.create_project(realm, f"project-{number:03}")
        access.grant_role(realm, applications.holder_of(application), "viewer", project=f"project-{number:03}")


def test_single_use_secret_is_used_up_by_a_token_and_nothing_else(client: FlaskClient, make: Factory) -> None:
    made = make.application(secret=False)
    plain = make.change(
        lambda realm, application: applications.add_secret(realm, application, "once", applications.SecretSheet(single_use=True))[
            1
        ]
    )
    once = Made("ci-bot", plain, made.uid)
    assert ask_token(client, once, scope="nonsense").json["error"] == "invalid_scope"
    assert ask_token(client, once, audience="nonsense").json["error"] == "invalid_target"
    make.change(grant_too_much)
    assert "scope=project:" in ask_token(client, once).json["error_description"]
    assert ask(client, "token/introspect", {"token": "x", **once.form}).status_code == 401
    assert ask(client, "revoke", {"token": "x", **once.form}).status_code == 401
    assert ask_token(client, once, scope="project:project-001").status_code == 200
    make.forget()
    assert ask_token(client, once).status_code == 401


# private_key_jwt (RFC 7523)


@pytest.mark.spec("R14", "R96")
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256"])
@pytest.mark.parametrize("audience", [ISSUER, ENDPOINT, [ISSUER], [ISSUER, ENDPOINT]])
def test_assertion_authenticates(client: FlaskClient, make: Factory, pairs: Any, alg: str, audience: Any) -> None:
    key, jwks = pairs[alg]
    made = make.application(jwks=jwks, secret=False)
    answer = ask(client, "token", assertion_form(assertion(key, "ci-bot", audience, alg=alg)))
    assert answer.status_code == 200
    assert claims_of(answer.json["access_token"])["sub"] == made.uid


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "no iss": {"iss": None},
    "other iss": {"iss": "reporting"},
    "no sub": {"sub": None},
    "other sub": {"sub": "reporting"},
    "sub is a list": {"sub": ["ci-bot"]},
    "no aud": {"aud": None},
    "empty aud": {"aud": []},
    "aud of another server": {"aud": "https://other.example"},
    "aud with another beside": {"aud": [ISSUER, "https://other.example"]},
    "aud is a prefix": {"aud": ISSUER[:-1]},
    "aud of another realm": {"aud": ISSUER.replace("acme", "master")},
    "aud is a number": {"aud": 1},
    "aud holds null": {"aud": [None]},
    "no exp": {"exp": None},
    "exp is text": {"exp": "2030-01-01"},
    "exp is true": {"exp": True},
    "expired": {"exp": -120},
    "lives too long": {"exp": 3600},
    "lives for ever": {"exp": 10**12},
    "exp is enormous": {"exp": 10**400},
    "not valid yet": {"nbf": 300},
    "issued in the future": {"iat": 300},
    "no jti": {"jti": None},
    "empty jti": {"jti": ""},
    "jti is a number": {"jti": 7},
    "long jti": {"jti": "x" * 256},
}


@pytest.mark.spec("R96", "R97", "T11", "T12", "T14")
@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_assertion_with_wrong_claims_is_refused(client: FlaskClient, make: Factory, pairs: Any, name: str) -> None:
    key, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    relative = ("exp", "nbf", "iat")
    claims = {
        key_: clock.timestamp() + value if key_ in relative and type(value) is int else value
        for key_, value in BAD_CLAIMS[name].items()
    }
    audience = claims.pop("aud", ISSUER)
    answer = ask(client, "token", assertion_form(assertion(key, "ci-bot", audience, **claims)))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.spec("R94", "T5", "T6", "T7")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": ""},
        {"alg": None},
        {"alg": 1},
        {"alg": ["ES256"]},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "ES256K"},
        {"alg": "RSA1_5"},
        {},
        {"alg": "ES256", "crit": ["bork"], "bork": 1},
        {"alg": "ES256", "crit": []},
        {"alg": "ES256", "crit": ["exp"]},
        {"alg": "ES256", "crit": "x"},
        {"alg": "ES256", "b64": False, "crit": ["b64"]},
        {"alg": "ES256", "zip": "DEF"},
        {"alg": "ES256", "jku": "http://127.0.0.1:9/"},
        {"alg": "ES256", "x5u": "http://127.0.0.1:9/"},
        {"alg": "ES256", "jwk": {"kty": "EC"}},
        {"alg": "ES256", "x5c": ["AAAA"]},
        {"alg": "ES256", "kid": 1},
        {"alg": "ES256", "kid": "../../etc/passwd"},
        {"alg": "ES256", "kid": "' OR 1=1 --"},
        {"alg": "ES256", "kid": "x" * 999},
        {"alg": "ES256", "typ": "at+jwt"},
        {"alg": "ES256", "typ": "logout+jwt"},
        {"alg": "ES256", "typ": 1},
    ],
    ids=str,
)
def test_assertion_with_a_tricky_header_is_refused(client: FlaskClient, make: Factory, pairs: Any, header: Any) -> None:
    _, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    now = clock.timestamp()
    claims = {"iss": "ci-bot", "sub": "ci-bot", "aud": ISSUER, "exp": now + 60, "jti": "j"}
    for signature in (b"", b"x" * 64):
        answer = ask(client, "token", assertion_form(compact(header, claims, signature)))
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.spec("R89", "R91", "T1", "T2", "T3", "T4")
def test_assertion_signed_with_the_public_key_as_a_password_is_refused(client: FlaskClient, make: Factory, pairs: Any) -> None:
    import base64
    import hmac

    for kind in ("ES256", "RS256"):
        key, jwks = pairs[kind]
        name = f"app-{kind.lower()}"
        make.application(name, jwks=jwks, secret=False)
        public = jwks["keys"][0]
        passwords = [
            key.as_pem(private=False),
            key.as_pem(private=False).strip(),
            key.as_der(private=False),
            json.dumps(public).encode(),
            json.dumps(public, separators=(",", ":")).encode(),
            json.dumps(jwks).encode(),
            b"",
        ]
        for password in passwords:
            for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
                now = clock.timestamp()
                claims = {"iss": name, "sub": name, "aud": ISSUER, "exp": now + 60, "jti": "j"}
                unsigned = compact({"alg": alg, "kid": "client-key"}, claims, b"").rpartition(".")[0]
                signature = hmac.digest(password, unsigned.encode(), digest)
                token = unsigned + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
                assert ask(client, "token", assertion_form(token)).status_code == 401


def test_dates_that_are_null_are_refused(client: FlaskClient, make: Factory, pairs: Any) -> None:
    from joserfc import jwt

    key, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    now = clock.timestamp()
    for name in ("iat", "nbf", "exp"):
        claims = {"iss": "ci-bot", "sub": "ci-bot", "aud": ISSUER, "exp": now + 60, "jti": "j"} | {name: None}
        token = jwt.encode({"alg": "ES256", "kid": "client-key"}, claims, key)
        assert ask(client, "token", assertion_form(token)).status_code == 401


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "RS256"])
def test_key_for_another_algorithm_is_refused_at_registration(make: Factory, pairs: Any, alg: str) -> None:
    from idp.errors import InvalidValueError

    jwk = pairs["ES256"][1]["keys"][0]
    for wrong in (jwk | {"alg": alg}, jwk | {"use": "enc"}):
        with pytest.raises(InvalidValueError, match="jwks: Key 1: It is for another"):
            make.application(jwks={"keys": [wrong]})


@pytest.mark.spec("R98")
def test_assertion_by_another_applications_key_is_refused(client: FlaskClient, make: Factory, pairs: Any) -> None:
    _, jwks = pairs["ES256"]
    other_key, other_jwks = key_pair("ES256")
    make.application("ci-bot", jwks=jwks, secret=False)
    make.application("other-bot", jwks=other_jwks, secret=False)
    assert ask(client, "token", assertion_form(assertion(other_key, "other-bot", ISSUER))).status_code == 200
    assert ask(client, "token", assertion_form(assertion(other_key, "ci-bot", ISSUER))).status_code == 401


@pytest.mark.spec("R96", "T56")
def test_assertion_works_once_in_a_race(client: FlaskClient, make: Factory, pairs: Any) -> None:
    key, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    form = assertion_form(assertion(key, "ci-bot", ISSUER))
    statuses = at_once(10, lambda: ask(make.app.test_client(), "token", form).status_code)
    assert Counter(statuses) == {200: 1, 401: 9}
    assert ask(client, "token", form).status_code == 401


@pytest.mark.spec("R96")
def test_used_assertions_are_forgotten_only_once_they_have_expired(
    client: FlaskClient, make: Factory, pairs: Any, frozen_clock: FrozenClock
) -> None:
    from idp.setup import rotate_keys_and_tidy

    key, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    form = assertion_form(assertion(key, "ci-bot", ISSUER))
    assert ask(client, "token", form).status_code == 200
    for _ in range(6):
        frozen_clock.advance(seconds=30)
        with make.app.app_context():
            rotate_keys_and_tidy()
        assert ask(client, "token", form).status_code == 401


@pytest.mark.spec("T17", "T20")
@pytest.mark.parametrize(
    "token", ["", "a.b", "a.b.c.d", "..", "." * 50_000, "a" * 60_000, "é.é.é", "e30.e30.e30", "bnVsbA.bnVsbA.eA"]
)
def test_assertion_that_is_no_jwt_is_refused(client: FlaskClient, make: Factory, token: str) -> None:
    make.application(secret=False, jwks=key_pair()[1])
    answer = ask(client, "token", assertion_form(token) | {"client_id": "ci-bot"})
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_assertion_needs_its_type(client: FlaskClient, make: Factory, pairs: Any) -> None:
    key, jwks = pairs["ES256"]
    make.application(jwks=jwks, secret=False)
    form = assertion_form(assertion(key, "ci-bot", ISSUER)) | {"client_assertion_type": "jwt"}
    assert ask(client, "token", form).json["error"] == "invalid_request"


@pytest.mark.spec("R88")
def test_own_access_token_is_no_assertion(client: FlaskClient, make: Factory, pairs: Any) -> None:
    made = make.application(jwks=pairs["ES256"][1])
    answer = ask_token(client, made, scope="openid").json
    for token in (answer["access_token"], answer["id_token"]):
        assert ask(client, "token", assertion_form(token)).status_code == 401


def refusals(make: Factory) -> list[Any]:
    from idp import audit, runtime, tokens

    with make.app.app_context():
        tokens.usage(runtime.current()).flush()
        return [(event.target, event.detail) for event in audit.list_events("acme", tag="client:token:refuse")]


def test_refusals_are_recorded_with_their_count(client: FlaskClient, make: Factory) -> None:
    make.application()
    for _ in range(5):
        ask(client, "token", {"grant_type": "client_credentials", "client_id": "ci-bot", "client_secret": "canary-1234"})
    assert refusals(make) == [("application:ci-bot", {"reason": "secret", "count": 5})]


@pytest.mark.spec("R124", "T106", "T107")
def test_what_was_sent_as_an_unknown_client_id_is_not_recorded(client: FlaskClient, make: Factory) -> None:
    """A secret in the wrong field would stay in the trail for good; made-up names would flood it; NUL stops PostgreSQL."""
    made = make.application()
    for client_id in (made.secret, "\0", "nobody\n", *(f"made-up-{number}" for number in range(20))):
        ask(client, "token", {"grant_type": "client_credentials", "client_id": client_id, "client_secret": made.client_id})
    assert refusals(make) == [("application:(unknown)", {"reason": "secret", "count": 23})]


def test_events_wait_while_the_database_cannot_be_written(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3
    import sys

    from idp import audit, runtime, tokens
    from idp.app import close_app, create_app
    from idp.errors import StorageUnavailableError

    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    app = create_app(settings)
    made = Factory(app).application()
    assert ask_token(app.test_client(), made).status_code == 200
    other_writer = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other_writer.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sys.modules["idp.tokens.usage"], "MOST_WAITING", 3)  # the name is a function's too
    for _ in range(3):
        with app.app_context(), pytest.raises(StorageUnavailableError):
            tokens.usage(runtime.current()).flush()
        for _ in range(3):
            ask_token(app.test_client(), made)
    other_writer.close()
    with app.app_context():
        assert tokens.usage(runtime.current()).flush() == 4
        (lost,) = audit.list_events(tag="system:events:lost")
        assert lost.detail == {"count": 7}
        assert len(audit.list_events("acme", tag="client:token:issue")) == 3
    close_app(app)


@pytest.mark.spec("T84")
@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("::ffff:10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
    ],
)
def test_forwarded_address_is_believed_from_trusted_proxies_only(peer: str, forwarded: str, expected: str) -> None:
    from idp.networks import plain_address
    from idp.web.address import client_address

    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(environ, ("10.0.0.0/8",)) == expected
    assert client_address(environ, ()) == plain_address(peer)
