"""What a call of the API takes and returns, read off its function: the same declaration validates requests and describes them.

A function of a call has parameters by these names, each only if it needs it:

- `caller`: who calls; only where the call takes a credential.
- `authority`: who calls, in the organisation that it is about.
- `project`: the project that `ProjectUid` names, or None.
- `body`: the parsed body, a `Schema`.
- `query`: the parsed parameters of the URL, a `Query`.
- any other: a part of the path.

What it returns is the body of a 200; None is a 204, and `Created` a 201.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from idp.api.schemas import Created, Done, Query, Reply, Schema

View = Callable[..., Any]

_GIVEN = frozenset({"caller", "authority", "project", "body", "query"})


@dataclass(frozen=True)
class Deprecation:
    """That a call is on its way out (RFC 9745, RFC 8594). See the life cycle in docs/api.md."""

    since: date
    sunset: date | None
    """When it goes at the earliest; None while that is not decided."""
    instead: str
    """What to use."""


@dataclass(frozen=True)
class Shape:
    """What a call takes and returns."""

    view: View
    public: bool
    takes: frozenset[str]
    body: type[Schema] | None
    query: type[Query] | None
    answer: Any
    """Type of the body of the answer; None for an answer without one."""
    status: int
    media_type: str
    path: tuple[str, ...]
    """Names of the parts of the path."""
    current: "Shape | None"
    """The call that returns what this one changes, for `If-Match`."""
    deprecation: Deprecation | None
    alone: Callable[[Any], bool] | None = None
    """Tells of a body whether what it makes touches nothing of what others may be changing just then; None for no such call."""
    unlocked: bool = False
    """Whether the call waits for no other and commits by itself, so that it cannot be repeated by a key."""

    @property
    def repeatable(self) -> bool:
        """Whether it takes an `Idempotency-Key`."""
        return self.status == 201 and not self.public and not self.unlocked

    @property
    def name(self) -> str:
        """A name for it that no other call has."""
        return f"{self.view.__module__.rpartition('.')[2]}.{self.view.__name__}"


def read_shape(
    view: View,
    *,
    public: bool,
    answers: Any = None,
    media_type: str = "application/json",
    current: View | None = None,
    deprecation: Deprecation | None = None,
    alone: Callable[[Any], bool] | None = None,
    unlocked: bool = False,
) -> Shape:
    """Return the shape of a call.

    :param answers: type of the answer, for a function that makes its response itself.
    :param media_type: of such a response.
    :param current: the call whose answer `If-Match` is about.
    :param alone: tells of a body whether what it makes touches nothing of what others may be changing just then.
    :param unlocked: whether it waits for no other call.
    """
    hints = typing.get_type_hints(view, include_extras=True)
    returned = hints.pop("return")
    parameters = list(inspect.signature(view).parameters)
    raw = inspect.isclass(returned) and returned.__name__ == "Response"
    answer, status = _answer(returned) if not raw else (answers, 200)
    return Shape(
        view=view,
        public=public,
        takes=frozenset(parameters) & _GIVEN,
        body=hints.get("body"),
        query=hints.get("query"),
        answer=answer,
        status=status,
        media_type=media_type,
        path=tuple(name for name in parameters if name not in _GIVEN),
        current=shape_of(current) if current is not None else None,
        deprecation=deprecation,
        alone=alone,
        unlocked=unlocked,
    )


def shape_of(view: View) -> Shape:
    """Return the shape of a decorated call."""
    shape: Shape = view.shape  # type: ignore[attr-defined]
    return shape


def _answer(returned: Any) -> tuple[Any, int]:
    origin = typing.get_origin(returned) or returned
    if returned is type(None) or origin is Done:
        return None, 204
    if origin in {Created, Reply}:
        return typing.get_args(returned)[0], 201 if origin is Created else 200
    return returned, 200
