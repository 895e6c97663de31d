"""What bodies have of a sheet: created, replaced and changed with one meaning of null, and shown."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from idp.api.schemas import Schema, wire_name
from idp.errors import InvalidMembersError
from idp.sheets import Sheet, is_emptied


class Spec(Schema):
    """`spec` of a resource, with the members of a sheet by their wire names."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)


SpecType = TypeVar("SpecType", bound=Spec)


def optional(spec: type[SpecType]) -> type[SpecType]:
    """Make a class one of a change (PATCH, RFC 7396): a member that is left out keeps its value, and null empties it."""
    members: dict[str, Any] = {
        name: _optional(field, is_kept=not is_emptied(spec, name)) for name, field in spec.model_fields.items()
    }
    made = create_model(spec.__name__, __base__=Spec, __doc__=spec.__doc__, __module__=spec.__module__, **members)
    made.read_only, made.described_by = spec.read_only, spec
    return made  # type: ignore[return-value]  # it has the members of the class that it is made from


def _optional(field: FieldInfo, *, is_kept: bool) -> tuple[Any, Any]:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    extra = _without_null if is_kept else None
    return kind | None, Field(default=None, alias=field.alias, json_schema_extra=extra)


def _without_null(schema: dict[str, Any]) -> None:
    """Describe a member of a change that null does not empty: it is refused there, in words of its own."""
    (kind,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
    del schema["default"]
    schema.update(kind)


def values_of(spec: Spec, sheet: type[Sheet]) -> dict[str, Any]:
    """Return the fields of a sheet that a body has, with defaults for those that it leaves out."""
    return {name: getattr(spec, name) for name in sheet.fields() if name in type(spec).model_fields}


def changes_in(spec: Spec, sheet: type[Sheet], more: Mapping[str, Any] | None = None, *, where: str = "spec.") -> dict[str, Any]:
    """Return the fields of a sheet that a change names, with their values; what is left out keeps its value.

    :param more: others, from elsewhere in the body; None for what is left out.
    :param where: what the members stand in.
    :raises InvalidMembersError: null for what cannot be empty.
    """
    given = {name: getattr(spec, name) for name in sheet.fields() if name in spec.model_fields_set}
    never = [name for name, value in given.items() if value is None and not is_emptied(sheet, name)]
    if never:
        fields = type(spec).model_fields
        raise InvalidMembersError(
            [(f"{where}{wire_name(name, fields[name])}", "cannot be null; leave out what should not change") for name in never],
            as_sent=True,
        )
    emptied = {name: sheet.model_fields[name].get_default(call_default_factory=True) for name in given}
    changes = {name: emptied[name] if value is None else value for name, value in given.items()}
    return changes | {name: value for name, value in (more or {}).items() if value is not None}


def with_gaps(*names: str) -> ConfigDict:
    """Return the configuration of what is shown without some members where they say nothing."""

    def describe(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema.get("required", []) if name not in names]

    return ConfigDict(json_schema_extra=describe)
