"""`idp sessions`: who is signed in, from where, and ending that."""

import click

from idp.cli.session import json_option, json_time, reads_database, realm_option, show_json, show_table, show_time, with_database
from idp.realms import Realm


@click.group("sessions")
def sessions_group() -> None:
    """List and end the sessions of people."""


@sessions_group.command("list")
@reads_database
@realm_option
@click.option("--user", help="Only sessions of this user.")
@click.option("--all", "everything", is_flag=True, help="Those that have ended, too.")
@json_option
def list_(realm: Realm, user: str | None, everything: bool, as_json: bool) -> None:  # noqa: FBT001
    """List sessions, newest first."""
    from idp import sessions, users

    owner = users.get_user(realm, user) if user else None
    rows = sessions.list_sessions(realm, user=owner, live=not everything, limit=1_000)
    if as_json:
        show_json(
            [
                {
                    "sid": row.uid,
                    "user": who.name,
                    "method": row.auth_method,
                    "address": row.address,
                    "agent": row.agent,
                    "started_at": json_time(row.created_at),
                    "refreshed_at": json_time(row.refreshed_at),
                    "expires_at": json_time(row.expires_at),
                    "ended_at": json_time(row.ended_at),
                }
                for row, who in rows
            ]
        )
        return
    table = [
        {
            "sid": row.uid,
            "user": who.name,
            "started": show_time(row.created_at),
            "refreshed": show_time(row.refreshed_at),
            "ends": show_time(row.ended_at or row.expires_at),
            "address": row.address,
            "agent": row.agent[:40],
        }
        for row, who in rows
    ]
    show_table(table, "Nobody is signed in.")


@sessions_group.command("end")
@with_database
@realm_option
@click.option("--sid", help="The session to end.")
@click.option("--user", help="End every session of this user.")
def end(realm: Realm, sid: str | None, user: str | None) -> None:
    """End one session, or all of a user; every worker refuses their tokens within a second."""
    from idp import sessions, users
    from idp.cli.session import check
    from idp.db import commit

    check((sid is None) != (user is None), "Give either --sid or --user.")
    if sid is not None:
        sessions.end_session(realm, sessions.get_session(realm, sid))
    else:
        users.sign_out_everywhere(realm, users.get_user(realm, user or ""))
    commit()
    click.echo("Ended.")
