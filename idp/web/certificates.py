"""The client certificate of a TLS connection that a proxy has ended, as it hands it over in a header (RFC 8705, RFC 9440)."""

import base64
import binascii
import hashlib
import re
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509

from idp import crypto, runtime
from idp.settings import Settings
from idp.web.address import is_trusted
from idp.web.body import Environ

LONGEST = 16_384
"""Characters of the header that are looked at."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_OF_ENVOY = re.compile(r'(?:^|;)Cert="([^"]*)"(?:;|$)')


def takes_certificates(settings: Settings) -> bool:
    """Tell whether a proxy hands client certificates over at all."""
    return bool(settings.client_certificate_header and settings.trusted_proxies)


def certificate_thumbprint(environ: Environ) -> str:
    """Return the SHA-256 of the certificate that the client's TLS connection has, as base64url; empty for none.

    Only the configured proxies are believed: whatever anybody else sends in that header is passed over. That the client holds the
    private key, the proxy has seen in the handshake; who has issued the certificate does not matter here (RFC 8705 §2.2 and §3).
    """
    settings = runtime.current().settings
    if not takes_certificates(settings) or not is_trusted(environ, settings.trusted_proxies):
        return ""
    name = settings.client_certificate_header.upper().replace("-", "_")
    header: str = environ.get(f"HTTP_{name}", "")
    return _thumbprint(header) if 0 < len(header) <= LONGEST else ""


@lru_cache(maxsize=1_000)
def _thumbprint(header: str) -> str:
    try:
        der = base64.b64decode(_encoded(header.strip()), validate=True)
        x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError):
        return ""
    return crypto.b64url(hashlib.sha256(der).digest()).decode()


def _encoded(header: str) -> str:
    """Return the certificate in base64, out of the form in which a proxy writes it.

    :raises ValueError: it is in none of them, or there are several.
    """
    if header.startswith(":") and header.endswith(":"):  # RFC 9440 §2.1
        return header[1:-1]
    if "Cert=" in header:  # Envoy, X-Forwarded-Client-Cert; two elements are two proxies, or a client's own
        found = _OF_ENVOY.findall(header)
        if len(found) != 1 or header.count("Cert=") != 1 or "," in header:
            raise ValueError
        header = found[0]
    if header.startswith("-----BEGIN"):  # nginx $ssl_client_escaped_cert, Traefik, Envoy: escaped; others with spaces for lines
        match = _PEM.fullmatch(unquote(header))
        if match is None:
            raise ValueError
        return "".join(match[1].split())
    return unquote(header) if "%" in header else header  # HAProxy ssl_c_der,base64; Caddy certificate_der_base64
