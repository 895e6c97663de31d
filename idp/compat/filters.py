"""`filterBy`: conditions such as `name=@bot,enabled==true`, all of which must hold."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Boolean, Integer

from idp.errors import InvalidValueError

MOST_CONDITIONS = 10

_CONDITION = re.compile(r"([A-Za-z]{1,40})(==|!=|<=|>=|=@|!@|=\^|=\$)([^,]{0,200})")

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<=": lambda column, value: column <= value,
    ">=": lambda column, value: column >= value,
    "=@": lambda column, value: column.contains(value, autoescape=True),
    "!@": lambda column, value: ~column.contains(value, autoescape=True),
    "=^": lambda column, value: column.startswith(value, autoescape=True),
    "=$": lambda column, value: column.endswith(value, autoescape=True),
}


def filtered(query: Any, text: str, columns: Mapping[str, Any]) -> Any:
    """Return a query with the conditions of a text added; values are bound, never part of the statement (T104).

    :param columns: what can be filtered by, under its name in the contract.
    :raises InvalidValueError: a condition has another shape, or names something else.
    """
    conditions = [part for part in text.split(",") if part.strip()]
    if len(conditions) > MOST_CONDITIONS:
        raise InvalidValueError(f"filterBy takes at most {MOST_CONDITIONS} conditions.")
    for part in conditions:
        match = _CONDITION.fullmatch(part.strip())
        if match is None or match[1] not in columns:
            raise InvalidValueError(f"filterBy takes conditions such as name==x, of {', '.join(columns)}.")
        column = columns[match[1]]
        query = query.where(_OPERATORS[match[2]](column, _value(column, match[2], match[3])))
    return query


def _value(column: Any, operator: str, text: str) -> Any:
    if isinstance(column.type, Boolean | Integer) and operator in {"=@", "!@", "=^", "=$"}:
        raise InvalidValueError(f"{operator} is for texts.")
    if isinstance(column.type, Boolean):
        if text.lower() not in {"true", "false"}:
            raise InvalidValueError("A flag is compared with true or false.")
        return text.lower() == "true"
    if isinstance(column.type, Integer):
        if not re.fullmatch(r"\d{1,9}", text):
            raise InvalidValueError("A number is compared with a number.")
        return int(text)
    return text
