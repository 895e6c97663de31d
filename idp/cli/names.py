"""`idp roles` and `idp projects`: they differ in their nouns only."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_json, with_database
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options
from idp.written import one_line

if TYPE_CHECKING:
    from idp.access import ProjectSheet, RoleSheet
    from idp.realms import Realm


def _group(noun: str, explanation: str, where: str, example: str) -> click.Group:
    """Make the command group for roles or projects."""
    group = click.Group(f"{noun}s", help=explanation)

    def verb(name: str) -> Callable[..., Any]:
        from idp import access

        function: Callable[..., Any] = getattr(access, name)
        return function

    def sheet() -> "type[RoleSheet | ProjectSheet]":
        from idp import access

        return access.RoleSheet if noun == "role" else access.ProjectSheet

    @group.command("create", cls=SheetCommand, help=f"Create a {noun}.")
    @click.argument("name")
    @with_database
    @realm_option
    @sheet_options(where, without={"permissions"})
    @json_option
    def create(realm: "Realm", name: str, as_json: bool, **options: Any) -> None:
        from idp.db import commit

        row = verb(f"create_{noun}")(realm, name, sheet().read(given(sheet(), options)))
        commit()
        if as_json:
            show_json(_json(row))
        else:
            click.echo(f"Created {noun} {name} in realm {realm.name}.")

    @group.command("list", help=f"List the {noun}s of a realm by name.")
    @reads_database
    @realm_option
    @limit_option
    @json_option
    def list_(realm: "Realm", limit: int | None, as_json: bool) -> None:
        show_listing(
            verb(f"{noun}_listing")(realm),
            to_json=_json,
            as_json=as_json,
            limit=limit,
            order="name",
            row=lambda row: {"name": row.name, "description": one_line(row.description)},
            empty=f"There are no {noun}s. Create one with: idp {noun}s create",
        )

    add_update(
        group, noun, where, (f"get_{noun}", f"update_{noun}"), f'--description "What it is" {example}', without={"permissions"}
    )

    @group.command("describe", help=f"Update the description of a {noun}.")
    @click.argument("name")
    @click.argument("description")
    @with_database
    @realm_option
    def describe(realm: "Realm", name: str, description: str) -> None:
        from idp.db import commit

        row = verb(f"get_{noun}")(realm, name)
        verb(f"update_{noun}")(realm, row, sheet().of(row).changed({"description": description}))
        commit()
        click.echo(f"Updated {noun} {name}.")

    @group.command("delete", help=f"Delete a {noun} that no grant uses.")
    @click.argument("name")
    @with_database
    @realm_option
    def delete(realm: "Realm", name: str) -> None:
        from idp.db import commit

        verb(f"delete_{noun}")(realm, name)
        commit()
        click.echo(f"Deleted {noun} {name}.")

    return group


def _json(row: Any) -> dict[str, Any]:
    from idp import access

    is_role = hasattr(row, "built_in")
    said = fields_json(access.RoleSheet if is_role else access.ProjectSheet, row)
    document = {"name": row.name, "uid": row.uid, **said, "created_at": json_time(row.created_at)}
    return document | ({"built_in": row.built_in} if is_role else {})


roles_group = _group("role", "Roles: what a token says its holder may do. Six are built in.", "idp.access:RoleSheet", "reviewer")
projects_group = _group("project", "Projects: parts of a realm that group work and grants.", "idp.access:ProjectSheet", "vision")


@roles_group.command("permit")
@click.argument("name")
@click.argument("permissions", nargs=-1)
@with_database
@realm_option
def permit(realm: "Realm", name: str, permissions: tuple[str, ...]) -> None:
    """Set what role NAME permits on this server, such as keysets:lease; without PERMISSIONS, nothing.

    An unknown permission is refused with a list of all permissions. Other APIs decide for themselves what a role means to them.
    """
    from idp import access
    from idp.db import commit

    access.set_permissions(realm, name, permissions)
    commit()
    click.echo(f"Role {name} permits {', '.join(sorted(set(permissions))) or 'nothing'}.")
