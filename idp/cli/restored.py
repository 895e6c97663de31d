"""`idp restored`: what has to be done after a backup was put back."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idp.cli.session import TextFile, confirm, json_option, json_time, show_json, show_table, show_time, with_database
from idp.errors import IdpError
from idp.text_files import TextLines

if TYPE_CHECKING:
    from idp.trail import Checkpoint


Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--checkpoints",
        "outside",
        type=TextFile(),
        multiple=True,
        help="Checkpoints kept elsewhere (what IDP_AUDIT_PUSH_FILE holds): they show how many events the backup lacks.",
    ),
    click.option(
        "--tail",
        "tails",
        type=TextFile(),
        multiple=True,
        help="An export of an audit trail that is newer than the backup: it shows what has been revoked since.",
    ),
    click.option("--rotate-keys", is_flag=True, help="Replace all signing keys, so that other APIs refuse earlier tokens."),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    json_option,
)


def restored_options(command: Command) -> Command:
    """Add what `end_what_was_restored` goes by, and `--yes` and `--json`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@restored_options
@with_database
def restored(
    outside: Sequence[TextLines],
    tails: Sequence[TextLines],
    rotate_keys: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """End what a restored backup has brought back to life, and list what may have been revoked since the backup.

    `idp restore` does this by itself. Run it after a database was restored in another way, before the servers start, and on
    each further machine that has its own data folder. Earlier sessions, one-time codes and tokens are ended. API keys,
    client secrets and personal tokens keep working, and those revoked since the backup work again: they are listed.

    \b
    Example:
      idp restored --checkpoints /mnt/elsewhere/checkpoints.jsonl --tail acme-of-yesterday.jsonl
    """  # noqa: D301 (\b is what click needs here)
    if not yes:
        confirm("End every session, one-time code and token issued until now?")
    document, show = end_what_was_restored(outside, tails, rotate_keys=rotate_keys)
    if as_json:
        show_json(document)
    else:
        show()


def end_what_was_restored(
    outside: Sequence[TextLines], tails: Sequence[TextLines], *, rotate_keys: bool
) -> tuple[dict[str, Any], Callable[[], None]]:
    """End what a restored backup has brought back to life, and commit. Return what became of it, and what prints it."""
    from idp import organisations
    from idp.db import commit

    kept, events = read_evidence(outside, tails)
    acts = organisations.acts_since(events)
    report = organisations.end_what_was_restored(replace_keys=rotate_keys, outside=kept)
    doubtful = organisations.list_doubtful()
    commit()
    document = {
        "restored_to": json_time(report.restored_to),
        "sessions_ended": report.sessions,
        "links_ended": report.links,
        "sign_ins_ended": report.sign_ins,
        "registration_tokens_revoked": report.registrations,
        "mails_dropped": report.mails,
        "keys_replaced": report.keys,
        "events_lost": report.lost,
        "acts_since": acts,
        "doubtful": [
            {**each._asdict(), "created_at": json_time(each.created_at), "last_used_at": json_time(each.last_used_at)}
            for each in doubtful
        ],
    }
    return document, lambda: _show(report, acts, doubtful)


def read_evidence(outside: Sequence[TextLines], tails: Sequence[TextLines]) -> "tuple[list[Checkpoint], list[dict[str, Any]]]":
    """Return what checkpoints and exports say that were kept elsewhere.

    :raises IdpError: one of the files is neither.
    """
    from idp.cli.audit import read_checkpoints

    lines = [line for each in outside for line in each]
    return read_checkpoints(lines, None), [event for each in tails for event in _events(each)]


def _show(report: Any, acts: Sequence[dict[str, Any]], doubtful: Sequence[Any]) -> None:
    click.echo(f"The backup ends at {show_time(report.restored_to)}. Everything done after that is lost.")
    click.echo(
        f"Ended: {report.sessions} sessions, {report.sign_ins} sign-ins to applications, {report.links} one-time codes, "
        f"{report.registrations} registration tokens, all earlier tokens. Emails discarded: {report.mails}."
    )
    if report.keys:
        click.echo(
            f"Replaced: {report.keys} signing keys. Other APIs refuse tokens signed by the old ones once they fetch the key set."
        )
    for realm, lost in sorted((realm, lost) for realm, lost in report.lost.items() if lost):
        click.echo(f"{realm or '(the server)'}: {lost} events of its audit trail are lost.")
    if acts:
        click.echo("\nEnded or changed since the backup, which undid it. Do it again:")
        show_table([{name: str(act[name]) for name in ("at", "realm", "tag", "target", "actor")} for act in acts], "")
    click.echo("\nPasswords are those of the backup. This database cannot know which of these have been revoked since:")
    rows = [
        {
            "realm": each.realm,
            "kind": each.kind,
            "name": each.name,
            "of": each.owner,
            "made": show_time(each.created_at),
            "last used": show_time(each.last_used_at),
        }
        for each in doubtful
    ]
    show_table(rows, "There are none.")


def _events(file: TextLines) -> list[dict[str, Any]]:
    """Return the events of an export.

    :raises IdpError: it is none.
    """
    found = []
    for number, line in enumerate(file, 1):
        try:
            value = json.loads(line)
            if value["kind"] in {"event", "unsealed"}:
                found.append({name: value[name] for name in ("id", "at", "realm", "tag", "actor", "target")})
        except (ValueError, KeyError, TypeError):
            raise IdpError(f"Line {number} of {file.name} is not a line of an export (idp audit export).") from None
    return found
