"""Assertions that somebody made up: each is refused as all others are, and whoever may ask is told the line that fails."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey

from idp import federation, realms, runtime
from idp.errors import Words, told
from idp.federation import Explanation
from tests.factories import Factory, ask
from tests.federation.issuing import REALM_ISSUER, Issuer, github
from tests.federation.test_admission import APP, ask_with, rule, trust

HUB = github()
OTHER = Issuer(claims=HUB.claims)


def b64(value: bytes | Mapping[str, Any]) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def at(offset: int) -> Callable[[int], int]:
    """Return a time so many seconds from when the assertion is made."""
    return lambda now: now + offset


def claims(**changes: Any) -> dict[str, Any]:
    """Return what a right assertion says, with changes; None takes a claim away, and a function gets the time."""
    now = int(time.time())
    changes = {name: value(now) if callable(value) else value for name, value in changes.items()}
    said = {"iss": HUB.url, "aud": REALM_ISSUER, "iat": now, "nbf": now, "exp": now + 300, "jti": f"h{time.monotonic_ns()}"}
    return {name: value for name, value in (said | HUB.claims | changes).items() if value is not None}


def signed(header: Mapping[str, Any], **changes: Any) -> str:
    """Sign with the issuer's key what no library would sign."""
    text = f"{b64({'alg': 'RS256', 'kid': HUB.kid, 'typ': 'JWT', **header})}.{b64(claims(**changes))}"
    return f"{text}.{b64(HUB.key.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def by_hmac(key: bytes, algorithm: str = "HS256") -> str:
    """Sign with a public key as if it were a secret."""
    text = f"{b64({'alg': algorithm, 'kid': HUB.kid})}.{b64(claims())}"
    return f"{text}.{b64(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def public(encoding: serialization.Encoding, form: serialization.PublicFormat) -> bytes:
    key: rsa.RSAPublicKey = HUB.key.public_key
    return key.public_bytes(encoding, form)


def unsigned(algorithm: Any, signature: str = "") -> str:
    return f"{b64({'alg': algorithm, 'kid': HUB.kid})}.{b64(claims())}.{signature}"


def by_ecdsa() -> str:
    """Sign with an elliptic key under the kid of an RSA key."""
    text = f"{b64({'alg': 'ES256', 'kid': HUB.kid})}.{b64(claims())}"
    return f"{text}.{b64(ec.generate_private_key(ec.SECP256R1()).sign(text.encode(), ec.ECDSA(hashes.SHA256())))}"


def tampered(part: int) -> str:
    parts = HUB.sign().split(".")
    parts[part] = parts[part][:-2] + ("AA" if not parts[part].endswith("AA") else "BB")
    return ".".join(parts)


def said(**changes: Any) -> Callable[[], str]:
    return lambda: signed({}, **changes)


def headed(**header: Any) -> Callable[[], str]:
    return lambda: signed(header)


LINES = "aud of the assertion is "
NO_MATCH = "No rule matches."
NOT_ACCEPTED = "The token's algorithm is not accepted here."
UNKNOWN = "The token's header has members that are not supported."
NO_ISSUER = "There is no trusted issuer"

