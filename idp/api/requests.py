"""The steps that every call of the API takes before and after its own: who calls, as whom it is recorded, what is in the body,
whether somebody else was faster, whether it was made before, and the commit.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Any, overload

from flask import Response, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from idp import access, realms, rules, runtime
from idp.access import Project
from idp.api.answers import etag_of, render
from idp.api.errors import PreconditionFailedError
from idp.api.idempotency import once
from idp.api.json_patch import change_of
from idp.api.operations import Deprecation, Shape, View, read_shape
from idp.api.schemas import Created, Query, Renamed, Reply, Schema
from idp.callers import Caller
from idp.errors import ConflictError, IdpError, InvalidMembersError, InvalidValueError, NotFoundError
from idp.rules import Authority
from idp.web.body import read_json, read_json_value
from idp.web.calls import UNSAFE, carry_out, carry_out_openly, nothing_to_prepare, realm_of
from idp.written import one_line

PROJECT = ("ProjectUid", "projectUid")
"""Parameters that name a project, as the header of the first name does.

Clients send them with every call: where nothing belongs to a project, they change nothing."""

MOST_EXPLAINED = 20
"""Wrong members that one answer names."""

LIFE_CYCLE = "/docs/life-cycle"
"""Where the life cycle of calls is told."""


@overload
def public(view: View) -> View: ...
@overload
def public(*, answers: Any = ..., deprecation: Deprecation | None = ...) -> Callable[[View], View]: ...
def public(view: View | None = None, *, answers: Any = None, deprecation: Deprecation | None = None) -> Any:
    """Make a call one that takes no credential. What is recorded names nobody, unless the call finds out who it is."""

    def decorate(view: View) -> View:
        shape = read_shape(view, public=True, answers=answers, deprecation=deprecation)

        @functools.wraps(view)
        def called(**arguments: Any) -> Response:
            return _respond(shape, carry_out_openly(lambda: view(**arguments, **_parsed(shape))))

        called.shape = shape  # type: ignore[attr-defined]
        return called

    return decorate if view is None else decorate(view)


@overload
def signed_in(view: View) -> View: ...
@overload
def signed_in(
    *,
    answers: Any = ...,
    media_type: str = ...,
    current: View | None = ...,
    deprecation: Deprecation | None = ...,
    records: bool = ...,
    alone: Callable[[Any], bool] | None = ...,
    unlocked: bool = ...,
    prepare: Callable[[], None] = ...,
) -> Callable[[View], View]: ...
def signed_in(
    view: View | None = None,
    *,
    answers: Any = None,
    media_type: str = "application/json",
    current: View | None = None,
    deprecation: Deprecation | None = None,
    records: bool = False,
    alone: Callable[[Any], bool] | None = None,
    unlocked: bool = False,
    prepare: Callable[[], None] = nothing_to_prepare,
) -> Any:
    """Make a call one for callers who have proved who they are.

    :param answers: type of the answer, for a function that makes its response itself.
    :param media_type: of such a response.
    :param current: the call that returns what this one changes: `If-Match` is about its answer.
    :param records: whether a GET writes something to the audit trail.
    :param alone: tells of a body whether what it makes touches nothing of what others may be changing just then, and gives nobody
        anything: then the realm is not locked, so that many such calls can be carried out at once.
    :param unlocked: whether the call goes by what is in memory, waits for no other, and commits by itself.
    :param prepare: does beforehand what takes long, so that nobody waits for it: nothing is locked yet.
    """

    def decorate(view: View) -> View:
        shape = read_shape(
            view,
            public=False,
            answers=answers,
            media_type=media_type,
            current=current,
            deprecation=deprecation,
            alone=alone,
            unlocked=unlocked,
        )

        @functools.wraps(view)
        def called(**arguments: Any) -> Response:
            def act(caller: Caller) -> Any:
                if unlocked:
                    return _act_unlocked(shape, caller, arguments)
                if request.method in UNSAFE:
                    return _act(shape, caller, arguments)
                return view(**_given(shape, caller, arguments))

            lock = functools.partial(_realm_to_lock, shape)
            result = carry_out(act, realm_to_lock=lock, prepare=prepare, records=records, unlocked=unlocked)
            return _respond(shape, result)

        called.shape = shape  # type: ignore[attr-defined]
        return called

    return decorate if view is None else decorate(view)


def _act(shape: Shape, caller: Caller, arguments: dict[str, Any]) -> Any:
    """Carry out a change: once for each `Idempotency-Key`, and only on what `If-Match` names."""
    kept = once(caller) if shape.repeatable else None
    if kept is not None and (earlier := kept.recall()) is not None:
        again = Created(*earlier)
        again.replayed = True
        return again
    _check_match(shape, caller, arguments)
    given = _given(shape, caller, arguments)
    _check_name(shape, caller, arguments, given.get("body"))
    result = shape.view(**given)
    if kept is not None:
        kept.keep(result.body, result.location)
    return result


def _act_unlocked(shape: Shape, caller: Caller, arguments: dict[str, Any]) -> Any:
    """Carry out a change that commits by itself.

    :raises InvalidValueError: the request carries a header that such a call cannot honour.
    """
    for name in ("Idempotency-Key", "If-Match"):
        if name in request.headers:
            raise InvalidValueError(f"This call takes no {name}: each time it is made, it is another one.")
    return shape.view(**_given(shape, caller, arguments))


def _check_match(shape: Shape, caller: Caller, arguments: dict[str, Any]) -> None:
    """See that what is going to be changed is still what the client has read (RFC 9110 §13.1.1).

    The realm is locked: between this look and the change nobody else's takes place.

    :raises PreconditionFailedError: it is not.
    :raises InvalidValueError: this call changes nothing that has an ETag.
    """
    if "If-Match" not in request.headers:
        return
    if shape.current is None:
        raise InvalidValueError("This call takes no If-Match: what it changes has no ETag.")
    now = shape.current.view(**_given(shape.current, caller, arguments))
    if not request.if_match.contains(etag_of(now)):
        raise PreconditionFailedError


def _check_name(shape: Shape, caller: Caller, arguments: dict[str, Any], body: Any) -> None:
    """See that a change that sends a name back sends the one that there is.

    :raises ConflictError: it sends another, which would be lost.
    """
    sent = getattr(body, "metadata", None)
    if shape.current is None or not isinstance(sent, Renamed) or sent.name is None:
        return
    if sent.name != shape.current.view(**_given(shape.current, caller, arguments))["metadata"]["name"]:
        raise ConflictError("A name cannot be changed: what others know it by would mean something else.")


def _given(shape: Shape, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return all that a call takes."""
    given = {name: arguments[name] for name in shape.path if name in arguments}
    if "caller" in shape.takes:
        given["caller"] = caller
    if "authority" in shape.takes:
        authority = given["authority"] = Authority(caller, realm_of(caller))
        if "project" in shape.takes:
            given["project"] = project_of(authority)
    return given | _parsed(shape)


