"""Bound tokens at other APIs, by the verifier, its decorator for Flask and its middleware for ASGI."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g

from idp.jose import normalised
from idp.verifier import InvalidTokenError, UnprovenTokenError, Verifier
from idp.verifier.asgi import BearerMiddleware
from idp.verifier.flask import require_token
from idp.verifier.possession import MOST_REMEMBERED, UsedProofs
from tests.bound.proving import Prover, b64
from tests.verifier.test_verifier import AUDIENCE, Issuer, issuer  # noqa: F401 (a fixture)

URL = f"{AUDIENCE}/things/7"


def bound(issuer: Issuer, prover: Prover) -> str:
    token: str = issuer.token(cnf={"jkt": prover.jkt})
    return token


@pytest.mark.spec("R104", "R105")
def test_bound_token_needs_a_proof_once(issuer: Issuer, prover: Prover) -> None:
    verifier, token = Verifier(issuer.url, AUDIENCE), bound(issuer, prover)
    proof = prover.proof("GET", URL, token=token)
    identity = verifier.verify(token, proof=proof, method="GET", url=f"{URL}?a=b")
    assert identity.client_id == "ci-bot"
    with pytest.raises(UnprovenTokenError, match="used before"):
        verifier.verify(token, proof=proof, method="GET", url=URL)


WRONG: dict[str, Callable[[Prover, str], dict[str, Any]]] = {
    "nothing": lambda _p, _t: {},
    "an empty proof": lambda _p, _t: {"proof": "", "method": "GET", "url": URL},
    "another key": lambda _p, t: {"proof": Prover().proof("GET", URL, token=t), "method": "GET", "url": URL},
    "another token": lambda p, _t: {"proof": p.proof("GET", URL, token="x"), "method": "GET", "url": URL},
    "no token": lambda p, _t: {"proof": p.proof("GET", URL), "method": "GET", "url": URL},
    "another method": lambda p, t: {"proof": p.proof("GET", URL, token=t), "method": "POST", "url": URL},
    "another URL": lambda p, t: {"proof": p.proof("GET", URL, token=t), "method": "GET", "url": f"{URL}1"},
    "no URL": lambda p, t: {"proof": p.proof("GET", "x", token=t), "method": "GET", "url": ""},
}


@pytest.mark.spec("R105")
@pytest.mark.parametrize("case", WRONG)
def test_bound_token_is_refused(issuer: Issuer, prover: Prover, case: str) -> None:
    token = bound(issuer, prover)
    with pytest.raises(UnprovenTokenError):
        Verifier(issuer.url, AUDIENCE).verify(token, **WRONG[case](prover, token))


def test_token_that_is_not_bound_takes_no_proof(issuer: Issuer, prover: Prover) -> None:
    verifier, token = Verifier(issuer.url, AUDIENCE), issuer.token()
    assert verifier.verify(token).client_id == "ci-bot"
    with pytest.raises(UnprovenTokenError):
        verifier.verify(token, proof=prover.proof("GET", URL, token=token), method="GET", url=URL)


@pytest.mark.parametrize(
    "confirmation", [{"jku": "https://x.example"}, {"jkt": "x", "kid": "y"}, {"x5t#S256": None}, "jkt", 7, [], {}]
)
def test_token_that_is_bound_to_something_else_is_refused(issuer: Issuer, prover: Prover, confirmation: Any) -> None:
    token = issuer.token(cnf=confirmation)
    proof = prover.proof("GET", URL, token=token)
    for shown in ({}, {"proof": proof, "method": "GET", "url": URL}):
        with pytest.raises(InvalidTokenError):
            Verifier(issuer.url, AUDIENCE).verify(token, **shown)


def test_token_that_is_bound_to_a_certificate_needs_that(issuer: Issuer) -> None:
    certificate = b"a certificate"
    token = issuer.token(cnf={"x5t#S256": b64(hashlib.sha256(certificate).digest())})
    verifier = Verifier(issuer.url, AUDIENCE)
    assert verifier.verify(token, certificate=certificate)
    for wrong in (None, b"another"):
        with pytest.raises(UnprovenTokenError, match="certificate"):
            verifier.verify(token, certificate=wrong)


def test_memory_of_proofs_is_bounded(prover: Prover, monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.jose import Proof
    from idp.verifier import possession

    assert MOST_REMEMBERED == 100_000
    monkeypatch.setattr(possession, "MOST_REMEMBERED", 3)
    used = UsedProofs()
    for number in range(3):
        used.use_up(Proof("k", str(number), "", "ES256", until=60), now=0)
    with pytest.raises(UnprovenTokenError):
        used.use_up(Proof("k", "4", "", "ES256", until=60), now=0)
    used.use_up(Proof("k", "4", "", "ES256", until=130), now=61)


@pytest.fixture
def api(issuer: Issuer) -> Any:
    app = Flask("api")

    @app.get("/things/<number>")
    @require_token(Verifier(issuer.url, AUDIENCE))
    def thing(number: str) -> dict[str, str]:
        return {"client": g.identity.client_id, "number": number}

    @app.get("/named")
    @require_token(Verifier(issuer.url, ["metrics", AUDIENCE]))
    def named() -> dict[str, str]:
        return {}

    return app.test_client()


@pytest.mark.spec("R104", "R105")
def test_flask_helper_asks_for_the_proof(api: Any, issuer: Issuer, prover: Prover) -> None:
    token = bound(issuer, prover)
    good = prover.headers("GET", URL, token=token)
    assert api.get("/things/7?a=b", headers=good).status_code == 200
    refused = [
        good,
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"DPoP {token}"},
        prover.headers("GET", "http://localhost/things/7", token=token),
        [*prover.headers("GET", URL, token=token).items(), ("DPoP", prover.proof("GET", URL, token=token))],
    ]
    for headers in refused:
        answer = api.get("/things/7", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["WWW-Authenticate"].startswith('DPoP error="invalid_'), headers
        assert 'algs="ES256 ' in answer.headers["WWW-Authenticate"]


def test_host_of_the_request_counts_for_nothing(api: Any, issuer: Issuer, prover: Prover) -> None:
    token = bound(issuer, prover)
    headers = prover.headers("GET", "https://evil.example/things/7", token=token)
    assert api.get("/things/7", headers=headers, base_url="https://evil.example").status_code == 401


def test_without_a_public_url_no_proof_is_taken(api: Any, issuer: Issuer, prover: Prover) -> None:
    token = bound(issuer, prover)
    answer = api.get("/named", headers=prover.headers("GET", "http://localhost/named", token=token))
    assert (answer.status_code, "public URL" in answer.json["error_description"]) == (401, True)


def asgi(verifier: Verifier, headers: list[tuple[str, str]], path: str = "/things/7") -> int:
    """Return the status of an answer of an ASGI application behind the middleware."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": path, "headers": raw}
    asyncio.run(BearerMiddleware(app, verifier)(scope, receive, send))
    status: int = sent[0]["status"]
    return status