HOSTILE: dict[str, tuple[Callable[[], str], str]] = {
    # rules: which line fails is told beside
    "the name was registered again": (said(repository_id="9999"), NO_MATCH),
    "an owner by name only": (said(repository_id=None), NO_MATCH),
    "another branch": (said(ref="refs/heads/feature"), NO_MATCH),
    "a branch whose name goes on": (said(ref="refs/heads/main/x"), NO_MATCH),
    "a branch whose name ends in another case": (said(ref="refs/heads/Main"), NO_MATCH),
    "a branch with a line break": (said(ref="refs/heads/main\n"), NO_MATCH),
    "an id that is an object": (said(repository_id={"a": "4711"}), NO_MATCH),
    "an id that is another number": (said(repository_id=4711.5), NO_MATCH),
    "an id that is true": (said(repository_id=True), NO_MATCH),
    "an id that is null": (said(repository_id=[None]), NO_MATCH),
    "an id in full-width digits": (said(repository_id="\uff14\uff17\uff11\uff11"), NO_MATCH),
    "an environment across a colon": (said(environment="prod:evil"), NO_MATCH),
    # audience
    "wrong audience": (said(aud="https://elsewhere.example"), LINES),
    "audience with a slash at its end": (said(aud=f"{REALM_ISSUER}/"), LINES),
    "audience of another realm": (said(aud=REALM_ISSUER.replace("acme", "other")), LINES),
    "one audience too many": (said(aud=[REALM_ISSUER, "https://elsewhere.example"]), LINES),
    "an empty list of audiences": (said(aud=[]), LINES),
    "no audience": (said(aud=None), LINES),
    "an audience that is a number": (said(aud=7), LINES),
    "an audience within a list within a list": (said(aud=[[REALM_ISSUER]]), LINES),
    # times
    "expired": (said(iat=1_700_000_000, nbf=1_700_000_000, exp=1_700_000_300), "The token has expired."),
    "from the future": (said(iat=at(4_000), nbf=at(4_000), exp=at(4_300)), ""),
    "a clock five minutes ahead": (said(iat=at(300), nbf=at(300), exp=at(600)), ""),
    "no end": (said(exp=None), ""),
    "an end that is a text": (said(exp=lambda now: str(now + 300)), ""),
    "an end beyond all years": (said(exp=10**18), ""),
    "no beginning": (said(iat=None), "The assertion does not say when it was issued (iat)."),
    "a life that is too long": (said(exp=at(90_000)), "The assertion is valid for"),
    "an age that is too great": (said(iat=at(-900), nbf=at(-900), exp=at(300)), "The assertion was issued"),
    # issuer and subject
    "an issuer with a slash at its end": (said(iss=f"{HUB.url}/"), NO_ISSUER),
    "an issuer in a list": (said(iss=[HUB.url]), NO_ISSUER),
    "an issuer in another case": (said(iss=HUB.url.upper()), NO_ISSUER),
    "an issuer that begins like ours": (said(iss=f"{HUB.url}.evil.example"), NO_ISSUER),
    "no issuer": (said(iss=None), NO_ISSUER),
    "this realm as the issuer": (said(iss=REALM_ISSUER), NO_ISSUER),
    "another realm as the issuer": (said(iss=REALM_ISSUER.replace("acme", "other")), NO_ISSUER),
    "no subject": (said(sub=None), "The assertion has no usable sub."),
    "an empty subject": (said(sub=""), "The assertion has no usable sub."),
    "a subject that is a list": (said(sub=["a"]), "The assertion has no usable sub."),
    "a subject that is too long": (said(sub="x" * 501), "The assertion has no usable sub."),
    # counted once
    "an empty jti": (said(jti=""), "The assertion has no usable jti"),
    "no jti": (said(jti=None), "The assertion has no usable jti"),
    "a jti that is a number": (said(jti=7), "The assertion has no usable jti"),
    "a jti that is too long": (said(jti="x" * 256), "The assertion has no usable jti"),
    # algorithm and key: threats.md A
    "no algorithm": (lambda: unsigned("none", "AA"), NOT_ACCEPTED),
    "no algorithm in odd case": (lambda: unsigned("nOnE", "AA"), NOT_ACCEPTED),
    "an empty algorithm": (lambda: unsigned("", "AA"), NOT_ACCEPTED),
    "an algorithm that is null": (lambda: unsigned(None, "AA"), NOT_ACCEPTED),
    "an algorithm that is a list": (lambda: unsigned(["RS256"], "AA"), NOT_ACCEPTED),
    "no signature": (lambda: unsigned("RS256"), "The token has no signature."),
    "HMAC with the key as PEM": (
        lambda: by_hmac(public(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)),
        NOT_ACCEPTED,
    ),
    "HMAC with the key as PKCS 1": (
        lambda: by_hmac(public(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)),
        NOT_ACCEPTED,
    ),
    "HMAC with the key as DER": (
        lambda: by_hmac(public(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)),
        NOT_ACCEPTED,
    ),
    "HMAC with the key as for SSH": (
        lambda: by_hmac(public(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)),
        NOT_ACCEPTED,
    ),
    "HMAC with the key as JSON": (lambda: by_hmac(json.dumps(HUB.jwks["keys"][0]).encode()), NOT_ACCEPTED),
    "HMAC-512": (lambda: by_hmac(b"x", "HS512"), NOT_ACCEPTED),
    "an elliptic signature under the name of an RSA key": (by_ecdsa, ""),
    "RSA-PSS where the key is for another": (headed(alg="PS256"), ""),
    "a swapped key": (OTHER.sign, "signature"),
    "a key that is not there": (lambda: replace(OTHER, kid="k2").sign(), "key set does not have"),
    "a kid that leads out of a folder": (headed(kid="../../etc/passwd"), "key set does not have"),
    "a kid that is no text": (headed(kid=7), "kid is not a usable text"),
    "a changed header": (lambda: tampered(0), ""),
    "changed claims": (lambda: tampered(1), ""),
    "a changed signature": (lambda: tampered(2), "signature"),
    # header
    "the address of a key set": (headed(jku="https://evil.example/jwks"), UNKNOWN),
    "a key of its own": (headed(jwk=RSAKey.generate_key(2048).as_dict(private=False)), UNKNOWN),
    "a certificate of its own": (headed(x5c=["MIIB"]), UNKNOWN),
    "the address of a certificate": (headed(x5u="https://evil.example/x"), UNKNOWN),
    "an extension that must be understood": (headed(crit=["bork"], bork=1), UNKNOWN),
    "an empty list of extensions": (headed(crit=[]), UNKNOWN),
    "a payload that is not encoded": (headed(b64=False, crit=["b64"]), UNKNOWN),
    "a compressed payload": (headed(zip="DEF"), UNKNOWN),
    "an access token": (headed(typ="at+jwt"), "type"),
    "a logout token": (headed(typ="logout+jwt"), "type"),
    "a grant for a person": (headed(typ="oauth-id-jag+jwt"), "type"),
    # shape
    "two megabytes": (said(filler="x" * 2_000_000), "longer than"),
    "a million dots": (lambda: "." * 1_000_000, "longer than"),
    "four parts": (lambda: HUB.sign() + ".x", "not a signed JWT"),
    "not JSON": (lambda: f"{b64(b'{')}.{b64(b'{}')}.AA", ""),
    "a list for claims": (lambda: f"{b64({'alg': 'RS256'})}.{b64(b'[]')}.AA", ""),
    "deeply nested": (lambda: f"{b64({'alg': 'RS256'})}.{b64(b'[' * 9_000)}.AA", ""),
}


