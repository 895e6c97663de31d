"""The page where a person enters the code that a device shows, and decides about it (RFC 8628 §3.3).

Who follows a link that has the code in it is asked the same as who types it: somebody else may have sent them the link.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Response, request

from idp import applications, authorizations, realms, runtime
from idp.applications import Application
from idp.authorizations import DeviceRequest
from idp.db import commit, db, only_read
from idp.errors import IdpError
from idp.oauth import open_realm
from idp.ratelimit import network_limits, reserve_attempt
from idp.realms import KnownRealm, Realm
from idp.sessions import BrowserSession
from idp.sign_in.pages import StaleFlowError, open_flow, seal_flow, show
from idp.sign_in.passwords import begin_session, with_retry
from idp.sign_in.words import meaning_of_scopes
from idp.web import cookies
from idp.web.calls import address
from idp.web.errors import classify
from idp.web.posted import read_posted

_UNKNOWN = "There is no device that waits with this code. Check the letters, or start again on the device: codes expire."
_DECIDED = "The device does not wait any more: the code has expired, or was used. Start again on the device."


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A device that waits, and for what."""

    row: DeviceRequest
    realm: KnownRealm
    application: Application


def enter_code() -> Response:
    """Ask for the code, and with it show what the device wants; nothing is decided before that."""
    runtime.current().feed.confirm()
    if request.method == "GET":
        only_read()
        return show("device", typed=request.args.get("user_code", "")[:20], problem="")
    typed = read_posted().get("user_code", "")
    found = _find(typed)
    if found is None:
        return show("device", 400, typed=typed[:20], problem=_UNKNOWN)
    session = cookies.session_in(found.realm.name)
    return _question(found, session) if session is not None else _sign_in_page(found)


def sign_in_for_device(realm: str) -> Response:
    """Check a password, and show what the device wants."""
    known = open_realm(realm)
    posted = read_posted()
    content = open_flow(posted.get("flow", ""), _of_visitor(known.name, cookies.visitor()))
    found = _waiting(authorizations.find_waiting(known.id, content["user_code"]))
    if found is None:
        return show("device", 400, typed="", problem=_DECIDED)
    try:
        session = begin_session(known, posted)
    except IdpError as error:
        told = classify(error)
        return with_retry(_sign_in_page(found, posted.get("name", "").strip(), told.message, told.status), told)
    return cookies.begin_in_browser(_question(found, session), known.name, session.sid)


def decide(realm: str) -> Response:
    """Do what the person has decided. Of several who decide about a device, one does."""
    known = open_realm(realm)
    posted = read_posted()
    session = cookies.session_in(known.name)
    if session is None:
        raise StaleFlowError
    content = open_flow(posted.get("flow", ""), _of_session(known.name, session))
    approved = posted.get("decision") == "agree"
    realms.lock_realm(known.name)
    found = _waiting(authorizations.find_waiting(known.id, content["user_code"]))
    auth_time = datetime.fromtimestamp(session.known.started_at, UTC)
    if found is None or not authorizations.decide(known.name, found.row, session.user.id, approved=approved, auth_time=auth_time):
        return show("device", 400, typed="", problem=_DECIDED)
    commit()
    return show("device_done", realm=known, approved=approved)


def _find(typed: str) -> _Waiting | None:
    """Return the device that waits with a code. Only codes that there are not count against who enters them.

    :raises TooManyAttemptsError: too many were wrong.
    """
    settings = runtime.current().settings
    attempt = reserve_attempt(network_limits("device", address(), settings.sign_in_limit_address), settings.sign_in_window)
    found = _waiting(authorizations.find_waiting(None, authorizations.read_user_code(typed)))
    if found is not None:
        attempt.give_back()
    commit()
    return found


def _waiting(row: DeviceRequest | None) -> _Waiting | None:
    application = db.session.get(Application, row.application_id) if row is not None else None
    if row is None or application is None or not application.enabled:
        return None
    realm = realms.known_realm(runtime.current(), db.session.get_one(Realm, row.realm_id).name)
    return _Waiting(row, realm, application) if realm is not None and realm.enabled else None


def _sign_in_page(found: _Waiting, name: str = "", problem: str = "", status: int = 200) -> Response:
    visitor = cookies.visitor()
    response = show(
        "sign_in",
        status,
        realm=found.realm,
        application=None,
        flow=seal_flow({"user_code": found.row.user_code}, _of_visitor(found.realm.name, visitor)),
        name=name,
        problem=problem,
        action="/device",
    )
    return cookies.keep_visitor(response, visitor)


def _question(found: _Waiting, session: BrowserSession) -> Response:
    scopes = found.row.scope.split()
    return show(
        "device_question",
        realm=found.realm,
        title=found.application.display_name or found.application.name,
        described_by=applications.host_of(found.application.document_url),
        user=session.user,
        flow=seal_flow({"user_code": found.row.user_code}, _of_session(found.realm.name, session)),
        wishes=meaning_of_scopes(scopes, ()),
        code=authorizations.shown_user_code(found.row.user_code),
        address=found.row.address,
        days=max(1, found.realm.refresh_seconds // 86_400),
    )


def _of_visitor(realm: str, visitor: str) -> str:
    return f"device in {realm} of visitor {visitor}"


def _of_session(realm: str, session: BrowserSession) -> str:
    return f"device in {realm} of session {session.sid}"
