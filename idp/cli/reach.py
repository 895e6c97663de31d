"""Why a server cannot be asked over HTTP, and what to do about it: each cause by its name."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from idp.written import one_line

if TYPE_CHECKING:
    from idp.settings import Settings

PATIENCE = 5.0
"""Seconds that a server may take to answer."""

_LARGEST = 65_536

_EXPIRED, _NOT_YET, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64
"""`X509_V_ERR_*` of OpenSSL: the certificate has expired, is not valid yet, is for another name, for another address."""

_COMPARE = "Compare IDP_PUBLIC_URL and IDP_PORT with the server that was started."

_GATEWAY_ERRORS = frozenset({502, 503, 504})


class Trouble(NamedTuple):
    """Why nothing of use was answered."""

    what: str
    """A sentence that names the cause."""
    advice: str
    """What to do."""
    is_fault: bool
    """Whether something has to be mended; otherwise it may be as somebody wants it, such as a server that is not started."""

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


def find_trouble(settings: "Settings") -> Trouble | None:
    """Ask the public URL for the discovery document of the operators' realm; None if this server answers."""
    issuer = settings.issuer("master")
    try:
        url = f"{issuer}/.well-known/openid-configuration"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 (the settings allow http and https only)
            return _check_document(settings.public_url, issuer, response.read(_LARGEST))
    except urllib.error.HTTPError as error:
        with error:
            return _other_status(settings.public_url, error.code)
    except (OSError, http.client.HTTPException) as error:
        return explain(settings.public_url, error)


def explain(url: str, error: Exception) -> Trouble:
    """Return why a URL could not be asked.

    :param error: what urllib has raised, but for answers with a status of an error.
    """
    cause = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception) else error
    host = urlsplit(url).hostname or ""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _about_certificate(url, host, cause)
    if isinstance(cause, ssl.SSLError):
        what = f"What answers on {url} does not speak TLS as expected ({_reason(cause)})."
        return Trouble(
            what, "Check whether that port serves HTTPS, and whether the URL should begin with http://.", is_fault=True
        )
    if isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.RemoteDisconnected):
        what = f"What answers on {url} does not speak HTTP as expected ({type(cause).__name__})."
        return Trouble(what, f"It may be another program, or serve HTTPS. {_COMPARE}", is_fault=True)
    return Trouble(*_away(url, host, cause), is_fault=False)


def _away(url: str, host: str, cause: Exception) -> tuple[str, str]:
    match cause:
        case socket.gaierror():
            return f"The name {host} of {url} is not known to this machine (DNS).", "Check the URL, and the name's DNS entry."
        case ConnectionRefusedError():
            return f"No server listens on {url} (connection refused).", "Start it with `idp serve`."
        case TimeoutError():
            return f"{url} did not answer in time.", "A firewall may be in between, or the server may hang: see its log."
        case ConnectionError():
            return f"{url} accepted the connection and closed it.", f"It may be another program, or serve HTTPS. {_COMPARE}"
    return f"{url} cannot be reached ({cause}).", "Check the network between this machine and that address."


def _about_certificate(url: str, host: str, error: ssl.SSLCertVerificationError) -> Trouble:
    match error.verify_code:
        case code if code == _EXPIRED:
            what, advice = "has expired", "Renew it, and have the proxy in front load the new certificate."
        case code if code == _NOT_YET:
            what, advice = "is not valid yet", "Check this machine's clock and the certificate's dates."
        case code if code in {_WRONG_NAME, _WRONG_ADDRESS}:
            what, advice = (
                f"is not for {host}",
                "Use a certificate for that name, or set IDP_PUBLIC_URL to a name that it covers.",
            )
        case _:
            what = f"is not trusted by this machine ({error.verify_message})"
            advice = (
                "Have the proxy in front send the whole chain; if the authority is your own, add it to those trusted by "
                "this machine and by every client, or set SSL_CERT_FILE to it."
            )
    return Trouble(f"A server answers on {url}, but its certificate {what}.", advice, is_fault=True)


def _other_status(url: str, status: int) -> Trouble:
    if status in _GATEWAY_ERRORS:
        return Trouble(
            f"{url} answers {status}: a proxy that does not reach Realmgate, or Realmgate without its database.",
            "Check the server's log, and the address that the proxy forwards requests to.",
            is_fault=True,
        )
    return _another_server(url, f"it answers {status} to what Realmgate answers with its configuration")


def _check_document(url: str, issuer: str, body: bytes) -> Trouble | None:
    try:
        said = json.loads(body)["issuer"]
    except (ValueError, KeyError, TypeError):
        return _another_server(url, "it has no OpenID configuration")
    if said == issuer:
        return None
    return Trouble(
        f"The server on {url} calls itself {one_line(str(said)[:200])}, not {issuer}.",
        "Use the same IDP_PUBLIC_URL for the server and for commands: tokens are issued under that name.",
        is_fault=True,
    )


def _another_server(url: str, why: str) -> Trouble:
    return Trouble(
        f"A server other than Realmgate answers on {url}: {why}.",
        f"Choose another port with IDP_PORT, or check which paths the proxy in front forwards. {_COMPARE}",
        is_fault=True,
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "TLS error").lower().replace("_", " ")
