"""`idp sessions`: who is signed in, from where, and ending that."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.lists import limit_option, show_listing
from idp.cli.session import json_option, json_time, reads_database, realm_option, show_time, with_database

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("sessions")
def sessions_group() -> None:
    """List and end the sessions of people."""


@sessions_group.command("list")
@reads_database
@realm_option
@click.option("--user", help="Only sessions of this user.")
@click.option("--all", "everything", is_flag=True, help="Include sessions that have ended.")
@limit_option
@json_option
def list_(realm: "Realm", user: str | None, everything: bool, limit: int | None, as_json: bool) -> None:
    """List sessions, newest first."""
    from idp import sessions, users

    owner = users.get_user(realm, user) if user else None
    show_listing(
        sessions.session_listing(realm, user=owner, live=not everything),
        to_json=_json,
        row=_row,
        empty="Nobody is signed in.",
        as_json=as_json,
        limit=limit,
        descending=True,
    )


def _json(found: tuple[Any, Any]) -> dict[str, Any]:
    session, user = found
    return {
        "sid": session.uid,
        "user": user.name,
        "method": session.auth_method,
        "address": session.address,
        "agent": session.agent,
        "started_at": json_time(session.created_at),
        "refreshed_at": json_time(session.refreshed_at),
        "expires_at": json_time(session.expires_at),
        "ended_at": json_time(session.ended_at),
    }


def _row(found: tuple[Any, Any]) -> dict[str, str]:
    session, user = found
    return {
        "sid": session.uid,
        "user": user.name,
        "started": show_time(session.created_at),
        "refreshed": show_time(session.refreshed_at),
        "ends": show_time(session.ended_at or session.expires_at),
        "address": session.address,
        "agent": session.agent[:40],
    }


@sessions_group.command("end")
@with_database
@realm_option
@click.option("--sid", help="The session to end.")
@click.option("--user", help="End every session of this user.")
def end(realm: "Realm", sid: str | None, user: str | None) -> None:
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
