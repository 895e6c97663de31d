"""The verifier library: what it accepts, and the long list of what it refuses."""

import base64
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from idp.verifier import InvalidTokenError, KeySetStaleError, KeySetUnavailableError, Verifier
from tests.factories import compact
from tests.serving import PATIENCE

AUDIENCE = "https://api.example"


RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig", "alg": "ES256"})


class Issuer:
    """An issuer on loopback: discovery and a key set, as the test wants them."""

    def __init__(self) -> None:
        self.rsa, self.ec = RSA, EC
        self.keys: list[Any] = [self.rsa, self.ec]
        self.max_age = 300
        self.status = 200
        self.document: Any = None
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                is_keys = self.path.endswith("/certs")
                body = json.dumps(outer.key_set() if is_keys else outer.discovery()).encode()
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Cache-Control", f"max-age={outer.max_age}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/auth/realms/acme"

    def key_set(self) -> Any:
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def discovery(self) -> Any:
        return self.document or {"issuer": self.url, "jwks_uri": f"{self.url}/certs"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "1f0e",
            "aud": AUDIENCE,
            "client_id": "ci-bot",
            "azp": "ci-bot",
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            "jti": "j",
            "realm_access": {"roles": ["viewer"]},
            "projects": [{"uid": "u", "name": "vision", "roles": ["researcher"]}],
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.ec
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        full = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt"} | (header or {})
        return jwt.encode(full, self.claims(**changes), key, algorithms=[full["alg"]])


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(issuer.url, AUDIENCE, cooldown=0.2)


def test_roles_that_have_ended_since_are_not_there(issuer: Issuer) -> None:
    now = int(time.time())
    held = {"roles": ["viewer", "editor"], "ends": {"editor": now + 20}}
    project = {"uid": "u", "name": "vision", "roles": ["researcher", "viewer"], "ends": {"researcher": now + 20}}
    token = issuer.token(realm_access=held, projects=[project])
    for clock, roles, on_project in (
        (now, {"viewer", "editor"}, {"researcher", "viewer"}),
        (now + 20, {"viewer"}, {"viewer"}),
    ):
        identity = Verifier(issuer.url, AUDIENCE, clock=lambda clock=clock: clock).verify(token)  # type: ignore[misc]
        assert (identity.roles, identity.projects) == (roles, {"vision": on_project})


@pytest.mark.parametrize("ends", ["x", 1, ["editor"], {"editor": "tomorrow"}, {"editor": None}])
def test_ends_in_another_shape_are_refused(issuer: Issuer, verifier: Verifier, ends: Any) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.verify(issuer.token(realm_access={"roles": ["editor"], "ends": ends}))


@pytest.mark.spec("R87", "R117")
def test_good_token_says_who_calls(issuer: Issuer, verifier: Verifier) -> None:
    for key in (issuer.rsa, issuer.ec):
        identity = verifier.verify(issuer.token(key))
        assert (identity.subject, identity.client_id) == ("1f0e", "ci-bot")
        assert identity.has_role("viewer")
        assert not identity.has_role("researcher")
        assert identity.has_role("researcher", "vision")
        assert not identity.has_role("viewer", "vision")
        assert not identity.has_role("researcher", "speech")
        assert identity.claims["jti"] == "j"


def test_audience_may_be_one_of_several(issuer: Issuer, verifier: Verifier) -> None:
    assert verifier.verify(issuer.token(aud=["https://other.example", AUDIENCE])).subject == "1f0e"


REFUSED: dict[str, dict[str, Any]] = {
    "no iss": {"iss": None},
    "iss is a prefix": {"iss": "http://127.0.0.1"},
    "iss in a list": {"iss": ["http://127.0.0.1"]},
    "no aud": {"aud": None},
    "other aud": {"aud": "https://other.example"},
    "aud is a prefix": {"aud": AUDIENCE[:-1]},
    "aud is longer": {"aud": AUDIENCE + "/"},
    "empty aud": {"aud": []},
    "aud holds empty text": {"aud": [""]},
    "aud holds null": {"aud": [None, AUDIENCE]},
    "aud is a number": {"aud": 5},
    "aud is an object": {"aud": {AUDIENCE: 1}},
    "no exp": {"exp": None},
    "exp is text": {"exp": "9999999999"},
    "exp is true": {"exp": True},
    "expired": {"exp": 1},
    "not yet": {"nbf": 99999999999},
    "from the future": {"iat": 99999999999},
    "nbf is text": {"nbf": "now"},
    "exp is enormous": {"exp": 10**400},
    "exp is negative": {"exp": -1},
    "no sub": {"sub": None},
    "sub is a number": {"sub": 7},
    "roles are no texts": {"realm_access": {"roles": [1]}},
    "roles are an object": {"realm_access": []},
    "project without a name": {"projects": [{"roles": []}]},
    "projects are texts": {"projects": ["vision"]},
}


@pytest.mark.spec("R87", "R93", "T11", "T12", "T14")
@pytest.mark.parametrize("name", REFUSED)
def test_wrong_claims_are_refused(issuer: Issuer, verifier: Verifier, name: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.verify(issuer.token(**REFUSED[name]))


@pytest.mark.spec("R95")
@pytest.mark.parametrize(("late", "accepted"), [(0, True), (29, True), (31, False)])
def test_one_leeway_for_exp_and_nbf(issuer: Issuer, late: int, accepted: bool) -> None:
    now = int(time.time())
    for shift, claims in ((late, {"exp": now}), (-late, {"nbf": now, "iat": now})):
        verifier = Verifier(issuer.url, AUDIENCE, clock=lambda shift=shift: now + shift)  # type: ignore[misc]
        token = issuer.token(**{"exp": now + 3600, **claims})
        if accepted:
            assert verifier.verify(token)
        else:
            with pytest.raises(InvalidTokenError):
                verifier.verify(token)


VECTORS = Path(__file__).parents[1] / "vectors"
HEADERS = [vector["header"] for vector in json.loads((VECTORS / "jws_headers.json").read_text())]
HEADERS += [{"kid": None}, {"typ": None}, {"typ": "JWT"}, {"typ": "jwt"}]
SHAPES = json.loads((VECTORS / "jws_shapes.json").read_text())


@pytest.mark.spec("R88", "R89", "R94", "T5", "T6", "T7", "T18", "T19")
@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_tricky_headers_are_refused_and_cause_no_connection(issuer: Issuer, verifier: Verifier, header: Any) -> None:
    """Each is signed right for what it says it is, so that only the header can be what it is refused for."""
    full = {"alg": "ES256", "kid": "ec-1", "typ": "at+jwt"} | header
    full = {name: value for name, value in full.items() if value is not None or name == "alg"}
    unsigned = compact(full, issuer.claims(), b"").rpartition(".")[0]
    raw = issuer.ec.private_key.sign(unsigned.encode(), _ecdsa())
    signature = _fixed(raw)
    for each in (signature, b"", hmac.digest(b"AAAA", unsigned.encode(), "sha256")):
        with pytest.raises(InvalidTokenError):
            verifier.verify(unsigned + "." + base64.urlsafe_b64encode(each).rstrip(b"=").decode())
    assert all(path.startswith("/auth/realms/acme/") for path in issuer.requests)


def _ecdsa() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


def _fixed(der: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_tricky_headers_test_signs_rightly(issuer: Issuer, verifier: Verifier) -> None:
    unsigned = compact({"alg": "ES256", "kid": "ec-1", "typ": "at+jwt"}, issuer.claims(), b"").rpartition(".")[0]
    signature = _fixed(issuer.ec.private_key.sign(unsigned.encode(), _ecdsa()))
    assert verifier.verify(unsigned + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode())


@pytest.mark.spec("R89", "T1", "T2", "T3", "T4")
@pytest.mark.parametrize("which", ["rsa", "ec"])
def test_public_key_is_no_password(issuer: Issuer, verifier: Verifier, which: str) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = getattr(issuer, which)
    public = key.public_key
    jwk = key.as_dict(private=False)
    passwords = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk).encode(),
        json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps(issuer.key_set()).encode(),
        b"",
    ]
    if which == "rsa":
        passwords.append(public.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    for password in passwords:
        for alg in ("HS256", "HS384", "HS512", "RS256", "ES256"):
            unsigned = compact({"alg": alg, "kid": key.kid, "typ": "at+jwt"}, issuer.claims(), b"").rpartition(".")[0]
            mac = hmac.digest(password, unsigned.encode(), "sha256")
            with pytest.raises(InvalidTokenError):
                verifier.verify(unsigned + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode())


@pytest.mark.spec("R89")
def test_key_signs_with_its_own_algorithm_only(issuer: Issuer) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, algorithms=("RS256", "PS256", "ES256"))
    key = RSAKey.import_key(issuer.rsa.as_pem(private=True))  # the same key, without the note of what it is for
    token = jwt.encode({"alg": "PS256", "kid": "rsa-1", "typ": "at+jwt"}, issuer.claims(), key, algorithms=["PS256"])
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


@pytest.mark.spec("R89")
def test_algorithms_can_be_narrowed(issuer: Issuer) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, algorithms=["ES256"])
    assert verifier.verify(issuer.token(issuer.ec))
    with pytest.raises(InvalidTokenError, match="algorithm"):
        verifier.verify(issuer.token(issuer.rsa))


