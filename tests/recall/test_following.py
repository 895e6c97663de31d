"""A follower believes what its issuer has signed, in order and in time, and nothing else."""

import asyncio
import base64
import hashlib
import inspect
import json
import math
import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask
from joserfc import jws
from joserfc.jwk import RSAKey

from idp.verifier import InvalidTokenError, KeySetStaleError, Recall, RecallUnavailableError, Verifier
from idp.verifier.asgi import BearerMiddleware
from idp.verifier.fastapi import RequireToken
from idp.verifier.flask import require_token
from tests.serving import wait_until
from tests.verifier.test_frameworks import bearer
from tests.verifier.test_verifier import AUDIENCE, Issuer

NOW = 1_800_000_000


def mark(kind: str, text: str) -> bytes:
    return hashlib.sha256(kind.encode() + b"\0" + text.encode()).digest()[:8]


def ids(kind: str, *texts: str) -> str:
    return base64.urlsafe_b64encode(b"".join(mark(kind, text) for text in texts)).rstrip(b"=").decode()


class Feed(Issuer):
    """An issuer whose feed says what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.feed = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.feed.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.steady = 0.0

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                status, headers, body = outer.answers.pop(0) if outer.answers else (500, {}, b"")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        return Handler

    def said(self, **changes: Any) -> dict[str, Any]:
        said = {
            "iss": self.url,
            "iat": self.now,
            "exp": self.now + 60,
            "epoch": "first",
            "position": 5,
            "life": 36120,
            "base": self.now,
            "causes": {},
        } | changes
        return {name: value for name, value in said.items() if value is not None}

    def written(self, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.rsa
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        full = {"alg": algorithm, "kid": key.kid, "typ": "revocations+jwt"} | (header or {})

        payload = json.dumps(self.said(**changes), separators=(",", ":"))
        return jws.serialize_compact(full, payload, key, algorithms=[algorithm])

    def follower(self, **options: Any) -> Recall:
        given = {
            "endpoint": f"http://127.0.0.1:{self.feed.server_port}/feed",
            "jwks_uri": f"{self.url}/certs",
            "clock": lambda: self.now,
            "steady": lambda: self.steady,
        } | options
        return Recall(self.url, **given)

    def close(self) -> None:
        for server in (self.server, self.feed):
            server.shutdown()
            server.server_close()


@pytest.fixture
def feed() -> Iterator[Feed]:
    found = Feed()
    yield found
    found.close()


def causes(kind: str, *texts: str, at: tuple[int, ...] = ()) -> dict[str, Any]:
    return {kind: {"ids": ids(kind, *texts), "at": list(at or [0] * len(texts))}}


@pytest.fixture
def follower(feed: Feed) -> Recall:
    found = feed.follower()
    found.take(feed.written())
    found.start = lambda: None  # type: ignore[method-assign]  # nothing is fetched
    return found


def refused(follower: Recall, claims: dict[str, Any], kid: str = "k", *, session: bool = False) -> bool:
    try:
        follower.check(kid, {"iat": NOW - 10} | claims, session=session)
    except InvalidTokenError:
        return True
    return False


CLAIMS: dict[str, tuple[str, dict[str, Any], bool, bool]] = {
    "subject": ("subject", {"sub": "x"}, False, True),
    "actor": ("subject", {"sub": "y", "act": {"sub": "x"}}, False, True),
    "actor behind an actor": ("subject", {"act": {"sub": "y", "act": {"sub": "x"}}}, False, True),
    "session token": ("session", {"sid": "x"}, True, True),
    "session of an access token": ("session", {"sid": "x"}, False, False),
    "key": ("key", {"sid": "y", "key": "x"}, True, True),
    "key of an access token": ("key", {"key": "x"}, False, False),
    "grant": ("grant", {"grant_id": "x"}, False, True),
    "jti": ("token", {"jti": "x"}, False, True),
    "origin": ("token", {"jti": "y", "origin": ["z", "x"]}, False, True),
    "origin as a text": ("token", {"origin": "x"}, False, True),
    "issuer": ("issuer", {"federation": {"iss": "x", "rule": "y"}}, False, True),
    "issuer, issued later": ("issuer", {"iat": NOW + 1, "federation": {"iss": "x"}}, False, False),
    "rule": ("rule", {"federation": {"iss": "y", "rule": "x"}}, False, True),
    "rule, issued in that second": ("rule", {"iat": NOW, "federation": {"rule": "x"}}, False, True),
    "rule, issued later": ("rule", {"iat": NOW + 1, "federation": {"rule": "x"}}, False, False),
    "issuer of an actor": ("issuer", {"act": {"sub": "y", "federation": {"iss": "x"}}}, False, True),
    "rule of an actor behind an actor": ("rule", {"act": {"act": {"federation": {"iss": "y", "rule": "x"}}}}, False, True),
    "rule of an actor, issued later": ("rule", {"iat": NOW + 1, "act": {"federation": {"rule": "x"}}}, False, False),
    "name of another kind": ("grant", {"sub": "x", "jti": "x", "sid": "x"}, True, False),
    "something else than a text": ("subject", {"sub": ["x"], "act": "x", "origin": [1, None], "federation": "x"}, True, False),
    "kind that nobody knows": ("planet", {"planet": "x"}, False, False),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_what_of_a_token_a_cause_is_compared_with(case: str, feed: Feed, follower: Recall) -> None:
    kind, claims, session, is_refused = CLAIMS[case]
    assert not refused(follower, claims, session=session)
    follower.take(feed.written(position=6, since=5, causes=causes(kind, "x")))
    assert refused(follower, claims, session=session) is is_refused


def test_key_that_signed(feed: Feed, follower: Recall) -> None:
    follower.take(feed.written(position=6, causes=causes("signing_key", "x")))
    assert refused(follower, {}, "x")
    assert not refused(follower, {}, "y")


def test_whole_realm_and_what_is_of_before_a_backup(feed: Feed, follower: Recall) -> None:
    follower.take(feed.written(position=6, closed=True))
    assert refused(follower, {})
    follower.take(feed.written(position=7))
    assert not refused(follower, {})
    follower.take(feed.written(epoch="second", position=0, tokens_from=NOW - 10 + 0.5))
    assert refused(follower, {})
    assert not refused(follower, {"iat": NOW - 9})


def test_documents_add_and_lift_and_replace(feed: Feed, follower: Recall) -> None:
    follower.take(feed.written(position=6, since=5, causes=causes("subject", "a", "b")))
    follower.take(feed.written(position=7, since=6, causes=causes("subject", "c"), lifted={"subject": ids("subject", "a")}))
    assert [refused(follower, {"sub": each}) for each in "abc"] == [False, True, True]
    follower.take(feed.written(position=8, causes=causes("subject", "a")))
    assert [refused(follower, {"sub": each}) for each in "abc"] == [True, False, False]


def test_a_cause_counts_from_its_time_on_and_is_forgotten_in_the_end(feed: Feed, follower: Recall) -> None:
    follower.take(feed.written(position=6, causes=causes("key", "x", "y", at=(0, 300))))
    assert [refused(follower, {"key": each}, session=True) for each in "xy"] == [True, False]
    feed.now += 240
    assert refused(follower, {"key": "y"}, session=True)
    feed.now += 36120 - 240 + 1
    follower.take(feed.written(position=6, since=6))
    assert [refused(follower, {"key": each}, session=True) for each in "xy"] == [False, True]


OTHERS_KEY = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
STRANGE: dict[str, dict[str, Any]] = {
    "signed by somebody else": {"key": OTHERS_KEY},
    "with a key nobody knows": {"header": {"kid": "other"}},
    "of another type": {"header": {"typ": "at+jwt"}},
    "with more in its header": {"header": {"cty": "JWT"}},
    "of another realm": {"iss": "http://127.0.0.1/auth/realms/other"},
    "old": {"iat": NOW - 121, "exp": NOW - 61},
    "from the future": {"iat": NOW + 61, "exp": NOW + 121},
    "that goes back": {"position": 4},
    "that leaves something out": {"position": 8, "since": 6},
    "that adds to another epoch": {"epoch": "second", "position": 8, "since": 5},
    "older than what is known": {"iat": NOW - 70, "exp": NOW + 60, "epoch": "second"},
    "without an end": {"exp": None},
    "without an epoch": {"epoch": None},
    "with an epoch of another form": {"epoch": "a b"},
    "with no number as position": {"position": True},
    "with a position below zero": {"position": -1},
    "without causes": {"causes": None},
    "with causes in a list": {"causes": []},
    "with causes cut off": {"causes": {"subject": {"ids": "AAAA", "at": [0]}}},
    "with too few times": {"causes": {"subject": {"ids": ids("subject", "a", "b"), "at": [0]}}},
    "with times that go back": {"causes": {"subject": {"ids": ids("subject", "a", "b"), "at": [0, -1]}}},
    "with times that are no numbers": {"causes": {"subject": {"ids": ids("subject", "a"), "at": [0.5]}}},
    "with letters that are none": {"causes": {"subject": {"ids": "!!!!!!!!!!!", "at": [0]}}},
    "closed in words": {"closed": "no"},
    "with words for a time": {"tokens_from": "yesterday"},
    "without a life": {"life": None},
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_document_is_refused_and_changes_nothing(case: str, feed: Feed, follower: Recall) -> None:
    before = follower._causes
    with pytest.raises((InvalidTokenError, ValueError)):
        follower.take(feed.written(**STRANGE[case]))
    assert follower._causes is before
    follower.take(feed.written(position=6))


def test_unsigned_and_cut_documents_are_refused(feed: Feed, follower: Recall) -> None:
    document = feed.written(position=6)
    head, body, _ = document.split(".")
    nobody = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa-1","typ":"revocations+jwt"}').rstrip(b"=").decode()
    for each in ("", document[:-4], f"{head}.{body}.", f"{nobody}.{body}.", f"{nobody}.{body}.x", "x" * 5_000_000):
        with pytest.raises((InvalidTokenError, ValueError)):
            follower.take(each)


def test_a_key_that_was_taken_back_signs_no_document(feed: Feed, follower: Recall) -> None:
    follower.take(feed.written(feed.ec, position=6, causes=causes("signing_key", "rsa-1")))
    with pytest.raises(InvalidTokenError):
        follower.take(feed.written(position=7))
    follower.take(feed.written(feed.ec, position=7))


def test_nothing_is_accepted_when_nothing_was_heard_for_too_long(feed: Feed, follower: Recall) -> None:
    assert (follower.is_current, follower.last_heard) == (True, NOW)
    feed.steady = 60
    assert not refused(follower, {})
    feed.steady = 60.5
    assert not follower.is_current
    with pytest.raises(RecallUnavailableError, match="has taken back is not known"):
        follower.check("k", {"iat": NOW})
    follower.take(feed.written())
    assert follower.is_current
    assert not refused(follower, {})


def test_how_long_is_for_who_configures_it(feed: Feed) -> None:
    for seconds, lasts in ((10, 10), (600, 600), (math.inf, 10**9)):
        follower = feed.follower(fail_open_seconds=seconds)
        feed.steady = 0
        follower.take(feed.written())
        feed.steady = lasts
        assert follower.is_current
        feed.steady = lasts + 1
        assert follower.is_current is math.isinf(seconds)
    with pytest.raises(ValueError, match="5 seconds at least"):
        feed.follower(fail_open_seconds=1)


def test_what_says_that_nothing_is_new_counts_as_long_as_what_it_is_about(feed: Feed) -> None:
    follower = feed.follower()
    feed.answers = [(200, {"ETag": '"a"'}, feed.written().encode()), (304, {}, b""), (304, {}, b""), (304, {}, b"")]
    assert follower.refresh()
    feed.steady, feed.now = 25, NOW + 25
    assert not follower.refresh()
    assert feed.asked[-1][0] == "/feed?since=first.5"
    assert (feed.asked[-1][1]["if-none-match"], feed.asked[-1][1]["prefer"]) == ('"a"', "wait=25")
    assert follower.last_heard == NOW + 25
    feed.now = NOW + 120
    with pytest.raises(ValueError, match="304"):
        follower.refresh()
    assert follower.last_heard == NOW + 25


def test_errors_are_told_and_change_nothing(feed: Feed) -> None:
    follower = feed.follower()
    feed.answers = [
        (500, {}, b""),
        (302, {"Location": "/feed"}, b""),
        (200, {}, b"x" * 4_000_001),
        (200, {}, "ä".encode()),
        (304, {}, b""),
        (429, {"Retry-After": "7"}, b""),
    ]
    for _ in range(6):
        with pytest.raises((InvalidTokenError, ValueError)) as caught:
            follower.refresh()
    assert caught.value.pause == 7  # type: ignore[attr-defined]
    with pytest.raises(RecallUnavailableError):
        feed.follower(timeout=0.01).check("k", {"iat": NOW})


def test_it_begins_by_itself_and_ends_when_told(feed: Feed) -> None:
    follower = feed.follower(steady=time.monotonic)
    feed.answers = [(200, {"ETag": '"a"'}, feed.written(causes=causes("subject", "x")).encode())]
    with pytest.raises(KeySetStaleError):
        feed.follower(endpoint="http://127.0.0.1:1/feed").check("k", {}, fetch=False)
    assert refused(follower, {"sub": "x"})
    names = [thread.name for thread in threading.enumerate()]
    assert "realmgate-recall" in names
    follower.stop()
    wait_until(lambda: follower._thread is not None and not follower._thread.is_alive(), "its end")
    follower.start()
    assert not follower._thread.is_alive()  # type: ignore[union-attr]


def test_a_process_that_was_forked_has_a_thread_of_its_own(feed: Feed) -> None:
    follower = feed.follower(steady=time.monotonic)
    document = feed.written()
    feed.answers = [(200, {"ETag": '"a"'}, document.encode()), *[(304, {}, b"")] * 50]
    follower.check("k", {"iat": NOW})
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        follower.check("k", {"iat": NOW})
        os.write(writer, b"y" if follower._thread is not None and follower._thread.is_alive() else b"n")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"y"
    follower.stop()


def test_verifier_follows_its_own_issuer_only(feed: Feed) -> None:
    with pytest.raises(ValueError, match="another issuer"):
        Verifier(feed.url, AUDIENCE, recall=Recall("http://127.0.0.1/auth/realms/other"))
    with pytest.raises(ValueError, match="http or https"):
        feed.follower(endpoint="ftp://x")


@pytest.fixture
def checking(feed: Feed) -> Verifier:
    feed.now = int(time.time())
    recall = feed.follower()
    recall.take(feed.written(causes=causes("subject", "gone")))
    recall.start = lambda: None  # type: ignore[method-assign]
    return Verifier(feed.url, AUDIENCE, jwks_uri=f"{feed.url}/certs", recall=recall)


STATES = (("1f0e", 0, 200, ""), ("gone", 0, 401, "was disabled or deleted"), ("1f0e", 61, 503, "which tokens were taken back"))


@pytest.mark.parametrize(("subject", "silence", "status", "sentence"), STATES)
def test_what_flask_answers(subject: str, silence: int, status: int, sentence: str, feed: Feed, checking: Verifier) -> None:
    app = Flask("api")

    @app.get("/")
    @require_token(checking)
    def nothing() -> dict[str, str]:
        return {}

    feed.steady = silence
    answer = app.test_client().get("/", headers=bearer(feed.token(sub=subject)))
    assert answer.status_code == status
    assert sentence in answer.json.get("error_description", "")
    assert ("Retry-After" in answer.headers) is (status == 503)


@pytest.mark.parametrize(("subject", "silence", "status", "sentence"), STATES)
def test_what_asgi_answers(subject: str, silence: int, status: int, sentence: str, feed: Feed, checking: Verifier) -> None:
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message: Any) -> None:
        sent.append(message)

    feed.steady = silence
    headers = [(b"authorization", f"Bearer {feed.token(sub=subject)}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    asyncio.run(BearerMiddleware(inner, checking)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == status
    assert sentence in sent[1]["body"].decode()


class HTTPException(Exception):  # noqa: N818 (as the framework calls it)
    def __init__(self, status_code: int, detail: Any, headers: dict[str, str]) -> None:
        self.status_code, self.detail, self.headers = status_code, detail, headers


class Request:
    """As much of Starlette's as is used."""

    def __init__(self, *authorization: str, **parameters: str) -> None:
        headers = [(b"authorization", value.encode()) for value in authorization]
        self.scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        self.path_params = parameters


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("fastapi")
    module.HTTPException, module.Request = HTTPException, Request  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastapi", module)


