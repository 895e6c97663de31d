"""What bodies, queries and answers of the API are declared with; its description is made from the same declarations."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, NotRequired, TypeVar, get_args, get_origin

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict

from idp.described import Described

BodyType = TypeVar("BodyType")


READ_ONLY = frozenset({"status", "uid", "creationTimestamp", "lastModifiedTimestamp", "deletionTimestamp", "labels"})
"""Members that every resource has and nobody can write: they are ignored, so that what was read can be sent back changed."""


class Schema(Described):
    """A body. What a resource shows and cannot be written is ignored; a member that no resource has is a slip, and refused."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, defer_build=True)

    read_only: ClassVar[frozenset[str]] = frozenset()
    """Further members that are ignored."""

    patched: ClassVar[bool] = False
    """Whether a JSON Patch may be sent instead (RFC 6902)."""

    @classmethod
    def without_nothing(cls, values: Any) -> Any:
        """Return a body without the members that say nothing: null where a member cannot be null, and moments in the year 1.

        Programs in Go write both for what they have not set. Of a list that must be there, null is the empty one.
        """
        if not isinstance(values, dict):
            return values
        fields = {wire_name(name, field): field for name, field in cls.model_fields.items()}
        kept = {name: _within(fields.get(name), value) for name, value in values.items()}
        for name, field in fields.items():
            if name in kept and _says_nothing(field, kept[name]):
                del kept[name]
                if field.is_required() and get_origin(field.annotation) is list:
                    kept[name] = []
        return kept

    @classmethod
    def unknown_members(cls, values: Any, where: str = "") -> list[str]:
        """Return the places of members that a body has and no resource does."""
        if not isinstance(values, dict):
            return []
        fields = {wire_name(name, field): field for name, field in cls.model_fields.items()}
        found = [f"{where}{name}" for name in values if name not in fields and name not in READ_ONLY | cls.read_only]
        for name, field in fields.items():
            inner = _schema_in(field.annotation)
            if inner is not None and name in values:
                for each in values[name] if isinstance(values[name], list) else [values[name]]:
                    found += inner.unknown_members(each, f"{where}{name}.")
        return found


def wire_name(name: str, field: FieldInfo) -> str:
    """Return what a field is called in bodies."""
    return field.alias or name


def _within(field: FieldInfo | None, value: Any) -> Any:
    """Return a value of a member without what says nothing in it."""
    inner = _schema_in(field.annotation) if field is not None else None
    if inner is None:
        return value
    return [inner.without_nothing(each) for each in value] if isinstance(value, list) else inner.without_nothing(value)


def _says_nothing(field: FieldInfo, value: Any) -> bool:
    if value is None:
        return type(None) not in get_args(field.annotation)
    return field.annotation == When | None and isinstance(value, str) and value.startswith("0001-01-01T00:00:00")


def _schema_in(annotation: Any) -> type[Schema] | None:
    """Return the schema that a member holds, by itself or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return annotation
    return next((found for each in get_args(annotation) if (found := _schema_in(each)) is not None), None)


class Query(Described):
    """Parameters of a URL. Any other is refused: a filter that is passed over would make the answer wider than the question."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A point in time as RFC 3339 in UTC."""

Uid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("use a year between 2 and 9998") from None


When = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time that is sent: RFC 3339 with a zone."""


class Annotations(TypedDict, total=False):
    """Free text about a resource."""

    description: str


class Metadata(TypedDict):
    """What all resources have. Members that a client sends here are ignored, but for names and annotations."""

    uid: str
    name: str
    annotations: Annotations
    labels: dict[str, str]
    creationTimestamp: Timestamp
    lastModifiedTimestamp: Timestamp
    deletionTimestamp: NotRequired[Timestamp]


class Made(TypedDict):
    """The uid of what was made."""

    uid: str


class Reference(TypedDict):
    """Something that is spoken of elsewhere."""

    uid: str
    name: str


class ErrorBody(TypedDict):
    """What went wrong."""

    code: str
    message: str
    ref: str
    details: dict[str, Any]


class Named(Schema):
    """`metadata` as a client sends it."""

    name: str = Field(min_length=1, max_length=64)
    annotations: dict[str, str] | None = None

    @property
    def description(self) -> str | None:
        """The description, or None where none is given."""
        return describe(self.annotations)


class Renamed(Schema):
    """`metadata` of a change: what is left out stays. A name can be sent back, and not be changed."""

    name: str | None = None
    annotations: dict[str, str] | None = None

    @property
    def description(self) -> str | None:
        """The description, or None where none is given."""
        return describe(self.annotations)


def describe(annotations: dict[str, str] | None) -> str | None:
    """Return the description among annotations; None where there are none. Others, as Palette has them, are not kept."""
    return None if annotations is None else annotations.get("description", "")


class Reply(Generic[BodyType]):
    """An answer with more than a body."""

    def __init__(self, body: BodyType, *, cookie: str | None = None, location: str = "") -> None:
        self.body, self.cookie, self.location = body, cookie, location
        self.replayed = False


class Created(Reply[BodyType]):
    """201 with the body, and where the new thing is."""

    def __init__(self, body: BodyType, location: str) -> None:
        super().__init__(body, location=location)


class Done(Reply[None]):
    """204 that sets the cookie, or takes it away."""

    def __init__(self, cookie: str) -> None:
        super().__init__(None, cookie=cookie)
