"""The description of the API (OpenAPI 3.1.1), made from the declarations that validate its requests."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

import idp
from idp.api.examples import example_of
from idp.api.operations import Shape, View, shape_of
from idp.api.schemas import ErrorBody

Route = tuple[str, str, View]

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_REF = "#/components/schemas/{model}"

_ERRORS: dict[int, str] = {
    400: "The request is malformed, or a member has an invalid value.",
    401: "There is no credential, or it is wrong or has expired.",
    403: "The caller is not allowed to do this.",
    404: "It does not exist, or the caller is not allowed to see it.",
    409: "It already exists, or its state does not allow this.",
    411: "The body was sent without its length.",
    412: "Someone else has changed it since it was read: `If-Match` names another version.",
    422: "The `Idempotency-Key` was already sent with a different body.",
    429: "Too many requests. `Retry-After` says in how many seconds to try again.",
    500: "Something went wrong. The operator can find it in the log by `ref`.",
    503: "The server is temporarily unable to do it, and nothing was changed. Try again after `Retry-After` seconds.",
}

_LIMIT_HEADERS = {
    "RateLimit-Policy": "The limit: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit": "The current state: `r` requests are left, and all again after `t` seconds.",
    "X-Request-Id": "The id of this request in the log.",
}


def describe(routes: Iterable[Route], public_url: str) -> dict[str, Any]:
    """Return the description of the API.

    :param routes: method, path as Flask has it, and the call.
    """
    listed = [(method, path, shape_of(view)) for method, path, view in routes]
    schemas = _Schemas(shape for _, _, shape in listed)
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for method, path, shape in listed:
        operation = _operation(method, path, shape, schemas)
        if operation["operationId"] in names:  # one call under two URLs or methods
            operation["operationId"] += f"_by_{method.lower()}"
        names.add(operation["operationId"])
        paths.setdefault(_template(path), {})[method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Realmgate",
            "version": idp.__version__,
            "summary": "Organisations, applications, people, roles, grants, keys and the audit trail.",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": [{"name": name} for name in sorted({_tag(path) for _, path, _ in listed})],
        "security": [{"session": []}, {"bearer": []}, {"apiKey": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {f"Error{status}": _error(status, text) for status, text in _ERRORS.items()},
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _LIMIT_HEADERS.items()},
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A session token, an access token for this server, or a personal token, without a prefix.",
                },
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The same after `Bearer`."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "apiKey", "description": "An API key."},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "Authorization",
                    "description": "The cookie set by signing in. With it, changes are accepted from pages of this origin only.",
                },
            },
        },
    }


_INTRODUCTION = """
Resources have `metadata`, `spec` and `status`; `status`, uids and timestamps are read-only, and ignored in requests.
A list is returned in pages of 50: send `listmeta.continue` back for the next one. `ETag` and `If-Match` keep two administrators
from overwriting each other; `Idempotency-Key` keeps a repeated request from creating something twice. Operators name the
organisation that they act in with `X-Organization-Id`.
""".strip().replace("\n", " ")


class _Schemas:
    """The JSON schemas of all bodies and answers, each under one name."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        wanted: dict[tuple[str, JsonSchemaMode], TypeAdapter[Any]] = {("error", "serialization"): TypeAdapter(ErrorBody)}
        for shape in shapes:
            if shape.body is not None:
                wanted[f"{shape.name} body", "validation"] = TypeAdapter(shape.body)
            if shape.answer not in {None, bytes}:
                wanted[f"{shape.name} answer", "serialization"] = TypeAdapter(shape.answer)
        inputs = [(name, mode, adapter) for (name, mode), adapter in wanted.items()]
        found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REF, schema_generator=GenerateJsonSchema)
        self._found = {name: schema for (name, _), schema in found.items()}
        self.definitions: dict[str, Any] = {_short(name): value for name, value in rest.get("$defs", {}).items()}
        for value in (*self._found.values(), *self.definitions.values()):
            _shorten(value)
        answers = {_named(self._found[name]) for name, mode in wanted if mode == "serialization"}
        for name in self._reached(answers):
            if self.definitions[name].get("type") == "object" and "properties" in self.definitions[name]:
                self.definitions[name]["additionalProperties"] = False

    def _reached(self, names: Iterable[str]) -> set[str]:
        """Return all definitions that these lead to."""
        reached: set[str] = set()
        waiting = [name for name in names if name]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(self.definitions[name]))
        return reached

    def body(self, shape: Shape) -> Any:
        """Return the schema of a body."""
        return self._found[f"{shape.name} body"]

    def answer(self, shape: Shape) -> Any:
        """Return the schema of an answer."""
        return self._found[f"{shape.name} answer"]

    def example(self, schema: Any) -> Any:
        """Return an example that the schema holds of."""
        return example_of(schema, self.definitions)


