"""`idp realms create` and what becomes of realms: approve, deactivate, activate, delete, restore."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import confirm, makes_keys, with_database
from idp.cli.sheets import SheetCommand, given, sheet_options

if TYPE_CHECKING:
    from idp.realms import Realm


@click.command("create", cls=SheetCommand)
@click.argument("name")
@with_database
@makes_keys
@sheet_options("idp.realms:RealmSettings")
@click.option("--pending", is_flag=True, help="Require `idp realms approve`; nothing in the realm works before that.")
def create(name: str, pending: bool, **options: Any) -> None:
    """Create a realm called NAME, with its signing keys and the built-in roles.

    \b
    Example:
      idp realms create globex --display-name 'Globex Corporation'
    """  # noqa: D301 (\b is what click needs here)
    from idp import manifest, realms, runtime
    from idp.db import commit

    manifest.create_empty_realm(name, realms.RealmSheet.read(given(realms.RealmSettings, options)), pending=pending)
    commit()
    click.echo(f"Created realm {name}: {runtime.current().settings.issuer(name)}")
    click.echo(f"Create its first administrator with: idp users create --realm {name} --role administrator --email ...")


@click.command("approve")
@click.argument("name")
@with_database
def approve(name: str) -> None:
    """Approve the pending realm NAME."""
    from idp import organisations

    _turn(name, organisations.approve, "Approved {}. It can be used now.")


@click.command("deactivate")
@click.argument("name")
@with_database
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def deactivate(name: str, yes: bool) -> None:
    """Deactivate the realm NAME: every worker refuses its credentials within a second; `activate` undoes this."""
    from idp import realms

    if not yes:
        confirm(f"Refuse every credential of realm {name}?")
    _turn(name, realms.deactivate_realm, "Deactivated {}. `idp realms activate` undoes this.")


@click.command("activate")
@click.argument("name")
@with_database
def activate(name: str) -> None:
    """Activate the realm NAME again, with all its credentials."""
    from idp import realms

    _turn(name, realms.activate_realm, "Activated {}.")


@click.command("delete")
@click.argument("name")
@with_database
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(name: str, yes: bool) -> None:
    """Delete the realm NAME: it stops working immediately, and for 30 days `restore` can bring it back."""
    from idp import realms

    if not yes:
        confirm(f"Delete realm {name} with everything in it?")
    _turn(name, realms.delete_realm, f"Deleted {{}}. For {realms.GRACE.days} days, `idp realms restore` can bring it back.")


@click.command("restore")
@click.argument("name")
@with_database
def restore(name: str) -> None:
    """Restore the deleted realm NAME, deactivated."""
    from idp import realms

    _turn(name, realms.restore_realm, "Restored {}. `idp realms activate` lets its credentials work.")


@click.command("purge")
@click.argument("name")
@with_database
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def purge(name: str, yes: bool) -> None:
    """Permanently remove the deleted realm NAME before its 30 days are over: only its audit trail is kept.

    A running server does this on its own after 30 days. No other realm can ever have the name.
    """
    from idp import organisations

    if not yes:
        confirm(f"Permanently remove everything in realm {name}? Only its audit trail will be left")
    organisations.purge_realm(name)
    click.echo(f"Purged {name}. Its audit trail is kept: idp audit list --realm {name}")


def _turn(name: str, verb: "Callable[[Realm], None]", done: str) -> None:
    from idp import realms
    from idp.db import commit

    verb(realms.get_realm(name))
    commit()
    click.echo(done.format(name))


COMMANDS = (create, approve, deactivate, activate, delete, restore, purge)
