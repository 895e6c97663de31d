"""`idp groups`: sets of users. What a group holds, its members hold; `idp grants add group:<name>` gives it a role."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_json, with_database
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("groups")
def groups_group() -> None:
    """Create groups and manage their members."""


add_update(groups_group, "group", "idp.users:GroupSheet", ("get_group", "update_group"), '--description "On call" modellers')


@groups_group.command("create", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@sheet_options("idp.users:GroupSheet")
@json_option
def create(realm: "Realm", name: str, as_json: bool, **options: Any) -> None:
    """Create a group called NAME."""
    from idp import users
    from idp.db import commit

    group = users.create_group(realm, name, users.GroupSheet.read(given(users.GroupSheet, options)))
    commit()
    if as_json:
        show_json(_json(group, 0))
    else:
        click.echo(f"Created group {name}. Assign it a role with: idp grants add --realm {realm.name} group:{name} <role>")


@groups_group.command("list")
@reads_database
@realm_option
@limit_option
@json_option
def list_(realm: "Realm", limit: int | None, as_json: bool) -> None:
    """List groups by name."""
    from idp import users

    def to_json(group: Any) -> dict[str, Any]:
        return _json(group, users.member_listing(group).count())

    def row(group: Any) -> dict[str, str]:
        said = to_json(group)
        return {name: str(said[name]) for name in ("name", "members", "description")}

    empty = "There are no groups. Create one with: idp groups create"
    show_listing(users.group_listing(realm), to_json=to_json, row=row, empty=empty, as_json=as_json, limit=limit, order="name")


@groups_group.command("members")
@click.argument("name")
@reads_database
@realm_option
@limit_option
@json_option
def members(realm: "Realm", name: str, limit: int | None, as_json: bool) -> None:
    """List the members of the group NAME."""
    from idp import users

    show_listing(
        users.member_listing(users.get_group(realm, name)),
        to_json=lambda user: {"uid": user.uid, "name": user.name},
        row=lambda user: {"name": user.name, "uid": user.uid},
        empty=f"Group {name} has no members.",
        as_json=as_json,
        limit=limit,
        order="name",
    )


@groups_group.command("add")
@click.argument("name")
@click.argument("user")
@with_database
@realm_option
def add(realm: "Realm", name: str, user: str) -> None:
    """Add USER to the group NAME."""
    from idp import users
    from idp.db import commit

    users.add_member(realm, users.get_group(realm, name), users.get_user(realm, user))
    commit()
    click.echo(f"Added {user} to group {name}.")


@groups_group.command("remove")
@click.argument("name")
@click.argument("user")
@with_database
@realm_option
def remove(realm: "Realm", name: str, user: str) -> None:
    """Remove USER from the group NAME."""
    from idp import users
    from idp.db import commit

    users.remove_member(realm, users.get_group(realm, name), users.get_user(realm, user))
    commit()
    click.echo(f"Removed {user} from group {name}.")


@groups_group.command("delete")
@click.argument("name")
@with_database
@realm_option
def delete(realm: "Realm", name: str) -> None:
    """Delete the group NAME and its grants; its members remain users."""
    from idp import users
    from idp.db import commit

    users.delete_group(realm, name)
    commit()
    click.echo(f"Deleted group {name}.")


def _json(group: Any, count: int) -> dict[str, Any]:
    from idp import users

    return {
        "uid": group.uid,
        "name": group.name,
        **fields_json(users.GroupSheet, group),
        "members": count,
        "created_at": json_time(group.created_at),
    }
