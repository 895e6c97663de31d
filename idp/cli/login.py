"""`idp login`, `idp whoami`, `idp logout`: a person signs the command line in, as to any other application."""

import base64
import hashlib
import http.server
import os
import secrets
import sys
import threading
import time
import urllib.parse
import webbrowser
from typing import Any

import click

from idp.cli import signed_in
from idp.cli.signed_in import LoginError

_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_PATIENCE = 300
"""Seconds that a person may take in the browser."""

_DONE = b"<!doctype html><title>Signed in</title><p>The command line has signed in. You can close this page."


@click.command()
@click.argument("url")
@click.option("--realm", required=True, envvar="IDP_REALM", help="Name of the realm.  [env: IDP_REALM]")
@click.option("--client", default="idp", show_default=True, help="The application that the command line is there.")
@click.option("--scope", default="openid profile email roles offline_access", show_default=True, help="What to ask for.")
@click.option("--device", is_flag=True, help="Show a code to enter in a browser elsewhere, as without a screen.")
def login(url: str, realm: str, client: str, scope: str, device: bool) -> None:
    """Sign in at the server at URL, in your browser.

    An administrator registers the command line once:

    \b
      idp applications create --realm acme --kind native --redirect-uri http://127.0.0.1/signed-in idp

    \b
    Example:
      idp login https://id.example.com --realm acme
      idp whoami
      curl -H "Authorization: Bearer $(idp token)" https://api.example.com/
    """  # noqa: D301 (\b is what click needs here)
    issuer = f"{url.rstrip('/')}/auth/realms/{realm}"
    known = signed_in.ask(f"{issuer}/.well-known/openid-configuration")
    if known.get("issuer") != issuer:
        raise LoginError(f"{issuer} is not what the server calls itself. Check the address and --realm.")
    known["client_id"] = client
    by_code = not device and _has_browser()
    answer = _by_browser(known, scope) if by_code else _by_device(known, scope)
    signed_in.save(signed_in.signed_in_of(known, answer))
    click.echo(f"Signed in at {issuer} as {_name(signed_in.load())}.")


def _has_browser() -> bool:
    """Tell whether a browser can be opened here."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return bool(os.environ.get("BROWSER"))
    return not os.environ.get("SSH_CONNECTION")


class _Landing(http.server.HTTPServer):
    """Where the browser comes back to: one address of this machine, for one visit (RFC 8252 §7.3)."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.state = state
        self.told: dict[str, str] = {}
        self.arrived = threading.Event()


class _Visit(http.server.BaseHTTPRequestHandler):
    server: _Landing

    def do_GET(self) -> None:
        """Take the answer, if it is to our own request."""
        parts = urllib.parse.urlsplit(self.path)
        told = dict(urllib.parse.parse_qsl(parts.query))
        is_ours = parts.path == "/signed-in" and secrets.compare_digest(told.get("state", ""), self.server.state)
        self.send_response(200 if is_ours else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if is_ours:
            self.wfile.write(_DONE)
            self.server.told = told
            self.server.arrived.set()

    def log_message(self, *_: Any) -> None:
        """Say nothing: a line would hold the code."""


def _by_browser(known: dict[str, Any], scope: str) -> dict[str, Any]:
    """Sign in by a code (RFC 6749 §4.1, RFC 7636, RFC 8252)."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    landing = _Landing(secrets.token_urlsafe(24))
    threading.Thread(target=landing.serve_forever, daemon=True).start()
    redirect_uri = f"http://127.0.0.1:{landing.server_address[1]}/signed-in"
    query = {
        "response_type": "code",
        "client_id": known["client_id"],
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": landing.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    url = f"{known['authorization_endpoint']}?{urllib.parse.urlencode(query)}"
    try:
        click.echo(f"Sign in in your browser. If it does not open, go to:\n\n  {url}\n", err=True)
        webbrowser.open(url)
        if not landing.arrived.wait(_PATIENCE):
            raise LoginError("Nobody has signed in within five minutes. Without a browser here, use: idp login --device")
    finally:
        landing.shutdown()
        landing.server_close()
    told = landing.told
    if told.get("iss") != known["issuer"] or "code" not in told:  # RFC 9207 §2.4
        raise LoginError(f"The sign-in was refused ({signed_in.said(told)}).")
    form = {
        "grant_type": "authorization_code",
        "code": told["code"],
        "redirect_uri": redirect_uri,
        "client_id": known["client_id"],
        "code_verifier": verifier,
    }
    return _granted(signed_in.ask(known["token_endpoint"], form))


def _by_device(known: dict[str, Any], scope: str) -> dict[str, Any]:
    """Sign in by a code that is entered in a browser elsewhere (RFC 8628)."""
    asked = signed_in.ask(known["device_authorization_endpoint"], {"client_id": known["client_id"], "scope": scope})
    if "device_code" not in asked:
        raise LoginError(f"The server gives no code ({signed_in.said(asked)}). See `idp login --help` on how it is registered.")
    click.echo(f"Open {asked['verification_uri']} in a browser and enter the code:\n\n  {asked['user_code']}\n", err=True)
    interval, ends = asked.get("interval", 5), time.monotonic() + asked.get("expires_in", _PATIENCE)
    form = {"grant_type": _DEVICE, "device_code": asked["device_code"], "client_id": known["client_id"]}
    while time.monotonic() < ends:
        time.sleep(interval)
        answer = signed_in.ask(known["token_endpoint"], form)
        if answer.get("error") == "slow_down":
            interval += 5
        elif answer.get("error") != "authorization_pending":
            return _granted(answer)
    raise LoginError("The code has expired. Run `idp login` again.")


def _granted(answer: dict[str, Any]) -> dict[str, Any]:
    if "access_token" not in answer:
        raise LoginError(f"The sign-in was refused ({signed_in.said(answer)}).")
    return answer


def _name(who: signed_in.SignedIn) -> str:
    told = signed_in.ask(who.userinfo_endpoint, token=who.access_token)
    return str(told.get("preferred_username") or told.get("sub") or "nobody")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print all that the server tells, as JSON.")
def whoami(as_json: bool) -> None:
    """Show who has signed in from this command line, and where."""
    import json

    who = signed_in.fresh(signed_in.load())
    told = signed_in.ask(who.userinfo_endpoint, token=who.access_token)
    if "sub" not in told:
        raise LoginError(f"The sign-in at {who.issuer} has ended. Run `idp login` again.")
    click.echo(json.dumps(told | {"issuer": who.issuer}, indent=2) if as_json else f"{_name(who)} at {who.issuer}")


@click.command()
def logout() -> None:
    """Sign out: end the sign-in at the server, and forget it here."""
    who = signed_in.load()
    try:
        signed_in.ask(who.revocation_endpoint, {"token": who.refresh_token, "client_id": who.client_id})
    finally:
        signed_in.forget()
    click.echo(f"Signed out of {who.issuer}.")
