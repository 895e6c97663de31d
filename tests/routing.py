"""URL rules that are compiled once a process: most of what it costs to make the application, which most tests do anew."""

from typing import Any

from werkzeug.routing import Rule

import idp.app
from idp.web.url_rules import UrlRule

_compiled: dict[Any, Rule] = {}


class RememberedRule(UrlRule):
    """A rule that takes over what one just like it, of an application of before, was compiled to."""

    def compile(self) -> None:
        """Compile the rule, or take over what its like was compiled to. Both depend on what is in the key, and nothing else."""
        defaults = tuple(sorted((self.defaults or {}).items()))
        key = (self.rule, self.subdomain, self.host, self.merge_slashes, self.map.host_matching, defaults)
        like = _compiled.get(key)
        if like is None:
            super().compile()
            _compiled[key] = self
            return
        self._parts, self._trace, self._converters = like._parts, like._trace, like._converters
        self.arguments = set(like.arguments)
        self._build = like._build.__func__.__get__(self, None)  # type: ignore[attr-defined]
        self._build_unknown = like._build_unknown.__func__.__get__(self, None)  # type: ignore[attr-defined]


def remember_rules() -> None:
    """Have all applications of this process use such rules."""
    idp.app.UrlRule = RememberedRule  # type: ignore[misc]
