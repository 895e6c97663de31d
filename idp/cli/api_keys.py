"""`idp api-keys`: long-lived secrets of users and applications."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.grants import find_holder
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import (
    json_option,
    json_time,
    reads_database,
    realm_option,
    show_json,
    show_time,
    with_database,
)
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("api-keys")
def api_keys_group() -> None:
    """Create, list, rotate, deactivate and revoke API keys.

    \b
    Rotation without an interruption:
    1. idp api-keys rotate --realm acme <key> --overlap-hours 72   create a successor; both work for three days
    2. give it to the program; `list` shows which are still in use, and since when the old one is unused
    3. the old one expires on its own
    """  # noqa: D301 (\b is what click needs here)


add_update(
    api_keys_group,
    "API key",
    "idp.apikeys:ApiKeySheet",
    ("get_key", "update_key"),
    "--role viewer --rate 60 idp_ak_1a2b3c4d",
    without={"active", "expires_at"},
    argument="KEY",
)


@api_keys_group.command("create", cls=SheetCommand)
@click.argument("owner")
@click.argument("name")
@with_database
@realm_option
@click.option("--hours", type=int, help="Its lifetime; by default what the realm or the user allows.")
@click.option("--never", is_flag=True, help="Never expire.")
@sheet_options("idp.apikeys:ApiKeySheet", without={"name", "active"})
@json_option
def create(
    realm: "Realm",
    owner: str,
    name: str,
    hours: int | None,
    never: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Create a key called NAME for OWNER: `user:<name>`, or the name of an application. It is shown once.

    \b
    Example:
      idp api-keys create --realm acme user:ann@example.com laptop --hours 720
    """  # noqa: D301 (\b is what click needs here)
    from idp import apikeys, runtime
    from idp.db import commit

    sheet = apikeys.ApiKeySheet.read(given(apikeys.ApiKeySheet, options) | {"name": name})
    holder = find_holder(realm, owner, groups=False)
    new = apikeys.create_key(realm, holder, sheet, hours=hours, never=never, may_exceed=True)
    commit()
    if as_json:
        show_json(key_json(new.key) | {"api_key": new.plain_key})
        return
    url = runtime.current().settings.public_url
    click.echo(f"API key {name} of {owner}, shown only once:\n\n    {new.plain_key}\n")
    click.echo(f"Expires: {show_time(new.key.expires_at, 'never')}. Exchange it for a session token:\n")
    click.echo(f"    curl -X POST {url}/v1/auth/exchange -H 'apiKey: {new.plain_key}'")


@api_keys_group.command("list")
@reads_database
@realm_option
@click.option("--owner", help="Only keys of this owner: `user:<name>`, or the name of an application.")
@limit_option
@json_option
def list_(realm: "Realm", owner: str | None, limit: int | None, as_json: bool) -> None:
    """List keys with age, expiry and last use; never their values."""
    from idp import apikeys

    holder = find_holder(realm, owner, groups=False) if owner else None
    show_listing(
        apikeys.key_listing(realm, owner=holder),
        to_json=key_json,
        row=lambda key: _row(key_json(key)),
        as_json=as_json,
        limit=limit,
        empty="There are no API keys. Create one with: idp api-keys create",
    )


@api_keys_group.command("rotate")
@click.argument("key")
@with_database
@realm_option
@click.option(
    "--overlap-hours", type=float, default=24, show_default=True, help="How long the old key keeps working alongside the new one."
)
@click.option("--hours", type=int, help="Lifetime of the new key; by default that of the old one.")
@json_option
def rotate(realm: "Realm", key: str, overlap_hours: float, hours: int | None, as_json: bool) -> None:
    """Create a successor to KEY (its uid, or the part that lists show), and show it once."""
    from idp import apikeys
    from idp.db import commit

    old = apikeys.get_key(realm, key)
    new = apikeys.rotate_key(realm, old, overlap=timedelta(hours=overlap_hours), hours=hours, may_exceed=True, frozen=old.frozen)
    commit()
    if as_json:
        show_json(key_json(new.key) | {"api_key": new.plain_key})
    else:
        click.echo(f"The successor of {old.public_part}, shown only once:\n\n    {new.plain_key}\n")
        click.echo(f"The old key works until {show_time(old.expires_at)}.")


@api_keys_group.command("deactivate")
@click.argument("key")
@with_database
@realm_option
def deactivate(realm: "Realm", key: str) -> None:
    """Deactivate KEY; `activate` undoes this."""
    _set_active(realm, key, active=False)


@api_keys_group.command("activate")
@click.argument("key")
@with_database
@realm_option
def activate(realm: "Realm", key: str) -> None:
    """Activate KEY again after it was deactivated."""
    _set_active(realm, key, active=True)


@api_keys_group.command("revoke")
@click.argument("key")
@with_database
@realm_option
@click.option("--reason", required=True, help="The reason; it is kept with the key and in the audit trail.")
def revoke(realm: "Realm", key: str, reason: str) -> None:
    """Revoke KEY permanently; every worker refuses it, and the tokens it was exchanged for, within a second."""
    from idp import apikeys
    from idp.db import commit

    apikeys.revoke_key(realm, apikeys.get_key(realm, key), reason)
    commit()
    click.echo(f"Revoked {key}.")


@api_keys_group.command("delete")
@click.argument("key")
@with_database
@realm_option
def delete(realm: "Realm", key: str) -> None:
    """Delete KEY; it no longer works and is no longer listed."""
    from idp import apikeys
    from idp.db import commit

    apikeys.delete_key(realm, apikeys.get_key(realm, key))
    commit()
    click.echo(f"Deleted {key}.")


def _set_active(realm: "Realm", key: str, *, active: bool) -> None:
    from idp import apikeys
    from idp.db import commit

    row = apikeys.get_key(realm, key)
    apikeys.update_key(realm, row, apikeys.ApiKeySheet.of(row).changed({"active": active}))
    commit()
    click.echo(f"{'Activated' if active else 'Deactivated'} {key}.")


def key_json(key: Any) -> dict[str, Any]:
    """Return a key for JSON."""
    from idp import apikeys, clock

    now = clock.now()
    successor = apikeys.successor_of(key)
    return {
        "uid": key.uid,
        "key": key.public_part,
        **fields_json(apikeys.ApiKeySheet, key),
        "owner": str(apikeys.owner_of(key)),
        "state": key.status(now).value,
        "created_by": key.created_by,
        "created_at": json_time(key.created_at),
        "last_used_at": json_time(key.last_used_at),
        "last_used_address": key.last_used_address,
        "use_count": key.use_count,
        "replaced_by": successor.public_part if successor else None,
        "quiet_since": json_time(apikeys.quiet_since(key, now)) if successor else None,
        "revoke_reason": key.revoke_reason,
    }


def _row(document: dict[str, Any]) -> dict[str, str]:
    rotation = f"by {document['replaced_by']}" if document["replaced_by"] else "-"
    if document["quiet_since"]:
        rotation += f", quiet since {document['quiet_since']}"
    return {
        "key": document["key"],
        "name": document["name"],
        "owner": document["owner"],
        "state": document["state"],
        "expires": document["expires_at"] or "never",
        "last used": f"{document['last_used_at']} from {document['last_used_address']}" if document["last_used_at"] else "never",
        "uses": str(document["use_count"]),
        "replaced": rotation,
    }
