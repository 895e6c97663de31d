"""What every command shares: the open database, the realm it is about, and how results are shown."""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idp.errors import InvalidValueError
from idp.text_files import TextLines

if TYPE_CHECKING:
    from idp.realms import Realm

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def with_database(command: Command) -> Command:
    """Run a command that changes things in the application's context, acting as the person at the keyboard."""
    return _in_context(command, read_only=False)


def reads_database(command: Command) -> Command:
    """Run a command that only reads in the application's context: it keeps no writer waiting, however long it prints."""
    return _in_context(command, read_only=True)


def in_database(act: Callable[[], Result]) -> Result:
    """Do something that only reads in the application's context, for a command that may do without a database."""
    result: Result = _in_context(act, read_only=True)()
    return result


def _in_context(command: Command, *, read_only: bool) -> Command:
    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from idp import audit
        from idp.cli.config import load_settings
        from idp.cli.where import check_is_set_up
        from idp.db import db, storage_errors
        from idp.opening import close_app, open_app

        settings = load_settings()
        check_is_set_up(settings)
        os.environ.setdefault("SQLITE_TMPDIR", str(settings.data_dir))  # nothing else may be writable
        app = open_app(settings)
        try:
            with app.app_context(), audit.acting_as(audit.operator()), storage_errors():
                if read_only:
                    db.session.connection(execution_options={"read_only": True})
                return command(*args, **kwargs)
        finally:
            close_app(app)

    return wrapped  # type: ignore[return-value]


def makes_keys(command: Command) -> Command:
    """Have key pairs ready before the command locks a realm, so that nobody waits while they are made."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from idp import keys

        keys.prepare()
        return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def confirm(question: str) -> None:
    """Ask, without keeping other writers waiting for the answer; end the command unless it is yes.

    What was read before may have changed meanwhile: read it again.
    """
    from idp.db import db

    db.session.rollback()
    click.confirm(question, abort=True)


def realm_option(command: Command) -> Command:
    """Add `--realm`, passed to the command as an open `Realm`."""

    @functools.wraps(command)
    def wrapped(*args: Any, realm: str, **kwargs: Any) -> Any:
        from idp import realms
        from idp.db import db

        opened: Realm = realms.get_realm(realm)
        if not db.session.connection().get_execution_options().get("read_only", False):
            realms.lock_realm(realm)  # first of all, as the API does: whoever locks in another order waits for the other
        return command(opened, *args, **kwargs)

    option = click.option("--realm", required=True, envvar="IDP_REALM", help="Name of the realm.  [env: IDP_REALM]")
    return option(wrapped)  # type: ignore[return-value]


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class TextFile(click.Path):
    """A text file that is gone through line by line; `-` for standard input."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See that the file is there."""
        return TextLines(str(super().convert(value, param, ctx)))


class Time(click.ParamType[datetime]):
    """A point in time with a zone, or a date, which means its beginning in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse ISO 8601."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date: use 2027-06-30 or 2027-06-30T12:00:00Z", param, ctx)
        if time.tzinfo is None:
            if "T" in value or " " in value:
                self.fail(f"{value!r} has no time zone: add Z for UTC, or an offset such as +02:00", param, ctx)
            time = time.replace(tzinfo=UTC)
        try:
            return time.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is out of range: use a year between 2 and 9998", param, ctx)


def show_time(time: datetime | None, none: str = "-") -> str:
    """Return a time as people read it, with its zone."""
    return none if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def json_time(time: datetime | None) -> str | None:
    """Return a time as RFC 3339."""
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def show_json(value: object) -> None:
    """Print a result as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(rows: Sequence[Mapping[str, str]], empty: str) -> None:
    """Print rows under their column names, or a sentence when there are none."""
    if not rows:
        click.echo(empty)
        return
    columns = list(rows[0])
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) for column in columns}
    click.echo("  ".join(column.upper().ljust(widths[column]) for column in columns).rstrip())
    for row in rows:
        click.echo("  ".join(row[column].ljust(widths[column]) for column in columns).rstrip())


def check(condition: object, sentence: str) -> None:
    """Refuse with a sentence unless the condition holds."""
    if not condition:
        raise InvalidValueError(sentence)
