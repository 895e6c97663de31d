"""Whether nobody between the client and this server can read along."""

from idp.errors import IdpError, Kind
from idp.networks import is_loopback
from idp.web.address import is_trusted
from idp.web.body import Environ

_FORWARDED = (
    "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP",
)  # fmt: skip # a list of words
"""What proxies add: with one of these, the peer is not the client."""


class UnprotectedError(IdpError):
    """The request came over a network without encryption, and is about what must not be read on it."""

    kind = Kind.DENIED
    code = "HttpsRequired"

    def __init__(self) -> None:
        super().__init__(
            "Keyset values are sent over HTTPS only, or within this machine. Call the https URL; behind a proxy that terminates "
            "TLS, the operator names it in IDP_TRUSTED_PROXIES and has it send X-Forwarded-Proto."
        )


def require_private(environ: Environ, trusted: tuple[str, ...]) -> None:
    """Refuse a request that others could read along with.

    :param trusted: networks of the proxies that are believed (IDP_TRUSTED_PROXIES).
    :raises UnprotectedError: it came neither over HTTPS nor from this machine.
    """
    if not is_private(environ, trusted):
        raise UnprotectedError


def is_private(environ: Environ, trusted: tuple[str, ...]) -> bool:
    """Tell whether a request came over HTTPS, or from this machine without a proxy in between.

    What a proxy says of that counts if it is trusted. One on this machine that is not, and says that it is a proxy, could have
    anything behind it.
    """
    if environ.get("wsgi.url_scheme") == "https":
        return True
    if is_trusted(environ, trusted):
        # one that says nothing could have come over anything
        schemes: str = environ.get("HTTP_X_FORWARDED_PROTO", "")
        return all(each.strip().lower() == "https" for each in schemes.split(","))
    return is_loopback(environ.get("REMOTE_ADDR", "")) and not any(name in environ for name in _FORWARDED)
