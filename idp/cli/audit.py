"""`idp audit`: who did what."""

from datetime import datetime
from typing import Any

import click

from idp.cli.session import (
    Time,
    json_option,
    json_time,
    reads_database,
    show_json,
    show_table,
    show_time,
)
from idp.errors import one_line


@click.group("audit")
def audit_group() -> None:
    """Read the audit trail."""


@audit_group.command("list")
@click.option("--realm", envvar="IDP_REALM", help="Only this realm; by default all.  [env: IDP_REALM]")
@click.option("--tag", help="Only tags that begin with this, such as admin: or admin:secret.")
@click.option("--actor", help="Only this actor, such as operator:alice or application:ci-bot.")
@click.option("--target", help="Only this target, such as application:ci-bot.")
@click.option("--since", type=Time(), help="Only from then on, such as 2027-06-30 or 2027-06-30T12:00:00Z.")
@click.option("--before", type=click.IntRange(1, 2**63 - 1), help="Only events with a smaller number, to page on.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at the most.")
@json_option
@reads_database
def list_(
    realm: str | None,
    tag: str | None,
    actor: str | None,
    target: str | None,
    since: datetime | None,
    before: int | None,
    limit: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """List events, newest first."""
    from idp import audit

    events = audit.list_events(realm, tag=tag, actor=actor, target=target, since=since, before=before, limit=limit + 1)
    page = events[:limit]
    if as_json:
        show_json([_facts(event) for event in page])
        return
    table = [
        {
            "number": str(event.id),
            "time": show_time(event.at),
            "realm": event.realm or "-",
            "tag": event.tag,
            "actor": one_line(event.actor),
            "from": event.address,
            "target": one_line(event.target),
            "outcome": event.outcome,
        }
        for event in page
    ]
    show_table(table, "There are no such events.")
    if len(events) > limit:
        click.echo(f"There are more: add --before {page[-1].id}")


def _facts(event: Any) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": json_time(event.at),
        "realm": event.realm,
        "tag": event.tag,
        "actor": event.actor,
        "address": event.address,
        "target": event.target,
        "outcome": event.outcome,
        "detail": event.detail,
    }
