"""Fifty who try at the same moment what works once, over connections that are open already, and who of them must win."""

import http.client
import itertools
import json
import secrets
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from tests.bound.proving import Prover
from tests.browsing import DONE, NAME, Person
from tests.factories import PASSWORD
from tests.mail.conftest import Mailbox
from tests.serving import PATIENCE, Answer, Server, send, wait_until

PARALLEL = 50
CLIENT = "shop"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LOCKED_AFTER = 3
"""Wrong passwords of an account that are looked at."""

SETTINGS = {
    "IDP_RATE_APPLICATION": "0",
    "IDP_RATE_REALM": "0",
    "IDP_SIGN_IN_LIMIT_ADDRESS": "1000000",
    "IDP_SIGN_IN_LIMIT_REALM": "1000000",
    "IDP_SIGN_IN_LIMIT_ACCOUNT_EVERYWHERE": str(LOCKED_AFTER),
    "IDP_TRUSTED_PROXIES": "127.0.0.1",
}
"""What a server needs for all storms: nobody is kept away from what works once by anything else."""


@dataclass(frozen=True)
class Call:
    """A request that all of them send."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def of_form(cls, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> "Call":
        """Return one that sends a form to where a URL leads."""
        said = {"Content-Type": "application/x-www-form-urlencoded"} | dict(headers or {})
        return cls("POST", urlsplit(url).path, urlencode(form).encode(), said)

    @classmethod
    def of_json(cls, method: str, path: str, content: Any, headers: Mapping[str, str] | None = None) -> "Call":
        """Return one that sends JSON."""
        return cls(method, path, json.dumps(content).encode(), {"Content-Type": "application/json"} | dict(headers or {}))


class _Client:
    """One of the crowd, with a connection of its own."""

    def __init__(self, url: str, number: int) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        self._connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
        self._number = number

    def make_ready(self) -> None:
        """Open the connection, if it is not open or the server has closed it."""
        if self._connection.sock is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()
        if self._connection.sock is None:
            self._connection.connect()

    def send(self, call: Call, turn: int = 0, *, apart: bool) -> Answer:
        """Return what is answered; status 0 for nothing. Who is apart is in another network at each of 250 turns, too."""
        came_from = {"X-Forwarded-For": f"10.{turn % 250}.{self._number}.1"} if apart else {}
        try:
            self._connection.request(call.method, call.path, call.body, dict(call.headers) | came_from)
            with self._connection.getresponse() as response:
                return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(0, {}, repr(error).encode())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Crowd:
    """Clients that do the same at the same moment."""

    def __init__(self, urls: Sequence[str], size: int = PARALLEL) -> None:
        """Take the addresses of the nodes, which they are spread over."""
        self._clients = [_Client(urls[number % len(urls)], number) for number in range(size)]
        self._answers: list[Answer] = []
        self._turn = 0
        self._call: Call | None = None
        self._apart = False
        self._begin, self._end = threading.Barrier(size + 1), threading.Barrier(size + 1)
        self._threads = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in self._clients]
        for thread in self._threads:
            thread.start()

    def rush(self, call: Call, *, apart: bool = False) -> list[Answer]:
        """Have all of them send the same, and return what they are answered.

        :param apart: each of them is in a network of its own, as a proxy in front of the server says.
        """
        for client in self._clients:
            client.make_ready()
        self._answers, self._turn, self._call, self._apart = [], self._turn + 1, call, apart
        self._begin.wait(PATIENCE)
        self._end.wait(2 * PATIENCE)  # a client gives up before
        return self._answers

    def close(self) -> None:
        """Let them go."""
        self._leave()
        for thread in self._threads:
            thread.join(PATIENCE)
        for client in self._clients:
            client.close()

    def _leave(self) -> None:
        self._begin.abort()
        self._end.abort()

    def _work(self, client: _Client) -> None:
        try:
            while True:
                self._begin.wait()
                assert self._call is not None
                self._answers.append(client.send(self._call, self._turn, apart=self._apart))
                self._end.wait()
        except threading.BrokenBarrierError:
            pass  # it is over
        finally:
            self._leave()  # so that nobody waits for one who is gone


@dataclass(frozen=True)
class Storm:
    """Something that works once, and what becomes of those who try."""

    kind: str
    make: Callable[[], Call]
    """Makes a new one, and returns the request that uses it."""
    won: int
    """Status of whoever was first."""
    lost: frozenset[int]
    """Statuses of all others."""
    winners: int = 1
    given_back: int = 0
    """Status of whoever may have given a place back: where somebody did, fewer may win, but not nobody."""
    error: str = ""
    """What OAuth calls it to have lost; empty for what is not OAuth's."""
    apart: bool = False
    after: Callable[[Answer], Iterator[str]] = lambda _: iter(())
    """Looks at what the winner was given, and yields what is wrong with it."""

    def round(self, crowd: Crowd) -> list[str]:
        """Have the crowd try, and return what is wrong; nothing, if as many have won as should."""
        answers = crowd.rush(self.make(), apart=self.apart)
        won = [answer for answer in answers if answer.status == self.won]
        statuses = Counter(answer.status for answer in answers)
        found = []
        least = 1 if self.given_back in statuses else self.winners
        if not least <= len(won) <= self.winners:
            found.append(f"{self.kind}: {len(won)} of {len(answers)} have won, and {self.winners} should: {dict(statuses)}")
        strange = [answer for answer in answers if answer.status != self.won and not self._is_lost(answer)]
        found += [f"{self.kind}: somebody was answered {answer.status} {answer.body[:120]!r}" for answer in strange[:1]]
        if won:
            found += [f"{self.kind}: {problem}" for problem in self.after(won[0])]
        return found

    def _is_lost(self, answer: Answer) -> bool:
        return answer.status in self.lost and (not self.error or answer.json.get("error") == self.error)


