"""`idp grants`: who holds which role, on the realm or on a project, until when."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

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
from idp.cli.sheets import SheetCommand, sheet_options

if TYPE_CHECKING:
    from idp.access import Holder
    from idp.realms import Realm


@click.group("grants")
def grants_group() -> None:
    """Assign roles to applications, users and groups, and remove them.

    HOLDER is the name of an application, `user:<name>` or `group:<name>`.
    """


@grants_group.command("add", cls=SheetCommand)
@click.argument("holder")
@click.argument("role")
@with_database
@realm_option
@click.option("--project", help="The project to assign it on; by default the whole realm.")
@sheet_options("idp.access:GrantSheet")
@json_option
def add(realm: "Realm", holder: str, role: str, project: str | None, until: datetime | None, as_json: bool) -> None:
    """Assign the role ROLE to HOLDER. Assigning it again changes the end date."""
    from idp import access
    from idp.db import commit

    grant = access.grant_role(realm, find_holder(realm, holder), role, project=project, until=until)
    commit()
    if as_json:
        show_json(grant_json(grant))
    else:
        where = f"project {project}" if project else "the realm"
        click.echo(f"Assigned {role} on {where} to {holder}, until {show_time(until, 'it is removed')}.")
        if grant.holder_kind == "application":
            _warn_of_mute(realm, grant.holder_name)


def _warn_of_mute(realm: "Realm", name: str) -> None:
    """Say so when an application could administer, and its tokens are for no API in particular."""
    from idp import applications, runtime

    if applications.cannot_administer(applications.get_application(realm, name)):
        issuer = runtime.current().settings.issuer(realm.name)
        click.echo(
            "Its tokens are not meant for any particular API: this server accepts them only if requested with "
            f"resource={issuer}. Add that to its audience if it is meant to administer.",
            err=True,
        )


@grants_group.command("list")
@reads_database
@realm_option
@click.option("--application", help="Only grants of this application.")
@click.option("--holder", help="Only grants of this holder: `user:<name>`, `group:<name>` or an application.")
@click.option("--project", help="Only grants on this project.")
@limit_option
@json_option
def list_(
    realm: "Realm",
    application: str | None,
    holder: str | None,
    project: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List grants: who holds which role, where, until when, and who assigned it."""
    from idp import access

    named = application or holder
    listing = access.held_listing(realm, holder=find_holder(realm, named) if named else None, project=project)
    empty = "There are no grants. Assign a role with: idp grants add"
    show_listing(listing, to_json=grant_json, row=grant_row, empty=empty, as_json=as_json, limit=limit, order="holder")


@grants_group.command("remove")
@click.argument("holder")
@click.argument("role")
@with_database
@realm_option
@click.option("--project", help="The project it is assigned on; by default the whole realm.")
def remove(realm: "Realm", holder: str, role: str, project: str | None) -> None:
    """Remove the role ROLE from HOLDER; its next token is without it."""
    from idp import access
    from idp.db import commit

    access.remove_grant(realm, find_holder(realm, holder), role, project=project)
    commit()
    click.echo(f"{holder} no longer holds {role} on {f'project {project}' if project else 'the realm'}.")


def find_holder(realm: "Realm", named: str, *, groups: bool = True) -> "Holder":
    """Return who is named `user:<name>`, `group:<name>`, or by an application's name.

    :raises NotFoundError: there is none.
    """
    from idp import applications, users

    kind, colon, name = named.partition(":")
    if colon and kind == "user":
        return users.holder_of(users.get_user(realm, name))
    if colon and kind == "group" and groups:
        return users.group_holder(users.get_group(realm, name))
    return applications.holder_of(applications.get_application(realm, named))


def grant_json(grant: Any) -> dict[str, Any]:
    """Return a grant for JSON."""
    return {
        "uid": grant.uid,
        "holder": grant.holder_name,
        "holder_kind": grant.holder_kind,
        **({"application": grant.holder_name} if grant.holder_kind == "application" else {}),
        "role": grant.role.name,
        "project": grant.project.name if grant.project else None,
        "until": json_time(grant.until),
        "granted_by": grant.granted_by,
        "created_at": json_time(grant.created_at),
    }


def grant_row(grant: Any) -> dict[str, str]:
    """Return a grant for a table."""
    from idp import clock

    ended = grant.state(clock.now()).value == "ended"
    return {
        "holder": ("" if grant.holder_kind == "application" else f"{grant.holder_kind}:") + grant.holder_name,
        "role": grant.role.name,
        "on": f"project {grant.project.name}" if grant.project else "the realm",
        "until": show_time(grant.until, "no end") + (" (ended)" if ended else ""),
        "since": show_time(grant.created_at),
        "assigned by": grant.granted_by,
    }
