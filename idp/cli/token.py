"""`idp token`: fetch a token over HTTP, exactly as an application would."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from idp.cli.reach import explain
from idp.errors import IdpError
from idp.written import one_line


class TokenRefusedError(IdpError):
    """The server gave no token."""


@click.command()
@click.option("--realm", envvar="IDP_REALM", help="Name of the realm.  [env: IDP_REALM]")
@click.option("--client-id", help="The application's name; without it, the token of whoever has signed in by `idp login`.")
@click.option(
    "--client-secret",
    envvar="IDP_CLIENT_SECRET",
    help="Its secret; asked for when neither this nor IDP_CLIENT_SECRET is given.",
)
@click.option("--scope", default="openid", show_default=True, help="openid, project:<name>.")
@click.option("--audience", help="One of the application's audiences; by default all.")
@click.option("--url", help="Where the server is; by default IDP_PUBLIC_URL.")
@click.option("--claims", is_flag=True, help="Print the claims of the access token instead of the token.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole response.")
def token(
    realm: str | None,
    client_id: str | None,
    client_secret: str | None,
    scope: str,
    audience: str | None,
    url: str | None,
    claims: bool,
    as_json: bool,
) -> None:
    """Print an access token: of whoever has signed in by `idp login`, or with --client-id fetched as that application would.

    \b
    Example:
      curl -H "Authorization: Bearer $(idp token --realm acme --client-id ci-bot)" https://api.example.com/
      curl -H "Authorization: Bearer $(idp token)" https://api.example.com/
    """  # noqa: D301 (\b is what click needs here)
    from idp.cli.config import load_settings
    from idp.cli.session import check
    from idp.jose import read_unverified

    if client_id is None:
        from idp.cli import signed_in

        own = signed_in.fresh(signed_in.load()).access_token
        click.echo(json.dumps(read_unverified(own).claims, indent=2) if claims else own)
        return
    check(realm, "--client-id needs --realm, the realm that the application is in.")
    base = url or load_settings().public_url
    if client_secret is None:
        client_secret = click.prompt("Client secret", hide_input=True, err=True)
    parameters = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    if audience:
        parameters["audience"] = audience
    answer = _post(base, f"/auth/realms/{realm}/protocol/openid-connect/token", parameters)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif claims:
        click.echo(json.dumps(read_unverified(answer["access_token"]).claims, indent=2))
    else:
        click.echo(answer["access_token"])


def _post(base: str, path: str, parameters: dict[str, str]) -> Any:
    url = base + path
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise TokenRefusedError(f"{url} is not an http or https URL. Give --url, or set IDP_PUBLIC_URL.")
    body = urllib.parse.urlencode({name: value for name, value in parameters.items() if value}).encode()
    try:
        with urllib.request.urlopen(url, body, timeout=10) as response:  # noqa: S310 (checked above)
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise TokenRefusedError(_reason(error)) from None
    except (OSError, http.client.HTTPException) as error:
        raise TokenRefusedError(str(explain(base, error))) from None
    except ValueError:
        raise TokenRefusedError(f"{url} answered, but not as a token endpoint does. Check --url and --realm.") from None


def _reason(error: urllib.error.HTTPError) -> str:
    """Return what the server says is wrong; another kind of server may say it in HTML."""
    try:
        answer = json.load(error)
        return one_line(f"{answer['error']}: {answer.get('error_description', 'no reason given')}")
    except (ValueError, KeyError, TypeError):
        return f"{error.url} answered {error.code}, but not as a token endpoint does. Check --url and --realm."
