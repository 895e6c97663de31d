"""`idp applications update` and `idp realms update`: what was set when they were made, set anew."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import realm_option, with_database
from idp.cli.sheets import SheetCommand, changes, named_options, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.command("update", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@sheet_options("idp.applications:ApplicationSheet", without={"enabled"}, empties=True)
def update_application(realm: "Realm", name: str, empty: tuple[str, ...], **options: Any) -> None:
    """Update the application NAME; options that you leave out keep their values.

    \b
    Examples:
      idp applications update --realm acme --token-type JWT ci-bot
      idp applications update --realm acme --empty rate --empty audience ci-bot
    """  # noqa: D301 (\b is what click needs here)
    from idp import applications
    from idp.db import commit

    fields = changes(applications.ApplicationSheet, options, empty, command="idp applications update")
    application = applications.get_application(realm, name)
    applications.update_application(realm, application, applications.ApplicationSheet.of(application).changed(fields))
    commit()
    click.echo(f"Updated {name}: {named_options(fields)}.")


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

    fields = changes(realms.RealmSettings, options, command="idp realms update")
    realm = realms.lock_realm(name) or realms.get_realm(name)
    realms.update_realm(realm, realms.RealmSettings.of(realm).changed(fields))
    commit()
    click.echo(f"Updated {name}: {named_options(fields)}.")