def of_people(person: Person) -> list[Storm]:
    """Return the storms on what the application of somebody who signs in shows, each of which ends with nobody having anything.

    The realm has no overlap for refresh tokens.
    """
    token, refused, void = person.server.endpoint("token"), frozenset({400}), "invalid_grant"

    def ask(form: dict[str, str]) -> Call:
        return Call.of_form(token, {"client_id": person.client_id} | form)

    def code() -> Call:
        form = {"grant_type": "authorization_code", "redirect_uri": DONE, "code_verifier": person.verifier}
        return ask(form | {"code": person.code()})

    def refresh_token() -> Call:
        return ask({"grant_type": "refresh_token", "refresh_token": person.redeem(person.code()).json["refresh_token"]})

    def device_code() -> Call:
        return ask({"grant_type": DEVICE, "device_code": person.approved_device()})

    def is_over(answer: Answer) -> Iterator[str]:
        """What the winner got is over, as somebody has used it again."""
        again = person.ask({"grant_type": "refresh_token", "refresh_token": answer.json["refresh_token"]})
        if (again.status, again.json.get("error")) != (400, void):
            yield f"the winner's refresh token was answered {again.status}"
        shown = {"Authorization": f"Bearer {answer.json['access_token']}"}
        if (status := send(person.server.endpoint("userinfo"), headers=shown).status) != 401:
            yield f"the winner's access token was answered {status}"

    return [
        Storm("codes", code, 200, refused, error=void, after=is_over),
        Storm("refresh tokens", refresh_token, 200, refused, error=void, after=is_over),
        Storm("device codes", device_code, 200, refused, error=void, after=is_over),
    ]


