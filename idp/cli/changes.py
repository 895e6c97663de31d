"""`update` of every noun: what was set when it was made, set anew."""

import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import realm_option, with_database
from idp.cli.sheets import SheetCommand, changes, named_options, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


def add_update(
    group: click.Group,
    noun: str,
    sheet: str,
    verbs: tuple[str, str],
    example: str,
    *,
    without: Collection[str] = (),
    argument: str = "NAME",
    within: str = "",
) -> None:
    """Add `update` to a group of commands: an option for each field of a sheet; what is left out keeps its value.

    :param noun: what it updates, such as `user`.
    :param sheet: module and class, such as `idp.users:UserSheet`.
    :param verbs: functions of that module: what finds one in a realm by name, and what updates it to a sheet.
    :param example: options and a name.
    :param without: fields that another command sets.
    :param argument: what it is found by.
    :param within: the group that the group is in, if there is one.
    """
    command = f"idp {within + ' ' if within else ''}{group.name} update"
    about = f"""Update the {noun} {argument}; options that you leave out keep their values.

    \b
    Example:
      {command} --realm acme {example}
    """

    @group.command("update", cls=SheetCommand, help=about)
    @click.argument("named", metavar=argument)
    @with_database
    @realm_option
    @sheet_options(sheet, without=without, empties=True)
    def update(realm: "Realm", named: str, empty: tuple[str, ...], **options: Any) -> None:
        from idp.db import commit

        module, _, kind = sheet.partition(":")
        domain = importlib.import_module(module)
        found = getattr(domain, kind)
        wanted = changes(found, options, empty, command=command)
        row = getattr(domain, verbs[0])(realm, named)
        getattr(domain, verbs[1])(realm, row, found.of(row).changed(wanted))
        commit()
        click.echo(f"Updated {noun} {named}: {named_options(wanted)}.")


@click.command("update", cls=SheetCommand)
@click.argument("name")
@with_database
@sheet_options("idp.realms:RealmSettings")
def update_realm(name: str, **options: Any) -> None:
    """Update settings of the realm NAME; options that you leave out keep their values.

    \b
    Example:
      idp realms update --algorithm ES256 --session-hours 8 acme
    """  # noqa: D301 (\b is what click needs here)
    from idp import realms
    from idp.db import commit

    wanted = changes(realms.RealmSettings, options, command="idp realms update")
    realm = realms.lock_realm(name) or realms.get_realm(name)
    realms.update_realm(realm, realms.RealmSettings.of(realm).changed(wanted))
    commit()
    click.echo(f"Updated realm {name}: {named_options(wanted)}.")