@pytest.mark.spec("T13", "T16", "T71")
def test_altered_tokens_are_refused_with_one_reason_and_no_claims(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(exp=1)  # expired as well: a wrong signature must be found first
    header, payload, signature = token.split(".")
    flipped = ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))
    reasons = set()
    for each in (f"{header}.{payload}.{flipped}", f"{header}.{payload}.{signature[:-4]}", f"{header}.{payload}.{'A' * 86}"):
        with pytest.raises(InvalidTokenError) as caught:
            verifier.verify(each)
        reasons.add(str(caught.value))
    assert reasons == {"The token's signature does not match any key that is accepted here."}


@pytest.mark.spec("T16", "T17", "T20", "T21", "T22")
@pytest.mark.parametrize(
    "make",
    [
        lambda token: "",
        lambda token: ".",
        lambda token: "..",
        lambda token: "a.b.c",
        lambda token: token + ".",
        lambda token: "." + token,
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token + "=",
        lambda token: token + "A",
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.replace(".", ".."),
        lambda token: token.replace(".", "%2e"),
        lambda token: token * 2,
        lambda token: "." * 1_000_000,
        lambda token: "A" * 10_000_000,
        lambda token: "é" + token,
        lambda token: "\0" + token,
        lambda token: token.replace(".", ".=", 1),
        lambda token: json.dumps({"payload": token}),
        lambda token: compact(b"[" * 5_000, {}),
        lambda token: compact({}, b"[" * 5_000),
        lambda token: compact(b"\xff", {}),
        lambda token: compact([], {}),
        lambda token: compact("x", {}),
        lambda token: compact({}, []),
        lambda token: compact(b"null", b"null"),
        lambda token: compact(b'{"alg":"ES256","alg":"none","kid":"ec-1","typ":"at+jwt"}', {}),
        lambda token: compact(b'{"alg":NaN}', {}),
        lambda token: compact(b'{"alg":"\\ud800"}', {}),
        lambda token: compact({"alg": "ES256"}, b'{"exp":1e999}'),
        lambda token: compact({"alg": "ES256"}, b'{"exp":' + b"9" * 5_000 + b"}"),
    ],
)
def test_what_is_no_token_is_refused_quickly_by_our_own_error(
    issuer: Issuer, verifier: Verifier, make: Callable[[str], str]
) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        verifier.verify(make(issuer.token()))
    assert len(str(caught.value)) < 200


