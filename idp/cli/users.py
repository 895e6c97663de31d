"""`idp users`: people, who sign in with a password, and machine users, who hold keys."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import (
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
from idp.text_files import read_line

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("users")
def users_group() -> None:
    """Create, invite, list, disable and delete people and machine users."""


add_update(
    users_group,
    "user",
    "idp.users:UserSheet",
    ("get_user", "update_user"),
    "--first-name Ann ann@example.com",
    without={"enabled"},
)


@users_group.command("create", cls=SheetCommand)
@with_database
@realm_option
@click.option("--email", help="Email address of a person, used to sign in.")
@click.option("--machine", help="Name of a machine user, which has API keys and no password.")
@click.option("--role", "roles", multiple=True, help="A role on the realm; may be repeated.")
@click.option("--group", "groups", multiple=True, help="A group to join; may be repeated.")
@sheet_options("idp.users:UserSettings", without={"email"}, former={"api_key_hours": "--key-hours"})
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, up to the end of its first line.")
@click.option(
    "--no-invitation", is_flag=True, help="Do not send an invitation; without a password, the person cannot sign in yet."
)
@json_option
def create(
    realm: "Realm",
    email: str | None,
    machine: str | None,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
    password_stdin: bool,
    no_invitation: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Create a person (--email) or a machine user (--machine).

    Without --password-stdin, a person is invited: an email with a one-time code goes to the outbox, and the code is shown
    here, only once.

    \b
    Examples:
      idp users create --realm acme --email ann@example.com --role administrator --password-stdin
      idp users create --realm acme --machine deploy-robot --role researcher
    """  # noqa: D301 (\b is what click needs here)
    from idp import access, users
    from idp.db import commit
    from idp.users import LinkPurpose, UserKind

    check((email is None) != (machine is None), "Give either --email or --machine.")
    kind = UserKind.MACHINE if machine else UserKind.PERSON
    name = machine or email or ""
    password_hash = _read_password(name, realm.name) if password_stdin else ""
    sheet = users.UserSheet.read(given(users.UserSettings, options))
    user = users.create_user(realm, name, kind, sheet, password_hash=password_hash)
    for role in roles:
        access.grant_role(realm, users.holder_of(user), role)
    for group in groups:
        users.add_member(realm, users.get_group(realm, group), user)
    code = None
    if kind is UserKind.PERSON and not password_hash and not no_invitation:
        code = users.send_link(realm, user, LinkPurpose.INVITATION)
    commit()
    if as_json:
        show_json(user_json(user) | ({"invitation": code} if code else {}))
        return
    click.echo(f"Created {user.kind} {user.name} in realm {realm.name} (uid {user.uid}).")
    if code:
        _show_code(code, "activate")


@users_group.command("list")
@reads_database
@realm_option
@limit_option
@json_option
def list_(realm: "Realm", limit: int | None, as_json: bool) -> None:
    """List users by name."""
    from idp import users

    empty = "There are no users. Create one with: idp users create"
    listing = users.user_listing(realm)
    show_listing(listing, to_json=user_json, row=_row, empty=empty, as_json=as_json, limit=limit, order="name")


@users_group.command("show")
@click.argument("name")
@reads_database
@realm_option
@json_option
def show_(realm: "Realm", name: str, as_json: bool) -> None:
    """Show the user NAME (or uid) with its groups and roles."""
    from idp import access, users

    user = users.get_user(realm, name)
    grants = access.list_grants(realm, holder=users.holder_of(user))
    document = user_json(user) | {
        "groups": [group.name for group in users.groups_of(user)],
        "grants": [
            {
                "role": grant.role.name,
                "project": grant.project.name if grant.project else None,
                "until": json_time(grant.until),
            }
            for grant in grants
        ],
    }
    if as_json:
        show_json(document)
        return
    held = [grant.role.name + (f" on {grant.project.name}" if grant.project else "") for grant in grants]
    for key, value in (document | {"grants": held}).items():
        click.echo(f"{key:18} {', '.join(value) if isinstance(value, list) else value}")


@users_group.command("connections")
@click.argument("name")
@reads_database
@realm_option
@json_option
def connections(realm: "Realm", name: str, as_json: bool) -> None:
    """List the applications that the person NAME has signed in to, or has agreed to."""
    from idp import authorizations, users

    found = authorizations.list_connections(users.get_user(realm, name).id)
    if as_json:
        show_json(
            [
                {
                    "application": each.client_id,
                    "scopes": list(each.scopes),
                    "signed_in_since": json_time(each.since),
                    "last_used_at": json_time(each.used_at),
                    "agreed_at": json_time(each.agreed_at),
                }
                for each in found
            ]
        )
        return
    rows = [
        {
            "application": each.client_id,
            "scopes": " ".join(each.scopes),
            "signed in since": show_time(each.since),
            "last used": show_time(each.used_at),
            "agreed": show_time(each.agreed_at),
        }
        for each in found
    ]
    show_table(rows, f"{name} is not signed in to any application.")


