"""`idp keysets`: third-party credentials that are kept sealed and lent to applications."""

from typing import TYPE_CHECKING, Any

import click

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
from idp.errors import IdpError
from idp.text_files import read_named

if TYPE_CHECKING:
    from idp.realms import Realm


class DamageFoundError(IdpError):
    """Keysets do not open."""


@click.group("keysets")
def keysets_group() -> None:
    """List, create, replace, delete and check keysets: third-party credentials that applications lease.

    \b
    Values are read from files or typed in, never given as arguments, which every user of the machine can see.
      idp keysets create --realm acme provider aws "prod aws" --project vision --key pub=id.txt --key pvt=secret.txt
    """  # noqa: D301 (\b is what click needs here)


@keysets_group.command("kinds")
@json_option
def kinds(as_json: bool) -> None:
    """List the supported categories and entities, and the keys of each."""
    from idp import keysets

    found = [(category, entity, types) for category, entities in keysets.CATEGORIES.items() for entity, types in entities.items()]
    if as_json:
        show_json([{"category": category, "entity": entity, "keys": types} for category, entity, types in found])
        return
    rows = [{"category": category, "entity": entity or "-", "keys": ", ".join(types)} for category, entity, types in found]
    show_table(rows, "")


@keysets_group.command("list")
@reads_database
@realm_option
@click.option("--name", default="", help="Only keysets whose name or description contains this.")
@click.option("--category", default="", help="Only keysets of this category.")
@click.option("--project", default="", help="Only keysets for this project.")
@limit_option
@json_option
def list_(realm: "Realm", name: str, category: str, project: str, limit: int | None, as_json: bool) -> None:
    """List keysets by name; never their values."""
    from idp import keysets

    show_listing(
        keysets.keyset_listing(realm, containing=name, category=category, project=project),
        to_json=_json,
        row=_row,
        empty="There are no keysets. Create one with: idp keysets create",
        as_json=as_json,
        limit=limit,
        order="name",
    )


def _row(row: Any) -> dict[str, str]:
    return {
        "name": row.name,
        "category": row.category,
        "entity": row.entity or "-",
        "projects": ", ".join(project.name for project in row.projects) or "all",
        "version": str(row.version),
        "uid": row.uid,
    }


def _json(row: Any) -> dict[str, Any]:
    from idp import keysets

    return {
        "uid": row.uid,
        **fields_json(keysets.KeysetSheet, row),
        "category": row.category,
        "entity": row.entity,
        "keys": [{"type": key.key_type, "fingerprint": key.fingerprint} for key in row.keys],
        "version": row.version,
        "created_at": json_time(row.created_at),
        "updated_at": json_time(row.updated_at),
    }