@dataclass
class Prizes:
    """All that works once in an installation, which runs with `SETTINGS` and sends mail to a mailbox."""

    server: Server
    mailbox: Mailbox
    _number: Iterator[int] = field(default_factory=itertools.count)
    _invited: Iterator[int] = field(default_factory=itertools.count)
    _tried: Iterator[int] = field(default_factory=itertools.count)
    _session: str = ""

    def __post_init__(self) -> None:
        """Create who tries, and what with."""
        server, issuer = self.server, self.server.issuer()
        for name in (NAME, "boss@example.test"):
            create = ("users", "create", "--realm", "acme", "--email", name, "--password-stdin")
            done = server.run(*create, typed=PASSWORD)
            assert done.returncode == 0, done.stderr
        server.idp("applications", "create", "--realm", "acme", "--kind", "native", "--redirect-uri", DONE, CLIENT)
        server.idp("realms", "update", "--refresh-overlap-seconds", "0", "--registration", "acme")
        admin = server.create_application("storm-admin", "--role", "administrator", "--audience", issuer)
        self._admin = {"Authorization": f"Bearer {server.token(admin).json['access_token']}"}
        self._bot = self._made("POST", "applications", {"metadata": {"name": "bot"}})
        self._key = ECKey.generate_key("P-256")
        public = self._key.as_dict(private=False) | {"use": "sig", "alg": "ES256", "kid": "k"}
        asserting = self._made("POST", "applications", {"metadata": {"name": "asserting"}})
        self._made("PATCH", f"applications/{asserting['uid']}", {"spec": {"jwks": {"keys": [public]}}})
        session = {"emailId": "boss@example.test", "password": PASSWORD, "org": "acme"}
        self._session = self._made("POST", "auth/authenticate", session)["Authorization"]

    def invite(self, count: int) -> None:
        """Have people be invited, as many as there will be rounds."""
        for number in range(count):
            self._made("POST", "users", {"spec": {"emailId": _guest(number)}})

    def storms(self) -> list[Storm]:
        """Return the storms on all of it."""
        one = frozenset
        return [
            *of_people(Person(self.server, client_id=CLIENT)),
            Storm("assertions", self._assertion, 200, one({401}), error="invalid_client"),
            Storm("proofs of possession", self._proof, 200, one({400}), error="invalid_dpop_proof"),
            Storm("links", self._link, 204, one({401, 503})),  # 503: there is no place left to hash a password
            Storm("names of client secrets", self._secret, 201, one({409}), after=self._works),
            Storm("rotations of API keys", self._rotation, 201, one({409}), after=self._deleted),
            Storm("session tokens", self._refreshed_session, 200, one({401}), after=self._kept),
            Storm("registration tokens", self._registration, 201, one({401}), apart=True),
            Storm("passwords before the lock", self._wrong_password, 401, one({429, 503}), LOCKED_AFTER, 503, apart=True),
        ]

    # -- what works once -------------------------------------------------------------------------------------------------

    def _assertion(self) -> Call:
        now = int(time.time())
        claims = {"iss": "asserting", "sub": "asserting", "aud": self.server.issuer(), "iat": now, "exp": now + 60}
        token = jwt.encode({"alg": "ES256", "kid": "k"}, claims | {"jti": secrets.token_hex(8)}, self._key)
        return self._ask({"client_assertion_type": BEARER, "client_assertion": token})

    def _proof(self) -> Call:
        proof = Prover().headers(url=self.server.endpoint("token"))
        return self._ask({"client_id": "bot", "client_secret": self._bot["clientSecret"]}, proof)

    def _link(self) -> Call:
        name = _guest(next(self._invited))
        code = wait_until(lambda: self._code_to(name), "an invitation")
        return Call.of_json("PATCH", f"/v1/auth/password/{code}/activate", {"password": PASSWORD})

    def _code_to(self, name: str) -> str:
        """Return the code that somebody was mailed; empty if they were not yet."""
        mail = next((mail for to, mail in list(self.mailbox.mails) if to == [name]), None)
        if mail is None:
            return ""
        text = mail.get_body(("plain",)).get_content()
        return str(text).partition("/console/invitation/")[2].split()[0]

    def _secret(self) -> Call:
        content = {"metadata": {"name": f"next-{next(self._number)}"}}
        return Call.of_json("POST", f"/v1/applications/{self._bot['uid']}/secrets", content, self._admin)

    def _works(self, answer: Answer) -> Iterator[str]:
        status = self.server.token({"client_id": "bot", "client_secret": answer.json["clientSecret"]}).status
        if status != 200:
            yield f"the new secret was answered {status}"
        self._made("DELETE", f"applications/{self._bot['uid']}/secrets/{answer.json['uid']}")

    def _rotation(self) -> Call:
        header = {"Authorization": f"Bearer {self._session}"}
        made = self._made("POST", "apiKeys", {"metadata": {"name": f"key-{next(self._number)}"}}, header)
        return Call.of_json("POST", f"/v1/apiKeys/{made['uid']}/rotate", {}, {"apiKey": made["apiKey"]})

    def _deleted(self, answer: Answer) -> Iterator[str]:
        header = {"apiKey": answer.json["apiKey"]}
        if (status := self._send("DELETE", f"apiKeys/{answer.json['uid']}", None, header).status) != 204:
            yield f"the new key was answered {status}"

    def _refreshed_session(self) -> Call:
        return Call.of_json("POST", "/v1/auth/refresh?setCookie=false", {"token": self._session})

    def _kept(self, answer: Answer) -> Iterator[str]:
        self._session = answer.json["Authorization"]
        if (status := self._send("GET", "users/info", None, {"Authorization": f"Bearer {self._session}"}).status) != 200:
            yield f"the new session token was answered {status}"

    def _registration(self) -> Call:
        token = self._made("POST", "registrationTokens", {"spec": {"limit": 1}})["token"]
        path = f"{urlsplit(self.server.issuer()).path}/clients-registrations/openid-connect"
        described = {"redirect_uris": [DONE], "client_name": "A shop"}
        return Call.of_json("POST", path, described, {"Authorization": f"Bearer {token}"})

    def _wrong_password(self) -> Call:
        content = {"emailId": _guest(next(self._tried)), "password": "not this one at all", "org": "acme"}
        return Call.of_json("POST", "/v1/auth/authenticate", content)

    # -- HTTP ------------------------------------------------------------------------------------------------------------

    def _ask(self, form: dict[str, str], headers: Mapping[str, str] | None = None) -> Call:
        return Call.of_form(self.server.endpoint("token"), {"grant_type": "client_credentials"} | form, headers)

    def _made(self, method: str, path: str, content: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        answer = self._send(method, path, content, headers or self._admin)
        assert answer.status in {200, 201, 204}, answer.body
        return answer.json if answer.body else None

    def _send(self, method: str, path: str, content: Any, headers: Mapping[str, str]) -> Answer:
        client = _Client(self.server.url, 0)
        call = Call.of_json(method, f"/v1/{path}", content, headers)
        try:
            return client.send(call if content is not None else Call(method, call.path, b"", headers), apart=False)
        finally:
            client.close()


def _guest(number: int) -> str:
    return f"guest-{number}@example.test"
