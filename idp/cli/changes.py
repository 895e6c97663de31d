"""`idp applications update` and `idp realms update`: what was set when they were made, set anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import check, realm_option, with_database
from idp.errors import InvalidValueError

if TYPE_CHECKING:
    from idp.realms import Realm

_OPTIONS: dict[str, tuple[str, Any]] = {
    "description": ("description", ""),
    "audience": ("audience", []),
    "resource": ("resources", []),
    "web-origin": ("web_origins", []),
    "algorithm": ("signing_algorithm", None),
    "token-type": ("access_token_type", None),
    "rate": ("rate_per_second", None),
    "jwks": ("jwks", None),
}
"""Which field an option of `idp applications update` is for, and what the field is without a value."""


@click.command("update")
@click.argument("name")
@with_database
@realm_option
@click.option("--description", help="Description.")
@click.option("--audience", multiple=True, help="What its tokens are for, replacing what they were for; may be repeated.")
@click.option(
    "--resource", multiple=True, help="An audience whose tokens it may introspect, replacing the existing ones; may be repeated."
)
@click.option("--web-origin", multiple=True, help="An origin whose pages may read the responses to it; may be repeated.")
@click.option("--algorithm", type=click.Choice(["RS256", "ES256"]), help="Signature algorithm of its tokens.")
@click.option("--token-type", type=click.Choice(["at+jwt", "JWT"]), help="typ header of its access tokens.")
@click.option("--rate", type=int, help="Tokens that it may fetch per second; bursts may be five times as large.")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with its public keys.")
@click.option(
    "--empty", multiple=True, type=click.Choice(list(_OPTIONS)),
    help="An option to clear, so that the realm's or the server's own value applies; may be repeated.",
)  # fmt: skip
def update_application(realm: "Realm", name: str, empty: tuple[str, ...], **given: Any) -> None:
    """Update the application NAME; options that you leave out keep their values.

    \b
    Examples:
      idp applications update --realm acme --token-type JWT ci-bot
      idp applications update --realm acme --empty rate --empty audience ci-bot
    """  # noqa: D301 (\b is what click needs here)
    from idp import applications
    from idp.db import commit

    options = {option: value for option in _OPTIONS if (value := given[option.replace("-", "_")]) not in (None, ())}
    for option in empty:
        check(option not in options, f"Use --{option} or --empty {option}, not both.")
        options[option] = _OPTIONS[option][1]
    check(options, "Say what to change: see idp applications update --help.")
    fields = {_OPTIONS[option][0]: _read(option, value) for option, value in options.items()}
    applications.update_application(realm, applications.get_application(realm, name), **fields)
    commit()
    click.echo(f"Updated {name}: {', '.join(options)}.")


def _read(option: str, value: Any) -> Any:
    if option == "jwks" and value is not None:
        return read_jwks(value)
    return list(value) if isinstance(value, tuple) else value


def read_jwks(path: Path) -> Any:
    """Return the JSON of a file of public keys.

    :raises InvalidValueError: it is not JSON.
    """
    import json

    from idp.text_files import read_text

    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise InvalidValueError(f"{path} is not JSON: it must hold a JWK set of public keys.") from None


@click.command("update")
@click.argument("name")
@with_database
@click.option("--display-name", help="Display name.")
@click.option("--algorithm", "signing_algorithm", type=click.Choice(["RS256", "ES256"]), help="Signature algorithm of tokens.")
@click.option("--token-type", "access_token_type", type=click.Choice(["at+jwt", "JWT"]), help="typ header of access tokens.")
@click.option("--key-rotation-days", type=int, help="Days after which a signing key is rotated; 0 turns automatic rotation off.")
@click.option("--audit-days", type=int, help="Days to keep uses of tokens and keys in the audit trail; 0 keeps them forever.")
@click.option("--session-hours", type=int, help="Hours after which a session of a person ends.")
@click.option("--api-key-hours", type=int, help="Default lifetime of API keys in hours, and the longest that people may choose.")
@click.option("--personal-token-limit", type=int, help="Personal tokens that one user may have.")
@click.option("--personal-token-seconds", type=int, help="Lifetime of personal tokens.")
@click.option(
    "--personal-token-choice/--no-personal-token-choice", default=None, help="Whether people may choose a shorter lifetime."
)
def update_realm(name: str, **given: Any) -> None:
    """Update settings of the realm NAME; options that you leave out keep their values.

    \b
    Example:
      idp realms update --algorithm ES256 --session-hours 8 acme
    """  # noqa: D301 (\b is what click needs here)
    from idp import realms
    from idp.db import commit

    fields = {field: value for field, value in given.items() if value is not None}
    check(fields, "Say what to change: see idp realms update --help.")
    realms.update_realm(realms.lock_realm(name) or realms.get_realm(name), **fields)
    commit()
    click.echo(f"Updated {name}: {', '.join(fields)}.")
