"""Pages as they are sent: what a browser may do with them, and errors in words for people."""

import base64
import functools
import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flask import Response, render_template, request
from markupsafe import Markup
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, NotFound

from idp import audit, clock, runtime, vault
from idp.crypto import DamagedError, MasterKeyError
from idp.db import db
from idp.errors import IdpError
from idp.oauth.errors import ProtocolError
from idp.realms import Branding, known_realm
from idp.web.assets import FOR_A_YEAR, Assets
from idp.web.calls import address
from idp.web.credentials import ForeignOriginError
from idp.web.errors import classify, log_unexpected
from idp.web.languages import choose_language

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PREFIX = "/sign-in"
"""Below which the forms of these pages are sent."""

LONGEST_URL = 6_000
"""Characters of a URL that a form of another site is turned into."""

_OWN = files("idp.sign_in") / "static"

ASSETS = Assets(
    f"{PREFIX}/assets",
    {"sign_in.css": (_OWN / "sign_in.css", "text/css"), "form_post.js": (_OWN / "form_post.js", "text/javascript")},
)

_HEADERS = {
    # without form-action: browsers hold against it also where the answer to a form leads, which is the application (R17, R18)
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    ),
    "X-Frame-Options": "DENY",
    # with no-referrer a browser would not tell the Origin of a form either
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
}

FLOW_LIFETIME = 3600
"""Seconds for which a page can be left open."""


class StaleFlowError(IdpError):
    """The page was open for too long, or was opened in another browser."""

    def __init__(self) -> None:
        super().__init__("This page was open for too long, or in another browser. Go back to the application and start again.")


def show(template: str, status: int = 200, *, ui_locales: str = "", **values: Any) -> Response:
    """Return a page, in a language that the application or the browser asks for."""
    language = choose_language(ui_locales or request.args.get("ui_locales", ""))
    for sentence in ("problem", "message"):
        if sentence in values:
            values[sentence] = language.plain(values[sentence])
    path = runtime.current().settings.public_path
    branding: Branding = values["realm"].branding if "realm" in values else Branding()
    shown = render_template(
        f"sign_in/{template}.html",
        asset=ASSETS.url,
        path=path,
        branding=branding,
        style=Markup(branding.style),  # noqa: S704 (of colours that were checked)
        language=language.code,
        _=language.say,
        in_days=language.days,
        **values,
    )
    own = {"Content-Language": language.code, "Content-Security-Policy": _policy(branding.style)}
    return Response(shown, status, _HEADERS | own, mimetype="text/html")


def _policy(style: str) -> str:
    """Return what a page may load: of style sheets in it, none but the realm's colours."""
    if not style:
        return _HEADERS["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _HEADERS["Content-Security-Policy"].replace("style-src 'self'", f"style-src 'self' 'sha256-{digest}'")


def logo(realm: str, digest: str) -> Response:
    """Answer with the logo of a realm, under a URL that changes with it."""
    known = known_realm(runtime.current(), realm)
    if known is None or not known.branding.logo or known.branding.logo_digest != digest:
        raise NotFound
    media_type, content = known.branding.picture()
    headers = {
        "Cache-Control": FOR_A_YEAR,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, headers=headers, mimetype=media_type)


class _Redirect(Response):
    """An answer whose URL is whole as it is: werkzeug would take it apart, and put it together from the request."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002 (werkzeug passes it)
        """Return the headers as they are."""
        return self.headers


def redirect(location: str) -> Response:
    """Lead on to a URL; nobody there is told where from (R16, R18)."""
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Length": "0"}
    return _Redirect(status=303, headers=headers)


def seal_flow(content: dict[str, Any], context: str) -> str:
    """Return the hidden value by which a form goes on with what its page began: nobody else can make one, or read it.

    :param context: whose page it is: the browser, or the session in it.
    """
    return vault.seal(json.dumps(content | {"until": clock.timestamp() + FLOW_LIFETIME}).encode(), context=context)


def open_flow(sealed: str, context: str, *, may_be_old: bool = False) -> dict[str, Any]:
    """Return what `seal_flow` has sealed.

    :param may_be_old: whether the caller asks itself whether the page was open for too long, see `is_old`.
    :raises StaleFlowError: it was not sealed for this browser or session, or too long ago.
    """
    try:
        content: dict[str, Any] = json.loads(vault.unseal(sealed, context=context))
    except (DamagedError, MasterKeyError) as error:
        raise StaleFlowError from error
    if is_old(content) and not may_be_old:
        raise StaleFlowError
    return content


def is_old(content: dict[str, Any]) -> bool:
    """Tell whether a page was open for too long."""
    return bool(content["until"] <= clock.timestamp())


def answered(view: Callable[..., Response]) -> Callable[..., Response]:
    """Have a view's errors answered by a page, whichever path it is at."""

    @functools.wraps(view)
    def run(**parts: str) -> Response:
        try:
            with audit.acting_as(audit.Actor("unauthenticated", address())):
                return view(**parts)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is answered)
            db.session.rollback()
            return answer_error(error)

    return run


def answer_error(error: Exception) -> Response:
    """Return the page for any error."""
    if isinstance(error, ProtocolError):
        return show("error", error.status if error.status != 401 else 400, message=error.description)
    if isinstance(error, ForeignOriginError | StaleFlowError):
        message = str(error) if isinstance(error, StaleFlowError) else "This form was not sent from a page of this server."
        return show("error", 403, message=message)
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # type: ignore[return-value]  # made by ourselves
    told = classify(error)
    message = log_unexpected(error) if told.status == 500 else told.message
    response = show("error", told.status, message=message)
    response.headers.update({name: value for name, value in told.headers.items() if name != "WWW-Authenticate"})
    return response
