"""What every page does before and after its own: whose browser it is, is the form its own, what the answer may do."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, request

from idp import audit, callers, clock, keys, ratelimit, realms, runtime, sessions, vault
from idp.callers import Caller
from idp.console import drafts
from idp.console.drafts import Draft
from idp.console.kept_counts import forget_counts
from idp.console.recent import remember_organisation
from idp.console.urls import page_url
from idp.crypto import DamagedError, MasterKeyError
from idp.db import commit, only_read
from idp.errors import IdpError, NotFoundError
from idp.realms import Realm
from idp.rules import Authority
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.web import cookies
from idp.web.address import client_address
from idp.web.cookies import CONSOLE_COOKIE, set_cookie, sets, shown_cookie
from idp.web.posted import Posted, read_posted

POLL = "X-Realmgate-Poll"
"""Header of what a page asks for by itself: nobody is there because of it, so that it keeps no session alive."""

View = Callable[..., Response | str]


class StaleFormError(IdpError):
    """The form was not made by a page that this browser has loaded, or long ago."""

    def __init__(self) -> None:
        super().__init__("This form has expired, has already been sent, or was not opened in this browser. Open the page again.")


@dataclass
class Visit:
    """One request for a page of somebody who has signed in."""

    authority: Authority
    """Who has signed in, and the realm that the page is about: their own, or for an operator any."""
    posted: Posted | None = None
    """The form, when one was sent."""
    form_context: str = field(default="", repr=False)

    @property
    def caller(self) -> Caller:
        """Who has signed in."""
        return self.authority.caller

    @property
    def realm(self) -> Realm:
        """The realm that the page is about."""
        return self.authority.realm

    @property
    def is_operator(self) -> bool:
        """Whether the caller is of the operators' realm."""
        return self.authority.is_operator

    @property
    def is_home(self) -> bool:
        """Whether the page is about the caller's own realm."""
        return self.authority.is_home

    def can(self, permission: str, project: str = "") -> bool:
        """Tell whether to offer what takes a permission. It decides what is shown; what is done, `rules` decide."""
        return self.authority.can(permission, project)

    def can_somewhere(self, permission: str) -> bool:
        """Tell whether to offer what takes a permission on the realm, or at least on one project of it."""
        return self.authority.can_somewhere(permission)


def page(view: View, *, once: bool = False, prepare: Callable[[], None] = lambda: None) -> View:
    """Make a page one for people who have signed in. It gets the `Visit` first; `realm` in its URL names the realm.

    :param once: a form of it is taken once, so that reloading the answer does not make another secret.
    :param prepare: does what takes long for a form before anything is locked, so that nobody waits for it.
    """

    @functools.wraps(view)
    def visited(realm: str = "", **arguments: Any) -> Response | str:
        process = runtime.current()
        process.feed.confirm()
        cookie = shown_cookie(CONSOLE_COOKIE)
        try:
            session = sessions.open_session(process, cookie)
            is_due = session.is_due and POLL not in request.headers
            renewed = (session.realm.name, sessions.renew_session(session) if is_due else "")
        except sessions.SessionOverError:
            return _take_over_session() or _to_sign_in()
        caller = callers.authenticate_browser(session, address())
        name = _realm_name(caller, realm)
        context = f"form of session {session.sid}"
        g.renewed = renewed  # for the error page too
        g.session_left = SESSION_TOKEN_LIFETIME if renewed[1] else max(int(session.expires_at - clock.timestamp()), 0)
        if request.method == "POST":
            posted = read_posted()
            try:
                _check_token(posted, context)
            except StaleFormError:
                return keep_session(_open_again(posted, caller.subject.uid))
            if once:
                _use_up(posted["form"])
            prepare()
            caller = callers.identify_browser_again(caller, cookie, lock=name)
        else:
            posted = None
            only_read()
            _take_draft(caller.subject.uid)
        visit = Visit(Authority(caller, _find_realm(name)), posted, context)
        g.visit = visit  # for the error page, which is inside the same frame
        if posted is not None:
            forget_counts(visit.realm.id)  # what this page shows of them is counted after what it does
        with audit.acting_as(caller.actor):
            answer = view(visit, **arguments)
            if posted is not None:
                commit()  # of what was asked for without a form that does it
        response = answer if isinstance(answer, Response) else Response(answer, mimetype="text/html")
        if posted is not None:
            forget_counts(visit.realm.id)
        if not visit.is_home and visit.is_operator:
            remember_organisation(response, name)
        return _drop_draft(keep_session(response))

    return visited