@pytest.fixture
def admitting(make: Factory) -> Factory:
    """A realm that trusts the hub, with a rule."""
    make.application("deployer")
    trust(make, HUB)
    rule(make, "deployer", APP | {"environment": "prod*"})
    return make


def explained(make: Factory, assertion: str) -> Explanation:
    def explain(realm: Any) -> Explanation:
        known = realms.known_realm(runtime.current(), realm.name)
        assert known is not None
        return federation.explain(known, assertion)

    found: Explanation = make.do(explain)
    return found


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.spec("T1", "T5", "T6", "T7", "T11", "T12", "T14")
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_as_it_should_be_is_refused_alike_and_explained(client: FlaskClient, admitting: Factory, what: str) -> None:
    make, reason = HOSTILE[what]
    assertion = make()
    found = explained(admitting, assertion)
    assert found.verdict.admitted is None
    problem = told(found.verdict.problem, Words())
    assert problem, what
    assert reason in problem
    if reason == NO_MATCH:
        failing = [each.failing for each in found.rules if not each.matches]
        assert failing
        assert failing[0] is not None, "which line fails is told"
    answer = ask_with(client, assertion)
    assert answer.status_code in {400, 401, 413}, answer.text
    if len(assertion) < 16_384:
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client"), what
    assert assertion[:60] not in answer.text
    assert ask_with(client, HUB.sign()).status_code == 200, "and nothing else was wrong"


@pytest.mark.usefixtures("admitting")
def test_a_replayed_assertion_is_refused(client: FlaskClient) -> None:
    assertion = HUB.sign()
    assert [ask_with(client, assertion).status_code for _ in range(2)] == [200, 401]


@pytest.mark.spec("T15")
def test_our_own_tokens_are_no_assertions(client: FlaskClient, admitting: Factory) -> None:
    bot = admitting.application("bot")
    form = {"grant_type": "client_credentials", "scope": "openid", "client_id": bot.client_id, "client_secret": bot.secret}
    answer = ask(client, "token", form).json
    for name in ("access_token", "id_token"):
        assert ask_with(client, answer[name]).status_code == 401
        assert told(explained(admitting, answer[name]).verdict.problem, Words()).startswith(NO_ISSUER)


def test_a_wildcard_in_what_an_assertion_says_is_a_star(client: FlaskClient, admitting: Factory) -> None:
    rule(admitting, "deployer", {"repository_id": "1", "ref": "refs/heads/*"}, name="stars")
    assert ask_with(client, signed({}, repository_id="*")).status_code == 401
    assert ask_with(client, signed({}, repository_id="1", ref="refs/heads/*")).status_code == 200
