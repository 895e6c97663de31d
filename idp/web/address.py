"""The address of the client behind a request."""

from idp.networks import is_in, plain_address, read_address
from idp.web.body import Environ


def client_address(environ: Environ, trusted: tuple[str, ...]) -> str:
    """Return the client's address in its plain form: the peer's, or what a trusted proxy says of it (T84).

    :param trusted: networks of the proxies that are believed (IDP_TRUSTED_PROXIES).

    Of `X-Forwarded-For` the last address counts that is not a trusted proxy's own: what stands before it, anybody can
    have written. Something that is no address ends the search at the proxy that passed it on. `Forwarded` (RFC 7239) is not
    looked at: a proxy that sets the one passes the other on as the client wrote it.
    """
    address = plain_address(environ.get("REMOTE_ADDR", ""))
    if not trusted or not is_in(address, trusted):
        return address
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-10:]):
        candidate = read_address(hop)
        if candidate is None:
            break
        address = str(candidate)
        if not is_in(address, trusted):
            break
    return address


def is_trusted(environ: Environ, trusted: tuple[str, ...]) -> bool:
    """Tell whether the peer itself is a proxy that is believed."""
    return is_in(environ.get("REMOTE_ADDR", ""), trusted)
