"""Values that may hold a credential: what of them may be shown, and keeping the rest out of every log line."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

HIDDEN = "***"

SHORTEST = 6
"""Characters of the shortest text that is looked for in log lines; a shorter one stands in many by chance."""

LONGEST_WORD = 16
"""Characters from which a part of a path is taken for a token: a shorter one may be a word that lines are made of."""

_USER = re.compile(r"://[^/\s]*@")

_kept_out: set[str] = set()
"""What no log line of this process may hold."""


@dataclass(frozen=True)
class Confidential:
    """Marks a setting whose value is a URL that may hold a credential: as user and password, or in its query."""

    in_path: bool = False
    """Whether its path may be one, too, as with the hooks of many services."""

    def show(self, url: str) -> str:
        """Return what of the URL may be shown: where it leads, and that there is more."""
        parts = _split(url)
        if parts is None:
            return HIDDEN if url else ""
        if "@" in parts.path:  # a password with a slash in it, perhaps: nothing tells where it begins
            return f"{parts.scheme}://{HIDDEN}"
        user = f"{HIDDEN}@" if "@" in parts.netloc else ""
        path = f"/{HIDDEN}" if self.in_path and parts.path not in {"", "/"} else parts.path
        place = f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}"
        return place + path + (f"?{HIDDEN}" if parts.query or parts.fragment else "")

    def secrets(self, url: str) -> set[str]:
        """Return the parts of the URL that may not be shown, as they stand in it and as programs decode them."""
        parts = _split(url)
        if parts is None:
            return {url} if url else set()
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        found = {url, user if not password else "", password, parts.query, parts.fragment}
        found |= {pair.partition("=")[2] for pair in parts.query.split("&")}
        if self.in_path:
            found |= {f"{parts.path}?{parts.query}" if parts.query else parts.path}
            found |= {each for each in parts.path.split("/") if len(each) >= LONGEST_WORD}
        found = {each for each in found if len(each) >= SHORTEST and each not in self.show(url)}
        return found | {unquote(each) for each in found}


@dataclass(frozen=True)
class ConfidentialUnchecked(Confidential):
    """Marks a setting that holds no credential once it has been checked. A value that is refused may, and is not shown."""

    def show(self, url: str) -> str:
        """Return it."""
        return url

    def secrets(self, url: str) -> set[str]:  # noqa: ARG002 (as of all that are marked)
        """Return nothing."""
        return set()


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        for host in parts.netloc.rpartition("@")[2].split(","):  # a database may have several
            _ = urlsplit(f"//{host}").port  # what is no port may be part of a password
    except ValueError:
        return None
    return parts if parts.scheme and "://" in url else None


def without_user(text: str) -> str:
    """Return a text for a message without the user names and passwords of URLs in it."""
    return _USER.sub(f"://{HIDDEN}@", text)


def keep_out_of_logs(secrets: set[str]) -> None:
    """Have no log line of this process hold any of these, whoever writes it: libraries repeat the URLs that they call."""
    _kept_out.update(secrets)


def redact(text: str) -> str:
    """Return a text with what is kept out of logs replaced."""
    for secret in sorted(_kept_out, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text
