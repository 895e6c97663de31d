"""`idp audit`: who did what, and whether the record of it is whole."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from idp.cli.lists import limit_option, show_listing
from idp.cli.session import (
    TextFile,
    Time,
    check,
    in_database,
    json_option,
    json_time,
    reads_database,
    show_json,
    show_time,
)
from idp.errors import IdpError
from idp.text_files import TextLines
from idp.written import one_line

if TYPE_CHECKING:
    from idp.trail import Checkpoint, Keys, Report


@click.group("audit")
def audit_group() -> None:
    """Read the audit trail, export it, and verify that nothing in it has been changed."""


@audit_group.command("list")
@click.option("--realm", envvar="IDP_REALM", help="Only this realm; by default all realms.  [env: IDP_REALM]")
@click.option("--tag", help="Only tags that start with this, such as admin: or admin:secret.")
@click.option("--actor", help="Only this actor, such as operator:alice or application:ci-bot.")
@click.option("--target", help="Only this target, such as application:ci-bot.")
@click.option("--since", type=Time(), help="Only from this time on, such as 2027-06-30 or 2027-06-30T12:00:00Z.")
@click.option("--until", type=Time(), help="Only before this time.")
@click.option("--before", type=click.IntRange(1, 2**63 - 1), help="Only events with a smaller number, for the next page.")
@limit_option
@json_option
@reads_database
def list_(  # noqa: PLR0917 (click passes them by name)
    realm: str | None,
    tag: str | None,
    actor: str | None,
    target: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List events, newest first."""
    from idp import audit

    if until is not None:
        check(since is None or since < until, "--since must be before --until.")
    listing = audit.event_listing(realm, tag=tag, actor=actor, target=target, since=since, until=until)
    show_listing(
        listing,
        to_json=_json,
        row=_row,
        empty="No events match.",
        as_json=as_json,
        limit=limit,
        descending=True,
        order=audit.NEWEST,
        after=audit.place_of(realm, before),
        next_page=lambda last: f"--before {last.id}",
    )
    _record_reading(realm, "list")


def _row(event: Any) -> dict[str, str]:
    return {
        "number": str(event.id),
        "time": show_time(event.at),
        "realm": event.realm or "-",
        "tag": event.tag,
        "actor": one_line(event.actor),
        "from": event.address,
        "target": one_line(event.target),
        "outcome": event.outcome,
    }


@audit_group.command("export")
@click.option("--realm", envvar="IDP_REALM", required=True, help="Whose trail; '' for the server's own.  [env: IDP_REALM]")
@click.option(
    "--output", type=click.File("w", lazy=True, encoding="utf-8"), default="-", help="File to write; by default standard output."
)
@reads_database
def export(realm: str, output: Any) -> None:
    """Write the whole trail of a realm as JSON lines, with its hash chain, its checkpoints and the keys that signed them.

    \b
    Example, and how to verify the export on any machine:
      idp audit export --realm acme --output acme.jsonl
      idp audit verify --export acme.jsonl
    """  # noqa: D301 (\b is what click needs here)
    from idp import trail

    for line in trail.export_trail(realm):
        output.write(line)
    _record_reading(realm, "export")


@audit_group.command("verify")
@click.option("--realm", envvar="IDP_REALM", help="Only the trail of this realm; by default all trails.  [env: IDP_REALM]")
@click.option("--export", "file", type=TextFile(), help="An export to verify instead of the database; needs no server.")
@click.option(
    "--checkpoints",
    "outside",
    type=TextFile(),
    multiple=True,
    help="Checkpoints kept elsewhere (from IDP_AUDIT_PUSH_FILE): they show whether the end was cut off or all was rewritten.",
)
@click.option("--keys", "key_file", type=TextFile(), help="A key set to trust (JWKS), instead of the keys found with the trail.")
@click.option(
    "--part", is_flag=True, help="The export may start in the middle of a trail, as the files in IDP_AUDIT_ARCHIVE_DIR do."
)
@json_option
def verify(
    realm: str | None,
    file: TextLines | None,
    outside: Sequence[TextLines],
    key_file: TextLines | None,
    part: bool,
    as_json: bool,
) -> None:
    """Follow the hash chain, and name the first entry that was edited, deleted, inserted, reordered or cut off.

    Exits with 0 if everything is as it was sealed and all of it is signed, and with 1 if not. docs/audit.md explains what
    a chain cannot prove.

    \b
    Examples:
      idp audit verify
      idp audit verify --realm acme --checkpoints /mnt/elsewhere/checkpoints.jsonl
      idp audit verify --export acme.jsonl --keys acme-keys.json
    """  # noqa: D301 (\b is what click needs here)
    from idp import trail

    keys = _read_keys(key_file)
    lines = [line for each in outside for line in each]
    if file is not None:
        reports = [trail.read_export(file, keys, read_checkpoints(lines, keys), is_part=part)]
    else:
        reports = in_database(lambda: _verify_database(realm, keys, read_checkpoints(lines, keys)))
    if as_json:
        show_json([_report_json(report) for report in reports])
    else:
        _show_reports(reports)
    if any(report.problems for report in reports):
        sys.exit(1)