@pytest.mark.spec("T16", "T71")
@pytest.mark.parametrize("vector", SHAPES, ids=[vector["name"] for vector in SHAPES])
def test_other_shapes_of_a_good_token_are_refused(issuer: Issuer, verifier: Verifier, vector: Any) -> None:
    header, payload, signature = issuer.token().split(".")
    with pytest.raises(InvalidTokenError):
        verifier.verify(vector["token"].format(h=header, p=payload, s=signature))


@pytest.mark.spec("R88")
def test_id_token_is_refused_unless_asked_for(issuer: Issuer) -> None:
    id_token = issuer.token(header={"typ": "JWT"}, typ="ID", aud="ci-bot", client_id=None, projects=None, realm_access=None)
    for audience in (AUDIENCE, "ci-bot"):
        with pytest.raises(InvalidTokenError, match="This is an ID token; send access_token"):
            Verifier(issuer.url, audience).verify(id_token)
    asking = Verifier(issuer.url, AUDIENCE, id_token_audience=["ci-bot"])
    assert asking.verify(id_token).client_id == "ci-bot"
    assert asking.verify(issuer.token()).client_id == "ci-bot"
    with pytest.raises(InvalidTokenError):
        asking.verify(issuer.token(header={"typ": "JWT"}, typ="ID", aud=AUDIENCE))
    with pytest.raises(InvalidTokenError):
        asking.verify(issuer.token(aud="ci-bot"))


