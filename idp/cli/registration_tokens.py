"""`idp registration-tokens`: with which applications register themselves."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.lists import limit_option, show_listing
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_json, show_time, with_database
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("registration-tokens")
def registration_tokens_group() -> None:
    """Let applications register themselves (RFC 7591).

    \b
    1. idp realms update acme --registration              turn it on
    2. idp registration-tokens create --realm acme        create a token, and hand it to whoever runs the application
    3. idp applications list --realm acme                 shows what was registered
    """  # noqa: D301 (\b is what click needs here)


@registration_tokens_group.command("create", cls=SheetCommand)
@with_database
@realm_option
@sheet_options("idp.registrations:RegistrationTokenSheet")
@json_option
def create(realm: "Realm", as_json: bool, **options: Any) -> None:
    """Create a registration token, and show it once."""
    from idp import registrations
    from idp.db import commit

    sheet = registrations.RegistrationTokenSheet.read(given(registrations.RegistrationTokenSheet, options))
    row, plain = registrations.create_token(realm, sheet)
    commit()
    if as_json:
        show_json(_json(row) | {"token": plain})
    else:
        until = show_time(row.expires_at)
        click.echo(f"Registration token for {row.limit} applications until {until}, shown only once:\n\n    {plain}")


@registration_tokens_group.command("list")
@reads_database
@realm_option
@limit_option
@json_option
def list_(realm: "Realm", limit: int | None, as_json: bool) -> None:
    """List registration tokens, newest first, including those that do not work any more."""
    from idp import registrations

    listing = registrations.token_listing(realm)
    show_listing(
        listing, to_json=_json, row=_row, empty="There are no registration tokens.", as_json=as_json, limit=limit, descending=True
    )


@registration_tokens_group.command("revoke")
@click.argument("token")
@with_database
@realm_option
def revoke(realm: "Realm", token: str) -> None:
    """Revoke TOKEN (its uid). The applications that were registered with it stay."""
    from idp import registrations
    from idp.db import commit

    registrations.revoke_token(realm, registrations.get_token(realm, token))
    commit()
    click.echo(f"Revoked registration token {token}.")


def _json(row: Any) -> dict[str, Any]:
    from idp import registrations

    return {
        "uid": row.uid,
        "begins_with": row.public_part,
        "state": _state(row),
        **fields_json(registrations.RegistrationTokenSheet, row),
        "used": row.used,
        "created_by": row.created_by,
        "created_at": json_time(row.created_at),
        "revoked_at": json_time(row.revoked_at),
    }


def _row(row: Any) -> dict[str, str]:
    return {
        "uid": row.uid,
        "state": _state(row),
        "registered": f"{row.used} of {row.limit}",
        "kinds": ", ".join(row.kinds),
        "expires": show_time(row.expires_at),
        "description": row.description,
    }


def _state(row: Any) -> str:
    from idp import clock

    state: str = row.state(clock.now()).value
    return state