def look_again(visit: Visit) -> None:
    """Lock the realm and look again who the caller is: for one more act of a form, in a transaction of its own.

    :raises SessionOverError: the session has ended, perhaps by what this form has done before.
    """
    name = visit.realm.name
    caller = callers.identify_browser_again(visit.caller, shown_cookie(CONSOLE_COOKIE), lock=name)
    visit.authority = Authority(caller, _find_realm(name))


page_with_secret = functools.partial(page, once=True)
"""Makes a page one whose form makes something that has no name of its own, and shows its secret only then."""

page_with_keys = functools.partial(page, prepare=keys.prepare)
"""Makes a page one whose form makes signing keys."""


def open_page(view: View) -> View:
    """Make a page one for everybody. It gets the form, or None, first."""

    @functools.wraps(view)
    def visited(**arguments: Any) -> Response | str:
        runtime.current().feed.confirm()
        visitor = cookies.visitor()
        posted = read_posted() if request.method == "POST" else None
        if posted is not None:
            try:
                _check_token(posted, _visitor_context(visitor))
            except StaleFormError:
                return _open_again(posted, "")
        else:
            _take_draft("")
        g.form_context = _visitor_context(visitor)
        with audit.acting_as(audit.Actor("unauthenticated", address())):
            answer = view(posted, **arguments)
        response = answer if isinstance(answer, Response) else Response(answer, mimetype="text/html")
        return _drop_draft(cookies.keep_visitor(response, visitor))

    return visited


def current_visit() -> Visit | None:
    """Return who is looking at the page, if somebody has signed in."""
    visit: Visit | None = g.get("visit")
    return visit


def form_token() -> str:
    """Return the hidden value by which a form proves that this browser has loaded it (T100)."""
    visit = current_visit()
    context: str = visit.form_context if visit is not None else g.get("form_context", "")
    return vault.seal(b"form", context=context)


def current_draft() -> Draft | None:
    """Return what is to be put back into the form of this page."""
    draft: Draft | None = g.get("draft")
    return draft


def draft_promise(form: Any) -> str:
    """Return the hidden value by which a form says what of it may be kept when its session is over."""
    visit = current_visit()
    return drafts.promise(form, visit.caller.subject.uid if visit is not None else "", ["seen"])


def address() -> str:
    """Return the client's address."""
    return client_address(request.environ, runtime.current().settings.trusted_proxies)


def sign_browser_in(response: Response, realm: str, sid: str) -> Response:
    """Give the browser the cookie of a new session, and take away what it had before (T89)."""
    set_cookie(response, cookies.VISITOR_COOKIE, "", 0)
    return _show_session(response, realm, sessions.seal_session(realm, sid))


def sign_browser_out(response: Response, realm: str) -> Response:
    """Take the cookie away, what was kept of a form, and what the back button would show."""
    set_cookie(response, drafts.COOKIE, "", 0)
    response.headers["Clear-Site-Data"] = '"cache"'
    return _show_session(response, realm, "")


def keep_session(response: Response) -> Response:
    """Give the browser the new cookie of its session, if it is time for one and the answer has none."""
    realm, renewed = g.get("renewed", ("", ""))
    return _show_session(response, realm, renewed) if renewed and not sets(response, CONSOLE_COOKIE) else response


def _show_session(response: Response, realm: str, cookie: str) -> Response:
    """Set the cookies that show the session of a realm, to the console and to applications, or take them away."""
    return cookies.give_session(response, realm, cookie, console=True)


def _visitor_context(visitor: str) -> str:
    return f"form of visitor {visitor}"


def _use_up(form: str) -> None:
    """Take a form once.

    :raises StaleFormError: it was sent before.
    """
    try:
        ratelimit.reserve_attempt([(f"form {form}", 1)], SESSION_TOKEN_LIFETIME)
    except ratelimit.TooManyAttemptsError:
        raise StaleFormError from None


def _check_token(posted: Posted, context: str) -> None:
    """See that a page of ours in this browser has sent a form.

    :raises StaleFormError: its hidden value is missing, or of another session.
    """
    try:
        vault.unseal(posted.get("form", ""), context=context)
    except (DamagedError, MasterKeyError) as error:
        raise StaleFormError from error


