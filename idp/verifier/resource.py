"""What an API says of itself, so that clients which come and go find out where its tokens are to be had (RFC 9728)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.verifier.bearer import RefusalError

WELL_KNOWN = "/.well-known/oauth-protected-resource"

MAX_AGE = 3600
"""Seconds for which the metadata may be kept."""

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": f"max-age={MAX_AGE}",
    # anybody may have it, pages of every origin among them; nothing is sent along for it
    "Access-Control-Allow-Origin": "*",
}

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 §3.3."""

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """An API, as `/.well-known/oauth-protected-resource` describes it, and as its refusals lead there."""

    resource: str
    """Its URL as clients are given it, without query and fragment. It is the verifier's audience, too."""
    issuer: str
    """Who issues its tokens."""
    scopes: Sequence[str] = ("roles",)
    """What a client has to ask people for; `roles` lets it act with the roles of who has signed in. Empty for nothing."""
    name: str = ""
    """What people are told it is called."""
    documentation: str = ""
    """URL of a page for who writes a client."""
    metadata_url: str = ""
    """Where the metadata is, if not at the URL that follows from the resource (RFC 9728 §3.1)."""

    def __post_init__(self) -> None:
        """See that it can be described.

        :raises ValueError: the resource or a scope is none.
        """
        if not is_resource(self.resource):
            raise ValueError("resource takes an https URL without user name, query and fragment; http for this machine only")
        if not all(
            isinstance(each, str) and each.isascii() and each.isprintable() and not set(each) & set(' "\\')
            for each in self.scopes
        ):
            raise ValueError("scopes takes a list of scopes (RFC 6749 §3.3)")

    @property
    def path(self) -> str:
        """Path of the metadata at the API itself (RFC 9728 §3.1)."""
        return f"{WELL_KNOWN}{urlsplit(self.resource).path.removesuffix('/')}"

    @property
    def url(self) -> str:
        """Where the metadata is."""
        parts = urlsplit(self.resource)
        return self.metadata_url or f"{parts.scheme}://{parts.netloc}{self.path}"

    def document(self) -> dict[str, Any]:
        """Return the metadata (RFC 9728 §2). What the API does not have is absent, not empty (§3.2)."""
        said = {
            "resource": self.resource,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(self.scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": self.name,
            "resource_documentation": self.documentation,
        }
        return {name: value for name, value in said.items() if value}

    def parameters(self) -> str:
        """Return what a challenge says beside its error: where the metadata is, what to ask for (RFC 9728 §5.1, RFC 6750 §3)."""
        scope = f', scope="{" ".join(self.scopes)}"' if self.scopes else ""
        return f'resource_metadata="{self.url}"{scope}'


def is_resource(url: str) -> bool:
    """Tell whether a URL can name an API (RFC 9728 §1.2): https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or set(url) & set(' "\\?#') or "@" in parts.netloc:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE))


def challenge(refusal: RefusalError, resource: ProtectedResource | None) -> str:
    """Return the value of `WWW-Authenticate` for a refusal: with a resource, it leads to where tokens are to be had."""
    if resource is None:
        return refusal.challenge
    return f"{refusal.challenge}{', ' if refusal.error else ' '}{resource.parameters()}"
