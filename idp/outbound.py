"""Calling addresses that somebody has registered: never those of this machine or its network, unless the operator allows it.

A name is looked up once, every address that it has is checked, and the connection is made to one that was: so a name that means
something else a moment later leads nowhere else. No redirect is followed, and of the answer the caller gets the status alone.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT = 5.0
"""Seconds that the other side may take for each step."""

LONGEST = 10.0
"""Seconds that a call takes at the most, however the other side spends them."""

_INNER = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96", "fec0::/10", "2001::/32")
)
"""Networks of IPv6 that lead to addresses of IPv4, or stand for those of a site: nobody's server has one of these alone."""

_SPECIAL = ipaddress.IPv4Network("192.0.0.0/24")
"""IETF protocol assignments (RFC 6890)."""


class OutboundError(Exception):
    """The address was not called, or did not answer."""


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, by TLS to the name that it was looked up by."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address, self._context = address, context
        self.is_cut = False

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """End the call, whatever it waits for."""
        self.is_cut = True
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def post_form(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> int:
    """Send a form, and return the status of the answer.

    :param private: whether addresses of this machine and of private networks may be called.
    :raises OutboundError: the address may not be called, or does not answer.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = _checked_address(host, port, private=private)
        connection = _Pinned(host, port, address, ssl.create_default_context() if parts.scheme == "https" else None)
        ends = threading.Timer(LONGEST, connection.cut)
        ends.start()
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})
            status = connection.getresponse().status
            if connection.is_cut:  # what is read then looks like a whole answer
                raise TimeoutError(f"no whole answer within {LONGEST:g} s")
            return status
        finally:
            ends.cancel()
            connection.close()
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:  # the last: it was cut while it was used
        raise OutboundError(f"{type(error).__name__} while calling {url[:100]!r}") from error


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
    if isinstance(read, ipaddress.IPv6Address):
        if any(read in network for network in _INNER):
            return False
        read = read.ipv4_mapped or read
    is_reserved = isinstance(read, ipaddress.IPv4Address) and read in _SPECIAL
    return read.is_global and not read.is_multicast and not is_reserved