@pytest.mark.spec("R104", "R105")
def test_asgi_helper_asks_for_the_proof(issuer: Issuer, prover: Prover) -> None:
    verifier, token = Verifier(issuer.url, "things", public_url=f"{AUDIENCE}/"), ""
    token = issuer.token(cnf={"jkt": prover.jkt}, aud="things")
    good = list(prover.headers("GET", URL, token=token).items())
    assert asgi(verifier, good) == 200
    assert asgi(verifier, good) == 401
    assert asgi(verifier, [("Authorization", f"Bearer {token}")]) == 401
    twice = [*prover.headers("GET", URL, token=token).items(), ("DPoP", prover.proof("GET", URL, token=token))]
    assert asgi(verifier, twice) == 401


SAME = [
    ("HTTPS://API.example:443/a", "https://api.example/a"),
    ("https://api.example", "https://api.example/"),
    ("https://api.example/%7ea/%2f", "https://api.example/~a/%2F"),
    ("https://api.example/a/./b/../c", "https://api.example/a/c"),
    ("https://api.example/a/..", "https://api.example/"),
    ("https://api.example/../a", "https://api.example/a"),
    ("http://[2001:DB8::1]:80/a?b#c", "http://[2001:db8::1]/a"),
    ("https://api.example:8443/a//b/", "https://api.example:8443/a//b/"),
]


@pytest.mark.parametrize(("written", "form"), SAME)
def test_url_has_one_form(written: str, form: str) -> None:
    assert normalised(written) == form
    assert normalised(form) == form


@pytest.mark.parametrize(
    "wrong", ["", "a", "//api.example/", "https://", "ftp://api.example/", "https://a:b@c/", "https://x:y/", "https://[/"]
)
def test_what_is_no_url_has_none(wrong: str) -> None:
    assert normalised(wrong) == ""
