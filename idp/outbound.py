"""Calling addresses that somebody has registered: never those of this machine or its network, unless the operator allows it.

A name is looked up once, every address that it has is checked, and the connection is made to one that was: so a name that means
something else a moment later leads nowhere else. No redirect is followed, and of the answer the caller gets the status alone.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT = 5.0
"""Seconds that the other side may take for each step."""


class OutboundError(Exception):
    """The address was not called, or did not answer."""


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, by TLS to the name that it was looked up by."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address, self._context = address, context

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def post_form(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> int:
    """Send a form, and return the status of the answer.

    :param private: whether addresses of this machine and of private networks may be called.
    :raises OutboundError: the address may not be called, or does not answer.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_https = parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    try:
        address = _checked_address(host, port, private=private)
        connection = _Pinned(host, port, address, ssl.create_default_context() if is_https else None)
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OutboundError(f"{type(error).__name__} while calling {host[:100]}") from error


def _checked_address(host: str, port: int, *, private: bool) -> str:
    """Return an address of a host that may be called.

    :raises OutboundError: one of its addresses may not be.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not private and not all(_is_public(address) for address in found):
        raise OutboundError(f"{host[:100]} has an address of this machine or of a private network.")
    return found[0]


def _is_public(address: str) -> bool:
    read = ipaddress.ip_address(address.partition("%")[0])
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    return (mapped or read).is_global and not (mapped or read).is_multicast