def _values(category: str, entity: str, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """Read values from files, and ask for those that are missing."""
    from idp import keysets

    given: dict[str, str] = {}
    for each in keys:
        key_type, equals, name = each.partition("=")
        check(equals and key_type not in given, f"{each[:80]!r} is not --key TYPE=FILE, or names a type twice.")
        given[key_type] = read_named(name).removesuffix("\n")
    for key_type, meaning in keysets.key_types(category, entity).items():
        if key_type not in given:
            given[key_type] = click.prompt(f"{meaning} ({key_type})", hide_input=True)
    return list(given.items())


_key_option = click.option(
    "--key", "keys", multiple=True, help="TYPE=FILE, - for standard input. Missing values are prompted for."
)


@keysets_group.command("create", cls=SheetCommand)
@click.argument("category")
@click.argument("entity")
@click.argument("name")
@with_database
@realm_option
@_key_option
@sheet_options("idp.keysets:KeysetSheet", without={"name"})
@json_option
def create(
    realm: "Realm",
    category: str,
    entity: str,
    name: str,
    keys: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Create a keyset called NAME, of CATEGORY and ENTITY (- for none); `idp keysets kinds` lists them."""
    from idp import access, keysets
    from idp.db import commit, db

    entity = "" if entity == "-" else entity
    sheet = keysets.KeysetSheet.read(given(keysets.KeysetSheet, options) | {"name": name})
    for each in sheet.projects:
        access.get_project(realm, each)
    db.session.rollback()  # nobody waits while values are typed
    keyset = keysets.create_keyset(realm, category, entity, sheet, _values(category, entity, keys))
    commit()
    if as_json:
        show_json(_json(keyset))
        return
    click.echo(
        f"Kept keyset {name} ({keyset.uid}). Applications with the permission {keysets.LEASE} can lease it with POST /v1/leases."
    )


@keysets_group.command("update", cls=SheetCommand)
@click.argument("keyset")
@with_database
@realm_option
@click.option("--whole-organisation", is_flag=True, help="Make it available to the whole organisation from now on.")
@sheet_options("idp.keysets:KeysetSheet")
def update(
    realm: "Realm",
    keyset: str,
    whole_organisation: bool,
    **options: Any,
) -> None:
    """Update KEYSET (uid or name); options that you leave out keep their values. For new values, use `replace`."""
    from idp import keysets
    from idp.db import commit

    wanted = given(keysets.KeysetSheet, options)
    check(not ("projects" in wanted and whole_organisation), "Use --project or --whole-organisation, not both.")
    if whole_organisation:
        wanted["projects"] = []
    check(wanted, "Say what to change: see idp keysets update --help.")
    row = get_keyset(realm, keyset)
    keysets.update_keyset(realm, row, keysets.KeysetSheet.of(row).changed(wanted))
    commit()
    click.echo(f"Updated keyset {wanted.get('name', keyset)}.")


@keysets_group.command("replace")
@click.argument("keyset")
@with_database
@realm_option
@_key_option
def replace(realm: "Realm", keyset: str, keys: tuple[str, ...]) -> None:
    """Replace all values of KEYSET (uid or name). Active leases show that they hold an older version."""
    from idp import keysets
    from idp.db import commit, db

    row = get_keyset(realm, keyset)
    category, entity = row.category, row.entity
    db.session.rollback()
    values = _values(category, entity, keys)
    row = get_keyset(realm, keyset)
    number = keysets.replace_values(realm, row, values)
    commit()
    click.echo(f"Keyset {keyset} now has version {number}. `idp keysets versions` shows when the old one is no longer leased.")


@keysets_group.command("versions")
@click.argument("keyset")
@reads_database
@realm_option
@json_option
def versions(realm: "Realm", keyset: str, as_json: bool) -> None:
    """List the versions of KEYSET (uid or name), and who still leases them."""
    from idp import keysets

    row = get_keyset(realm, keyset)
    found = keysets.list_versions(row)
    if len(found) == keysets.MOST_VERSIONS:
        click.echo(f"Only the last {len(found)} versions are shown.", err=True)
    held = keysets.holdings(row, found)
    if as_json:
        show_json(
            [
                {
                    "version": each.number,
                    "created_at": json_time(each.created_at),
                    "replaced_at": json_time(each.superseded_at),
                    "live_leases": held[each.number].live,
                    "held_until": json_time(held[each.number].until),
                    "free_since": json_time(held[each.number].free_since),
                }
                for each in found
            ]
        )
        return
    table = [
        {
            "version": str(each.number),
            "stored": show_time(each.created_at),
            "replaced": show_time(each.superseded_at),
            "live leases": str(held[each.number].live),
            "leased until": show_time(held[each.number].until),
            "not leased since": show_time(held[each.number].free_since),
        }
        for each in found
    ]
    show_table(table, "")


@keysets_group.command("delete")
@click.argument("keyset")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(realm: "Realm", keyset: str, yes: bool) -> None:
    """Delete KEYSET (uid or name) and its values. Its leases end."""
    from idp import keysets
    from idp.db import commit

    row = get_keyset(realm, keyset)
    if not yes:
        live = keysets.lease_listing(realm, keyset=row, state="live").count()
        confirm(f"Delete keyset {row.name} ({row.uid})? It has {live} active leases. Its values cannot be recovered.")
        row = get_keyset(realm, keyset)
    keysets.delete_keyset(realm, row)
    commit()
    click.echo(f"Deleted keyset {keyset}.")


@keysets_group.command("check")
@reads_database
def check_all() -> None:
    """Decrypt every keyset of every realm, and name those that are damaged. Shows no values."""
    from idp import keysets

    damaged, count = [], 0
    for realm, row, is_damaged in keysets.check_keysets():
        count += 1
        if is_damaged:
            damaged.append(f"{row.name} ({row.uid}) of realm {realm.name}")
    if damaged:
        raise DamageFoundError(
            f"{len(damaged)} of {count} keysets are damaged: {'; '.join(damaged[:10])}. Store their values again with "
            "`idp keysets replace`, or restore a backup."
        )
    click.echo(f"Keysets checked: {count}. None is damaged.")


def get_keyset(realm: "Realm", named: str) -> Any:
    """Return a keyset by uid, or by name where only one has it, or raise NotFoundError."""
    from idp import keysets
    from idp.errors import NotFoundError

    found = keysets.find_keysets(realm, named)
    if len(found) != 1:
        raise NotFoundError(
            f"Realm {realm.name!r} has no keyset with the uid {named[:80]!r}, nor exactly one with this name. "
            f"`idp keysets list --realm {realm.name}` lists them."
        )
    return found[0]
