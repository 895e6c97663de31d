"""Options of commands, read off the sheets of what they set; and what `show` says of it."""

import importlib
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Wanted:
    """Which options a command has of a sheet."""

    sheet: str
    without: Collection[str]
    former: Mapping[str, str]
    empties: bool


class SheetCommand(click.Command):
    """A command with options of a sheet, which is loaded when they are asked for: a list of commands does without."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._wanted: _Wanted | None = getattr(self.callback, "sheet_options", None)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, those of the sheet among them."""
        if self._wanted is not None:
            self.params += _options_of(self._wanted)
            self._wanted = None
        return super().get_params(ctx)


def sheet_options(
    sheet: str, *, without: Collection[str] = (), former: Mapping[str, str] = NOTHING, empties: bool = False
) -> Callable[[Command], Command]:
    """Add an option for each field of a sheet to a `SheetCommand`, which gets them by the names of the fields; see `given`.

    :param sheet: module and class, such as `idp.users:UserSheet`.
    :param without: fields that the command sets in another way, or not.
    :param former: options that fields had before, which still work.
    :param empties: whether `--empty` names options that are to have no value any more.
    """

    def add(command: Command) -> Command:
        command.sheet_options = _Wanted(sheet, without, former, empties)  # type: ignore[attr-defined]
        return command

    return add


def _options_of(wanted: _Wanted) -> list[click.Option]:
    module, _, name = wanted.sheet.partition(":")
    sheet: type[Sheet] = getattr(importlib.import_module(module), name)
    fields = [name for name in sheet.fields() if name not in wanted.without]
    options = [_option(sheet, name, wanted.former.get(name)) for name in fields]
    if wanted.empties:
        names = [_flag(name).removeprefix("--") for name in fields if is_emptied(sheet, name)]
        text = "An option that is to have no value any more, so that the default applies again; may be repeated."
        options.append(click.Option(["--empty"], multiple=True, type=click.Choice(names), help=text))
    return options


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
        if _flag(name).removeprefix("--") in empty:
            check(name not in found, f"Use {_flag(name)} or --empty {_flag(name).removeprefix('--')}, not both.")
            found[name] = sheet.model_fields[name].get_default(call_default_factory=True)
    check(found, f"Say what to change: see {command} --help.")
    return found


def named_options(fields: Collection[str]) -> str:
    """Return what a command says that it has changed."""
    return ", ".join(_flag(name).removeprefix("--") for name in fields)


def fields_json(sheet: type[Sheet], row: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what JSON says of the fields of a sheet."""
    values = {name: sheet.value_in(row, name) for name in sheet.fields() if name not in without}
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


def _flag(field: str) -> str:
    """Return the option of a field that may also be an argument, as the name is when something is created."""
    option = option_of(field)
    return option if option.startswith("--") else f"--{field.replace('_', '-')}"


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return read_json(value) if isinstance(value, Path) else value


def _option(sheet: type[Sheet], name: str, former: str | None = None) -> click.Option:
    kind, option, text = kind_of(sheet.model_fields[name].annotation), _flag(name), meaning_of(sheet, name)
    if kind is bool:
        return click.Option([f"{option}/--no-{option.removeprefix('--')}", name], default=None, help=text)
    if get_origin(kind) is Literal:
        return click.Option([option, name], type=click.Choice(list(get_args(kind))), help=text)
    if get_origin(kind) is list:
        return click.Option([option, name], multiple=True, help=f"{text.removesuffix('.')}; may be repeated.")
    if get_origin(kind) is dict:
        file = click.Path(exists=True, dir_okay=False, path_type=Path)
        return click.Option([option, name], type=file, help=f"File with: {text[:1].lower()}{text[1:]}")
    if kind is datetime:
        text = f"{text.removesuffix('.')}, such as 2027-06-30 or 2027-06-30T12:00:00Z."
    names = [option, former, name] if former else [option, name]
    return click.Option(names, type={int: int, datetime: Time()}.get(kind, str), help=text)
