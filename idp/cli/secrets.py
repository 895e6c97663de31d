"""`idp applications secrets`: rotation without a gap. Add one, see when the old one has gone quiet, retire it."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import (
    confirm,
    json_option,
    json_time,
    reads_database,
    realm_option,
    show_json,
    show_table,
    show_time,
    with_database,
)
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("secrets")
def secrets_group() -> None:
    """Rotate the secrets of an application.

    \b
    1. idp applications secrets add --realm acme ci-bot next     a second secret, alongside the first
    2. give it to the program; `list` shows which are still in use
    3. idp applications secrets retire --realm acme ci-bot main  once the old one is no longer used
    """  # noqa: D301 (\b is what click needs here)


@secrets_group.command("add", cls=SheetCommand)
@click.argument("application")
@click.argument("name")
@with_database
@realm_option
@sheet_options("idp.applications:SecretSheet")
@json_option
def add(realm: "Realm", application: str, name: str, as_json: bool, **options: Any) -> None:
    """Add another secret called NAME to APPLICATION, and show it once. The others keep working."""
    from idp import applications
    from idp.db import commit

    owner = applications.get_application(realm, application)
    sheet = applications.SecretSheet.read(given(applications.SecretSheet, options))
    secret, plain = applications.add_secret(realm, owner, name, sheet)
    commit()
    if as_json:
        show_json(secret_json(secret) | {"client_id": application, "client_secret": plain})
    else:
        click.echo(f"Secret {name} of {application}, shown only once:\n\n    {plain}")


@secrets_group.command("list")
@click.argument("application")
@reads_database
@realm_option
@json_option
def list_(realm: "Realm", application: str, as_json: bool) -> None:
    """List the secrets of APPLICATION with their use, including retired ones."""
    from idp import applications

    owner = applications.get_application(realm, application)
    if as_json:
        show_json([secret_json(secret) for secret in applications.list_secrets(owner)])
    else:
        show_secrets(realm, owner)


@secrets_group.command("retire")
@click.argument("application")
@click.argument("name")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation, even if it was used recently.")
def retire(realm: "Realm", application: str, name: str, yes: bool) -> None:
    """Retire the secret NAME of APPLICATION permanently, and end the tokens that were fetched with it.

    Every worker refuses them within a second. Where tokens are to go on, let the secret expire instead.
    """
    from idp import applications
    from idp.db import commit

    owner = applications.get_application(realm, application)
    secret = applications.find_secret(owner, name)
    if secret is not None and secret.last_used_at is not None and not yes:
        used = f"{show_time(secret.last_used_at)} from {secret.last_used_address}"
        confirm(f"Secret {name} was last used at {used}. The tokens that were fetched with it end, too. Retire it?")
    applications.retire_secret(realm, owner, name)
    commit()
    click.echo(f"Retired secret {name} of {application}.")


def secret_json(secret: Any) -> dict[str, Any]:
    """Return what is known of a secret, which is everything but the secret."""
    from idp import applications

    return {
        "name": secret.name,
        "uid": secret.uid,
        "begins_with": secret.public_part,
        "state": _state(secret),
        **fields_json(applications.SecretSheet, secret),
        "created_at": json_time(secret.created_at),
        "retired_at": json_time(secret.retired_at),
        "last_used_at": json_time(secret.last_used_at),
        "last_used_address": secret.last_used_address,
        "use_count": secret.use_count,
    }


def show_secrets(realm: "Realm", application: Any) -> None:
    """Print the secrets of an application, and which may be retired without anybody noticing."""
    from idp import applications

    rows = applications.list_secrets(application)
    table = [
        {
            "secret": each.name,
            "starts with": each.public_part or "(imported)",
            "state": _state(each),
            "created": show_time(each.created_at),
            "expires": show_time(each.expires_at, "never"),
            "last used": show_time(each.last_used_at, "never"),
            "from": each.last_used_address or "-",
            "uses": str(each.use_count),
        }
        for each in rows
    ]
    show_table(table, "It has no secrets. Add one with: idp applications secrets add")
    live = [each for each in rows if _state(each) == "live"]
    if len(live) > 1:
        newest = live[-1]
        for each in live[:-1]:
            quiet = each.last_used_at is None or (newest.last_used_at and each.last_used_at < newest.last_used_at)
            if quiet and newest.last_used_at:
                click.echo(
                    f"\n{each.name} has not been used since {show_time(each.last_used_at, 'it was created')}, "
                    f"but {newest.name} has. Once nothing needs it any more: "
                    f"idp applications secrets retire --realm {realm.name} {application.name} {each.name}"
                )


def _state(secret: Any) -> str:
    from idp import clock

    return str(secret.state(clock.now()))
