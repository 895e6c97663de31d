"""Addresses that people are sent to, and scopes that they are asked for. Sentences go on from the name of the field."""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

MOST_URIS = 50
LONGEST_URI = 1_000
MOST_SCOPES = 100

SCOPES = ("openid", "profile", "email", "groups", "roles", "offline_access")
"""What people can be asked for, beside `project:<name>` (OpenID Connect Core §5.4 and §11)."""

PROJECT_SCOPE = "project:"

RESPONSE_PARAMETERS = frozenset(
    {"code", "state", "iss", "error", "error_description", "error_uri", "session_state", "response", "id_token", "access_token"}
)
"""What an answer may carry: a registered URI that says one of these itself would say it twice (RFC 9700 §4.1)."""

_PATH = r"(?:/(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})*)*"
_QUERY = r"(?:\?(?:[A-Za-z0-9._~!$&'()+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"
_WEB = re.compile(rf"(https?)://({_HOST})(:[0-9]{{1,5}})?({_PATH}){_QUERY}")
_PRIVATE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:(?://[A-Za-z0-9._~-]+)?(" + _PATH + ")" + _QUERY)
"""A scheme of an application's own: a name of its maker in reverse, so with a dot (RFC 8252 §7.1)."""

_LOOPBACK = frozenset({"127.0.0.1", "[::1]"})
"""Addresses whose port an application on somebody's machine takes as it comes (RFC 8252 §7.3)."""

_THIS_MACHINE = _LOOPBACK | {"localhost"}

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
"""RFC 6749 §3.3."""


def check_redirect_uris(values: Sequence[str]) -> list[str]:
    """Return URIs if people can be sent to them (RFC 9700 §4.1.3, RFC 8252 §7).

    :raises ValueError: too many, repeated, or one that must not be.
    """
    if len(values) > MOST_URIS or len(set(values)) != len(values):
        raise ValueError(f"takes at most {MOST_URIS} values, each once.")
    for value in values:
        _check_redirect_uri(value)
    return list(values)


def _check_redirect_uri(uri: str) -> None:
    shown = repr(uri[:80])
    web, private = _WEB.fullmatch(uri), _PRIVATE.fullmatch(uri)
    if len(uri) > LONGEST_URI or (web is None and private is None):
        raise ValueError(
            f"takes https URLs, http ones of this machine, and schemes with a dot such as com.example.app:/done, "
            f"without wildcard, fragment or user name, not {shown}."
        )
    if web is not None and not _can_be_called(uri):
        raise ValueError(f"takes ports up to 65535 and addresses that there are, not {shown}.")
    if web is not None and web[1] == "http" and web[2] not in _THIS_MACHINE:
        raise ValueError(f"takes http for 127.0.0.1, [::1] and localhost only; use https instead of {shown}.")
    path = web[4] if web is not None else private[1] if private is not None else ""
    if {".", ".."} & {segment.replace("%2e", ".").replace("%2E", ".").partition(";")[0] for segment in path.split("/")}:
        raise ValueError(f"takes paths without . and .. segments, not {shown}.")
    query = uri.partition("?")[2]
    if taken := sorted({name for name, _ in parse_qsl(query, keep_blank_values=True)} & RESPONSE_PARAMETERS):
        raise ValueError(f"takes no query with {taken[0]}, which the answer carries itself, as {shown} has.")


def _can_be_called(uri: str) -> bool:
    """Tell whether host and port of a URL can be what they say."""
    try:
        parts = urlsplit(uri)
        return parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False


def check_logout_uri(uri: str) -> str:
    """Return a URI if this server can call it (OpenID Connect Back-Channel Logout §2.2).

    :raises ValueError: it is none.
    """
    if len(uri) > LONGEST_URI or _WEB.fullmatch(uri) is None:
        raise ValueError(f"takes an https URL without fragment and user name, not {uri[:80]!r}.")
    _check_redirect_uri(uri)
    return uri


def check_scopes(values: Sequence[str]) -> list[str]:
    """Return scopes if people can be asked for them.

    :raises ValueError: too many, repeated, or unknown.
    """
    if len(values) > MOST_SCOPES or len(set(values)) != len(values):
        raise ValueError(f"takes at most {MOST_SCOPES} values, each once.")
    for value in values:
        named = value.startswith(PROJECT_SCOPE) and value != PROJECT_SCOPE and _SCOPE_TOKEN.fullmatch(value)
        if value not in SCOPES and not named:
            raise ValueError(f"takes {', '.join(SCOPES)} and project:<name>, not {value[:80]!r}.")
    return list(values)


@lru_cache(maxsize=4_096)
def can_be_used(uri: str) -> bool:
    """Tell whether people may be sent to a URI: what is registered was looked at then, and is again when it is used."""
    try:
        _check_redirect_uri(uri)
    except ValueError:
        return False
    return True


def is_registered(registered: frozenset[str], uri: str) -> bool:
    """Tell whether a URI is one of those that are registered: byte for byte, but for the port of a loopback address (R1)."""
    if uri in registered:
        return True
    portless = without_loopback_port(uri)
    return portless is not None and any(without_loopback_port(each) == portless for each in registered)


def without_loopback_port(uri: str) -> str | None:
    """Return a loopback URI without its port; None for any other (RFC 8252 §7.3)."""
    match = _WEB.fullmatch(uri) if len(uri) <= LONGEST_URI else None
    if match is None or match[1] != "http" or match[2] not in _LOOPBACK:
        return None
    host_end = match.end(2)
    return uri[:host_end] + uri[match.end(3) if match[3] else host_end :]


def is_private(uri: str) -> bool:
    """Tell whether a URI has a scheme of an application's own, which only one on somebody's device can be called by."""
    return _WEB.fullmatch(uri) is None
