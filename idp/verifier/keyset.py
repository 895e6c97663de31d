"""The key set of an issuer, fetched when needed and kept as long as it may be (RFC 7517 §5)."""

import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from idp.jose import InvalidTokenError, Key, import_key

MAX_DOCUMENT = 1_000_000
DEFAULT_MAX_AGE = 300
LONGEST_MAX_AGE = 86_400

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that nobody publishes (RFC 7518 §6)."""


class KeySetUnavailableError(Exception):
    """The issuer's keys cannot be fetched, so no token can be checked. A fault of the server side: answer 503."""


class KeySetStaleError(Exception):
    """The key set would have to be fetched, and the caller asked not to."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: keys come from the configured issuer, and from nowhere else."""


class KeySet:
    """The keys of one issuer.

    They are fetched again when the `max-age` they came with is over, and when a token names an unknown `kid`; for the
    latter at most once in `cooldown` seconds, so that made-up key ids cannot be used to flood the issuer.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        cooldown: float = 10,
        stale_for: float = 600,
        timeout: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `Verifier` for the parameters.

        :param stale_for: seconds past `max-age` in which known keys still serve when the issuer cannot be reached.
        """
        for url in filter(None, (issuer, jwks_uri)):
            if urlsplit(url).scheme not in {"http", "https"}:
                raise ValueError(f"{url!r} is not an http or https URL")
        self._issuer, self._jwks_uri = issuer, jwks_uri
        self._cooldown, self._stale_for, self._timeout = cooldown, stale_for, timeout
        self._clock = clock
        self._open = urllib.request.build_opener(_NoRedirects).open
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[str, Key]] = {}
        self._expires = self._last_fetch = self._next_try = float("-inf")

    def find(self, kid: str, algorithm: str, *, fetch: bool = True) -> list[Key]:
        """Return the key with this id if it is for this algorithm, as a list of one or none.

        :param fetch: False raises KeySetStaleError instead of asking the issuer, for callers on an event loop.
        :raises KeySetUnavailableError: the keys could not be fetched and none are fresh enough.
        """
        if self._must_fetch(kid):
            if not fetch:
                raise KeySetStaleError
            # Who holds a key that may still serve does not wait for somebody else's fetch.
            if self._lock.acquire(blocking=not self._may_serve(kid)):
                try:
                    if self._must_fetch(kid):
                        self._refresh()
                finally:
                    self._lock.release()
        if self._clock() >= self._expires + self._stale_for:
            raise KeySetUnavailableError(f"The keys of {self._issuer} could not be fetched.")
        found = self._keys.get(kid)
        return [found[1]] if found is not None and found[0] == algorithm else []

    def _must_fetch(self, kid: str) -> bool:
        now = self._clock()
        if now >= self._expires:
            return now >= self._next_try
        return kid not in self._keys and now >= self._last_fetch + self._cooldown

    def _may_serve(self, kid: str) -> bool:
        return kid in self._keys and self._clock() < self._expires + self._stale_for

    def _refresh(self) -> None:
        self._last_fetch = self._clock()
        try:
            document, max_age = self._get(self._jwks_uri or self._discover())
            self._keys = _usable_keys(document)
            self._expires = self._clock() + max_age
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            serves_on = self._clock() < self._expires + self._stale_for
            self._next_try = self._clock() + (self._cooldown if serves_on else min(self._cooldown, 1))
            if not serves_on:
                raise KeySetUnavailableError(f"The keys of {self._issuer} cannot be fetched: {error}") from error

    def _discover(self) -> str:
        """Ask the issuer where its keys are (OpenID Connect Discovery §4; the issuer must name itself, §4.3)."""
        document, _ = self._get(self._issuer + "/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise ValueError("its discovery document names another issuer")
        jwks_uri = document.get("jwks_uri")
        if not isinstance(jwks_uri, str) or urlsplit(jwks_uri).scheme not in {"http", "https"}:
            raise ValueError("its discovery document has no jwks_uri")
        if urlsplit(self._issuer).scheme == "https" != urlsplit(jwks_uri).scheme:
            raise ValueError("its keys are not served over https")
        self._jwks_uri = jwks_uri
        return jwks_uri

    def _read(self, response: Any) -> bytes:
        """Read an answer within the time for the whole of it, however slowly it drips."""
        end = self._clock() + self._timeout
        body = b""
        while part := response.read1(65_536):
            body += part
            if len(body) > MAX_DOCUMENT or self._clock() > end:
                raise ValueError(f"the answer was larger than {MAX_DOCUMENT} bytes, or took longer than {self._timeout} s")
        return body

    def _get(self, url: str) -> tuple[dict[str, Any], float]:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 (scheme is checked)
        try:
            with self._open(request, timeout=self._timeout) as response:
                body = self._read(response)
                cache_control = response.headers.get("Cache-Control", "")
        except urllib.error.HTTPError as error:
            error.close()
            raise ValueError(f"{url} answered {error.code}") from error
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError(f"{url} did not answer a JSON object")
        match = re.search(r"max-age=(\d{1,9})", cache_control)
        return document, min(int(match[1]) if match else DEFAULT_MAX_AGE, LONGEST_MAX_AGE)


def _usable_keys(document: dict[str, Any]) -> dict[str, tuple[str, Key]]:
    """Return signature keys by id with the one algorithm each is for; what cannot be used is passed over."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("the key set has no keys member")
    keys: dict[str, tuple[str, Key]] = {}
    for jwk in entries:
        if not isinstance(jwk, dict) or not _verifies(jwk) or not isinstance(jwk.get("kid"), str):
            continue
        algorithm = jwk.get("alg") or {"RSA": "RS256", "EC": "ES256"}.get(str(jwk.get("kty")))
        try:
            keys[jwk["kid"]] = (str(algorithm), import_key(jwk))
        except InvalidTokenError:
            continue
    if not keys:
        raise ValueError("the key set holds no usable key")
    return keys


def _verifies(jwk: dict[str, Any]) -> bool:
    """Tell whether a key is published to check signatures with (RFC 7517 §4.2 and §4.3), and none of its private half with it."""
    operations = jwk.get("key_ops", ["verify"])
    is_for_this = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return is_for_this and not _PRIVATE & jwk.keys()
