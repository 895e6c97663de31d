"""`idp master-key`: the key outside the database that seals what is secret in it."""

import sys
import time
from typing import TYPE_CHECKING

import click

from idp.cli.session import json_option, show_json, show_table, with_database
from idp.errors import IdpError

if TYPE_CHECKING:
    from idp.vault import Rewrapping

SETTLE_RETIRED = 5.0
"""Seconds that a transaction may take that has sealed something under the old key."""

SETTLE = 1.0
"""Seconds that servers may take to notice a new key before what they sealed meanwhile is looked for again."""


class InterruptedRotationError(IdpError):
    """Somebody has stopped it."""


class UnopenedError(IdpError):
    """Something does not open, and stays under its old key."""


@click.group("master-key")
def master_key_group() -> None:
    """List, add, rotate, retire and wrap master keys.

    \b
    On one machine:
      idp master-key rotate          a new key encrypts from now on, and everything is re-encrypted with it
      idp master-key retire <old>    the old key is removed from the file, once nothing needs it
    On several machines, each with its own copy of the file:
      idp master-key add             a new key in the file, not yet in use; copy the file to every machine
      idp master-key rotate --to <new>, copy the file again, and finally retire the old key
    With a key in a security module or a key service (IDP_OUTSIDE_KEYS), new keys in the file are encrypted with that one:
      idp master-key wrap            encrypt the keys of the file with it, or with another one, without replacing them
    Keep the old key with the backups made with it: nothing else can decrypt them.
    """  # noqa: D301 (\b is what click needs here)


@master_key_group.command("list")
@with_database
@json_option
def list_(as_json: bool) -> None:
    """List the keys of the file by their ids, how much is encrypted with each, and what each is encrypted with."""
    from idp import vault

    found = vault.list_master_keys()
    if as_json:
        show_json(
            [
                {"id": each.id, "current": each.is_current, "values": each.values, "wrapped_by": each.wrapped_by or None}
                for each in found
            ]
        )
        return
    rows = [
        {
            "id": each.id,
            "state": "current" if each.is_current else "old",
            "values": str(each.values),
            "encrypted with": each.wrapped_by or "nothing",
        }
        for each in found
    ]
    show_table(rows, "")


@master_key_group.command("add")
@with_database
def add() -> None:
    """Add a new key to the file, without using it yet."""
    from idp import runtime, vault

    key_id = vault.add_master_key()
    click.echo(f"Added master key {key_id} to {runtime.current().settings.master_key_file}; nothing is encrypted with it yet.")
    click.echo(f"Copy the file to every machine, then run: idp master-key rotate --to {key_id}")


@master_key_group.command("rotate")
@with_database
@click.option("--to", "target", help="Use this key from the file instead of a new one.")
@json_option
def rotate(target: str | None, as_json: bool) -> None:
    """Re-encrypt everything with another master key, while servers keep running.

    It can be interrupted at any point: run it again, and it finishes that rotation before starting another.
    """
    from idp import audit, runtime, vault
    from idp.audit import Tag
    from idp.db import commit

    keys = runtime.current().master_keys
    earlier = _rewrap(f"Finishing the rotation to {keys.current}")
    unfinished = earlier.done > len(earlier.damaged)
    if target is not None or not unfinished:
        vault.promote_master_key(target or vault.add_master_key())
        audit.record(Tag.MASTER_KEY_ROTATE, "", f"master-key:{keys.current}")
        commit()
        state = _rewrap(f"Re-encrypting with {keys.current}")
        # what servers sealed before they noticed the new key
        time.sleep(SETTLE)
        last = _rewrap("Checking again")
        done, damaged = state.done + last.done, last.damaged
    else:
        done, damaged = earlier.done, earlier.damaged
    if as_json:
        document = {"current": keys.current, "new_key": target is not None or not unfinished}
        show_json(document | {"sealed_anew": done - len(damaged), "damaged": damaged})
    else:
        note = "The interrupted rotation is finished" if target is None and unfinished else "Done"
        click.echo(
            f"{note}: {done - len(damaged)} values re-encrypted; master key {keys.current} encrypts everything from now on."
        )
        if target is None and unfinished:
            click.echo("No new key was created. Run `idp master-key rotate` again to create one.")
        for key_id in keys.by_id:
            if key_id != keys.current:
                click.echo(
                    f"Key {key_id} stays in the file and still decrypts old backups. To remove it: idp master-key retire {key_id}"
                )
    if damaged:
        shown = "; ".join(damaged[:10])
        raise UnopenedError(
            f"{len(damaged)} values cannot be decrypted: {shown}. Store them again, delete them, or restore a backup."
        )


@master_key_group.command("retire")
@with_database
@click.argument("key_id")
def retire(key_id: str) -> None:
    """Remove KEY_ID from the file, once nothing in the database is encrypted with it."""
    from idp import audit, vault
    from idp.audit import Tag
    from idp.db import commit

    vault.retire_master_key(key_id, SETTLE_RETIRED)
    audit.record(Tag.MASTER_KEY_RETIRE, "", f"master-key:{key_id}")
    commit()
    click.echo(f"Removed master key {key_id}. Backups made with it can only be decrypted with a copy of it.")


@master_key_group.command("wrap")
@with_database
def wrap() -> None:
    """Encrypt the keys of the file with the first of IDP_OUTSIDE_KEYS, without replacing them; with `none`, decrypt them.

    Servers keep running. All of them must have the same IDP_OUTSIDE_KEYS by then. A key that was in the file as it is may be in
    backups of the file, too: prefer `idp master-key rotate`, then `retire`.
    """
    from idp import audit, runtime, vault
    from idp.audit import Tag
    from idp.db import commit

    outside = runtime.current().settings.outside.wraps
    number = vault.wrap_master_keys()
    if number:
        audit.record(Tag.MASTER_KEY_WRAP, "", f"master-key:{runtime.current().master_keys.current}")
        commit()
    how = f"encrypted with {outside.name}" if outside is not None else "unencrypted"
    click.echo(f"Keys changed: {number}. All keys in the file are {how}.")


def _rewrap(what: str) -> "Rewrapping":
    """Seal anew what is not under the current key, and show how far it has come."""
    from idp import vault

    states = vault.rewrap()
    state = next(states)
    if not state.total:
        return state
    shown = 0.0
    try:
        with click.progressbar(length=state.total, label=what, file=sys.stderr) as bar:
            for each in states:
                bar.update(each.done - bar.pos)
                if not sys.stderr.isatty() and time.monotonic() - shown >= 1:
                    shown = time.monotonic()
                    click.echo(f"{what}: {each.done} of {each.total}", err=True)
    except KeyboardInterrupt:
        raise InterruptedRotationError(
            f"Stopped at {state.done} of {state.total}. Both keys still decrypt. Run `idp master-key rotate` again to finish."
        ) from None
    return state