def _short(name: str) -> str:
    """Return a readable name: pydantic tells two of one name apart by their modules."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).replace("idp__api__", "").strip("_")


def _shorten(schema: Any) -> None:
    for part in _parts(schema):
        if isinstance(part.get("title"), str):
            del part["title"]  # says what the name says, in a way that some generators stumble over
        if "$ref" in part:
            part["$ref"] = _REF.format(model=_short(part["$ref"].rpartition("/")[2]))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _parts(value)


def _named(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _template(path: str) -> str:
    return re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", path)


def _tag(path: str) -> str:
    return path.split("/")[2]


def _operation(method: str, path: str, shape: Shape, schemas: _Schemas) -> dict[str, Any]:
    text = re.sub(r" \((?:[RT]\d+(?:, )?)+\)", "", shape.view.__doc__ or "")  # numbers of rules are for who reads the code
    summary, _, more = text.strip().partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{shape.name.replace('.', '_')}{_suffix(path)}",
        "summary": summary,
        "tags": [_tag(path)],
        "parameters": [*_path_parameters(path, shape), *_query_parameters(shape), *_header_parameters(method, shape)],
        "responses": _responses(method, shape, schemas),
    }
    if more.strip():
        operation["description"] = " ".join(more.split())
    if shape.public:
        operation["security"] = [{}]
    if shape.deprecation is not None:
        operation["deprecated"] = True
        operation["description"] = f"{operation.get('description', '')} Use {shape.deprecation.instead}.".strip()
    if shape.body is not None:
        body = schemas.body(shape)
        example = schemas.example(body)
        required = bool(schemas.definitions.get(_named(body), body).get("required"))
        operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": body, "example": example}}}
    return operation


def _suffix(path: str) -> str:
    """Tell the two names of one call apart."""
    return "_of_teams" if path.startswith("/v1/teams") else ""


def _path_parameters(path: str, shape: Shape) -> list[dict[str, Any]]:
    found = []
    for converter, name in re.findall(r"<(?:([^:>]*):)?([^>]*)>", path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if converter.startswith("any("):
            schema = {"type": "string", "enum": converter[4:-1].split(",")}
        found.append({"name": name, "in": "path", "required": True, "schema": schema, "example": _part(name, schema)})
    assert set(shape.path) == {each["name"] for each in found}, f"{path} and its function name different parts"
    return found


def _part(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return str(schema["enum"][0])
    return {"code": "idp_ol_EXAMPLE", "token": "eyJhbGciOiJFUzI1NiJ9.EXAMPLE.EXAMPLE", "name": "acme"}.get(
        name, "3f0c1a52-8a4e-4f7e-9d55-6a4c6f1f2b10"
    )


def _query_parameters(shape: Shape) -> list[dict[str, Any]]:
    if shape.query is None:
        return []
    schema = shape.query.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    found = []
    for name, value in schema["properties"].items():
        inlined = _inline({key: each for key, each in value.items() if key not in {"title", "description"}}, definitions)
        if inlined.get("default", 0) is None:
            del inlined["default"]
        found.append({"name": name, "in": "query", "required": False, "schema": _without_null(inlined)})
        if "description" in value:
            found[-1]["description"] = value["description"]
    return found


def _inline(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            named = definitions[value["$ref"].rpartition("/")[2]]
            return _inline({key: each for key, each in named.items() if key not in {"title", "description"}}, definitions)
        return {key: _inline(each, definitions) for key, each in value.items()}
    return [_inline(each, definitions) for each in value] if isinstance(value, list) else value


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that is not sent has no value, and none has the value null."""
    choices = [each for each in schema.pop("anyOf", []) if each != {"type": "null"}]
    return schema | choices[0] if len(choices) == 1 else schema


def _header_parameters(method: str, shape: Shape) -> list[dict[str, Any]]:
    found: list[tuple[str, str]] = []
    if shape.takes & {"authority", "project"}:
        found.append(("X-Organization-Id", "Name of the organisation that an operator acts in."))
    if "project" in shape.takes:
        found.append(("ProjectUid", "uid of the project that the call is about; without it, the whole organisation."))
    if shape.repeatable:
        found.append(("Idempotency-Key", "A value of your own, such as a UUID: a repeated call with it makes nothing anew."))
    if shape.current is not None and method in UNSAFE:
        found.append(("If-Match", "The `ETag` that was read: the call is refused with 412 when it is not that any more."))
    return [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        for name, text in found
    ]


def _responses(method: str, shape: Shape, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {
        "description": {200: "Done.", 201: "Created.", 204: "Done; there is nothing to say."}[shape.status]
    }
    success["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
    if shape.answer is bytes:
        success["content"] = {shape.media_type: {"schema": {"type": "string"}}}
    elif shape.answer is not None:
        schema = schemas.answer(shape)
        first, *others = shape.media_type.split(", ")
        success["content"] = {first: {"schema": schema, "example": schemas.example(schema)}}
        success["content"] |= {other: {"schema": {"type": "string"}} for other in others}
    if shape.status == 201:
        success["headers"]["Location"] = {"description": "Where the new thing is.", "schema": {"type": "string"}}
    responses = {str(shape.status): success}
    statuses = {400, 401, 403, 404, 429, 500, 503}
    if method in UNSAFE:
        statuses |= {409, 411}
    if shape.current is not None:
        statuses |= {412}
    if shape.repeatable:
        statuses |= {422}
    return responses | {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}


def _error(status: int, text: str) -> dict[str, Any]:
    codes = {
        400: "InvalidRequest",
        401: "Unauthorized",
        403: "Forbidden",
        404: "ResourceNotFound",
        409: "Conflict",
        411: "InvalidRequest",
        412: "PreconditionFailed",
        422: "IdempotencyKeyReused",
        429: "TooManyRequests",
        500: "InternalError",
        503: "Unavailable",
    }
    body = {"code": codes[status], "message": text, "ref": "5f0c1a528a4e", "details": {}}
    answer: dict[str, Any] = {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="ErrorBody")}, "example": body}},
    }
    names = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    if names:
        answer["headers"] = {name: {"schema": {"type": "string"}} for name in names}
    return answer
