"""`idp keys`: the signing keys of a realm."""

from typing import TYPE_CHECKING, Any

import click

from idp.algorithms import SIGNING_ALGORITHMS
from idp.cli.session import (
    confirm,
    json_option,
    json_time,
    makes_keys,
    reads_database,
    realm_option,
    show_json,
    show_table,
    show_time,
    with_database,
)

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("keys")
def keys_group() -> None:
    """List, rotate and revoke signing keys."""


@keys_group.command("list")
@reads_database
@realm_option
@json_option
def list_(realm: "Realm", as_json: bool) -> None:
    """List signing keys with their state and dates."""
    from idp import clock, keys

    now = clock.now()
    rows = keys.list_keys(realm)
    if as_json:
        show_json([_json(key, now) for key in rows])
        return
    table = [
        {
            "kid": key.uid,
            "algorithm": key.algorithm,
            "state": key.state(now).value,
            "signs from": show_time(key.active_from),
            "signs until": show_time(key.revoked_at or key.retires_at, "its successor takes over"),
            "in key set until": show_time(key.revoked_at or key.removed_at, "later"),
        }
        for key in rows
    ]
    show_table(table, "The realm has no keys. Run: idp keys rotate")


def _json(key: Any, now: Any) -> dict[str, Any]:
    return {
        "kid": key.uid,
        "algorithm": key.algorithm,
        "state": key.state(now).value,
        "announced_at": json_time(key.created_at),
        "active_from": json_time(key.active_from),
        "retires_at": json_time(key.retires_at),
        "removed_at": json_time(key.removed_at),
        "revoked_at": json_time(key.revoked_at),
        "revoke_reason": key.revoke_reason,
    }


@keys_group.command("rotate")
@with_database
@makes_keys
@realm_option
@click.option("--algorithm", type=click.Choice(SIGNING_ALGORITHMS), help="Only this algorithm; by default every key.")
@json_option
def rotate(realm: "Realm", algorithm: str | None, as_json: bool) -> None:
    """Announce new keys. They start signing once every verifier has had time to fetch them, so no token is refused."""
    from idp import clock, keys
    from idp.db import commit

    new = [keys.rotate_key(realm, each) for each in ([algorithm] if algorithm else SIGNING_ALGORITHMS)]
    commit()
    if as_json:
        show_json([_json(key, clock.now()) for key in new])
        return
    for key in new:
        click.echo(f"Announced {key.algorithm} key {key.uid}, which starts signing at {show_time(key.active_from)}.")


@keys_group.command("revoke")
@click.argument("kid")
@with_database
@makes_keys
@realm_option
@click.option("--reason", required=True, help="The reason, for the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def revoke(realm: "Realm", kid: str, reason: str, yes: bool) -> None:
    """Remove a key that may have leaked from the key set immediately.

    Every token it has signed is refused as soon as verifiers fetch the key set again, and another key signs from now on.
    """
    from idp import keys
    from idp.db import commit

    known = [key.uid for key in keys.list_keys(realm)]
    if not yes and kid in known:
        confirm("Every token that this key has signed will stop working. Revoke it?")
    heir = keys.revoke_key(realm, kid, reason)
    commit()
    click.echo(f"Revoked key {kid}." + (f" Key {heir.uid} now signs in its place." if heir else ""))
