"""`idp applications`: programs and their secrets."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.lists import limit_option, show_listing
from idp.cli.secrets import secrets_group
from idp.cli.session import (
    Time,
    check,
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
from idp.written import one_line

if TYPE_CHECKING:
    from idp.realms import Realm

_LAST_ID = 2**63 - 1
"""A row number behind all others: what comes after a name comes after whatever has that name."""


@click.group("applications")
def applications_group() -> None:
    """Create, list, disable and delete applications."""


applications_group.add_command(secrets_group)
add_update(
    applications_group,
    "application",
    "idp.applications:ApplicationSheet",
    ("get_application", "update_application"),
    "--token-type JWT --empty rate ci-bot",
    without={"enabled"},
)


@applications_group.command("create", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@click.option("--role", "roles", multiple=True, help="A role on the realm; may be repeated.")
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="PROJECT[:ROLE]",
    help="A role on a project; without :ROLE, each of the --role roles. May be repeated.",
)
@click.option("--until", type=Time(), help="When the project grants end, such as 2027-06-30 or 2027-06-30T12:00:00Z.")
@sheet_options("idp.applications:ApplicationSheet", without={"enabled"})
@click.option("--no-secret", is_flag=True, help="Make no secret: a trusted issuer vouches for it (idp federation).")
@click.option("--secret-expires", type=Time(), help="When its secret stops working; by default never.")
@json_option
def create(
    realm: "Realm",
    name: str,
    roles: tuple[str, ...],
    projects: tuple[str, ...],
    until: datetime | None,
    secret_expires: datetime | None,
    no_secret: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Create an application called NAME, which is its client_id. Its secret is shown once.

    \b
    Example:
      idp applications create --realm acme --role researcher --project vision ci-bot
    """  # noqa: D301 (\b is what click needs here)
    from idp import access, applications, runtime
    from idp.cli.serve import show_curl
    from idp.db import commit, db

    sheet = applications.ApplicationSheet.read(given(applications.ApplicationSheet, options))
    application = applications.create_application(realm, name, sheet)
    holder = applications.holder_of(application)
    for role in roles:
        access.grant_role(realm, holder, role)
    for project, role in _project_grants(projects, roles):
        access.grant_role(realm, holder, role, project=project, until=until)
    db.session.flush()
    issuer = runtime.current().settings.issuer(realm.name)
    applications.settle_audience(realm, application, issuer)
    plain = None
    if not sheet.has_keys and not application.is_public and not no_secret:
        _, plain = applications.add_secret(realm, application, "main", applications.SecretSheet(expires_at=secret_expires))
    commit()
    if as_json:
        made = {"client_id": application.name, "client_secret": plain, "uid": application.uid, "issuer": issuer}
        show_json({key: value for key, value in made.items() if value is not None})
        return
    click.echo(f"Created application {application.name} in realm {realm.name} (uid {application.uid}).")
    if application.is_public:
        click.echo(f"It keeps no secret: people sign in to it. Its configuration: {issuer}/.well-known/openid-configuration")
        return
    if no_secret:
        click.echo(f"It has no secret. Say who is admitted as it: idp federation rules create --application {application.name}")
        return
    if plain is None:
        click.echo("It authenticates with private_key_jwt, using the keys you gave.")
        return
    click.echo(f"\nIts secret, shown only once:\n\n    {plain}")
    show_curl(issuer, application.name, plain)


def _project_grants(projects: tuple[str, ...], roles: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return project and role of each grant that the options ask for."""
    grants = []
    for project in projects:
        name, colon, role = project.partition(":")
        check(colon or roles, f"--project {name} needs a role: give --role, or --project {name}:ROLE.")
        grants += [(name, role)] if colon else [(name, each) for each in roles]
    return grants


@applications_group.command("list")
@reads_database
@realm_option
@click.option("--after", default="", help="Only names after this one, for the next page.")
@limit_option
@json_option
def list_(realm: "Realm", after: str, limit: int | None, as_json: bool) -> None:
    """List applications by name."""
    from idp import applications

    show_listing(
        applications.application_listing(realm),
        to_json=_json,
        row=_row,
        as_json=as_json,
        limit=limit,
        order="name",
        after=[after, _LAST_ID] if after else None,
        next_page=lambda last: f"--after {last.name}",
        empty="There are no applications. Create one with: idp applications create",
    )


def _row(application: Any) -> dict[str, str]:
    return {
        "name": application.name,
        "enabled": "yes" if application.enabled else "no",
        "tokens": str(application.token_count),
        "last used": show_time(application.last_used_at, "never"),
        "description": one_line(application.description)[:50],
    }


def _json(application: Any) -> dict[str, Any]:
    from idp import applications

    return {
        "client_id": application.name,
        "uid": application.uid,
        **fields_json(applications.ApplicationSheet, application, without={"jwks"}),
        "private_key_jwt": application.has_keys,
        "token_count": application.token_count,
        "last_used_at": json_time(application.last_used_at),
        "created_at": json_time(application.created_at),
        "updated_at": json_time(application.updated_at),
    }


@applications_group.command("show")
@click.argument("name")
@reads_database
@realm_option
@json_option
def show(realm: "Realm", name: str, as_json: bool) -> None:
    """Show an application with its roles, project grants and secrets."""
    from idp import access, applications
    from idp.cli.grants import grant_json, grant_row
    from idp.cli.secrets import secret_json, show_secrets

    application = applications.get_application(realm, name)
    grants = access.list_grants(realm, holder=applications.holder_of(application))
    document = _json(application)
    if as_json:
        secrets = [secret_json(secret) for secret in applications.list_secrets(application)]
        show_json(document | {"grants": [grant_json(grant) for grant in grants], "secrets": secrets})
        return
    for key, value in document.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{key:18} {'-' if shown in (None, '') else one_line(str(shown))}")
    click.echo()
    show_table([grant_row(grant) for grant in grants], "It holds no roles. Assign some with: idp grants add")
    click.echo()
    show_secrets(realm, application)


def _set_enabled(realm: "Realm", name: str, *, enabled: bool) -> None:
    from idp import applications
    from idp.db import commit

    application = applications.get_application(realm, name)
    applications.update_application(
        realm, application, applications.ApplicationSheet.of(application).changed({"enabled": enabled})
    )
    commit()


@applications_group.command("disable")
@click.argument("name")
@with_database
@realm_option
def disable(realm: "Realm", name: str) -> None:
    """Disable an application, on every worker within a second; `enable` undoes this."""
    _set_enabled(realm, name, enabled=False)
    click.echo(f"Disabled {name}. It gets no more tokens; those it has are inactive at introspection and expire within 10 hours.")


@applications_group.command("enable")
@click.argument("name")
@with_database
@realm_option
def enable(realm: "Realm", name: str) -> None:
    """Enable a disabled application again."""
    _set_enabled(realm, name, enabled=True)
    click.echo(f"Enabled {name}.")


@applications_group.command("delete")
@click.argument("name")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(realm: "Realm", name: str, yes: bool) -> None:
    """Delete an application with its secrets and grants. This cannot be undone; `disable` can."""
    from idp import applications
    from idp.db import commit

    application = applications.get_application(realm, name)
    if not yes:
        used = show_time(application.last_used_at, "never")
        confirm(f"Delete {name} ({application.token_count} tokens issued, last used: {used})?")
        application = applications.get_application(realm, name)
    applications.delete_application(realm, application)
    commit()
    click.echo(f"Deleted {name}.")
