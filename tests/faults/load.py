"""Clients that do what platforms do, all the time, and note what they are answered."""

import itertools
import json
import random
import re
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from tests.faults.history import Act, History
from tests.faults.people import People
from tests.serving import Answer, Server, wait_until
from tests.storms import BEARER

PATIENCE = 15.0
"""Seconds for which a client waits for an answer."""

VICTIMS = 4
"""Applications whose secrets are retired in turn: each new secret has all workers read those of its application anew."""

ALGORITHMS = ["RS256", "ES256"]


def ask(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what is answered; status 0 for nothing."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        return _answered(request)
    except (OSError, HTTPException) as error:  # it has ended in the middle of it, say
        return Answer(0, {}, str(error).encode())


def _answered(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def is_active(answer: Answer) -> bool:
    """Tell whether introspection calls a token active."""
    return answer.status == 200 and answer.json["active"] is True


class Load:
    """Clients of a realm, at all of its nodes in turn."""

    def __init__(self, made_at: Server, urls: Callable[[], Sequence[str]], *, threads: int = 4, seed: int = 0) -> None:
        """Create what the load uses.

        :param made_at: a node that serves, at which it is created.
        :param urls: returns the addresses of the nodes that a proxy would choose from now.
        """
        self.history = History()
        self._urls, self._threads, self._seed = urls, threads, seed
        self._turn = itertools.count()
        self._issuer = made_at.issuer()
        self.key = ECKey.generate_key("P-256")
        public = json.dumps({"keys": [self.key.as_dict(private=False) | {"use": "sig", "alg": "ES256", "kid": "k"}]})
        self._admin = made_at.create_application("load-admin", "--role", "administrator", "--audience", self._issuer)
        self.bot = made_at.create_application("load-bot")
        self._asserting = made_at.create_application("load-asserting")
        self._victims = [f"load-victim-{number}" for number in range(VICTIMS)]
        for name in self._victims:
            made_at.create_application(name)
        self._prefix = secrets.token_hex(3)
        self._number = itertools.count()
        self._issued: deque[str] = deque(maxlen=400)
        self._keys: tuple[float, KeySet | None] = (0.0, None)
        self.pause = 0.05
        """Seconds that a client waits between one act and the next, on average."""
        self._acts = [0] * threads
        """How many each client has done."""
        self._stop = threading.Event()
        self._running: list[threading.Thread] = []
        uid = self._find("load-asserting")
        answer = self._api("PATCH", f"applications/{uid}", {"spec": {"jwks": json.loads(public)}})
        assert answer.status in {200, 204}, answer.body
        self._victim_uids = {name: self._find(name) for name in self._victims}
        self._people = People(made_at, self.history, self._url, lambda form: self._form("token", form))

    # -- running ---------------------------------------------------------------------------------------------------------

    def start(self, readers: int = 0) -> "Load":
        """Begin.

        :param readers: clients beside the others that read the key set all the time.
        """
        for number in range(self._threads):
            self._run(lambda number=number: self._work(number, random.Random(self._seed * 1000 + number)))
        for _ in range(readers):
            self._run(self._read_on)
        return self

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._running.append(thread)

    def stop(self) -> History:
        """End, when all that was begun is answered, and return what was done."""
        self._stop.set()
        for thread in self._running:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), "a client hangs"
        return self.history

    def run(self, seconds: float) -> None:
        """Let it run for a while."""
        self._stop.wait(seconds)

    def wait_for(self, calls: int) -> None:
        """Let it run until so many calls were made."""
        while len(self.history.events) < calls:
            self._stop.wait(0.1)

    @property
    def acts(self) -> int:
        """Return how many were done."""
        return sum(self._acts)

    def drain(self) -> None:
        """Wait until each client has ended what it is at: a node that was taken from them gets nothing from then on."""
        before = list(self._acts)
        wait_until(lambda: all(now > then for now, then in zip(self._acts, before, strict=True)), "the end of what was begun")

    def issue(self) -> str:
        """Return a token."""
        answer = self._token(self.bot)
        assert answer.status == 200, answer.body
        token: str = answer.json["access_token"]
        return token

    def create_one(self) -> tuple[int, str]:
        """Have an application be created; return what is answered, and what is said where it is not."""
        name, begun = f"made-{self._prefix}-{next(self._number)}", time.monotonic()
        answer = self._api("POST", "applications", {"metadata": {"name": name}})
        self.history.add(Act.CREATE, name, begun, answer.status, granted=answer.status == 201, detail=_error(answer))
        return answer.status, _error(answer)

    def verify_all(self, token: str) -> list[str]:
        """Return what does not work of all that a token is verified by; nothing, if everything does."""
        issuer = self._endpoint("certs").removesuffix("/protocol/openid-connect/certs")
        documents = (issuer, f"{issuer}/.well-known/openid-configuration", self._endpoint("certs"))
        wrong = [f"{url}: {answer.status}" for url in documents if (answer := ask("GET", url)).status != 200]
        if not is_active(answer := self._form("token/introspect", {"token": token, **_credentials(self.bot)})):
            wrong.append(f"introspection: {answer.status} {_error(answer)}")
        return wrong

    def turn_keys(self) -> None:
        """Have the realm's signing keys replaced."""
        for algorithm in ALGORITHMS:
            answer = self._api("POST", "signingKeys", {"spec": {"algorithm": algorithm}})
            assert answer.status == 201, answer.body

    def revoke_signing_keys(self) -> dict[str, float]:
        """Have the keys that sign be taken out of use as if they had leaked; return when that was answered, by their names."""
        listed = self._api("GET", "signingKeys")
        assert listed.status == 200, listed.body
        kids = [key["metadata"]["uid"] for key in listed.json["items"] if key["status"]["state"] == "active"]
        return {kid: wait_until(lambda kid=kid: self._revoke_signing_key(kid), "the revocation of a key") for kid in kids}

    def _revoke_signing_key(self, kid: str) -> float:
        answer = self._api("POST", f"signingKeys/{kid}/revoke", {"reason": "It may have leaked."})
        assert answer.status in {200, 204, 401}, answer.body
        # which that key may have signed, and for a second after it also at a worker that does not know yet
        self._authority = None
        return 0.0 if answer.status == 401 else time.monotonic()

    def present(self) -> set[str]:
        """Return the names of all applications that there are."""
        found: set[str] = set()
        query, more = "limit=100", ""
        while True:
            answer = self._api("GET", f"applications?{query}{more}")
            assert answer.status == 200, answer.body
            found |= {item["metadata"]["name"] for item in answer.json["items"]}
            if not answer.json["listmeta"]["continue"]:
                return found
            more = f"&continue={answer.json['listmeta']['continue']}"

    def _work(self, number: int, chance: random.Random) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self._issue, 40), (self._create, 10), (self._revoke, 8), (self._redeem, 10), (self._retire, 5), (self._disable, 6),
            (self._read, 15), (self._people.sign_in, 3), (self._people.come_back, 8), (self._people.refresh, 30),
        ]  # fmt: skip # a table
        while not self._stop.is_set():
            act = chance.choices([each for each, _ in acts], [weight for _, weight in acts])[0]
            act()
            self._acts[number] += 1
            self._stop.wait(self.pause * chance.uniform(0.4, 1.6))

    # -- acts ------------------------------------------------------------------------------------------------------------

    def _issue(self) -> None:
        begun, name = time.monotonic(), f"the secret of {self.bot['client_id']}"
        answer = self._token(self.bot)
        self.history.add(Act.ISSUE, name, begun, answer.status, granted=answer.status == 200, detail=_error(answer))
        if answer.status == 200:
            token = answer.json["access_token"]
            self._issued.append(token)
            self._verify(token)
            self._verify(self._issued[0])  # which an earlier key may have signed
            self._introspect(Act.CHECK, token)

    def _verify(self, token: str) -> None:
        """Verify as the strictest API does: with a key set as old as it may be, and no look at a newer one."""
        begun = time.monotonic()
        good_until, keys = self._keys
        if keys is None or begun > good_until:
            answer = self._ask("GET", self._endpoint("certs"))
            if answer.status != 200:
                return
            keys = KeySet.import_key_set(answer.json)
            age = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
            self._keys = (begun + int(age[1]) if age else begun, keys)
            return  # what it verifies is issued later than the key set was
        try:
            jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError) as error:
            self.history.add(Act.VERIFY, "a token", begun, 200, granted=False, detail=repr(error))
        else:
            self.history.add(Act.VERIFY, "a token", begun, 200, granted=True)

    def _introspect(self, act: Act, token: str) -> None:
        begun = time.monotonic()
        answer = self._form("token/introspect", {"token": token, **_credentials(self.bot)})
        detail = "" if act is Act.USE or is_active(answer) else _error(answer) or "inactive"
        self.history.add(act, f"token …{token[-12:]}", begun, answer.status, granted=is_active(answer), detail=detail)

    def _create(self) -> None:
        self.create_one()

    def _revoke(self) -> None:
        answer = self._token(self.bot)
        if answer.status != 200:
            return
        token, begun = answer.json["access_token"], time.monotonic()
        answer = self._form("revoke", {"token": token, **_credentials(self.bot)})
        self.history.add(Act.REVOKE, f"token …{token[-12:]}", begun, answer.status, granted=answer.status == 200)
        if answer.status == 200:
            self._use_later(lambda: self._introspect(Act.USE, token))

    def _redeem(self) -> None:
        """Show one assertion to several nodes at once."""
        now = int(time.time())
        claims = {"iss": "load-asserting", "sub": "load-asserting", "aud": self._issuer, "iat": now, "exp": now + 60}
        jti = secrets.token_hex(8)
        token = jwt.encode({"alg": "ES256", "kid": "k"}, {**claims, "jti": jti}, self.key)
        form = {"grant_type": "client_credentials", "client_assertion_type": BEARER, "client_assertion": token}

        def redeem() -> None:
            begun = time.monotonic()
            answer = self._form("token", form)
            self.history.add(
                Act.REDEEM, f"assertion {jti}", begun, answer.status, granted=answer.status == 200, detail=_error(answer)
            )

        others = [threading.Thread(target=redeem) for _ in range(2)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join()
        redeem()

    def _retire(self) -> None:
        """Make a secret, use it, retire it, and try it again."""
        number = next(self._number)
        name, victim = f"s-{number}", self._victims[number % VICTIMS]
        made = self._api("POST", f"applications/{self._victim_uids[victim]}/secrets", {"metadata": {"name": name}})
        if made.status != 201:
            return
        secret, begun = {"client_id": victim, "client_secret": made.json["clientSecret"]}, time.monotonic()
        subject = f"secret {name}"
        answer = self._token(secret)
        self.history.add(Act.ISSUE, subject, begun, answer.status, granted=answer.status == 200, detail=_error(answer))
        begun = time.monotonic()
        gone = self._api("DELETE", f"applications/{self._victim_uids[victim]}/secrets/{name}")
        self.history.add(Act.REVOKE, subject, begun, gone.status, granted=gone.status in {200, 204})

        def use() -> None:
            begun = time.monotonic()
            again = self._token(secret)
            self.history.add(Act.USE, subject, begun, again.status, granted=again.status == 200)

        if gone.status in {200, 204}:
            self._use_later(use)

    def _disable(self) -> None:
        """Make an application, disable it, and ask for a token as it."""
        name = f"made-{self._prefix}-{next(self._number)}"
        begun = time.monotonic()
        made = self._api("POST", "applications", {"metadata": {"name": name}})
        self.history.add(Act.CREATE, name, begun, made.status, granted=made.status == 201, detail=_error(made))
        if made.status != 201:
            return
        as_it = {"client_id": name, "client_secret": made.json["clientSecret"]}
        begun = time.monotonic()
        for _ in range(2 * len(self._urls())):  # so that several workers know it
            first = self._token(as_it)
            self.history.add(Act.ISSUE, name, begun, first.status, granted=first.status == 200, detail=_error(first))
            begun = time.monotonic()
        begun = time.monotonic()
        off = self._api("PATCH", f"applications/{made.json['uid']}", {"spec": {"enabled": False}})
        self.history.add(Act.REVOKE, name, begun, off.status, granted=off.status in {200, 204})

        def use() -> None:
            begun = time.monotonic()
            again = self._token(as_it)
            self.history.add(Act.USE, name, begun, again.status, granted=again.status == 200)

        if off.status in {200, 204}:
            self._use_later(use)

    def _read_on(self) -> None:
        while not self._stop.wait(0.005):
            self._read()

    def _read(self) -> None:
        begun = time.monotonic()
        answer = self._ask("GET", self._endpoint("certs"))
        self.history.add(Act.READ, "key set", begun, answer.status, granted=answer.status == 200)

    def _use_later(self, use: Callable[[], None]) -> None:
        """Use something that was revoked at each node, after the time that nodes have to hear of it."""
        if self._stop.wait(1.05):
            return
        for _ in range(3 * max(1, len(self._urls()))):  # each node has two workers
            use()

    # -- HTTP ------------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Return what is answered, and note where it is less than a client has to know."""
        answer = ask(method, url, body, headers)
        is_ours = answer.headers.get("X-Request-Id") is not None  # a proxy may answer for a node, in its own way
        if answer.status == 503 and is_ours and answer.headers.get("Retry-After") is None:
            self.history.untold.append(f"{method} {url}")
        return answer

    def _url(self) -> str:
        urls = self._urls()
        return urls[next(self._turn) % len(urls)]

    def _endpoint(self, name: str) -> str:
        return f"{self._url()}/auth/realms/acme/protocol/openid-connect/{name}"

    def _form(self, name: str, form: Mapping[str, str]) -> Answer:
        body = urllib.parse.urlencode(form).encode()
        return self._ask("POST", self._endpoint(name), body, {"Content-Type": "application/x-www-form-urlencoded"})

    def _token(self, application: Mapping[str, str]) -> Answer:
        return self._form("token", {"grant_type": "client_credentials", **_credentials(application)})

    def _api(self, method: str, path: str, body: Any = None) -> Answer:
        if not self._authority or time.monotonic() - self._authority[0] > 600:
            answer = self._token(self._admin)
            if answer.status != 200:
                return answer
            self._authority = (time.monotonic(), answer.json["access_token"])
        headers = {"Authorization": f"Bearer {self._authority[1]}", "Content-Type": "application/json"}
        return self._ask(method, f"{self._url()}/v1/{path}", None if body is None else json.dumps(body).encode(), headers)

    _authority: tuple[float, str] | None = None

    def _find(self, name: str) -> str:
        answer = self._api("GET", f"applications/{name}")
        assert answer.status == 200, answer.body
        uid: str = answer.json["metadata"]["uid"]
        return uid


def _credentials(application: Mapping[str, str]) -> dict[str, str]:
    return {"client_id": application["client_id"], "client_secret": application["client_secret"]}


def _error(answer: Answer) -> str:
    if answer.status in {200, 201}:
        return ""
    try:
        said = answer.json
        return str(said.get("error_description") or said.get("message") or said)[:120]
    except (ValueError, AttributeError):
        return answer.body[:80].decode(errors="replace")