@pytest.mark.spec("R87")
def test_header_of_jwt_is_an_access_token_only_if_a_claim_says_so(issuer: Issuer) -> None:
    plain = Verifier(issuer.url, AUDIENCE)
    assert plain.verify(issuer.token(header={"typ": "JWT"}, typ="Bearer")).client_id == "ci-bot"
    for typ in (None, "", "bearer", "ID", "Refresh", ["Bearer"], 1, {}):
        with pytest.raises(InvalidTokenError):
            plain.verify(issuer.token(header={"typ": "JWT"}, typ=typ))
    for typ in ("ID", "Refresh", ["Bearer"]):
        with pytest.raises(InvalidTokenError):
            plain.verify(issuer.token(typ=typ))
    with pytest.raises(InvalidTokenError):  # for the client that it names, and for nobody else
        Verifier(issuer.url, AUDIENCE, id_token_audience=["ci-bot"]).verify(
            issuer.token(header={"typ": "JWT"}, typ="Bearer", aud="ci-bot")
        )


@pytest.mark.parametrize(
    "arguments",
    [
        {"audience": ""},
        {"audience": []},
        {"audience": [AUDIENCE, ""]},
        {"leeway": 61},
        {"leeway": -1},
        {"algorithms": ["none"]},
        {"algorithms": []},
        {"algorithms": ["HS256"]},
        {"issuer": "file:///etc/passwd"},
        {"jwks_uri": "ftp://x/"},
    ],
    ids=str,
)
def test_unsafe_set_up_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Verifier(**({"issuer": "https://id.example", "audience": AUDIENCE} | arguments))


# The key set


def test_keys_are_fetched_once_and_kept(issuer: Issuer, verifier: Verifier) -> None:
    for _ in range(5):
        verifier.verify(issuer.token())
    assert [path.rpartition("/")[2] for path in issuer.requests] == ["openid-configuration", "certs"]


def test_new_key_is_found_at_its_first_token(issuer: Issuer) -> None:
    now = [0.0]
    verifier = Verifier(issuer.url, AUDIENCE, cooldown=10)
    verifier._key_set._clock = lambda: now[0]
    verifier.verify(issuer.token())
    new = ECKey.generate_key("P-256", {"kid": "ec-2", "use": "sig", "alg": "ES256"})
    issuer.keys.append(new)
    with pytest.raises(InvalidTokenError):
        verifier.verify(issuer.token(new))
    now[0] = 10
    assert verifier.verify(issuer.token(new))


def test_unknown_key_ids_cause_one_fetch_in_the_cooldown(issuer: Issuer) -> None:
    now = [0.0]
    verifier = Verifier(issuer.url, AUDIENCE, cooldown=10)
    verifier._key_set._clock = lambda: now[0]
    verifier.verify(issuer.token())
    for second in range(30):
        now[0] = float(second)
        with pytest.raises(InvalidTokenError):
            verifier.verify(issuer.token(header={"kid": f"made-up-{second}"}))
    assert len([path for path in issuer.requests if path.endswith("/certs")]) == 3


def test_key_that_left_the_set_is_refused_after_max_age(issuer: Issuer) -> None:
    now = [0.0]
    verifier = Verifier(issuer.url, AUDIENCE)
    verifier._key_set._clock = lambda: now[0]
    token = issuer.token()
    verifier.verify(token)
    issuer.keys.remove(issuer.ec)
    now[0] = 299
    assert verifier.verify(token)
    now[0] = 300
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


def test_known_keys_outlive_a_short_outage_and_not_a_long_one(issuer: Issuer) -> None:
    now = [0.0]
    verifier = Verifier(issuer.url, AUDIENCE)
    verifier._key_set._clock = lambda: now[0]
    token = issuer.token()
    verifier.verify(token)
    issuer.status = 503
    now[0] = 300 + 599
    assert verifier.verify(token)
    now[0] = 300 + 600
    with pytest.raises(KeySetUnavailableError):
        verifier.verify(token)


@pytest.mark.spec("R59", "T75")
@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": "x"},
        {"issuer": "{url}"},
        {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{url}/", "jwks_uri": "{url}/certs"},
        {"jwks_uri": "{url}/certs"},
        {"issuer": "{url}", "jwks_uri": 1},
        ["x"],
        "x",
    ],
    ids=str,
)
def test_discovery_that_is_wrong_is_not_believed(issuer: Issuer, verifier: Verifier, document: Any) -> None:
    issuer.document = json.loads(json.dumps(document).replace("{url}", issuer.url))
    with pytest.raises(KeySetUnavailableError):
        verifier.verify(issuer.token())


