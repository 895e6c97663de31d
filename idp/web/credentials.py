"""What a request shows to prove who makes it: exactly one thing (RFC 6750 §2)."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import StrEnum

from idp.errors import IdpError, Kind
from idp.public_url import origin_of
from idp.web.body import Environ

COOKIE = "Authorization"
"""Name of the cookie that carries a session token, as contracts that predate this server have it."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
_DPOP = re.compile(r"[Dd][Pp][Oo][Pp] +([A-Za-z0-9\-._~+/]+=*)")
_BASIC = re.compile(r"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]+={0,2})")
_BARE_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class MalformedCredentialError(IdpError):
    """The request shows several credentials, or one in a form that is none."""

    kind = Kind.UNREADABLE_CREDENTIAL


class ForeignOriginError(IdpError):
    """A page of another origin made the browser send its cookie along."""

    kind = Kind.DENIED


class Shown(StrEnum):
    """What was shown."""

    NOTHING = "nothing"
    TOKEN = "token"  # noqa: S105 (a kind, no token)
    KEY = "key"
    PASSWORD = "password"  # noqa: S105 (a kind)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows."""

    shown: Shown
    value: str = field(default="", repr=False)
    """The token, the key or the password."""
    name: str = ""
    """The user name that comes with a password."""
    by_cookie: bool = False
    by_proof: bool = False
    """Whether the token is sent as DPoP, with a proof beside it (RFC 9449 §7.1)."""


NOTHING = Credentials(Shown.NOTHING)


def read_credentials(environ: Environ) -> Credentials:
    """Return what a request shows: `Authorization` with or without `Bearer`, or with `Basic`; the header `apiKey`; the cookie.

    :raises MalformedCredentialError: more than one of them, or one that has not the form it should have.
    """
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    key: str | None = environ.get("HTTP_APIKEY")
    cookie = _cookie(environ.get("HTTP_COOKIE", ""))
    if (header is not None) + (key is not None) > 1:
        raise MalformedCredentialError("The request has both an Authorization and an apiKey header. Send one.")
    if key is not None:
        return Credentials(Shown.KEY, key)
    if header is None:
        return NOTHING if cookie is None else Credentials(Shown.TOKEN, cookie, by_cookie=True)
    credentials = _from_header(header)
    if cookie is not None and cookie != credentials.value:
        raise MalformedCredentialError("The Authorization header and the cookie carry different tokens. Send one.")
    return credentials


def _from_header(header: str) -> Credentials:
    if match := _BEARER.fullmatch(header):
        return Credentials(Shown.TOKEN, match[1])
    if match := _DPOP.fullmatch(header):
        return Credentials(Shown.TOKEN, match[1], by_proof=True)
    if _BARE_TOKEN.fullmatch(header):
        return Credentials(Shown.TOKEN, header)
    if len(header) <= 8_192 and (pair := decode_basic(header)) is not None:
        return Credentials(Shown.PASSWORD, pair[1], pair[0])
    raise MalformedCredentialError("The Authorization header must be a token, or Bearer, a space and the token.")


def decode_basic(header: str) -> tuple[str, str] | None:
    """Return name and password of a Basic header (RFC 7617 §2), or None if it is none."""
    match = _BASIC.fullmatch(header)
    if match is None:
        return None
    try:
        name, colon, password = _decode(base64.b64decode(match[1], validate=True)).partition(":")
    except binascii.Error:
        return None
    return (name, password) if colon else None


def _decode(pair: bytes) -> str:
    """Return the text of name and password: UTF-8, as our challenges say (RFC 7617 §2.1), or else Latin-1, as old clients send.

    What is valid UTF-8 is never tried as anything else, so no bytes stand for two passwords.
    """
    try:
        return pair.decode()
    except UnicodeDecodeError:
        return pair.decode("latin-1")


def _cookie(header: str) -> str | None:
    """Return the token of the cookie, if there is one.

    :raises MalformedCredentialError: there are two: one of them was planted by another host.
    """
    if COOKIE not in header:
        return None
    pairs = (part.strip().partition("=") for part in header.split(";"))
    values = [value.strip().strip('"') for name, _, value in pairs if name.strip() == COOKIE]
    if len(values) > 1:
        raise MalformedCredentialError("The request carries two cookies named Authorization.")
    return values[0] if values and values[0] else None


def check_origin(environ: Environ, public_url: str) -> None:
    """Refuse a change that a foreign page makes a browser ask for, with the cookie that it sends by itself (T100).

    :raises ForeignOriginError: the browser says that another origin is asking.
    """
    if is_foreign(environ, public_url):
        raise ForeignOriginError("Pages of another origin cannot use the cookie. Send the token in the Authorization header.")


def is_foreign(environ: Environ, public_url: str) -> bool:
    """Tell whether a browser says that a page of another origin has made it send a request."""
    origin: str | None = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.lower() != origin_of(public_url):
        return True
    return environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in {"same-origin", "none"}


def may_sign_in(environ: Environ, public_url: str) -> bool:
    """Tell whether the answer to a request may sign the browser in, by a cookie that it did not have.

    Not to a GET, which a link on any page makes a browser send, nor to what a foreign page has made it send: somebody would then
    work in the account of whoever wrote that page (RFC 6749 §10.12 has the same of clients).
    """
    return environ["REQUEST_METHOD"] == "POST" and not is_foreign(environ, public_url)
