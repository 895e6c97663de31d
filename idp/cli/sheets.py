"""Options of commands, read off the sheets of what they set; and what `show` says of it."""

import functools
import types
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from idp.cli.session import Time, check, json_time
from idp.cli.words import option_of
from idp.errors import InvalidValueError
from idp.sheets import Sheet, is_emptied, kind_of, meaning_of

NOTHING: Mapping[str, str] = types.MappingProxyType({})

Command = TypeVar("Command", bound=Callable[..., Any])


def sheet_options(
    sheet: type[Sheet], *, without: Collection[str] = (), former: Mapping[str, str] = NOTHING
) -> Callable[[Command], Command]:
    """Add an option for each field of a sheet. The command gets them by the names of the fields; see `given`.

    :param without: fields that the command sets in another way, or not.
    :param former: options that fields had before, which still work.
    """

    def add(command: Command) -> Command:
        for name in reversed([name for name in sheet.fields() if name not in without]):
            command = _option(sheet, name, former.get(name))(command)
        return command

    return add


def empty_option(sheet: type[Sheet], *, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Add `--empty`, which names options to clear."""
    names = [option_of(name).removeprefix("--") for name in sheet.fields() if name not in without and is_emptied(sheet, name)]
    return click.option(
        "--empty", multiple=True, type=click.Choice(names),
        help="An option to clear, so that the default applies; may be repeated.",
    )  # fmt: skip


def given(sheet: type[Sheet], options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that options name, with their values.

    :raises InvalidValueError: a file of JSON is none.
    """
    found = {name: value for name in sheet.fields() if (value := options.get(name)) not in (None, ())}
    return {name: _value(value) for name, value in found.items()}


def changes(sheet: type[Sheet], options: dict[str, Any], empty: Collection[str] = (), *, command: str) -> dict[str, Any]:
    """Return the fields that options change, with their values; those that are emptied too.

    :param command: what `--help` can be asked of.
    """
    found = given(sheet, options)
    for name in sheet.fields():
        if option_of(name).removeprefix("--") in empty:
            check(name not in found, f"Use {option_of(name)} or --empty {option_of(name).removeprefix('--')}, not both.")
            found[name] = sheet.model_fields[name].get_default(call_default_factory=True)
    check(found, f"Say what to change: see {command} --help.")
    return found


def named_options(fields: Collection[str]) -> str:
    """Return what a command says that it has changed."""
    return ", ".join(option_of(name).removeprefix("--") for name in fields)


def facts_of(sheet: type[Sheet], row: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what JSON says of the fields of a sheet."""
    values = {name: getattr(row, name) for name in sheet.fields() if name not in without}
    return {name: json_time(value) if isinstance(value, datetime) else value for name, value in values.items()}


def read_json(path: Path) -> Any:
    """Return the JSON of a file.

    :raises InvalidValueError: it is not JSON.
    """
    import json

    from idp.text_files import read_text

    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise InvalidValueError(f"{path} is not JSON: it must hold a JWK set of public keys.") from None


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return read_json(value) if isinstance(value, Path) else value


def _option(sheet: type[Sheet], name: str, former: str | None = None) -> Callable[[Command], Command]:
    field = sheet.model_fields[name]
    kind, option = kind_of(field.annotation), option_of(name)
    text = meaning_of(sheet, name)
    add = functools.partial(click.option, help=text)
    if kind is bool:
        return add(f"{option}/--no-{option.removeprefix('--')}", name, default=None)
    if get_origin(kind) is Literal:
        return add(option, name, type=click.Choice(list(get_args(kind))))
    if get_origin(kind) is list:
        return click.option(option, name, multiple=True, help=f"{text.removesuffix('.')}; may be repeated.")
    if get_origin(kind) is dict:
        file = click.Path(exists=True, dir_okay=False, path_type=Path)
        return click.option(option, name, type=file, help=f"File with: {text[:1].lower()}{text[1:]}")
    names = (option, former) if former else (option,)
    return add(*names, name, type={int: int, datetime: Time()}.get(kind, str))