@users_group.command("disconnect")
@click.argument("name")
@click.argument("application")
@with_database
@realm_option
def disconnect(realm: "Realm", name: str, application: str) -> None:
    """End what APPLICATION does for the person NAME, and take back what they have agreed to."""
    from idp import applications, authorizations, users
    from idp.db import commit

    user, row = users.get_user(realm, name), applications.get_application(realm, application)
    authorizations.take_back(realm.name, user.id, row.id, row.name, authorizations.End.ADMINISTRATOR)
    commit()
    click.echo(f"Disconnected {row.name} from {user.name}.")


@users_group.command("invite")
@click.argument("name")
@with_database
@realm_option
@json_option
def invite(realm: "Realm", name: str, as_json: bool) -> None:
    """Invite the person NAME again. Earlier invitations stop working."""
    from idp.users import LinkPurpose

    _send(realm, name, LinkPurpose.INVITATION, "activate", as_json=as_json)


@users_group.command("reset-password")
@click.argument("name")
@with_database
@realm_option
@click.option("--password-stdin", is_flag=True, help="Set the password read from standard input, immediately.")
@json_option
def reset_password(realm: "Realm", name: str, password_stdin: bool, as_json: bool) -> None:
    """Send the person NAME a one-time code to choose a new password, or set one."""
    from idp import users
    from idp.audit import Tag
    from idp.db import commit
    from idp.users import LinkPurpose, UserKind

    if not password_stdin:
        _send(realm, name, LinkPurpose.RESET, "reset", as_json=as_json)
        return
    user = users.get_user(realm, name)
    check(user.kind == UserKind.PERSON.value, f"{user.name!r} is a machine user and has no password.")
    users.set_password(realm, user, _read_password(user.name, realm.name), Tag.PASSWORD_RESET)
    commit()
    click.echo(f"The password of {user.name} was set. Every session of the account has ended.")


@users_group.command("disable")
@click.argument("name")
@with_database
@realm_option
def disable(realm: "Realm", name: str) -> None:
    """Disable the user NAME: every session, key and token of it is refused within a second."""
    _set_enabled(realm, name, enabled=False)


@users_group.command("enable")
@click.argument("name")
@with_database
@realm_option
def enable(realm: "Realm", name: str) -> None:
    """Enable the user NAME again."""
    _set_enabled(realm, name, enabled=True)


@users_group.command("delete")
@click.argument("name")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(realm: "Realm", name: str, yes: bool) -> None:
    """Delete the user NAME with its grants, sessions, keys and tokens."""
    from idp import apikeys, realms, users
    from idp.db import commit

    user = users.get_user(realm, name)
    keys = len(apikeys.list_keys(realm, owner=users.holder_of(user), limit=None))
    if not yes:
        realm_name = realm.name
        confirm(
            f"Delete user {user.name} of realm {realm_name} with {keys} API keys? Anything that uses them is refused immediately."
        )
        realm = realms.get_realm(realm_name)
        user = users.get_user(realm, name)
    users.delete_user(realm, user)
    commit()
    click.echo(f"Deleted user {name}.")


def _send(realm: "Realm", name: str, purpose: Any, path: str, *, as_json: bool) -> None:
    from idp import users
    from idp.db import commit

    user = users.get_user(realm, name)
    code = users.send_link(realm, user, purpose)
    commit()
    if as_json:
        show_json({"uid": user.uid, "code": code})
    else:
        click.echo(f"An email to {user.email} is in the outbox.")
        _show_code(code, path)


def _show_code(code: str, path: str) -> None:
    from idp import runtime

    url = runtime.current().settings.public_url
    page = {"activate": "invitation", "reset": "reset"}[path]
    click.echo(f"\nThe one-time code, shown only once:\n\n    {code}\n\nTo choose a password with it in the browser, open:\n")
    click.echo(
        f"    {url}/console/{page}/{code}\n\nA program sends it to PATCH {url}/v1/auth/password/<code>/{path} (docs/api-keys.md)."
    )


def _set_enabled(realm: "Realm", name: str, *, enabled: bool) -> None:
    from idp import users
    from idp.db import commit

    user = users.get_user(realm, name)
    users.update_user(realm, user, users.UserSheet.of(user).changed({"enabled": enabled}))
    commit()
    click.echo(f"{'Enabled' if enabled else 'Disabled'} user {user.name}.")


def _read_password(name: str, realm: str) -> str:
    from idp import runtime, users

    password = read_line()
    users.check_password(password, name, realm)
    with users.password_hashing(runtime.current()).seat() as seat:
        return seat.hash(password)


def user_json(user: Any) -> dict[str, Any]:
    """Return a user for JSON."""
    from idp import users

    return {
        "uid": user.uid,
        "name": user.name,
        "kind": user.kind,
        **fields_json(users.UserSheet, user),
        "has_password": bool(user.password_hash),
        "last_sign_in_at": json_time(user.last_sign_in_at),
        "created_at": json_time(user.created_at),
    }


def _row(user: Any) -> dict[str, str]:
    state = "disabled" if not user.enabled else "invited" if user.kind == "person" and not user.password_hash else "enabled"
    return {
        "name": user.name,
        "kind": user.kind,
        "state": state,
        "last sign-in": show_time(user.last_sign_in_at, "never"),
        "uid": user.uid,
    }
