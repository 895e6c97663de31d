"""Verifiers of four makers, each with a key set of its own that is as old as it may be, and the tokens that they are shown."""

import http.client
import itertools
import json
import re
import shutil
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import jwt as pyjwt
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.jose import InvalidTokenError
from idp.verifier import KeySetUnavailableError, Verifier
from tests.faults.history import GRACE
from tests.faults.load import ALGORITHMS, PATIENCE, ask
from tests.faults.surroundings import Fleet
from tests.prepare import NODE_FOLDER, jose_missing

AUDIENCE = "https://api.example"
MAX_AGE = 3
"""Seconds for which a key set may be kept: as few as the server accepts."""

NEVER = 1e9
"""Seconds until a verifier looks for a key that it does not know: these do not, for an API need not."""

MOST_WAITING = 1000
"""Tokens that wait for a verifier until no more are fetched: some 700 may, for a newer key set."""

LATEST = 60.0
"""Seconds for which a slow round may put off the last look at tokens of a revoked key."""


class UnavailableError(Exception):
    """The key set could not be fetched, so that nothing was verified."""


class Verifying(Protocol):
    """A verifier."""

    name: str

    def refusal(self, token: str) -> str:
        """Return why a token is refused; empty if it is accepted."""

    def close(self) -> None:
        """End it."""


class _Kept:
    """A verifier whose key set is kept here."""

    def __init__(
        self, name: str, addresses: Sequence[str], read: Callable[[Any], Any], decode: Callable[[str, Any], Any]
    ) -> None:
        self.name, self._addresses, self._read, self._decode = name, itertools.cycle(addresses), read, decode
        self._good_until, self._keys = float("-inf"), None

    def refusal(self, token: str) -> str:
        if time.monotonic() > self._good_until:
            begun, answer = time.monotonic(), ask("GET", next(self._addresses))
            age = re.search(r"max-age=(\d+)", answer.headers.get("Cache-Control", ""))
            if answer.status != 200 or age is None:
                raise UnavailableError(f"{answer.status} {answer.body[:80]!r}")
            self._keys, self._good_until = self._read(answer.json), begun + int(age[1])
        try:
            self._decode(token, self._keys)
        except (JoseError, pyjwt.PyJWTError, KeyError, ValueError) as error:
            return repr(error)
        return ""

    def close(self) -> None:
        """Nothing of it runs."""


class _Own:
    """The verifier that comes with the server."""

    name = "its own"

    def __init__(self, issuer: str, address: str) -> None:
        self._verifier = Verifier(issuer, AUDIENCE, jwks_uri=address, cooldown=NEVER)

    def refusal(self, token: str) -> str:
        try:
            self._verifier.verify(token)
        except InvalidTokenError as error:
            return repr(error)
        except KeySetUnavailableError as error:
            raise UnavailableError(str(error)) from error
        return ""

    def close(self) -> None:
        """Nothing of it runs."""


