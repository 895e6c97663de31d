"""Which addresses are one party: what somebody is given to themselves, so that many addresses do not count for many people."""

import ipaddress
from functools import lru_cache

NETWORK, WIDE_NETWORK = 64, 48
"""Bits of an IPv6 network: what one connection has to itself, and what a provider gives one customer, which is 65,536 of them."""


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
    try:
        parsed = ipaddress.ip_address(host)
        if length and int(length) <= bits:
            return address
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if parsed.version == 4 or mapped is not None:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, bits), strict=False))
