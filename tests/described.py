"""Every answer of the API that any test gets is held against the description of the API."""

import json
import re
from functools import cache
from typing import Any

from flask import Flask, Response, request
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from idp.api import ROUTES
from idp.api.openapi import describe

BASE = "urn:openapi"


@cache
def description() -> dict[str, Any]:
    """Return the description of the API."""
    return describe(ROUTES, "http://localhost:8080")


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resource(BASE, Resource(description(), DRAFT202012))


@cache
def _validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{BASE}#{pointer}"}, registry=_registry())


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def check_answer(rule: str, method: str, response: Response) -> None:
    """Fail unless an answer is what the description says.

    :param rule: the URL as Flask has it.
    """
    path = re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule)
    operation = description()["paths"][path][method.lower()]
    status = str(response.status_code)
    assert status in operation["responses"], f"{method} {path} answers {status}, which is not described"
    pointer = f"/paths/{_escaped(path)}/{method.lower()}/responses/{status}"
    answer = operation["responses"][status]
    if "$ref" in answer:
        pointer = answer["$ref"].removeprefix("#")
        answer = description()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if "content" not in answer:
        assert response.data == b"", f"{method} {path} answers {status} with a body, which is not described"
        return
    assert response.mimetype in answer["content"], f"{method} {path} answers {response.mimetype}, which is not described"
    if response.mimetype == "application/json":
        validator = _validator(f"{pointer}/content/application~1json/schema")
        problem = next(validator.iter_errors(json.loads(response.data)), None)
        assert problem is None, f"{method} {path} answers {status}: {problem.message} at {problem.json_path}"


def check_answers(app: Flask) -> None:
    """Have every answer below /v1 checked."""

    @app.after_request
    def check(response: Response) -> Response:
        rule = request.url_rule
        of_api = rule is not None and rule.endpoint.startswith("api ") and rule.rule.startswith("/v1/")
        if (
            rule is not None
            and of_api
            and rule.rule != "/v1/openapi.json"
            and request.method not in {"HEAD", "OPTIONS"}
            and response.status_code != 304
        ):
            check_answer(rule.rule, request.method, response)
        return response
