"""Walks a contract by machine: each published operation is called as a generated client calls it, and what is answered is held
against the vendor's own schema.

The facts are in `tests/vectors/contracts/<contract>.json`: operations with their parameters, bodies and answers, reduced to what
JSON Schema checks. `Walk.take` makes one operation's calls: the body with all members, with null where the client may send it,
and with the required members alone; then a list once with each parameter. What is off is in `Walk.findings`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

FOLDER = Path(__file__).parent.parent / "vectors" / "contracts"
NEVER_THERE = "00000000-0000-4000-8000-000000000000"
"""Stands for what no answer before has told."""

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@dataclass(frozen=True)
class Operation:
    """A call of a contract, as its vendor publishes it."""

    id: str
    method: str
    path: str
    """With the names of its parts in braces."""
    query: list[dict[str, Any]] = field(default_factory=list)
    """Parameters: `name`, a schema, `required`, and for arrays `style`, which is `comma` or `repeated`."""
    body: dict[str, Any] | None = None
    """Schema of the JSON that is sent."""
    form: dict[str, Any] | None = None
    """Schema of the form that is sent."""
    answers: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """Status to schema; None where nothing is said of the body. Without any, the call is not for this server to answer."""


@dataclass(frozen=True)
class Contract:
    """The published operations of a vendor."""

    name: str
    operations: dict[str, Operation]
    schemas: dict[str, Any]

    @classmethod
    def load(cls, name: str) -> "Contract":
        """Read the facts of a contract."""
        facts = json.loads((FOLDER / f"{name}.json").read_text())
        operations = [Operation(**each) for each in facts["operations"]]
        assert len({each.id for each in operations}) == len(operations), "an id stands for two operations"
        return cls(name, {each.id: each for each in operations}, facts["schemas"])

    def problems(self, value: Any, schema: dict[str, Any]) -> list[str]:
        """Return what is wrong with a value by a schema."""
        # the schemas are found at the root of whatever document refers to them
        document = schema | {"schemas": self.schemas}
        registry: Registry[Any] = Registry().with_resource("", Resource(document, DRAFT202012))
        validator = Draft202012Validator(document, registry=registry, format_checker=FORMATS)
        return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)]

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema itself in place of a reference to it."""
        return self.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def samples(self, schema: dict[str, Any], given: Any) -> list[Any]:
        """Return what a generated client sends: everything, null where that can be, and the required alone, each once.

        :param given: values that matter; the others are made up.
        """
        made: list[Any] = []
        for way in ("full", "null", "minimal"):
            value = self._sample(schema, given, way)
            if value not in made:
                made.append(value)
        return made

    def _sample(self, schema: dict[str, Any], given: Any, way: str) -> Any:
        schema = self.resolved(schema)
        if "anyOf" in schema:
            if way == "null" and given is None and {"type": "null"} in schema["anyOf"]:
                return None
            return self._sample(schema["anyOf"][0], given, way)
        if schema.get("type") == "object" and (given is None or isinstance(given, Mapping)):
            return self._object(schema, given or {}, way)
        if given is not None:
            return given
        if schema.get("type") == "array":
            return [] if way == "minimal" else [self._sample(schema["items"], None, way)]
        return _scalar(schema)

    def _object(self, schema: dict[str, Any], given: Mapping[str, Any], way: str) -> dict[str, Any]:
        properties = schema.get("properties", {})
        assert given.keys() <= properties.keys(), f"the vendor knows no {sorted(given.keys() - properties.keys())}"
        sent = [name for name in properties if way != "minimal" or name in schema.get("required", ()) or name in given]
        return {name: self._sample(properties[name], given.get(name), way) for name in sent}


