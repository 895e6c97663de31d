"""People among the clients: they sign in in a browser, are led back with a code, and their application refreshes their tokens."""

import secrets
import time
from collections import deque
from collections.abc import Callable
from http.client import HTTPException

from tests.browsing import DONE, NAME, NotSignedInError, Person
from tests.factories import PASSWORD
from tests.faults.history import Act, History
from tests.serving import Answer, Server

CLIENT = "load-shop"

Ask = Callable[[dict[str, str]], Answer]
"""Asks for tokens at the next node."""


class People:
    """Somebody who signs in again and again, in browsers of their own."""

    def __init__(self, made_at: Server, history: History, next_url: Callable[[], str], ask: Ask) -> None:
        """Create who signs in, and to what.

        :param made_at: a node that serves, at which it is done.
        :param next_url: returns the address of the node to ask next.
        """
        self._history, self._next_url, self._ask, self._home = history, next_url, ask, made_at.url
        self._path = made_at.endpoint("").removeprefix(made_at.url)
        self._browsers: deque[Person] = deque(maxlen=50)
        self._refresh_tokens: deque[str] = deque(maxlen=200)
        create = ("users", "create", "--realm", "acme", "--email", NAME, "--password-stdin")
        done = made_at.run(*create, typed=PASSWORD)
        assert done.returncode == 0, done.stderr
        made_at.idp("applications", "create", "--realm", "acme", "--kind", "native", "--redirect-uri", DONE, CLIENT)

    @property
    def url(self) -> str:
        """Return the address of the node to ask next."""
        return self._next_url()

    def endpoint(self, name: str) -> str:
        """Return the address of an endpoint at that node."""
        return f"{self.url}{self._path}{name}"

    def sign_in(self) -> None:
        """Sign in with the password in a new browser, and have the code redeemed."""
        person = Person(self, client_id=CLIENT, origin=self._home)
        code = self._code(person, Act.SIGN_IN)
        if code is None:
            return
        self._browsers.append(person)
        answer = self._redeem(person, code)
        if answer.status == 200:
            self._refresh_tokens.append(answer.json["refresh_token"])

    def come_back(self) -> None:
        """Get a code in a browser that has signed in before, and have it redeemed twice."""
        try:
            person = self._browsers.popleft()
        except IndexError:
            self.sign_in()
            return
        code = self._code(person, Act.COME_BACK)
        if code is None:
            return  # what was answered may have ended the browser's session, or begun another
        self._browsers.append(person)
        for _ in range(2):
            self._redeem(person, code)

    def refresh(self) -> None:
        """Have tokens refreshed. A refresh token whose use was not answered may have been used up, and is not tried again."""
        try:
            token = self._refresh_tokens.popleft()
        except IndexError:
            self.sign_in()
            return
        begun = time.monotonic()
        answer = self._ask({"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT})
        self._add(Act.REDEEM, f"refresh token …{token[-12:]}", begun, answer)
        if answer.status == 200:
            self._refresh_tokens.append(answer.json["refresh_token"])

    def _code(self, person: Person, act: Act) -> str | None:
        """Return a code, if there is one."""
        begun, subject, code, status, said = time.monotonic(), secrets.token_hex(4), None, 200, ""
        try:
            code = person.code()
        except NotSignedInError as refused:
            status, said = refused.status, str(refused)[-200:]
        except (OSError, HTTPException) as error:
            status, said = 0, str(error)
        if status != 429:  # there are too many at the time, and they are told so
            self._history.add(act, subject, begun, status, granted=code is not None, detail=said)
        return code

    def _redeem(self, person: Person, code: str) -> Answer:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": person.verifier}
        begun = time.monotonic()
        answer = self._ask({"client_id": CLIENT} | form)
        self._add(Act.REDEEM, f"code {code[-12:]}", begun, answer)
        return answer

    def _add(self, act: Act, subject: str, begun: float, answer: Answer) -> None:
        detail = "" if answer.status == 200 else answer.body[:120].decode(errors="replace")
        self._history.add(act, subject, begun, answer.status, granted=answer.status == 200, detail=detail)
