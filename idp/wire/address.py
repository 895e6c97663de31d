"""The address of the client behind a request."""

import ipaddress
from functools import lru_cache

from idp.wire.body import Environ


def client_address(environ: Environ, trusted: tuple[str, ...]) -> str:
    """Return the client's address: the peer's, or what a trusted proxy says of it (T84).

    :param trusted: networks of the proxies that are believed (IDP_TRUSTED_PROXIES).

    Of `X-Forwarded-For` the last address counts that is not a trusted proxy's own: what stands before it, anybody can
    have written. Something that is no address ends the search at the proxy that passed it on.
    """
    peer: str = environ.get("REMOTE_ADDR", "")
    if not trusted or not _is_in(peer, trusted):
        return peer
    address = peer
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-10:]):
        candidate = hop.strip()
        if not _is_address(candidate):
            break
        address = candidate
        if not _is_in(candidate, trusted):
            break
    return address


def is_trusted(environ: Environ, trusted: tuple[str, ...]) -> bool:
    """Tell whether the peer itself is a proxy that is believed."""
    return _is_in(environ.get("REMOTE_ADDR", ""), trusted)


@lru_cache(maxsize=4096)
def _is_in(address: str, networks: tuple[str, ...]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
