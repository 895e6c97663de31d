"""Who has signed in from this command line: kept in a file that nobody else can read, and refreshed when it is used."""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from idp.cli.reach import explain
from idp.errors import IdpError
from idp.written import one_line

_SPARE = 30
"""Seconds before its end in which an access token is not used any more."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class LoginError(IdpError):
    """Nobody has signed in, or the server does not answer as it should."""


@dataclass(frozen=True)
class SignedIn:
    """Who has signed in where."""

    issuer: str
    client_id: str
    token_endpoint: str
    userinfo_endpoint: str
    revocation_endpoint: str
    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: float
    """Of the access token, seconds since 1970."""


def path() -> Path:
    """Return where the file is."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "realmgate" / "login.json"


def load() -> SignedIn:
    """Return who has signed in.

    :raises LoginError: nobody has.
    """
    try:
        return SignedIn(**json.loads(path().read_text()))
    except FileNotFoundError:
        raise LoginError("Nobody has signed in here. Run: idp login https://HOST --realm NAME") from None
    except (OSError, ValueError, TypeError) as error:
        raise LoginError(f"{path()} cannot be read ({type(error).__name__}). Run `idp login` again.") from error


def save(signed_in: SignedIn) -> None:
    """Keep who has signed in: written beside, then put in place, readable by its owner only."""
    target = path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(signed_in), file)
    draft.replace(target)


def forget() -> None:
    """Forget who has signed in."""
    path().unlink(missing_ok=True)


def fresh(signed_in: SignedIn) -> SignedIn:
    """Return the same with an access token that works, refreshed if that is due.

    :raises LoginError: the server refuses.
    """
    if time.time() < signed_in.expires_at - _SPARE:
        return signed_in
    form = {"grant_type": "refresh_token", "refresh_token": signed_in.refresh_token, "client_id": signed_in.client_id}
    answer = ask(signed_in.token_endpoint, form)
    if "access_token" not in answer:
        raise LoginError(f"The sign-in at {signed_in.issuer} has ended ({said(answer)}). Run `idp login` again.")
    renewed = signed_in_of(asdict(signed_in), answer)
    save(renewed)
    return renewed


def signed_in_of(known: Mapping[str, Any], answer: Mapping[str, Any]) -> SignedIn:
    """Return who has signed in, from what is known of the server and what its token endpoint has answered."""
    return SignedIn(
        issuer=known["issuer"],
        client_id=known["client_id"],
        token_endpoint=known["token_endpoint"],
        userinfo_endpoint=known["userinfo_endpoint"],
        revocation_endpoint=known["revocation_endpoint"],
        refresh_token=answer.get("refresh_token", known.get("refresh_token", "")),
        access_token=answer["access_token"],
        expires_at=time.time() + answer.get("expires_in", 0),
    )


def ask(url: str, form: Mapping[str, str] | None = None, *, token: str = "") -> dict[str, Any]:
    """Return what an endpoint answers, an error too; a form is posted.

    :raises LoginError: it does not answer, or not in JSON.
    """
    check_url(url)
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 (checked above)
            return _object(response.read(100_000), url)
    except urllib.error.HTTPError as error:
        with error:
            return _object(error.read(100_000), url)
    except (OSError, http.client.HTTPException) as error:
        raise LoginError(str(explain(url, error))) from None


def check_url(url: str) -> None:
    """See that tokens are sent over HTTPS, or stay on this machine.

    :raises LoginError: they would not.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise LoginError(f"{url[:100]} is not an https URL.")


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise LoginError(f"{url} answered, but not as Realmgate does. Check the address and --realm.")
    return value


def said(answer: Mapping[str, Any]) -> str:
    """Return what an error says."""
    return one_line(f"{answer.get('error', 'no reason given')}: {answer.get('error_description', '')}")[:300].rstrip(": ")
