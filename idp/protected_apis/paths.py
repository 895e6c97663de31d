"""Paths that mean the same to the gateway and to the API behind it."""

import re
import unicodedata
from urllib.parse import unquote

_PLAIN = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]*)+")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_HARMLESS_ESCAPE = re.compile(r"%(?:[2-7][0-9A-Fa-f]|[89A-Fa-f][0-9A-Fa-f])")
_FORBIDDEN_ESCAPES = frozenset({"%25", "%2e", "%2f", "%5c", "%3b", "%7f", "%23", "%3f"})


def path_of(uri: str) -> str:
    """Return the path of what a client has asked for, as it was sent: all before the query."""
    return uri.partition("?")[0]


def is_plain(path: str) -> bool:
    """Tell whether a path has one meaning only: no dot segments, empty segments, parameters or escaped separators.

    Proxies and servers disagree about the others (T34), so no rule allows them.
    """
    if not path.isascii() or len(path) > 8_192:
        return False
    for escape in _ESCAPED.findall(path):
        if escape.lower() in _FORBIDDEN_ESCAPES or not _HARMLESS_ESCAPE.fullmatch(escape):
            return False
    bare = _ESCAPED.sub("x", path)
    if not _PLAIN.fullmatch(bare) or not _is_plain_decoded(path):
        return False
    segments = bare.split("/")[1:]
    return all(segment not in {".", ".."} for segment in segments) and all(segments[:-1])


def _is_plain_decoded(path: str) -> bool:
    """Tell whether no escape stands for a character that somebody may take for a dot or a separator."""
    if "%" not in path:
        return True
    try:
        decoded = unicodedata.normalize("NFKC", unquote(path, errors="strict"))
    except UnicodeDecodeError:
        return False
    return all(decoded.count(separator) == path.count(separator) for separator in "./\\;?#")


def is_below(path: str, prefix: str) -> bool:
    """Tell whether a path is a prefix itself, or lies below it; `/api/v1/query` has nothing to do with `/api/v1/query_range`."""
    return prefix in {"/", path} or path.startswith(prefix + "/")
