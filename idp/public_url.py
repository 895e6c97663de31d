"""The public URL in its one form, which is the one that browsers write: what they send is compared with it letter by letter."""

import re
from urllib.parse import urlsplit

from pydantic_core import Url

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
"""Of plain segments only, so that it is the same in a cookie, in a link, and to every proxy."""


OWN_PATHS = frozenset(
    {
        ".well-known", "api", "auth", "cloudapi", "console", "device", "docs", "gateway", "health", "orgs",
        "rest-auth", "sign-in", "userprofile", "v1",
    }
)  # fmt: skip # a list of words
"""How the paths of the server's own URLs begin."""


def canonical_url(written: str) -> str:
    """Return a URL as browsers write it (WHATWG URL): host in lower case and in punycode, no default port, no slash at the end.

    :param written: empty for none, which it stays.
    :raises ValueError: it is none that a server can have, said in half a sentence.
    """
    if not written:
        return ""
    refused = ValueError("takes a URL such as https://id.example.com, without query, fragment or user name")
    if not written.isprintable() or " " in written or "\\" in written:
        raise refused
    try:
        parts, url = urlsplit(written), Url(written)
    except ValueError:
        raise refused from None
    if parts.scheme not in {"http", "https"} or not parts.netloc or url.host is None or url.port == 0:
        raise refused
    if "@" in parts.netloc or "?" in written or "#" in written:
        raise refused
    path = (url.path or "").rstrip("/")
    if not _PATH.fullmatch(path):
        raise ValueError("takes a URL whose path has letters, digits, '-', '.', '_' and '~' between single slashes")
    first = path.split("/")[1] if path else ""
    if first in OWN_PATHS:
        # it could not be told whether a proxy has taken it off
        raise ValueError(f"takes another path, such as /idp: URLs of the server itself begin with /{first}")
    return f"{origin_of(str(url))}{path}"


def tell_change(written: str, url: str) -> str:
    """Return what an operator is told when the public URL was written in another form, with which issuers began before."""
    return (
        f"IDP_PUBLIC_URL is written {written}, and is used as browsers write it: {url}. Tokens name their issuer that way. "
        f"Those issued as {written} before are no longer valid here, including personal tokens. Give verifiers, audiences and "
        f"clients that name the issuer the new form, and set IDP_PUBLIC_URL={url} to stop this warning."
    )


def origin_of(url: str) -> str:
    """Return the origin of a URL: what a browser sends as `Origin` from its pages (RFC 6454 §6.1)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def path_of(url: str) -> str:
    """Return the path that everything lies below, such as `/idp`; empty for the whole host."""
    return urlsplit(url).path
