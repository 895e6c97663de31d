"""Addresses: read in every form in which they come, and which of them are one party.

Everything that takes an address takes it from here, so that one client is one client to the proxies that are believed, the rules
that bind a key to addresses, the limits, and the audit trail.
"""

import ipaddress
import re
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NETWORK, WIDE_NETWORK = 64, 48
"""Bits of an IPv6 network: what one connection has to itself, and what a provider gives one customer, which is 65,536 of them."""

_LONGEST = 100
"""Characters of a text that can be an address with all that belongs to it: longer ones are not even remembered."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as a socket for both versions shows them (RFC 4291 §2.5.5.2)."""

_WITH_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([0-9.]+))(?::[A-Za-z0-9._-]+)?")
"""The brackets of IPv6, and a port behind either version (RFC 7239 §6; a port may be a made-up name there)."""

_NETWORK = re.compile(r"(?:\[([0-9A-Fa-f.:]+)(?:%[^\[\]/]+)?\]|([0-9A-Fa-f.:]+)(?:%[^\[\]/]+)?)(/[0-9]{1,3})?")
"""An address or a network, with brackets and a zone or without."""


def read_address(text: str) -> Address | None:
    """Return the address that a text names, or None if it names none, as `unknown` and `_hidden` (RFC 7239 §6) do not.

    Brackets, quotes, a port and a zone are left out, and an IPv4 address that is mapped into IPv6 is the IPv4 address.
    """
    return _read_address(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=10_000)
def _read_address(text: str) -> Address | None:
    host = text.strip().strip('"')
    if match := _WITH_PORT.fullmatch(host):
        host = match[1] or match[2] or ""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    return parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))  # without its zone, which is this machine's own affair


def plain_address(text: str) -> str:
    """Return an address in its one form, such as `192.0.2.7` or `2001:db8::7`; what is no address is returned as it is."""
    return _plain_address(text) if len(text) <= _LONGEST else text


@lru_cache(maxsize=10_000)
def _plain_address(text: str) -> str:
    address = _read_address(text)
    return text if address is None else str(address)


def read_network(text: str, *, strict: bool = True) -> Network:
    """Return the network that a text names; an address is a network of its own.

    :param strict: refuse bits behind the length of the network, which may be a slip.
    :raises ValueError: it names none.
    """
    match = _NETWORK.fullmatch(text.strip())
    if match is None:
        raise ValueError
    network = ipaddress.ip_network((match[1] or match[2]) + (match[3] or ""), strict=strict)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


@lru_cache(maxsize=10_000)
def is_in(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address is in one of some networks; what is no address is in none."""
    parsed = read_address(address)
    return parsed is not None and any(parsed in network for network in _read_networks(networks))


@lru_cache(maxsize=1_000)
def _read_networks(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(read_network(each) for each in networks)


def is_loopback(address: str) -> bool:
    """Tell whether an address is one by which a machine speaks to itself."""
    parsed = read_address(address)
    return parsed is not None and parsed.is_loopback


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """Return what a client can be told by: its IPv4 address, or the /64 network that an IPv6 client has to itself.

    :param address: what is no address, or a network already, is returned as it is.
    """
    return _shortened(address, NETWORK)


@lru_cache(maxsize=10_000)
def wide_network_of(address: str) -> str:
    """Return what one customer of a provider has at the most: an IPv4 address, or a /48 network of IPv6.

    :param address: an address, or a network that `network_of` has returned.
    """
    return _shortened(address, WIDE_NETWORK)


def _shortened(address: str, bits: int) -> str:
    host, _, length = address.partition("/")
    parsed = read_address(host)
    if parsed is None or (length and (not length.isdecimal() or int(length) <= bits)):
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, bits), strict=False))
