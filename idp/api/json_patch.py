"""JSON Patch (RFC 6902) for changes of a resource, as far as it says what a change by members can say: `add` and `replace`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from idp.errors import InvalidValueError

MOST_OPERATIONS = 50


class Operation(BaseModel):
    """One step of a patch."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    op: Literal["add", "replace"]
    path: str
    value: Any = None


_PATCH = TypeAdapter(list[Operation])


def change_of(patch: list[Any]) -> dict[str, Any]:
    """Return a patch as a body whose members are what is to change, such as `{"spec": {"firstName": "Ann"}}`.

    :raises InvalidValueError: it is no patch, takes something away or moves it, or sets a member and a part of it.
    """
    if len(patch) > MOST_OPERATIONS:
        raise InvalidValueError(f"A patch has at most {MOST_OPERATIONS} operations.")
    try:
        operations = _PATCH.validate_python(patch)
    except ValidationError:
        raise InvalidValueError("A patch is a list of operations: op, which is add or replace, path, and value.") from None
    body: dict[str, Any] = {}
    for operation in operations:
        _set(body, _parts(operation.path), operation.value)
    return body


def _parts(path: str) -> list[str]:
    """Return the names that a JSON Pointer holds (RFC 6901 §4)."""
    if not path.startswith("/") or len(path) > 200:
        raise InvalidValueError("The path of an operation names a member, such as /spec/firstName.")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _set(body: dict[str, Any], parts: list[str], value: Any) -> None:
    *outer, last = parts
    place = body
    for name in outer:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise InvalidValueError("The operations of a patch contradict each other.")
    if last in place and isinstance(place[last], dict) != isinstance(value, dict):
        raise InvalidValueError("The operations of a patch contradict each other.")
    place[last] = value
