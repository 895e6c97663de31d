"""Somebody with a browser who signs in to an application, by HTTP alone."""

import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any, Protocol

from tests.factories import PASSWORD
from tests.serving import PATIENCE, Answer, send
from tests.sign_in.conftest import challenge_of

DONE = "https://app.example/done"
"""Where the application is led back to."""

NAME = "ann@example.test"


class NotSignedInError(AssertionError):
    """Signing in has led to no code: what was answered instead."""

    def __init__(self, status: int, said: str) -> None:
        """Take the status, and the page or where it leads."""
        super().__init__(f"{status} {said}")
        self.status = status


class Place(Protocol):
    """A server of an organisation."""

    @property
    def url(self) -> str:
        """Return its address."""

    def endpoint(self, name: str) -> str:
        """Return the address of one of its endpoints."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: where it leads is the answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Person:
    """Somebody who signs in, with a browser of their own."""

    def __init__(self, server: Place, *, client_id: str = "shop", origin: str = "") -> None:
        """Take where to sign in, to what, and where pages of the server say that they come from, if not from there."""
        self.server, self.client_id, self._origin = server, client_id, origin
        self.verifier = secrets.token_urlsafe(40)
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, url: str, **form: str) -> tuple[int, str, str]:
        """Return status, text and where it leads; a form is sent as a page of the server would."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(url, data, {"Origin": self._origin or self.server.url} if form else {})
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode(), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers.get("Location", "")

    def send_form(self, page: str, **values: str) -> tuple[int, str, str]:
        """Send the form of a page."""
        action = re.search(r'action="([^"]+)"', page)
        flow = re.search(r'name="flow" value="([^"]+)"', page)
        if action is None or flow is None:
            raise NotSignedInError(200, page)
        return self.open(self.server.url + action[1], flow=flow[1], **values)

    def code(self, scope: str = "openid offline_access") -> str:
        """Return a new code: with the password, unless the browser has signed in before.

        :raises NotSignedInError: there is none.
        """
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": DONE,
            "scope": scope,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        status, page, location = self.open(f"{self.server.endpoint('auth')}?{urllib.parse.urlencode(query)}")
        if status == 200 and not location:
            status, page, location = self.send_form(page, name=NAME, password=PASSWORD)
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).get("code")
        if not location.startswith(DONE) or code is None:
            raise NotSignedInError(status, location or page)
        return code[0]

    def redeem(self, code: str) -> Answer:
        """Exchange a code for tokens."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": self.verifier}
        return self.ask(form)

    def ask(self, form: dict[str, str]) -> Answer:
        """Ask for tokens."""
        return send(self.server.endpoint("token"), {"client_id": self.client_id} | form)

    def approved_device(self) -> str:
        """Return the code of a device that the person has allowed."""
        device = send(self.server.endpoint("auth/device"), {"client_id": self.client_id, "scope": "openid"}).json
        _, page, _ = self.open(f"{self.server.url}/device", user_code=device["user_code"])
        if "Password" in page:
            _, page, _ = self.send_form(page, name=NAME, password=PASSWORD)
        _, page, _ = self.send_form(page, decision="agree")
        assert "Device connected" in page
        code: str = device["device_code"]
        return code
