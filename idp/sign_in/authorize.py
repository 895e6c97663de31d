"""The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2), and the pages that may stand before its answer.

Between two pages nothing is stored: a form carries the request, sealed for the browser that it began in. Each time it comes back
it is checked anew from the beginning, so that no page can be left out, and nothing of it altered (T53).
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Response, request

from idp import applications, authorizations, crypto, realms, runtime
from idp.db import commit
from idp.errors import IdpError
from idp.oauth import open_realm
from idp.oauth.authorize import (
    Answer,
    AuthorizationRequest,
    Parameters,
    Step,
    UnsafeRequestError,
    check_request,
    code_answer,
    error_answer,
    next_step,
    read_parameters,
)
from idp.oauth.client_documents import goes_elsewhere, leads_to_this_machine, take_in
from idp.oauth.errors import PersonDeniedError, ProtocolError
from idp.oauth.forms import FORM
from idp.realms import KnownRealm
from idp.sessions import BrowserSession
from idp.sign_in.pages import LONGEST_URL, PREFIX, StaleFlowError, is_old, open_flow, redirect, seal_flow, show
from idp.sign_in.passwords import begin_session, with_retry
from idp.sign_in.words import meaning_of_scopes
from idp.web import cookies
from idp.web.body import BodyError, read_body
from idp.web.calls import address, begin_writing
from idp.web.credentials import is_foreign
from idp.web.errors import classify
from idp.web.posted import Posted, read_posted


def authorize(realm: str) -> Response:
    """Answer an authorization request, GET and POST alike."""
    known = open_realm(realm)
    if request.method == "POST":
        pairs = _posted_pairs()
        url = f"{known.issuer}/protocol/openid-connect/auth?{urlencode(pairs)}"
        if is_foreign(request.environ, runtime.current().settings.public_url) and len(url) < LONGEST_URL:
            # browsers send no cookie along with a form of another site, but with where its answer leads (R74)
            return redirect(url)
    else:
        pairs = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    session = cookies.session_in(known.name)
    sent = read_parameters(pairs)
    if "client_id" not in sent.repeated:
        take_in(known, sent.values.get("client_id", ""), address())
    return _go_on(_begin(known, sent, session), session)


def _begin(known: KnownRealm, sent: Parameters, session: BrowserSession | None) -> AuthorizationRequest:
    """Return a request that has just come, or the pushed one that it names (RFC 9126 §4).

    :raises UnsafeRequestError: it names one that is over, or another application's.
    """
    sid, request_uri = session.sid if session is not None else "", sent.values.get("request_uri", "")
    if not request_uri.startswith(authorizations.PUSHED):
        return AuthorizationRequest(realm=known, unverified=sent, former_sid=sid)
    pushed = authorizations.find_pushed(known, request_uri)
    if pushed is None or pushed["client_id"] != sent.values.get("client_id"):
        raise UnsafeRequestError("This request has expired, or was used before. Go back to the application and start again.")
    return AuthorizationRequest(realm=known, unverified=Parameters(pushed), former_sid=sid, pushed=request_uri)


def _posted_pairs() -> list[tuple[str, str]]:
    body = read_body(request.environ)
    if request.query_string or request.mimetype != FORM:
        raise BodyError(f"Send the parameters in the body as {FORM}, and none in the URL.")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BodyError("The parameters are not UTF-8.") from None


def _go_on(asked: AuthorizationRequest, session: BrowserSession | None) -> Response:
    """Check a request, and return the page that is due, or the answer."""
    try:
        check_request(asked)
        step = next_step(asked, session)
    except ProtocolError as error:
        if not asked.redirect_uri:
            raise
        return _deliver(error_answer(asked, error))
    if session is None or step is Step.SIGN_IN:
        return _sign_in_page(asked)
    page = _PAGES.get(step)
    if page is not None:
        return cookies.renew_in_browser(page(asked, session), session)
    if asked.pushed:
        _take_up(asked.pushed)
    return cookies.renew_in_browser(_deliver(code_answer(asked, session)), session)


def _take_up(request_uri: str) -> None:
    """Take a pushed request up, once, and make that durable before there is a code for it.

    :raises UnsafeRequestError: it was taken up before.
    """
    begin_writing()
    if not authorizations.take_up(request_uri):
        raise UnsafeRequestError("This request was used before. Go back to the application and start again.")
    commit()


def _deliver(answer: Answer) -> Response:
    """Return what brings an answer to its client."""
    if answer.response_mode == "form_post":
        return show("form_post", action=answer.redirect_uri, parameters=answer.parameters)
    return redirect(answer.location)


def _sign_in_page(asked: AuthorizationRequest, *, name: str = "", problem: str = "", status: int = 200) -> Response:
    visitor = cookies.visitor()
    response = show(
        "sign_in",
        status,
        ui_locales=asked.text("ui_locales"),
        realm=asked.realm,
        application=asked.application,
        flow=seal_flow(asked.written() | {"visitor": _mark(visitor)}, _of_realm(asked.realm.name)),
        name=name or asked.text("login_hint")[:254],
        problem=problem,
        action=PREFIX,
    )
    return cookies.keep_visitor(response, visitor)


def _choice_page(asked: AuthorizationRequest, session: BrowserSession) -> Response:
    flow = seal_flow(asked.written(), _of_session(asked.realm.name, session))
    return show(
        "choose",
        ui_locales=asked.text("ui_locales"),
        realm=asked.realm,
        application=asked.application,
        user=session.user,
        flow=flow,
    )


def _consent_page(asked: AuthorizationRequest, session: BrowserSession) -> Response:
    return show(
        "consent",
        ui_locales=asked.text("ui_locales"),
        realm=asked.realm,
        application=asked.application,
        user=session.user,
        flow=seal_flow(asked.written(), _of_session(asked.realm.name, session)),
        wishes=meaning_of_scopes(asked.scopes, asked.named_in_id_token | asked.named_in_userinfo),
        is_lasting="offline_access" in asked.scopes,
        days=max(1, asked.realm.refresh_seconds // 86_400),
        destination=asked.redirect_uri.partition("?")[0],
        described_by=applications.host_of(asked.application.document_url),
        is_local=leads_to_this_machine(asked.redirect_uri),
        goes_elsewhere=goes_elsewhere(asked.application, asked.redirect_uri),
    )


_PAGES = {Step.CHOOSE: _choice_page, Step.AGREE: _consent_page}


def _of_realm(realm: str) -> str:
    return f"authorization request in {realm}"


def _mark(visitor: str) -> str:
    """Return what a form says of the browser that its page was made for."""
    return crypto.keyed_hash(b"visitor", visitor).hex()


def _of_session(realm: str, session: BrowserSession) -> str:
    return f"authorization request in {realm} of session {session.sid}"


def _resume(known: KnownRealm, content: dict[str, Any]) -> AuthorizationRequest:
    """Return the request that a form carries. It is checked again, since the application may have changed meanwhile."""
    return AuthorizationRequest(
        realm=known,
        unverified=Parameters(content["parameters"]),
        former_sid=content["former_sid"],
        pushed=content["pushed"],
        chosen=content["chosen"],
    )


def _url(asked: AuthorizationRequest) -> str:
    """Return the URL of a request, with which it begins anew."""
    sent = asked.unverified.values
    if asked.pushed:
        sent = {"client_id": asked.text("client_id"), "request_uri": asked.pushed}
    return f"{asked.realm.issuer}/protocol/openid-connect/auth?{urlencode(sent)}"


def sign_in(realm: str) -> Response:
    """Check a password, begin a session for the browser, and go on."""
    known = open_realm(realm)
    posted = read_posted()
    content = open_flow(posted.get("flow", ""), _of_realm(known.name), may_be_old=True)
    asked = _resume(known, content)
    if is_old(content) or not crypto.same(content["visitor"].encode(), _mark(cookies.visitor()).encode()):
        # an old page, one of another browser, or of another tab, in which somebody has signed in since: no password is
        # looked at, and the request begins anew, as if its link had been followed
        return redirect(_url(asked))
    try:
        check_request(asked)
    except ProtocolError:
        return _go_on(asked, None)
    try:
        session = begin_session(known, posted)
    except IdpError as error:
        told = classify(error)
        page = _sign_in_page(asked, name=posted.get("name", "").strip(), problem=told.message, status=told.status)
        return with_retry(page, told)
    return cookies.begin_in_browser(_go_on(asked, session), known.name, session.sid)


def choose(realm: str) -> Response:
    """Go on with the account that the browser is signed in to, or sign in to another."""
    known = open_realm(realm)
    posted = read_posted()
    asked, session = _in_session(known, posted)
    if posted.get("account") != "this":
        check_request(asked)
        return _sign_in_page(asked)
    asked.chosen = True
    return _go_on(asked, session)


def agree(realm: str) -> Response:
    """Remember that a person has agreed, and go on; or tell the client that they have not."""
    known = open_realm(realm)
    posted = read_posted()
    asked, session = _in_session(known, posted)
    check_request(asked)
    if posted.get("decision") != "agree":
        return _deliver(error_answer(asked, PersonDeniedError("The person has refused.")))
    application, named = asked.application, asked.named_in_id_token | asked.named_in_userinfo
    scopes = [*asked.scopes, *(f"claim:{claim}" for claim in sorted(named))]
    with_lock = realms.lock_realm(known.name)
    if with_lock is not None:
        authorizations.agree(known.name, session.user.id, application.id, application.name, scopes)
    commit()
    asked.agreed = True
    return _go_on(asked, session)


def _in_session(known: KnownRealm, posted: Posted) -> tuple[AuthorizationRequest, BrowserSession]:
    """Return the request that a form of a signed-in person carries, and their session.

    :raises StaleFlowError: the session is over, or another than the page was made for.
    """
    session = cookies.session_in(known.name)
    if session is None:
        raise StaleFlowError
    return _resume(known, open_flow(posted.get("flow", ""), _of_session(known.name, session))), session
