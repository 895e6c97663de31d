"""That no edge decides who may do what: `python -m tests.house.edges`, a part of `make lint`.

Edges ask `idp.rules`. They name a permission only to tell whether something is to be offered, by `can` and `can_somewhere` of
the console's visit; what is done when it is asked for all the same, the rules decide.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from idp.access import PERMISSIONS

ROOT = Path(__file__).parents[2]
EDGES = ("api", "compat", "console", "gateway", "protocol", "web")
OFFERS = frozenset({"can", "can_somewhere"})
DECISIONS = frozenset(
    {
        "covers",
        "granting_until",
        "held",
        "held_roles",
        "may",
        "may_grant",
        "may_somewhere",
        "permissions_on",
        "projects_with",
        "require",
        "require_somewhere",
    }
)
"""Names of what compares permissions, which are the rules' to use."""

HANDED_ON = {
    "idp/api/idempotency.py": "a part of what an Idempotency-Key is remembered for",
    "idp/api/leases.py": "the domain decides over a lease, by what is in memory",
    "idp/api/me.py": "shown to the caller as their own",
    "idp/compat/ionos/signing_in.py": "makes the caller",
    "idp/compat/rafay/users.py": "shown to the caller as their own",
    "idp/gateway/check.py": "the domain decides by the rules of the protected API",
    "idp/gateway/upstream.py": "told to the API behind the gateway",
}
"""Where an edge hands on, or shows, what somebody holds (`held_roles`), and why."""

_IN_TEMPLATE = re.compile(r"\bvisit\.(?:can|can_somewhere)\(\"[a-z-]+:[a-z]+\"")


def find_decisions(path: Path, source: str) -> Iterator[str]:
    """Return what a Python file of an edge decides by itself, as `file:line: what`."""
    name = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in DECISIONS and not (node.attr == "held_roles" and name in HANDED_ON):
            yield f"{name}:{node.lineno}: {node.attr} is for idp.rules to ask"
        if isinstance(node, ast.Attribute) and node.attr in OFFERS and not name.startswith("idp/console/"):
            yield f"{name}:{node.lineno}: {node.attr} is for what a page offers"
        if isinstance(node, ast.Call) and not _offers(node):
            for value in [*node.args, *(each.value for each in node.keywords)]:
                if isinstance(value, ast.Constant) and value.value in PERMISSIONS:
                    yield f"{name}:{value.lineno}: {value.value} is named outside idp.rules"
        if isinstance(node, ast.Compare):
            for value in [node.left, *node.comparators]:
                if isinstance(value, ast.Constant) and value.value in PERMISSIONS:
                    yield f"{name}:{value.lineno}: {value.value} is compared outside idp.rules"


def find_in_template(path: Path, source: str) -> Iterator[str]:
    """Return the permissions that a template names for more than to offer something."""
    for number, line in enumerate(source.splitlines(), 1):
        rest = _IN_TEMPLATE.sub("", line)
        for permission in PERMISSIONS:
            if f'"{permission}"' in rest or f"'{permission}'" in rest:
                yield f"{path.relative_to(ROOT).as_posix()}:{number}: {permission} is named for more than an offer"


def find_all() -> list[str]:
    """Return everything that edges decide by themselves."""
    found: list[str] = []
    for edge in EDGES:
        for path in sorted((ROOT / "idp" / edge).rglob("*.py")):
            found += find_decisions(path, path.read_text())
        for path in sorted((ROOT / "idp" / edge).rglob("*.html")):
            found += find_in_template(path, path.read_text())
    return found


def _offers(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr in OFFERS


if __name__ == "__main__":
    problems = find_all()
    print("\n".join(problems) or "No edge decides who may do what.")
    sys.exit(bool(problems))