class _Node:
    """`jose` from npm, in a process of its own."""

    name = "jose"

    def __init__(self, issuer: str, address: str) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, "verifying.mjs", address, issuer, AUDIENCE],
            cwd=NODE_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def refusal(self, token: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{token}\n")
            self._process.stdin.flush()
            said = self._process.stdout.readline()
        except BrokenPipeError:
            said = ""
        if not said:
            raise UnavailableError("jose has ended")
        return said.strip()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process.stdin, self._process.stdout:
            self._process.terminate()
        self._process.wait(PATIENCE)


def _with_pyjwt(token: str, keys: dict[str, Any]) -> None:
    key = keys[pyjwt.get_unverified_header(token)["kid"]]
    pyjwt.decode(token, key, algorithms=ALGORITHMS, audience=AUDIENCE)


def _verifiers(issuer: str, addresses: Sequence[str]) -> Iterator[Verifying]:
    """Yield the verifiers that can be run here."""
    yield _Kept(
        "joserfc", addresses, KeySet.import_key_set, lambda token, keys: joserfc_jwt.decode(token, keys, algorithms=ALGORITHMS)
    )
    yield _Kept(
        "PyJWT",
        addresses[::-1],
        lambda document: {key.key_id: key for key in pyjwt.PyJWKSet.from_dict(document).keys},
        _with_pyjwt,
    )
    yield _Own(issuer, addresses[0])
    if jose_missing() is None:
        yield _Node(issuer, addresses[-1])


@dataclass
class _Shown:
    """A token, and when it was asked for."""

    token: str
    kid: str
    at: float


@dataclass
class _Witness:
    """One verifier, and what it has said."""

    verifier: Verifying
    fresh: deque[_Shown] = field(default_factory=deque)
    """To be verified at once."""
    again: deque[_Shown] = field(default_factory=deque)
    """To be verified once more, with a key set that is newer than the token."""
    verified: int = 0
    refused: list[str] = field(default_factory=list)
    without_keys: list[str] = field(default_factory=list)

    def ask(self, token: str) -> str | None:
        """Return why a token is refused; empty if it is accepted, None if there was no key set, which is noted."""
        try:
            return self.verifier.refusal(token)
        except UnavailableError as error:
            self.without_keys.append(f"{self.verifier.name} could not fetch the key set: {error}")
            return None

    @property
    def is_behind(self) -> bool:
        """Tell whether more tokens wait than should."""
        return len(self.fresh) + len(self.again) > MOST_WAITING

    def look(self, shown: _Shown) -> None:
        """Verify a token."""
        refusal = self.ask(shown.token)
        if refusal is None:
            return
        self.verified += 1
        if refusal:
            age = time.monotonic() - shown.at
            self.refused.append(f"{self.verifier.name} refused a token of {age:.1f} s, signed by {shown.kid}: {refusal}")


class Witnesses:
    """Verifiers that are shown every token that some callers fetch: when it is new, and again two key sets later."""

    def __init__(self, fleet: Fleet) -> None:
        """Make who fetches tokens, one for each algorithm, and the verifiers."""
        first = fleet.nodes[0]
        self._fleet, self._issuer = fleet, first.issuer()
        self._callers = [
            first.create_application(f"witness-{algorithm.lower()}", "--algorithm", algorithm, "--audience", AUDIENCE)
            for algorithm in ALGORITHMS
        ]
        self._witnesses = [_Witness(each) for each in _verifiers(self._issuer, self._endpoints("certs"))]
        self._enough, self._over, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._fetching: list[threading.Thread] = []
        self._verifying: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.tokens = 0
        self._failed: Counter[int] = Counter()
        self._published: dict[str, float] = {}
        self._looked_at, self._not_yet = float("-inf"), dict[str, float]()
        self._first_signed: dict[str, float] = {}
        self._first_keys = self._look_at_keys()

    def _endpoints(self, name: str) -> list[str]:
        return [f"{url}/auth/realms/acme/protocol/openid-connect/{name}" for url in self._fleet.urls()]

    # -- running ---------------------------------------------------------------------------------------------------------

    def start(self, pause: float) -> None:
        """Begin.

        :param pause: seconds between one token and the next, of each caller at each node.
        """
        for witness in self._witnesses:
            self._run(self._verifying, lambda witness=witness: self._verify_on(witness))
        for address in self._endpoints("token"):
            for caller in self._callers:
                self._run(self._fetching, lambda address=address, caller=caller: self._fetch_on(address, caller, pause))
        self._run(self._fetching, self._watch_keys)

    @staticmethod
    def _run(threads: list[threading.Thread], work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    def stop(self) -> None:
        """End when all tokens were verified as often as they are to be."""
        for over, threads in ((self._enough, self._fetching), (self._over, self._verifying)):
            over.set()
            for thread in threads:
                thread.join(4 * PATIENCE)
                assert not thread.is_alive(), "a verifier hangs"

    def close(self) -> None:
        """End what runs."""
        for event in (self._enough, self._over, self._closed):
            event.set()
        for thread in self._verifying:
            thread.join(PATIENCE)  # one of them uses the pipes that are closed now
        for witness in self._witnesses:
            witness.verifier.close()

    @property
    def verified(self) -> int:
        """How many times a token was verified."""
        return sum(witness.verified for witness in self._witnesses)

    def _fetch_on(self, address: str, caller: dict[str, str], pause: float) -> None:
        place = urlsplit(address)
        assert place.hostname is not None
        with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)) as connection:
            while not self._enough.wait(pause):
                if any(witness.is_behind for witness in self._witnesses):
                    continue
                begun = time.monotonic()
                connection.request("POST", place.path, _form_of(caller), {"Content-Type": "application/x-www-form-urlencoded"})
                with connection.getresponse() as answer:
                    said = answer.read()
                if answer.status == 200:
                    self._show(json.loads(said)["access_token"], begun)
                else:
                    self._failed[answer.status] += 1

    def _show(self, token: str, begun: float) -> None:
        shown = _Shown(token, kid_of(token), begun)
        with self._lock:
            self.tokens += 1
            self._first_signed.setdefault(shown.kid, time.monotonic())
        for witness in self._witnesses:
            witness.fresh.append(shown)

    def _verify_on(self, witness: _Witness) -> None:
        while not self._closed.is_set() and (witness.fresh or witness.again or not self._over.is_set()):
            if witness.fresh:
                shown = witness.fresh.popleft()
                witness.look(shown)
                witness.again.append(shown)
            elif witness.again and (self._over.is_set() or witness.again[0].at < time.monotonic() - 2 * MAX_AGE):
                witness.look(witness.again.popleft())
            else:
                self._over.wait(0.02)

    def _watch_keys(self) -> None:
        while not self._enough.wait(0.25):
            self._look_at_keys()

    def _look_at_keys(self) -> frozenset[str]:
        """Note which keys all nodes publish."""
        begun = time.monotonic()
        answers = [ask("GET", address) for address in self._endpoints("certs")]
        if not all(answer.status == 200 for answer in answers):
            return frozenset()
        kids = frozenset.intersection(*(frozenset({str(key["kid"]) for key in answer.json["keys"]}) for answer in answers))
        for kid in kids:
            if kid not in self._published:
                self._published[kid], self._not_yet[kid] = time.monotonic(), self._looked_at
        self._looked_at = begun
        return kids

    # -- a key that may have leaked ---------------------------------------------------------------------------------------

    def see_revoked(self, revoke: Callable[[], dict[str, float]]) -> tuple[list[str], dict[str, str]]:
        """Have the keys that sign be revoked, and see until when their tokens are accepted; to be asked after `stop`.

        :param revoke: does it, and returns the keys, and when that was answered for each.
        :returns: what is wrong with it, and figures.
        """
        old = [self._token(caller) for caller in self._callers]
        findings = [f"before its key was revoked: {reason}" for token in old if (reason := self._refusal(token))]
        gone = revoke()
        if not {kid_of(token) for token in old} <= set(gone):
            return [*findings, "a key that signs was not revoked"], {}
        accepted, late, all_new = [0.0], Counter[bool](), 0.0
        end = max(gone.values()) + MAX_AGE + GRACE + 1.0
        unasked = {witness.verifier.name for witness in self._witnesses}
        while (now := time.monotonic()) < end or (unasked and now < end + LATEST):
            new = [self._token(caller) for caller in self._callers]
            wrong = [kid for kid in map(kid_of, new) if now > gone.get(kid, now) + GRACE]
            findings += [f"key {kid} was revoked, and signed {now - gone[kid]:.1f} s later" for kid in wrong]
            if not all_new and not any(map(self._refusal, new)):
                all_new = time.monotonic() - max(gone.values())
            for witness, token in itertools.product(self._witnesses, old):
                since = time.monotonic() - gone[kid_of(token)]
                refusal = witness.ask(token)
                if refusal is None:
                    continue
                is_refused, is_over = bool(refusal), since > MAX_AGE + GRACE
                accepted += [] if is_refused else [since]
                if is_over:
                    late[is_refused] += 1
                    unasked.discard(witness.verifier.name)
                if is_over and not is_refused:
                    findings.append(f"{witness.verifier.name} accepted a token {since:.1f} s after its key was revoked")
        findings += [f"{name} was never asked later than {MAX_AGE + GRACE:.0f} s after a key was revoked" for name in unasked]
        if not all_new:
            findings.append("tokens of the keys that took the place of revoked ones are not accepted")
        return findings, {
            "tokens_of_revoked_keys": f"last accepted after {max(accepted):.1f} s; later than {MAX_AGE + GRACE:.0f} s, "
            f"{late[False]} of {late.total()} times",
            "those_of_their_successors": f"accepted by all after {all_new:.1f} s",
        }

    def _token(self, caller: dict[str, str]) -> str:
        answer = ask("POST", self._endpoints("token")[0], _form_of(caller), {"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == 200, answer.body
        token: str = answer.json["access_token"]
        return token

    def _refusal(self, token: str) -> str:
        """Return why some verifier refuses a token; empty if none does."""
        said = (each.ask(token) for each in self._witnesses)
        return next(("it has no key set" if reason is None else reason for reason in said if reason != ""), "")

    # -- judging ---------------------------------------------------------------------------------------------------------

    def findings(self) -> list[str]:
        """Return what is wrong with what was seen; to be asked after `stop`."""
        found = [each for witness in self._witnesses for each in (*witness.refused, *witness.without_keys)]
        found += [f"{count} calls for a token were answered {status}" for status, count in self._failed.items()]
        for kid, ahead in self._ahead().items():
            if ahead + self._unseen(kid) < MAX_AGE:
                found.append(f"key {kid} signed {ahead:.1f} s after all nodes had published it, and sets may be {MAX_AGE} s old")
        return found

    def figures(self) -> dict[str, str]:
        """Return how much was seen."""
        ahead = self._ahead()
        missing = jose_missing()
        return {
            **({} if missing is None else {"not tried": missing}),
            "verified": f"{self.tokens} tokens {self.verified} times, with key sets of up to {MAX_AGE} s, by "
            + ", ".join(f"{witness.verifier.name} {witness.verified}" for witness in self._witnesses),
            "refused": str(sum(len(witness.refused) for witness in self._witnesses)),
            "keys_published_before_they_signed": f"{len(ahead)}, {min(ahead.values(), default=0):.1f} s at the least",
        }

    def _unseen(self, kid: str) -> float:
        """Return for how many seconds a key may have been published before that was seen: since the look before."""
        return self._published.get(kid, 0.0) - self._not_yet.get(kid, 0.0)

    def _ahead(self) -> dict[str, float]:
        """Return for how many seconds each key was published before the first token that it has signed was there."""
        new = {kid: at for kid, at in self._first_signed.items() if kid not in self._first_keys}
        return {kid: at - self._published.get(kid, float("inf")) for kid, at in new.items()}


def kid_of(token: str) -> str:
    """Return which key has signed a token."""
    return str(pyjwt.get_unverified_header(token)["kid"])


def _form_of(caller: dict[str, str]) -> bytes:
    shown = {name: caller[name] for name in ("client_id", "client_secret")}
    return urlencode({"grant_type": "client_credentials"} | shown).encode()
