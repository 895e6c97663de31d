"""Names of applications whose client_id is the URL of a document that describes them (client ID metadata documents)."""

import hashlib
import re

LONGEST_URL = 255

SCHEME = "https://"

_URL = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)(?::[1-9][0-9]{0,4})?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+)"
)


def is_document_url(client_id: str) -> bool:
    """Tell whether a client_id is a URL that can have a document: https, with a path, without user name, query, fragment and dot
    segments (draft-ietf-oauth-client-id-metadata-document §3). Hosts are written in lower case: a URL is compared as a whole.
    """
    match = _URL.fullmatch(client_id) if len(client_id) <= LONGEST_URL else None
    if match is None or match["path"] == "/":
        return False
    segments = match["path"].replace("%2e", ".").replace("%2E", ".").split("/")
    return not {".", ".."} & set(segments)


def host_of(url: str) -> str:
    """Return the host of such a URL, with its port if it has one."""
    return url.removeprefix(SCHEME).partition("/")[0]


def name_of(client_id: str) -> str:
    """Return what an application is called here: for a URL a name that follows from it, and from no other; else the client_id."""
    if not client_id.startswith(SCHEME):
        return client_id
    return f"url-{hashlib.sha256(client_id.encode()).hexdigest()[:40]}"
