"""Following what a realm takes back of its tokens, in the background: no request waits for that, and none causes a call."""

import contextlib
import http.client
import math
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.jose import InvalidTokenError, Key, open_token
from idp.verifier.causes import Causes, MalformedFeedError, read_causes
from idp.verifier.keyset import KeySet, KeySetStaleError, KeySetUnavailableError

MAX_FEED = 4_000_000
WAIT = 25
"""Seconds that the server lets a question wait for news."""

_LEEWAY = 60
_LONGEST_PAUSE = 15
_EPOCH = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_MEMBERS = {"alg", "kid", "typ"}


class RecallUnavailableError(KeySetUnavailableError):
    """It is not known what was taken back lately, so no token is accepted. A fault of the server side: answer 503."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: the feed comes from the configured issuer, and from nowhere else."""


class _Line:
    """The connection on which an answer is waited for, so that it can be hung up on."""

    def __init__(self) -> None:
        self.connection: http.client.HTTPConnection | None = None
        line = self

        def noted(opened: Callable[..., http.client.HTTPConnection]) -> Callable[..., http.client.HTTPConnection]:
            def connect(*args: Any, **kwargs: Any) -> http.client.HTTPConnection:
                line.connection = opened(*args, **kwargs)
                return line.connection

            return connect

        class Http(urllib.request.HTTPHandler):
            def do_open(self, http_class: Any, req: Any, **kwargs: Any) -> Any:
                return super().do_open(noted(http_class), req, **kwargs)

        class Https(urllib.request.HTTPSHandler):
            def do_open(self, http_class: Any, req: Any, **kwargs: Any) -> Any:
                return super().do_open(noted(http_class), req, **kwargs)

        self.open = urllib.request.build_opener(_NoRedirects, Http, Https).open

    def hang_up(self) -> None:
        """End the waiting."""
        sock = self.connection.sock if self.connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


_following: "weakref.WeakSet[Recall]" = weakref.WeakSet()


def _forget_threads() -> None:
    for each in list(_following):
        each._begin_anew()  # noqa: SLF001 (of this module)


