"""Sheets: what can be set of a resource, said once.

A sheet has a field for each column that somebody may set: its type, limits, default, what it means (its docstring), its label for
people (`title`), and its wire name (the alias, in camel case). Services take sheets; realm files, the API, the command line, the
console's forms and docs/fields.md are read off them. A field that is added here is everywhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from idp.described import Described
from idp.errors import InvalidMembersError, InvalidValueError


class Sheet(Described):
    """What can be set of a resource. Every field has a default, which is what it is without a value."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=False,
        json_schema_serialization_defaults_required=True,
    )

    kept: ClassVar[frozenset[str]] = frozenset()
    """Fields that have a value for good once they have one, though they may begin without."""

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Return the names of its fields, which are those of the columns: first what people read, then as they are written."""
        return tuple(sorted(cls.model_fields, key=lambda name: name not in {"name", "display_name", "description"}))

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return what is set of a row, as it is stored."""
        return cls.model_construct(**{name: cls.value_in(row, name) for name in cls.model_fields})  # type: ignore[return-value]

    @classmethod
    def value_in(cls, row: Any, name: str) -> Any:
        """Return the value of a field as a row has it: in the column of its name."""
        return getattr(row, name)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return a sheet with these values, and defaults for the rest.

        :raises InvalidMembersError: a value is not usable, by the names of the fields.
        """
        try:
            return cls.model_validate(values, extra="forbid")
        except ValidationError as error:
            raise InvalidMembersError([(".".join(map(str, each["loc"])), reason_of(each)) for each in error.errors()]) from None

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return the sheet with other values of some fields. What stays is not checked anew: limits may have become narrower.

        :raises InvalidMembersError: a value is not usable, by the names of the fields.
        """
        checked = type(self).read(values)
        return self.model_copy(update={name: getattr(checked, name) for name in values})

    def differing(self, row: Any) -> dict[str, Any]:
        """Return the fields in which a row differs, with the values of the sheet."""
        return {name: value for name in type(self).model_fields if self.value_in(row, name) != (value := getattr(self, name))}


def meaning_of(sheet: type[Sheet], field: str) -> str:
    """Return what a field is, in sentences: its label, and what there is to know about it."""
    text = " ".join(sheet.description_of(field).split())
    return f"{sheet.model_fields[field].title}. {text}".strip()


def is_emptied(sheet: type[BaseModel], field: str) -> bool:
    """Tell whether a field can be without a value, so that null empties it: then its default is what stands for that."""
    kept: frozenset[str] = getattr(sheet, "kept", frozenset())
    return field not in kept and sheet.model_fields[field].get_default(call_default_factory=True) in (None, "", [])


def checked_by(check: Callable[[Any], Any]) -> AfterValidator:
    """Return what has a domain's check validate a field.

    :param check: takes a value, and returns what is stored of it; raises InvalidValueError for one that is not usable.
    """

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except InvalidValueError as error:
            raise ValueError(str(error).removesuffix(".")) from None

    return AfterValidator(validate)


@dataclass(frozen=True)
class Between:
    """What keeps a number in its limits, and describes them."""

    least: int
    most: int
    unit: str
    """What is counted, such as `hours`."""
    zero: str = ""
    """What 0 stands for, where it may be given besides, such as `to keep everything for ever`."""

    def check(self, value: int) -> int:
        """Return the number.

        :raises ValueError: it is out of range.
        """
        if self.least <= value <= self.most or (self.zero and value == 0):
            return value
        besides = f", or 0 {self.zero}" if self.zero else ""
        raise ValueError(f"{value} is out of range: use {self.least} to {self.most} {self.unit}{besides}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"minimum": 0 if self.zero else self.least, "maximum": self.most}


def reason_of(error: Any) -> str:
    """Return what is wrong with a value, as a sentence without its full stop, from what pydantic tells."""
    if error["type"] == "string_unicode":
        return "takes printable characters"
    message: str = error["msg"]
    return message.removeprefix("Value error, ").replace("Input should be", "must be").removesuffix(".")


def kind_of(annotation: Any) -> Any:
    """Return the type of a field that has a value: without None, and without what validates it."""
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return kind_of(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation
