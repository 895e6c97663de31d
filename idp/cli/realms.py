"""`idp realms`: realms, and realms as files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import update_realm
from idp.cli.lists import limit_option, show_listing
from idp.cli.realm_life import COMMANDS
from idp.cli.session import (
    check,
    confirm,
    json_option,
    json_time,
    reads_database,
    show_json,
    show_time,
    with_database,
)
from idp.cli.sheets import fields_json
from idp.errors import InvalidValueError

if TYPE_CHECKING:
    from idp.manifest import Change
    from idp.realms import Realm


@click.group("realms")
def realms_group() -> None:
    """Create, list, stop and restore realms, and keep them as files: plan, apply, export."""


for _command in (*COMMANDS, update_realm):
    realms_group.add_command(_command)


@realms_group.command("list")
@limit_option
@json_option
@reads_database
def list_(limit: int | None, as_json: bool) -> None:
    """List all realms by name."""
    from idp import realms, runtime

    issuer = runtime.current().settings.issuer

    def to_json(realm: "Realm") -> dict[str, Any]:
        shown = {"name": realm.name, "uid": realm.uid, "enabled": realm.enabled}
        return shown | {"state": realm.state.value, "issuer": issuer(realm.name)}

    def row(realm: "Realm") -> dict[str, str]:
        return {"name": realm.name, "state": realm.state.value, "issuer": issuer(realm.name)}

    empty = "There are no realms. Run: idp setup"
    show_listing(realms.realm_listing(), to_json=to_json, row=row, empty=empty, as_json=as_json, limit=limit, order="name")


@realms_group.command("show")
@click.argument("name")
@json_option
@reads_database
def show(name: str, as_json: bool) -> None:
    """Show the settings of a realm, and how much is in it."""
    from idp import access, applications, realms, runtime, users

    realm = realms.get_realm(name)
    issuer = runtime.current().settings.issuer(name)
    document = {
        "name": realm.name,
        "uid": realm.uid,
        **fields_json(realms.RealmSheet, realm),
        "state": realm.state.value,
        "issuer": issuer,
        "contract_number": realm.contract_number,
        "discovery": f"{issuer}/.well-known/openid-configuration",
        "users": len(users.list_users(realm)),
        "groups": len(users.list_groups(realm)),
        "applications": len(applications.list_applications(realm)),
        "roles": len(access.list_roles(realm)),
        "projects": len(access.list_projects(realm)),
        "created_at": json_time(realm.created_at) if as_json else show_time(realm.created_at),
        "updated_at": json_time(realm.updated_at) if as_json else show_time(realm.updated_at),
    }
    if as_json:
        show_json(document)
    else:
        for key, value in document.items():
            click.echo(f"{key:23} {value}")


_files = click.argument("files", nargs=-1, type=click.Path(path_type=Path))


def _paths(files: tuple[Path, ...]) -> list[Path]:
    """Return the files named, or those of the realms folder."""
    from idp import manifest, runtime

    if files:
        return list(files)
    folder = runtime.current().settings.realms_dir
    found = manifest.find_files(folder)
    check(found, f"There are no realm files in {folder}. Name some, or set IDP_REALMS_DIR.")
    return found


@realms_group.command("plan")
@_files
@json_option
@reads_database
def plan(files: tuple[Path, ...], as_json: bool) -> None:
    """Show what `apply` would change, without changing anything.

    FILES are realm files; by default those of the realms folder (IDP_REALMS_DIR).
    """
    from idp import manifest

    plans = {file: manifest.make_plan(file) for file in manifest.read_files(_paths(files))}
    if as_json:
        changes = [(file.realm.name, change) for file, plan in plans.items() for change in plan]
        show_json(
            [{"realm": realm, "action": c.action, "kind": c.kind, "name": list(c.name), "text": str(c)} for realm, c in changes]
        )
        return
    for file, changes_of_file in plans.items():
        _show_plan(file.realm.name, file.path, changes_of_file)


def _show_plan(realm: str, path: Path, changes: Sequence["Change"]) -> None:
    from collections import Counter

    if not changes:
        click.echo(f"Realm {realm} matches {path}.")
        return
    click.echo(f"Changes to realm {realm} from {path}:")
    for change in changes:
        click.echo("  " + str(change).replace("\n", "\n  "))
    counts = Counter(change.action for change in changes)
    click.echo(f"  {counts['create']} to create, {counts['update']} to update, {counts['delete']} to delete.")


@realms_group.command("apply")
@_files
@click.option("--yes", is_flag=True, help="Delete what the files do not name, without asking for confirmation.")
@json_option
@with_database
def apply(files: tuple[Path, ...], yes: bool, as_json: bool) -> None:
    """Create or update realms to match their files, all or nothing.

    FILES are realm files; by default those of the realms folder (IDP_REALMS_DIR). Deleting asks first, or needs --yes.
    Secrets created on the way are shown once.
    """
    from idp import manifest
    from idp.db import commit

    read = manifest.read_files(_paths(files))
    manifest.prepare_keys(read)
    plans = [(file, manifest.make_plan(file)) for file in read]
    if not as_json:
        for file, changes in plans:
            _show_plan(file.realm.name, file.path, changes)
    deletes = sum(change.action == "delete" for _, changes in plans for change in changes)
    if deletes and not yes:
        check(
            not as_json and sys.stdin.isatty(),
            f"The plan deletes {deletes} things that the files do not name. Review it with `idp realms plan`, then add --yes.",
        )
        confirm(f"Delete what the files do not name ({deletes})?")
        check(
            [manifest.make_plan(file) for file, _ in plans] == [changes for _, changes in plans],
            "The realm was changed in the meantime. Run `idp realms apply` again and review the new plan.",
        )
    new_secrets = [new for file, changes in plans for new in manifest.apply_plan(file, changes)]
    commit()
    if as_json:
        show_json(
            {
                "changes": sum(len(changes) for _, changes in plans),
                "secrets": [
                    {
                        "realm": n.realm,
                        "client_id": n.application,
                        "name": n.secret.name,
                        "client_secret": n.plain_secret,
                    }
                    for n in new_secrets
                ],
            }
        )
        return
    for new in new_secrets:
        click.echo(f"Secret {new.secret.name} of application {new.application} in realm {new.realm}, shown only once:")
        click.echo(f"    {new.plain_secret}")


@realms_group.command("export")
@click.argument("name")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; by default standard output.")
@reads_database
def export(name: str, output: Path | None) -> None:
    """Write a realm to a file that recreates it. The file names secrets but never contains them."""
    from idp import manifest, realms

    text = manifest.export_realm(realms.get_realm(name))
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidValueError(f"{output} cannot be written ({error.strerror}).") from None
        click.echo(f"Wrote {output}.")