@pytest.mark.parametrize(("subject", "silence", "status", "sentence"), STATES)
def test_what_fastapi_is_told(
    subject: str, silence: int, status: int, sentence: str, feed: Feed, checking: Verifier, framework: None
) -> None:

    dependency = RequireToken(checking)
    assert inspect.signature(dependency).parameters["request"].annotation is Request
    feed.steady = silence
    request = Request(f"Bearer {feed.token(sub=subject)}")
    if status == 200:
        assert asyncio.run(dependency(request)).subject == subject
        return
    with pytest.raises(HTTPException) as caught:
        asyncio.run(dependency(request))
    assert caught.value.status_code == status
    assert sentence in caught.value.detail["error_description"]
    assert ("Retry-After" in caught.value.headers, "WWW-Authenticate" in caught.value.headers) == (status == 503, status == 401)


def test_fastapi_asks_for_roles_where_they_are_held(feed: Feed, checking: Verifier, framework: None) -> None:
    dependency = RequireToken(checking, roles="researcher", project_parameter="project")
    token = f"Bearer {feed.token()}"
    assert asyncio.run(dependency(Request(token, project="vision"))).client_id == "ci-bot"
    for request, status in ((Request(token, project="speech"), 403), (Request(), 401), (Request("Basic x"), 400)):
        with pytest.raises(HTTPException) as caught:
            asyncio.run(dependency(request))
        assert caught.value.status_code == status
