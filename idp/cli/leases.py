"""`idp leases`: to whom keysets are lent."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.keysets import get_keyset
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_time, with_database

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("leases")
def leases_group() -> None:
    """List and end leases of keysets."""


@leases_group.command("list")
@reads_database
@realm_option
@click.option("--keyset", help="Only leases of this keyset, by uid or name.")
@click.option("--application", default="", help="Only leases of this application.")
@click.option("--all", "over", is_flag=True, help="Include leases that ended in the last 90 days.")
@limit_option
@json_option
def list_leases(
    realm: "Realm",
    keyset: str | None,
    application: str,
    over: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List active leases, newest first."""
    from idp import keysets

    listing = keysets.lease_listing(
        realm, keyset=get_keyset(realm, keyset) if keyset else None, client_id=application, state="" if over else "live"
    )
    show_listing(
        listing, to_json=_json, row=_row, empty="There are no active leases.", as_json=as_json, limit=limit, descending=True
    )


def _json(lease: Any) -> dict[str, Any]:
    from idp import clock

    return {
        "uid": lease.uid,
        "keyset": lease.keyset_name,
        "version": lease.version,
        "application": lease.client_id,
        "reason": lease.reason,
        "state": lease.state(clock.now()).value,
        "taken_at": json_time(lease.created_at),
        "expires_at": json_time(lease.expires_at),
        "ended_at": json_time(lease.ended_at),
        "end_reason": lease.end_reason,
    }


def _row(lease: Any) -> dict[str, str]:
    from idp import clock

    return {
        "uid": lease.uid,
        "keyset": f"{lease.keyset_name} v{lease.version}",
        "application": lease.client_id,
        "state": lease.state(clock.now()).value,
        "until": show_time(min(lease.ended_at or lease.expires_at, lease.expires_at)),
        "reason": lease.reason,
    }


@leases_group.command("end")
@click.argument("lease")
@with_database
@realm_option
@click.option("--reason", default="", help="The reason; it is kept with the lease and in the audit trail.")
def end(realm: "Realm", lease: str, reason: str) -> None:
    """End LEASE (its uid). To stop the values from being used, replace them as well."""
    from idp import keysets
    from idp.db import commit
    from idp.errors import NotFoundError

    row = keysets.find_lease(realm, lease)
    if row is None:
        raise NotFoundError(f"Realm {realm.name!r} has no lease {lease[:80]!r}.")
    ended = keysets.end_lease(realm, row, reason)
    commit()
    click.echo(f"Ended lease {lease}." if ended else f"Lease {lease} had already ended.")