@pytest.mark.spec("T75")
def test_redirects_are_not_followed(issuer: Issuer, verifier: Verifier) -> None:
    issuer.status = 302
    with pytest.raises(KeySetUnavailableError):
        verifier.verify(issuer.token())
    assert "/elsewhere" not in issuer.requests


@pytest.mark.spec("R91")
def test_weak_private_and_foreign_keys_of_the_set_are_passed_over(issuer: Issuer, verifier: Verifier) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = RSAKey.generate_key(1024, {"kid": "weak", "use": "sig", "alg": "RS256"})
    issuer.key_set = lambda: {  # type: ignore[method-assign]
        "keys": [
            weak.as_dict(private=False),
            issuer.rsa.as_dict(private=True),
            {"kty": "oct", "k": "AAAA", "kid": "oct", "alg": "HS256"},
            {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
            {**issuer.ec.as_dict(private=False), "kid": "enc", "use": "enc"},
            "rubbish",
            None,
            issuer.ec.as_dict(private=False),
        ]
    }
    verifier.verify(issuer.token())
    assert list(verifier._key_set._keys) == ["ec-1"]


def test_server_that_is_away_is_a_fault_of_its_own(issuer: Issuer) -> None:
    verifier = Verifier("http://127.0.0.1:1/auth/realms/acme", AUDIENCE, timeout=1)
    with pytest.raises(KeySetUnavailableError):
        verifier.verify(issuer.token())


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_dates_that_are_null_are_refused(issuer: Issuer, verifier: Verifier, name: str) -> None:
    claims = issuer.claims() | {name: None}
    token = jwt.encode({"alg": "ES256", "kid": "ec-1", "typ": "at+jwt"}, claims, issuer.ec)
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_broken_answers_of_the_issuer_are_a_fault_of_its_own(answer: bytes) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        verifier = Verifier(f"http://127.0.0.1:{server.getsockname()[1]}/auth/realms/acme", AUDIENCE)
        with pytest.raises(KeySetUnavailableError):
            verifier.verify(jwt.encode({"alg": "ES256", "kid": "ec-1", "typ": "at+jwt"}, {"exp": 1}, EC))
        thread.join()


def test_who_holds_the_key_does_not_wait_for_a_hanging_issuer(issuer: Issuer) -> None:
    from threading import Event

    now = [0.0]
    verifier = Verifier(issuer.url, AUDIENCE)
    keys: Any = verifier._key_set
    keys._clock = lambda: now[0]
    token = issuer.token()
    verifier.verify(token)
    now[0] = 301
    hangs, go_on = Event(), Event()

    def hang(_url: str) -> Any:
        hangs.set()
        go_on.wait(PATIENCE)
        raise OSError("no answer")

    keys._get = hang
    fetching = Thread(target=verifier.verify, args=(token,))
    fetching.start()
    assert hangs.wait(PATIENCE)
    assert verifier.verify(token)  # at once, while the other thread still waits
    assert fetching.is_alive()
    go_on.set()
    fetching.join()


def test_on_an_event_loop_it_does_not_fetch(issuer: Issuer, verifier: Verifier) -> None:
    with pytest.raises(KeySetStaleError):
        verifier.verify(issuer.token(), fetch=False)
    assert issuer.requests == []
    verifier.verify(issuer.token())
    assert verifier.verify(issuer.token(), fetch=False)


def test_key_set_is_what_joserfc_reads_too(issuer: Issuer) -> None:
    assert jwt.decode(issuer.token(), KeySet.import_key_set(issuer.key_set())).claims["client_id"] == "ci-bot"


def test_it_needs_joserfc_and_nothing_of_the_server() -> None:
    """A process that may import nothing but joserfc, what that needs, and the standard library."""
    script = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        allowed = sys.stdlib_module_names | {"idp", "joserfc", "cryptography", "cffi", "_cffi_backend"}
        if root not in allowed:
            raise ImportError(f"{name} is not needed to verify a token")
sys.meta_path.insert(0, Refuse())
import idp.verifier, idp.verifier.asgi
loaded = sorted(name for name in sys.modules if name.startswith("idp"))
assert all(name == "idp" or name.split(".")[1] in {"jose", "verifier"} for name in loaded), loaded
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr
