"""URL rules that find views, and are not made ready for the other direction."""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule


class UrlRule(Rule):
    """A rule that is compiled for building URLs only if one is built, each time anew: nothing here does.

    Werkzeug compiles two functions for each of 500 rules, which is most of what it costs to make the application.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002 (Werkzeug's)
        return _build_with_query if append_unknown else _build


def _build(rule: UrlRule, **values: Any) -> tuple[str, str]:
    return Rule._compile_builder(rule, append_unknown=False)(rule, **values)  # noqa: SLF001 (what the method above replaces)


def _build_with_query(rule: UrlRule, **values: Any) -> tuple[str, str]:
    return Rule._compile_builder(rule, append_unknown=True)(rule, **values)  # noqa: SLF001 (what the method above replaces)