class Recall:
    """What one issuer has taken back. Thread-safe; make one for each issuer and keep it.

    A thread of its own begins with the first token that is checked, or with `start`.
    """

    def __init__(
        self,
        issuer: str,
        *,
        fail_open_seconds: float = 60,
        endpoint: str = "",
        jwks_uri: str | None = None,
        algorithms: Collection[str] = ("RS256", "ES256"),
        timeout: float = 5,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to follow an issuer; nothing is fetched yet.

        :param issuer: as for the `Verifier`.
        :param fail_open_seconds: for how long tokens are accepted when nothing is heard from the issuer any more; then each is
            refused as by `RecallUnavailableError`, until something is. `math.inf` for ever. At least 5.
        :param endpoint: address of the feed; by default the issuer's.
        :param jwks_uri: address of the key set; by default the issuer is asked for it.
        :param algorithms: signature algorithms to accept.
        :param timeout: seconds that an answer may take beside what the question is to wait for news, and that the first token
            waits for the first document.
        """
        self._endpoint = endpoint or f"{issuer}/protocol/realmgate/revocations"
        if urlsplit(self._endpoint).scheme not in {"http", "https"}:
            raise ValueError("the feed takes an http or https URL")
        if not fail_open_seconds >= 5:
            raise ValueError("fail_open_seconds takes 5 seconds at least")
        self.issuer = issuer
        self._fail_open = fail_open_seconds
        self._wait = WAIT if math.isinf(fail_open_seconds) else max(1, min(WAIT, int(fail_open_seconds / 2)))
        self._algorithms = frozenset(algorithms)
        self._timeout, self._clock, self._steady = timeout, clock, steady
        self._key_set = KeySet(issuer, jwks_uri=jwks_uri, cooldown=1, timeout=timeout)
        self._causes: Causes | None = None
        self._tag = ""
        self._heard = -math.inf
        self._last_heard: float | None = None
        self._failure = "it was not asked yet"
        self._begin_anew()
        _following.add(self)

    def _begin_anew(self) -> None:
        """Have no thread: also in a process that was forked from one that has it."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped, self._has_first = threading.Event(), threading.Event()
        self._line = _Line()
        if self._causes is not None:
            self._has_first.set()

    @property
    def last_heard(self) -> float | None:
        """When the issuer has said last what it has taken back (seconds since 1970); None for never yet."""
        return self._last_heard

    @property
    def is_current(self) -> bool:
        """Whether that is recent enough for tokens to be accepted."""
        return self._causes is not None and self._steady() - self._heard <= self._fail_open

    @property
    def failure(self) -> str:
        """What was wrong when it was tried last, as a sentence for a log; empty if nothing was."""
        return self._failure

    def start(self) -> None:
        """Begin to follow, unless that has begun."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._follow, name="realmgate-recall", daemon=True)
                self._thread.start()

    def stop(self, patience: float = 5) -> None:
        """Stop following, for good, and wait for the thread to end; what is known stays, and grows old.

        :param patience: seconds to wait.
        """
        with self._lock:
            self._stopped.set()
            thread = self._thread
        self._line.hang_up()
        if thread is not None:
            thread.join(patience)

    def check(self, kid: object, claims: Mapping[str, Any], *, session: bool = False, fetch: bool = True) -> None:
        """Refuse a token that was taken back. Its signature and all that it says must have been found right.

        :param kid: of its header.
        :param session: whether it is a session token.
        :param fetch: False raises KeySetStaleError instead of waiting for the first document, for use on an event loop.
        :raises InvalidTokenError: it was taken back.
        :raises RecallUnavailableError: nothing was heard for too long.
        """
        if self._thread is None:
            self.start()
        causes = self._causes
        if causes is None:
            causes = self._first(fetch=fetch)
        if self._steady() - self._heard > self._fail_open:
            raise RecallUnavailableError(f"What {self.issuer} has taken back is not known: {self._failure}")
        reason = causes.reason(kid, claims, self._clock(), session=session)
        if reason is not None:
            raise InvalidTokenError(f"The token does not count any more: {reason}.")

    def _first(self, *, fetch: bool) -> Causes:
        if not fetch and not self._has_first.is_set():
            raise KeySetStaleError
        self._has_first.wait(self._timeout)
        causes = self._causes
        if causes is None:
            raise RecallUnavailableError(f"What {self.issuer} has taken back is not known: {self._failure}")
        return causes

    def _follow(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            began = self._steady()
            try:
                pause = 0.0 if self.refresh() else max(0.0, 1 - (self._steady() - began))
                failures, self._failure = 0, ""
            except Exception as error:  # noqa: BLE001 (the thread must live on)
                failures += 1
                self._failure = str(error) or type(error).__name__
                asked = error.pause if isinstance(error, _TryLaterError) else 0
                pause = max(asked, min(2.0 ** (failures - 1), _LONGEST_PAUSE))
            self._stopped.wait(pause)

    def refresh(self) -> bool:
        """Ask once, and wait for news if something is known; tell whether there was any. The thread does nothing else.

        :raises OSError, ValueError, InvalidTokenError, KeySetUnavailableError: there is no answer, or it is not accepted.
        """
        causes, headers, url, patience = self._causes, {"Accept": "application/jwt"}, self._endpoint, self._timeout
        if causes is not None:
            headers |= {"If-None-Match": self._tag, "Prefer": f"wait={self._wait}"}
            url += f"?since={causes.epoch}.{causes.position}"
            patience += self._wait
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the scheme is checked)
        try:
            with self._line.open(request, timeout=patience) as response:
                body = self._read(response)
                tag = response.headers.get("ETag", "")
        except urllib.error.HTTPError as error:
            with error:
                return self._judge(error, causes)
        self.take(body)
        self._tag = tag
        now_known = self._causes
        return causes is None or now_known is None or (now_known.epoch, now_known.position) != (causes.epoch, causes.position)

    def _judge(self, error: urllib.error.HTTPError, causes: Causes | None) -> bool:
        if error.code == 304 and causes is not None:
            if self._clock() < causes.expires_at + _LEEWAY:
                self._hear()
                return False
            self._tag = ""  # somebody answers that nothing is new, and says so about what is long over
        pause = error.headers.get("Retry-After", "")
        message = f"{self._endpoint} answered {error.code}"
        if error.code in {429, 503} and pause.isdecimal():
            raise _TryLaterError(message, min(int(pause), 60)) from error
        raise ValueError(message) from error

    def _read(self, response: Any) -> str:
        """Read an answer within the time for it, however slowly it drips."""
        end = time.monotonic() + self._timeout
        body = b""
        while part := response.read1(65_536):
            body += part
            if len(body) > MAX_FEED or time.monotonic() > end:
                raise ValueError(f"the answer was larger than {MAX_FEED} bytes, or took longer than {self._timeout} s")
        return body.decode("ascii")

    def take(self, document: str) -> None:
        """Take a document, from wherever it came.

        :raises InvalidTokenError, ValueError: it is none of the issuer's, too old, or from before what is known.
        """
        causes, now = self._causes, self._clock()
        opened = open_token(document, keys=self._keys, algorithms=self._algorithms, types={"revocations+jwt"}, longest=MAX_FEED)
        claims = opened.claims
        if opened.header.keys() != _MEMBERS or claims.get("iss") != self.issuer:
            raise MalformedFeedError("the feed is of another issuer")
        _check_form(claims)
        if claims["iat"] > now + _LEEWAY or claims["exp"] <= now - _LEEWAY:
            raise MalformedFeedError("the feed is too old, or from the future; check the clocks")
        if causes is not None:
            _check_order(claims, causes)
        self._causes = read_causes(claims, causes, now)
        self._hear()
        self._has_first.set()

    def _hear(self) -> None:
        self._heard, self._last_heard = self._steady(), self._clock()

    def _keys(self, kid: str | None, algorithm: str) -> list[Key]:
        """Return the key of a document, unless it is one that was itself taken back."""
        if kid is None or (self._causes is not None and self._causes.recalls_key(kid)):
            return []
        return self._key_set.find(kid, algorithm)


class _TryLaterError(ValueError):
    """The server has said when to ask again."""

    def __init__(self, message: str, pause: float) -> None:
        super().__init__(message)
        self.pause = pause


def _check_form(claims: Mapping[str, Any]) -> None:
    numbers = all(
        isinstance(claims.get(name), int) and not isinstance(claims[name], bool) and claims[name] >= 0
        for name in ("iat", "exp", "position")
    )
    epoch = claims.get("epoch")
    if not numbers or not isinstance(epoch, str) or not _EPOCH.fullmatch(epoch):
        raise MalformedFeedError("the feed does not have the form that is expected")


def _check_order(claims: Mapping[str, Any], known: Causes) -> None:
    """See that a document goes on from what is known, and does not go back."""
    if claims["iat"] < known.made_at - _LEEWAY:
        raise MalformedFeedError("the feed is older than what is known")
    if claims["epoch"] != known.epoch:
        if "since" in claims:
            raise MalformedFeedError("the feed adds to what is not known")
        return
    since = claims.get("since", 0)
    if claims["position"] < known.position or (isinstance(since, int) and since > known.position):
        raise MalformedFeedError("the feed goes back, or leaves something out")


os.register_at_fork(after_in_child=_forget_threads)