def _open_again(posted: Posted, user: str) -> Response:
    """Lead to the page of a form that has expired, with what its user has typed.

    :raises StaleFormError: there is nothing to put back.
    """
    draft = _draft_of(posted, user)
    if not draft:
        raise StaleFormError
    response = Response(status=303, headers={"Location": page_url(_this_page())})
    set_cookie(response, drafts.COOKIE, draft, drafts.LIFETIME)
    return response


def _draft_of(posted: Posted, user: str | None) -> str:
    """Return what the browser is to keep of a form that was sent in vain; empty for nothing.

    The browser must have said that the form is of our own origin: a hidden value that everybody is given is no proof of it.
    """
    says_own = "Origin" in request.headers or request.headers.get("Sec-Fetch-Site") == "same-origin"
    if not says_own or not _has_page():
        return ""
    return drafts.make_draft(posted.items(multi=True), posted.get(drafts.FIELD, ""), _this_page(), user)


def _take_draft(user: str) -> None:
    """Find what is to be put back into the form of this page, and have the browser forget it; of somebody else's, at once.

    :param user: uid of who looks at the page; empty for somebody who has not signed in.
    """
    cookie = shown_cookie(drafts.COOKIE)
    draft = drafts.open_draft(cookie)
    is_here = draft is not None and draft.user == user and draft.url == _this_page()
    g.draft = draft if is_here else None
    g.draft_is_over = bool(cookie) and (draft is None or is_here or bool(user and draft.user not in {user, ""}))


def _drop_draft(response: Response) -> Response:
    if g.get("draft_is_over", False) and not sets(response, drafts.COOKIE):
        set_cookie(response, drafts.COOKIE, "", 0)
    return response


def _this_page() -> str:
    return request.full_path.rstrip("?")


def _has_page() -> bool:
    """Tell whether the URL that a form was sent to has a page of its own."""
    return request.url_rule is not None and "GET" in (request.url_rule.methods or ())


def _realm_name(caller: Caller, name: str) -> str:
    """Return which realm a URL is about; for anybody but operators, other realms are not there (T73)."""
    if name and caller.realm.name not in {name, realms.MASTER}:
        raise _no_realm(name)
    return name or caller.realm.name


def _find_realm(name: str) -> Realm:
    realm = realms.find_realm(name)
    if realm is None:
        raise _no_realm(name)
    return realm


def _no_realm(name: str) -> NotFoundError:
    return NotFoundError(f"There is no organisation {name[:80]!r} (not found).")


def _to_sign_in() -> Response:
    """Send somebody to sign in, and back to the page afterwards, with what was typed there if it can be kept."""
    was_signed_in = bool(shown_cookie(CONSOLE_COOKIE))
    draft = _draft_of_lost_form() if request.method == "POST" else ""
    done = "kept" if draft else "over" if was_signed_in or request.method == "POST" else ""
    asked = {"next": _this_page() if _has_page() else "", "done": done}
    query = urlencode({name: value for name, value in asked.items() if value})
    response = Response(status=303, headers={"Location": page_url(f"/console/sign-in?{query}" if query else "/console/sign-in")})
    if draft:
        set_cookie(response, drafts.COOKIE, draft, drafts.LIFETIME)
    if was_signed_in:
        set_cookie(response, CONSOLE_COOKIE, "", 0)
    return response


def _take_over_session() -> Response | None:
    """Go on with a session that the browser has at applications, where the console has none (one for all).

    Of several it has to be chosen.
    """
    has_cookie = cookies.cookie_name(CONSOLE_COOKIE) in request.cookies
    live = [] if request.method != "GET" or has_cookie else cookies.live_sessions()
    if len(live) > 1:
        return Response(status=303, headers={"Location": page_url(f"/console/choose?{urlencode({'next': _this_page()})}")})
    if not live:
        return None
    response = Response(status=303, headers={"Location": page_url(_this_page())})
    set_cookie(response, CONSOLE_COOKIE, sessions.seal_session(live[0].realm.name, live[0].sid), SESSION_TOKEN_LIFETIME)
    return response


def _draft_of_lost_form() -> str:
    try:
        return _draft_of(read_posted(), None)
    except IdpError:
        return ""  # it is no form, or no page of ours has sent it: nothing of it is kept
