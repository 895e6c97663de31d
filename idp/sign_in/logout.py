"""Signing out at the request of an application (OpenID Connect RP-Initiated Logout)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Response, request

from idp import realms, runtime, sessions
from idp.applications import KnownApplication, is_registered, known_application
from idp.db import commit
from idp.jose import InvalidTokenError
from idp.oauth import open_realm
from idp.oauth.authorize import read_parameters
from idp.oauth.forms import FORM
from idp.oauth.hints import Hint, open_hint
from idp.realms import KnownRealm
from idp.sessions import BrowserSession
from idp.sign_in.pages import LONGEST_URL, open_flow, redirect, seal_flow, show
from idp.web import cookies
from idp.web.body import BodyError, read_body
from idp.web.credentials import is_foreign
from idp.web.posted import read_posted


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for, as far as it is right."""

    application: KnownApplication | None
    onward: str
    """Where to go afterwards; empty for a page of ours."""
    hint: Hint | None

    def is_of(self, session: BrowserSession) -> bool:
        """Tell whether an ID token of this very session was shown, so that nobody need be asked (RP-Initiated Logout §2)."""
        return self.hint is not None and self.hint.subject == session.user.uid and self.hint.sid == session.sid


def logout(realm: str) -> Response:
    """Sign out at once where the session's own ID token is shown; ask otherwise (R82)."""
    known = open_realm(realm)
    pairs = _pairs()
    if request.method == "POST" and is_foreign(request.environ, runtime.current().settings.public_url):
        # browsers send no cookie along with a form of another site, but with where its answer leads (R74)
        url = f"{known.issuer}/protocol/openid-connect/logout"
        whole = f"{url}?{urlencode(pairs)}"
        return redirect(whole if len(whole) < LONGEST_URL else url)  # without the hint, the person is asked
    wish = _wish(known, dict(read_parameters(pairs).values))
    session = cookies.session_in(known.name)
    if session is None or wish.is_of(session):
        return _finish(known, session, wish.onward)
    flow = seal_flow({"onward": wish.onward}, _of_session(known, session))
    return show("logout", realm=known, application=wish.application, user=session.user, flow=flow)


def confirm_logout(realm: str) -> Response:
    """Sign out, now that the person has said so."""
    known = open_realm(realm)
    posted = read_posted()
    session = cookies.session_in(known.name)
    if session is None:
        return _finish(known, None, "")
    content: dict[str, Any] = open_flow(posted.get("flow", ""), _of_session(known, session))
    return _finish(known, session, content["onward"])


def _finish(known: KnownRealm, session: BrowserSession | None, onward: str) -> Response:
    row = realms.lock_realm(known.name) if session is not None else None
    if row is not None:
        for sid in cookies.sids_in(known.name):
            sessions.end_session(row, sessions.get_session(row, sid))
        commit()
    response = redirect(onward) if onward else show("signed_out", realm=known)
    response.headers["Clear-Site-Data"] = '"cache"'
    return cookies.give_session(response, known.name, "")


def _pairs() -> list[tuple[str, str]]:
    if request.method == "GET":
        return parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    body = read_body(request.environ)
    if request.mimetype != FORM:
        raise BodyError(f"Send the parameters as {FORM}.")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BodyError("The parameters are not UTF-8.") from None


def _wish(known: KnownRealm, parameters: dict[str, str]) -> _Wish:
    """Return what is right of a request. What is not, is left out: signing out is never refused."""
    hint = _hint(known, parameters.get("id_token_hint", ""))
    client_id = parameters.get("client_id", hint.client_id if hint is not None else "")
    if hint is not None and client_id != hint.client_id:
        return _Wish(None, "", None)  # RP-Initiated Logout §2: the two must say the same
    application = known_application(known, client_id) if client_id else None
    uri = parameters.get("post_logout_redirect_uri", "")
    onward = ""
    # a token that is missing or wrong proves nothing: then the person is asked, and stays here (R82)
    if hint is not None and application is not None and is_registered(application.post_logout_redirect_uris, uri):
        state = parameters.get("state")
        onward = f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': state})}" if state else uri
    return _Wish(application, onward, hint)


def _hint(known: KnownRealm, token: str) -> Hint | None:
    try:
        return open_hint(known, token) if token else None
    except InvalidTokenError:
        return None


def _of_session(known: KnownRealm, session: BrowserSession) -> str:
    return f"sign-out in {known.name} of session {session.sid}"
