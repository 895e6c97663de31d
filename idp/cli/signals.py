"""`idp signals`: streams of security events to receivers outside."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.session import (
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

if TYPE_CHECKING:
    from idp.realms import Realm
    from idp.signals import Standing


@click.group("signals")
def signals_group() -> None:
    """Look after streams of security events (SSF 1.0): what was revoked, and which credentials have changed.

    \b
    A receiver sets its stream up itself, as an application with a role that permits it:
      idp roles create --realm acme listener
      idp roles permit --realm acme listener signals:receive
      idp applications create --realm acme --role listener siem
    """  # noqa: D301 (\b is what click needs here)


@signals_group.command("list")
@reads_database
@realm_option
@json_option
def list_streams(realm: "Realm", as_json: bool) -> None:
    """List the streams of a realm, with what waits in them, oldest first."""
    from idp import signals

    found = signals.list_standing(realm)
    if as_json:
        show_json([_json(each) for each in found])
    else:
        show_table(
            [_row(each) for each in found], empty="There are no streams. `idp signals --help` tells how a receiver gets one."
        )


@signals_group.command("delete")
@click.argument("stream")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(realm: "Realm", stream: str, yes: bool) -> None:
    """Delete STREAM (its id), with the events that wait in it. Its receiver can create another."""
    from idp import signals
    from idp.db import commit

    if not yes:
        confirm(f"Delete stream {stream} with the events that wait in it?")
    signals.remove_stream(realm, stream)
    commit()
    click.echo(f"Deleted stream {stream}.")


def _json(standing: "Standing") -> dict[str, Any]:
    stream = standing.stream
    return {
        "stream_id": stream.uid,
        "receiver": standing.receiver,
        "description": stream.description,
        "method": stream.method,
        "endpoint_url": stream.endpoint_url,
        "status": stream.status,
        "reason": stream.status_reason,
        "events_delivered": stream.events_delivered,
        "waiting": standing.waiting,
        "oldest_waiting": json_time(standing.oldest),
        "last_error": stream.last_error,
        "used_at": json_time(stream.used_at),
        "created_at": json_time(stream.created_at),
    }


def _row(standing: "Standing") -> dict[str, str]:
    stream = standing.stream
    return {
        "stream": stream.uid,
        "receiver": standing.receiver,
        "goes to": stream.endpoint_url or "(is polled)",
        "status": stream.status,
        "waiting": str(standing.waiting),
        "used": show_time(stream.used_at),
        "last error": stream.last_error,
    }