def _parsed(shape: Shape) -> dict[str, Any]:
    given: dict[str, Any] = {}
    query = parse_query(shape.query or Query, beside=() if shape.public else PROJECT)
    if shape.query is not None:
        given["query"] = query
    if shape.body is not None:
        given["body"] = parse_body(shape.body)
    return given


def parse_body(schema: type[Schema]) -> Schema:
    """Return the body of the request in its shape.

    :raises BodyError: it is not a JSON object.
    :raises InvalidValueError: a member is missing, or has another shape. What was sent is not repeated.
    """
    values = read_json_value(request.environ) if schema.patched else read_json(request.environ)
    if isinstance(values, list):
        values = change_of(values)
    try:
        body = schema.model_validate_json(json.dumps(schema.without_nothing(values)))
    except ValidationError as error:
        raise _explain(error) from None
    unknown = schema.unknown_members(values)
    if unknown:
        raise InvalidMembersError(
            [(one_line(each)[:200], "There is no such member") for each in unknown[:MOST_EXPLAINED]], as_sent=True
        )
    return body


def parse_query(schema: type[Query], beside: Collection[str] = ()) -> Query:
    """Return the parameters of the URL in their shape.

    :param beside: names of others that the call takes.

    :raises InvalidValueError: one of them is named twice, has no usable value, or is none that the call takes.
    """
    values = request.args.to_dict(flat=False)
    twice = next((name for name, given in values.items() if len(given) > 1), None)
    if twice is not None:
        raise InvalidValueError(f"{one_line(twice)[:80]} is named twice.")
    try:
        return schema.model_validate({name: given[0] for name, given in values.items() if name not in beside})
    except ValidationError as error:
        raise _explain(error) from None


def _explain(error: ValidationError) -> InvalidMembersError:
    found = error.errors(include_input=False, include_url=False, include_context=False)[:MOST_EXPLAINED]
    return InvalidMembersError([(_place(each["loc"]), _reason(each)) for each in found], as_sent=True)


def _reason(found: ErrorDetails) -> str:
    return "There is no such parameter" if found["type"] == "extra_forbidden" else found["msg"].removeprefix("Value error, ")


def _place(parts: tuple[int | str, ...]) -> str:
    return one_line(".".join(str(part) for part in parts))[:200]


def _respond(shape: Shape, result: Any) -> Response:
    response = result if isinstance(result, Response) else render(shape, result if isinstance(result, Reply) else Reply(result))
    if shape.deprecation is not None:
        _announce(response, shape.deprecation)
    return response


def _announce(response: Response, deprecation: Deprecation) -> None:
    """Say that the call is on its way out (RFC 9745 §2, RFC 8594 §3)."""
    since = datetime.combine(deprecation.since, time(), UTC)
    response.headers["Deprecation"] = f"@{int(since.timestamp())}"
    response.headers.add("Link", f'<{runtime.current().settings.public_url}{LIFE_CYCLE}>; rel="deprecation"; type="text/html"')
    if deprecation.sunset is not None:
        ends = datetime.combine(deprecation.sunset, time(), UTC)
        response.headers["Sunset"] = format_datetime(ends, usegmt=True)


def _realm_to_lock(shape: Shape, caller: Caller) -> str:
    if shape.alone is not None and "Idempotency-Key" not in request.headers:
        with contextlib.suppress(IdpError):  # what is wrong with the body is said in its turn
            if shape.alone(_parsed(shape)["body"]):
                return ""
    return realm_of(caller).name if caller.realm.name == realms.MASTER else caller.realm.name


def project_of(authority: Authority) -> Project | None:
    """Return the project that `ProjectUid` names in a header or in the URL; None when it names none.

    :raises InvalidValueError: it names two.
    :raises NotFoundError: there is none that the caller may see (T73).
    """
    named = {request.headers.get("ProjectUid"), *(request.args.get(name) for name in PROJECT)} - {None, ""}
    if not named:
        return None
    if len(named) > 1:
        raise InvalidValueError("ProjectUid is given twice, with different values.")
    project = access.find_project_by_uid(authority.realm, str(named.pop()))
    if project is None or not rules.projects.works_in(authority, project):
        raise NotFoundError("There is no project with this uid (not found).")
    return project