def _scalar(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    by_format = {"date-time": "2024-01-01T00:00:00Z", "uuid": NEVER_THERE}
    values = {"string": by_format.get(schema.get("format", ""), "text"), "integer": 1, "number": 1, "boolean": True}
    return values.get(schema.get("type", "string"))


@dataclass
class Walk:
    """A walk through a contract in an order that makes sense: what an answer tells, later calls can name."""

    client: FlaskClient
    contract: Contract
    headers: dict[str, str] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    """What earlier answers told, by the name under which it was kept."""
    findings: dict[str, list[str]] = field(default_factory=dict)
    """What is off, by operation; empty for one that was walked and is right."""
    numbers: Iterator[int] = field(default_factory=count)

    def take(
        self,
        operation_id: str,
        *,
        path: Mapping[str, Any] | None = None,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        keep: Mapping[str, str] | None = None,
        once: bool = False,
        signed_in: bool = True,
    ) -> Any:
        """Make the calls of an operation, and return the last answer's JSON.

        :param path: values of the parts of the path. In all values, `$name` is what was kept under that name, and `{n}` in a
            text a number that no other call has.
        :param body: members that matter.
        :param query: values of parameters that matter, a list to send each; the others are made up.
        :param keep: name to place in the answer, such as `accessKeys.0.id`.
        :param once: send everything alone, where the same cannot be made twice.
        :param signed_in: send the headers that show who calls.
        """
        operation, caller = self.contract.operations[operation_id], self.headers if signed_in else {}
        self.findings.setdefault(operation_id, [])
        schema = operation.body or operation.form
        # a body is filled for each call anew, so that each makes something of its own
        bodies = [None] if schema is None else self.contract.samples(schema, body)[: 1 if once else None]
        required = [(each, self._values(each, query or {})[0]) for each in operation.query if each.get("required")]
        answered: Any = None
        for each in bodies:
            answered = self._checked(operation, path, [_sent(*pair) for pair in required], each, caller)
        for parameter in operation.query:
            for value in self._values(parameter, query or {}):
                others = [_sent(*pair) for pair in required if pair[0] is not parameter]
                self._checked(operation, path, [*others, _sent(parameter, value)], bodies[-1], caller)
        if operation.method == "GET":
            self._refuses_unknown(operation, path)
        for name, place in (keep or {}).items():
            self.known[name] = _at(answered, place)
        return answered

    def refused(self, operation_id: str, *, path: Mapping[str, Any] | None = None, body: Any = None) -> TestResponse:
        """Call an operation that is not served, and return the answer."""
        operation = self.contract.operations[operation_id]
        schema = operation.body or operation.form
        query = [_sent(each, self._values(each, {})[0]) for each in operation.query if each.get("required")]
        return self._call(
            operation, path, query, None if schema is None else self.contract.samples(schema, body)[0], self.headers
        )

    def _values(self, parameter: dict[str, Any], given: Mapping[str, Any]) -> list[Any]:
        if parameter["name"] in given:
            value = given[parameter["name"]]
            return value if isinstance(value, list) else [value]
        if parameter["type"] == "boolean":
            return [True, False]
        return parameter.get("enum") or [_scalar(parameter.get("items", parameter))]

    def _checked(
        self,
        operation: Operation,
        path: Mapping[str, Any] | None,
        query: list[tuple[str, Any]],
        body: Any,
        headers: dict[str, str],
    ) -> Any:
        query = [(name, self._filled(value)) for name, value in query]
        response = self._call(operation, path, query, body, headers)
        said = f"{query or body if query or body is not None else ''} is answered {response.status_code}".lstrip()
        if str(response.status_code) not in operation.answers:
            self.findings[operation.id].append(f"{said}: {response.text[:200]}")
            return None
        schema = operation.answers[str(response.status_code)]
        if schema is None:
            return response.get_json(silent=True)
        if response.mimetype != "application/json":
            self.findings[operation.id].append(f"{said} as {response.mimetype or 'nothing'}")
            return None
        self.findings[operation.id] += [f"{said}: {each}" for each in self.contract.problems(response.json, schema)]
        return response.json

    def _refuses_unknown(self, operation: Operation, path: Mapping[str, Any] | None) -> None:
        response = self._call(operation, path, [("noSuchParameter", "x")], None, self.headers)
        if response.status_code not in {400, 422}:
            self.findings[operation.id].append(f"a parameter that nobody knows is answered {response.status_code}")

    def _call(
        self,
        operation: Operation,
        path: Mapping[str, Any] | None,
        query: list[tuple[str, Any]],
        body: Any,
        headers: dict[str, str],
    ) -> TestResponse:
        parts = {name: self._filled(value) for name, value in (path or {}).items()}
        sent = self._filled(body)
        payload = {"data": sent} if operation.form is not None else {} if sent is None else {"json": sent}
        return self.client.open(
            operation.path.format_map(_Parts(parts)),
            method=operation.method,
            query_string=query,
            headers=headers,
            **payload,
        )

    def _filled(self, value: Any, number: int | None = None) -> Any:
        number = next(self.numbers) if number is None else number
        match value:
            case str() if value.startswith("$"):
                return self.known.get(value[1:], NEVER_THERE)
            case str():
                return value.replace("{n}", str(number))
            case dict():
                return {name: self._filled(each, number) for name, each in value.items()}
            case list():
                return [self._filled(each, number) for each in value]
        return value


class _Parts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return NEVER_THERE


def _sent(parameter: dict[str, Any], value: Any) -> tuple[str, Any]:
    """Return a parameter as it stands in a URL."""
    return parameter["name"], str(value).lower() if isinstance(value, bool) else value


def _at(value: Any, place: str) -> Any:
    """Return what is at a place of an answer, or what stands for nothing."""
    for part in place.split(".") if place else ():
        try:
            value = value[int(part) if isinstance(value, list) else part]
        except (KeyError, IndexError, TypeError):
            return NEVER_THERE
    return value