def _verify_database(realm: str | None, keys: "Keys | None", outside: "Sequence[Checkpoint]") -> "list[Report]":
    from idp import trail

    names = [realm] if realm is not None else sorted({*trail.trail_names(), *(each.realm for each in outside)})
    with click.progressbar(names, label="Verifying", file=sys.stderr, item_show_func=lambda name: name) as progress:
        return [trail.verify_trail(name, keys, outside) for name in progress]


def _read_keys(file: TextLines | None) -> "Keys | None":
    import json

    from idp import trail

    if file is None:
        return None
    try:
        keys = trail.read_keys(json.loads("".join(file))["keys"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IdpError(
            'The key file is not a key set: it should hold {"keys": [...]}, as the certs URL of a realm does.'
        ) from None
    check(keys, "The key file holds no usable key.")
    return keys


def read_checkpoints(lines: list[str], keys: "Keys | None") -> "list[Checkpoint]":
    """Return what pushed checkpoints say.

    Where keys to trust are given, unsigned ones count for nothing, and those of others are refused.
    """
    import json

    from idp.jose import InvalidTokenError
    from idp.trail import Checkpoint, read_checkpoint

    found = []
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        try:
            value = json.loads(line)
            said = Checkpoint(str(value["realm"]), int(value["number"]), int(value["total"]), str(value["head"]))
            if keys is not None and not value["checkpoint"]:
                continue  # it proves nothing: anybody can have written it
            if keys is not None and read_checkpoint(value["checkpoint"], keys) != said:
                raise InvalidTokenError
        except (ValueError, KeyError, TypeError):
            raise IdpError(f"Line {number} of the checkpoints is not a checkpoint.") from None
        except InvalidTokenError:
            raise IdpError(f"The checkpoint in line {number} is not signed by any of the given keys.") from None
        found.append(said)
    return found


def _show_reports(reports: "list[Report]") -> None:
    for report in reports:
        name = report.realm or "(the server)"
        state = "BROKEN" if report.problems else "whole"
        click.echo(
            f"{name}: {state}; {report.entries} sealed entries in {report.batches} batches, {report.signed} signed; "
            + (f"{report.cut} of them removed at the end of their retention period; " if report.cut else "")
            + f"{report.unsealed} not sealed yet"
            + (f"; head {report.head}" if report.batches else "")
        )
        for problem in report.problems:
            click.echo(f"  {problem.kind.value}: {one_line(problem.text)}")
    if not reports:
        click.echo("There is no audit trail yet.")


def _report_json(report: "Report") -> dict[str, Any]:
    return {
        "realm": report.realm,
        "whole": not report.problems,
        "entries": report.entries,
        "cut": report.cut,
        "unsealed": report.unsealed,
        "batches": report.batches,
        "signed": report.signed,
        "head": report.head,
        "problems": [{"kind": each.kind.value, "entry": each.entry, "text": each.text} for each in report.problems],
    }


def _record_reading(realm: str | None, how: str) -> None:
    """Note in the trail that it was read, once what was to be read is read."""
    from idp import audit
    from idp.db import commit, db

    db.session.rollback()
    audit.record(audit.Tag.AUDIT_READ, realm or "", f"realm:{realm}" if realm else "server:realmgate", how=how)
    commit()


def _json(event: Any) -> dict[str, Any]:
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
