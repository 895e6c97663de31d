"""Calling addresses that somebody has registered: never those of this machine or its network, unless the operator allows it.

A name is looked up once, every address that it has is checked, and the connection is made to one that was: so a name that means
something else a moment later leads nowhere else. No redirect is followed, an answer has an end in bytes and in time, and what is
read of one goes no further than to whoever understands it.
"""

import contextlib
import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.networks import is_in

TIMEOUT = 5.0
"""Seconds that the other side may take for each step."""

LONGEST = 10.0
"""Seconds that a call takes at the most, however the other side spends them."""

LONGEST_ANSWER = 4_096
"""Bytes of an answer to something that was sent, by which it is told what is wrong, that are looked at."""

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
        self._open: socket.socket | None = None
        """The connection itself: the library forgets it once an answer that ends with it has begun."""

    def connect(self) -> None:
        """Connect. Whoever cuts the call meanwhile finds what there is of the connection."""
        self.sock = self._open = socket.create_connection((self._address, self.port), TIMEOUT)
        if self._context is not None:
            wrapped = self._context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._open = wrapped
            self.check_whole()
            wrapped.do_handshake()
        self.check_whole()

    def cut(self) -> None:
        """End the call, whatever it waits for."""
        self.is_cut = True
        with contextlib.suppress(OSError, AttributeError):
            (self._open or self.sock).shutdown(socket.SHUT_RDWR)

    def check_whole(self) -> None:
        """Return if what was read is all: that of a call that was cut looks like a whole answer.

        :raises TimeoutError: it was cut.
        """
        if self.is_cut:
            raise TimeoutError(f"no whole answer within {LONGEST:g} s")


class Call:
    """A call that others can end."""

    def __init__(self) -> None:
        self.is_over = False
        self._connection: _Pinned | None = None

    def end(self) -> None:
        """End it, or have it not begin."""
        self.is_over = True
        if self._connection is not None:
            self._connection.cut()

    def begin(self, connection: _Pinned) -> None:
        """Note by what connection it is made.

        :raises TimeoutError: it was ended before that.
        """
        self._connection = connection
        if self.is_over:
            raise TimeoutError("others are waiting")


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses may be called."""

    private: bool = False
    """Whether those of this machine and of private networks may be."""
    networks: tuple[str, ...] = ()
    """Networks that may be called although they are private."""


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object that was fetched."""

    content: dict[str, Any]
    max_age: int | None
    """Seconds for which it may be kept, as its server says (RFC 9111 §5.2.2.1); None if it does not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to something that was sent."""

    status: int
    problem: bytes
    """The beginning of what it says is wrong; empty where nothing is, since nobody looks at that."""
    retry_after: int = 0
    """Seconds after which it wants to be asked again (RFC 9110 §10.2.3); 0 if it does not say that in seconds."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, reach: Reach) -> Answer:
    """Send something, and return the answer.

    :raises OutboundError: the address may not be called, or does not answer.
    """
    with _called("POST", url, body, headers, reach) as (connection, answer):
        problem = answer.read(LONGEST_ANSWER) if answer.status >= http.client.BAD_REQUEST else b""
        connection.check_whole()
        retry_after = answer.getheader("Retry-After", "")
        return Answer(answer.status, problem, int(retry_after) if re.fullmatch(r"[0-9]{1,9}", retry_after) else 0)


def post_form(url: str, body: bytes, headers: Mapping[str, str], *, reach: Reach) -> int:
    """Send a form, and return the status of the answer.

    :raises OutboundError: the address may not be called, or does not answer.
    """
    return post(url, body, {"Content-Type": "application/x-www-form-urlencoded", **headers}, reach=reach).status


def fetch_json(url: str, *, reach: Reach, longest: int, call: Call | None = None) -> Document:
    """Fetch a JSON object by HTTPS.

    :param longest: bytes that it has at the most.
    :param call: by which others can end it.
    :raises OutboundError: the address may not be called, does not answer, or not with a JSON object of at most that length.
    """
    if urlsplit(url).scheme != "https":
        raise OutboundError(f"{url[:100]!r} is not an https URL.")
    with _called("GET", url, None, {"Accept": "application/json"}, reach, call) as (connection, answer):
        if answer.status != http.client.OK:
            raise OutboundError(f"{url[:100]!r} answered with status {answer.status}.")
        read = answer.read(longest + 1)
        connection.check_whole()
        max_age = re.search(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])", answer.getheader("Cache-Control", ""))
    if len(read) > longest:
        raise OutboundError(f"{url[:100]!r} answered with more than {longest:,} bytes.")
    try:
        content = json.loads(read)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OutboundError(f"{url[:100]!r} did not answer with a JSON object.")
    return Document(content, int(max_age[1]) if max_age else None)


@contextlib.contextmanager
def _called(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], reach: Reach, call: Call | None = None
) -> Iterator[tuple[_Pinned, http.client.HTTPResponse]]:
    """Call a URL, and give its answer to be read: the call ends with that, and after `LONGEST` seconds whatever happens.

    :raises OutboundError: the address may not be called, or does not answer.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = _checked_address(host, port, reach)
        connection = _Pinned(host, port, address, ssl.create_default_context() if parts.scheme == "https" else None)
        if call is not None:
            call.begin(connection)
        ends = threading.Timer(LONGEST, connection.cut)
        ends.start()
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request(method, path, body, dict(headers))
            yield connection, connection.getresponse()
        finally:
            ends.cancel()
            connection.close()
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:  # the last: it was cut while it was used
        raise OutboundError(f"{type(error).__name__} while calling {url[:100]!r}") from error


def _checked_address(host: str, port: int, reach: Reach) -> str:
    """Return an address of a host that may be called.

    :raises OutboundError: one of its addresses may not be.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not reach.private and not all(_is_public(address) or is_in(address, reach.networks) for address in found):
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
