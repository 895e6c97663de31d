"""`idp signals`: streams of security events to receivers outside."""

from typing import TYPE_CHECKING, Any

import click

from idp.cli.lists import limit_option, show_listing
from idp.cli.session import (
    confirm,
    json_option,
    json_time,
    reads_database,
    realm_option,
    show_time,
    with_database,
)

if TYPE_CHECKING:
    from idp.realms import Realm
    from idp.signals import SignalStream


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
@limit_option
@json_option
def list_streams(realm: "Realm", limit: int | None, as_json: bool) -> None:
    """List the streams of a realm, with what waits in them, oldest first."""
    from idp import signals

    show_listing(
        signals.stream_listing(realm),
        to_json=_json,
        row=_row,
        empty="There are no streams. `idp signals --help` tells how a receiver gets one.",
        as_json=as_json,
        limit=limit,
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
    signals.delete_stream(realm, signals.find_stream(realm, stream))
    commit()
    click.echo(f"Deleted stream {stream}.")


def _json(stream: "SignalStream") -> dict[str, Any]:
    from idp import signals

    waiting = signals.waiting_in(stream)
    return {
        "stream_id": stream.uid,
        "receiver": stream.receiver.name,
        "description": stream.description,
        "method": stream.method,
        "endpoint_url": stream.endpoint_url,
        "status": stream.status,
        "reason": stream.status_reason,
        "events_delivered": stream.events_delivered,
        "waiting": waiting.count,
        "oldest_waiting": json_time(waiting.oldest),
        "next_push": json_time(stream.push_at) if stream.endpoint_url and waiting.count else None,
        "last_error": stream.last_error,
        "used_at": json_time(stream.used_at),
        "created_at": json_time(stream.created_at),
    }


def _row(stream: "SignalStream") -> dict[str, str]:
    from idp import signals

    return {
        "stream": stream.uid,
        "receiver": stream.receiver.name,
        "goes to": stream.endpoint_url or "(is polled)",
        "status": stream.status,
        "waiting": str(signals.waiting_in(stream).count),
        "used": show_time(stream.used_at),
        "last error": stream.last_error,
    }
