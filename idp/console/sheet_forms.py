"""Forms that are read off sheets: a field for each of a sheet's, with its label, what it means, and its limits."""

import json
from collections.abc import Collection
from typing import Any, Literal, get_args, get_origin

import annotated_types
import wtforms
from pydantic.fields import FieldInfo
from wtforms import validators

from idp.console.forms import DurationField, Form, LinesField, NamesField, NumberField, TimeField, choices, text
from idp.sheets import Sheet, kind_of

BY_DEFAULT = "By default"
"""What a list of choices shows for no choice of its own."""


class JsonField(wtforms.TextAreaField):
    """A JSON object; None for none."""

    data: Any

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, [validators.Optional()], render_kw={"rows": 6, "spellcheck": "false"}, **options)

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else json.dumps(self.data, indent=2) if self.data is not None else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed."""
        typed = valuelist[0].strip() if valuelist else ""
        self.data = None
        try:
            self.data = json.loads(typed) if typed else None
        except (ValueError, RecursionError):
            raise ValueError("This is not JSON.") from None


_NAMED = {"roles": "role", "projects": "project", "groups": "group", "users": "user", "keysets": "keyset"}
"""Fields whose values are names of what there is, with what they name; see `names.KINDS`."""


def sheet_form(
    sheet: type[Sheet], *, base: type[Form] = Form, without: Collection[str] = (), **instead: wtforms.Field
) -> type[Any]:
    """Return a form with a field for each of a sheet's.

    :param base: the form that they are added to.
    :param without: fields that the page sets in another way, or not.
    :param instead: other form fields in the place of those that would be made, or besides them.
    """
    made = {name: _form_field(sheet, name) for name in sheet.fields() if name not in {*without, *instead}}
    return type(f"{sheet.__name__}Form", (base,), made | instead | {"__doc__": sheet.__doc__})


def stored_in(sheet: type[Sheet], row: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what is stored of a row, as the fields of a form hold it."""
    stored = {name: sheet.value_in(row, name) for name in sheet.fields() if name not in without}
    return {name: "" if value is None and _is_choice(sheet.model_fields[name]) else value for name, value in stored.items()}


def values_in(sheet: type[Sheet], form: Form) -> dict[str, Any]:
    """Return the fields of a sheet that were sent, with what was typed; what was left empty, as the sheet has it.

    A field that was not sent at all is not one that was emptied, but for boxes, of which only those that are ticked are sent.
    """
    typed = {name: form.data[name] for name in sheet.fields() if name in form.data and _is_sent(form[name])}
    return {name: _value(sheet.model_fields[name], value) for name, value in typed.items()}


def _value(field: FieldInfo, value: Any) -> Any:
    return field.get_default(call_default_factory=True) if value in ("", None) else value


def _is_sent(field: wtforms.Field) -> bool:
    return isinstance(field, wtforms.BooleanField | wtforms.SelectMultipleField) or bool(field.raw_data)


def _is_choice(field: FieldInfo) -> bool:
    return get_origin(kind_of(field.annotation)) is Literal


def unit_of(name: str) -> str:
    """Return the unit of time that a field is a number of, which is the end of its name; empty for none."""
    unit = name.rpartition("_")[2]
    return unit.removesuffix("s") if unit in {"seconds", "hours", "days"} else ""


def _form_field(sheet: type[Sheet], name: str) -> wtforms.Field:
    field = sheet.model_fields[name]
    unit = unit_of(name)
    kind, label, hint = kind_of(field.annotation), field.title or "", " ".join(sheet.description_of(name).split())
    optional = kind is not field.annotation and type(None) in get_args(field.annotation)
    if kind is bool:
        return wtforms.BooleanField(label, description=hint)
    if kind is int:
        return _number(label, hint, unit, optional=optional)
    if kind is str:
        longest = next((each.max_length for each in field.metadata if isinstance(each, annotated_types.MaxLen)), 500)
        return text(label, hint, longest=longest)
    if get_origin(kind) is Literal:
        values = get_args(kind)
        return wtforms.SelectField(
            label, choices=choices(("", *values) if optional else values, {"": BY_DEFAULT}), description=hint
        )
    if get_origin(kind) is list:
        kind = _NAMED.get(name)
        return NamesField(label, hint, kind=kind) if kind else LinesField(label, hint)
    return JsonField(label, description=hint) if get_origin(kind) is dict else TimeField(label, description=hint)


def _number(label: str, hint: str, unit: str, *, optional: bool) -> wtforms.Field:
    """Return a field for a number, or for the length of time that it stands for."""
    rules = [validators.Optional()] if optional else [validators.InputRequired()]
    if unit:
        return DurationField(label.removesuffix(f", in {unit}s"), rules, unit=unit, description=hint)
    return NumberField(label, rules, description=hint)
