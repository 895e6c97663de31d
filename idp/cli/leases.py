"""`idp leases`: to whom keysets are lent."""

import click

from idp.cli.keysets import SHOWN_AT_MOST, get_keyset, show_most
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_json, show_table, show_time, with_database
from idp.realms import Realm


@click.group("leases")
def leases_group() -> None:
    """List and end leases of keysets."""


@leases_group.command("list")
@reads_database
@realm_option
@click.option("--keyset", help="Only of this keyset, by uid or name.")
@click.option("--application", default="", help="Only of this application.")
@click.option("--all", "over", is_flag=True, help="Those too that are over, of the last 90 days.")
@json_option
def list_leases(
    realm: Realm,
    keyset: str | None,
    application: str,
    over: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """List the leases that run, the newest first."""
    from idp import clock, keysets

    listing = keysets.lease_listing(
        realm, keyset=get_keyset(realm, keyset) if keyset else None, client_id=application, state="" if over else "live"
    )
    rows = show_most(listing.take("", descending=True, after=None, limit=SHOWN_AT_MOST + 1))
    now = clock.now()
    if as_json:
        show_json(
            [
                {
                    "uid": row.uid,
                    "keyset": row.keyset_name,
                    "version": row.version,
                    "application": row.client_id,
                    "reason": row.reason,
                    "state": row.state(now).value,
                    "taken_at": json_time(row.created_at),
                    "expires_at": json_time(row.expires_at),
                    "ended_at": json_time(row.ended_at),
                    "end_reason": row.end_reason,
                }
                for row in rows
            ]
        )
        return
    table = [
        {
            "uid": row.uid,
            "keyset": f"{row.keyset_name} v{row.version}",
            "application": row.client_id,
            "state": row.state(now).value,
            "until": show_time(min(row.ended_at or row.expires_at, row.expires_at)),
            "reason": row.reason,
        }
        for row in rows
    ]
    show_table(table, "No keyset is lent.")


@leases_group.command("end")
@click.argument("lease")
@with_database
@realm_option
@click.option("--reason", default="", help="Kept with the lease, and in the audit trail.")
def end(realm: Realm, lease: str, reason: str) -> None:
    """End LEASE (its uid). Its values must then be replaced, if they are not to be used any more."""
    from idp import keysets
    from idp.db import commit
    from idp.errors import NotFoundError

    row = keysets.find_lease(realm, lease)
    if row is None:
        raise NotFoundError(f"Realm {realm.name!r} has no lease {lease[:80]!r}.")
    ended = keysets.end_lease(realm, row, reason)
    commit()
    click.echo(f"Ended lease {lease}." if ended else f"Lease {lease} was over already.")
