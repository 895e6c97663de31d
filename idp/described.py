"""Models whose fields are described by the docstrings below them, which are read from the source when somebody asks for them.

Pydantic's own `use_attribute_docstrings` reads the source of every class when it is made, a tenth of what it takes to load
the server; and a server is hardly ever asked.
"""

import ast
import functools
import inspect
import linecache
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model that is described so."""

    described_by: ClassVar[type[BaseModel] | None] = None
    """The class whose docstrings describe the fields, where that is another: for one that is made from it."""

    @classmethod
    def description_of(cls, field: str) -> str:
        """Return what the docstring below a field says, or the one below that of a base class; empty where there is none."""
        stated = cls.model_fields[field].description
        if stated is not None:
            return stated
        classes = (cls.described_by or cls).__mro__
        return next(
            (said[field] for each in classes if field in (said := _said_in(each.__module__).get(each.__qualname__, {}))), ""
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the descriptions to what pydantic makes."""
        made = handler(schema)
        properties: dict[str, Any] = handler.resolve_ref_schema(made).get("properties", {})
        for name, field in cls.model_fields.items():
            found = next((properties[each] for each in (field.alias, name) if each in properties), None)
            if found is not None and "description" not in found and (text := cls.description_of(name)):
                found["description"] = text
        return made


@functools.cache
def _said_in(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings below the fields of each class of a module, by the qualified names of the classes."""
    of = vars(sys.modules[module])
    source = "".join(linecache.getlines(of.get("__file__") or "", of))  # empty where it was installed without its source
    return {name: dict(_docstrings(node)) for name, node in _classes(ast.parse(source), "")}


def _classes(within: ast.AST, where: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.iter_child_nodes(within):
        if isinstance(node, ast.ClassDef):
            yield f"{where}{node.name}", node
            yield from _classes(node, f"{where}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node, f"{where}{node.name}.<locals>.")


def _docstrings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)
