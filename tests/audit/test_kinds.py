"""The kinds that are declared with each tag are those that the code records: searching by kind relies on it."""

import ast
from collections import defaultdict
from pathlib import Path

from idp.audit import Tag
from idp.audit.models import OF_MIXED

CODE = Path(__file__).parents[2] / "idp"

HOLDERS = {"user", "application", "group"}
"""What is recorded as `str(holder)`."""

TARGET_AT = {"record": 2, "record_when": 3, "event_values": 4, "Refusal": 2}
"""What records an event, and which of its arguments is the target."""


class Module:
    """What one file records, and what its names stand for."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text())
        self.values: dict[str, list[ast.expr]] = defaultdict(list)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.values[target.id].append(node.value)

    def tags(self, node: ast.AST) -> set[Tag]:
        """Return the tags that an expression names, itself or by names that stand for them."""
        meant = [value for each in ast.walk(node) if isinstance(each, ast.Name) for value in self.values[each.id]]
        parts = [each for one in (node, *meant) for each in ast.walk(one)]
        return {Tag[each.attr] for each in parts if isinstance(each, ast.Attribute) and each.attr in Tag.__members__}

    def kinds(self, node: ast.AST) -> set[str]:
        """Return the kinds of target that an expression can be."""
        match node:
            case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if ":" in text:
                return {text.partition(":")[0]}
            case ast.IfExp(body=first, orelse=second):
                return self.kinds(first) | self.kinds(second)
            case ast.Name(id=name):
                return {kind for value in self.values[name] for kind in self.kinds(value)}
            case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id="holder")]):
                return HOLDERS
            case ast.Call(func=ast.Name(id="target_of")):
                return {"keyset"}
        return set()


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def handed_on(modules: list[Module]) -> dict[str, set[Tag]]:
    """Return of each function and class, by its name, the tags that it is called with, also by way of others' parameters."""
    found: dict[str, set[Tag]] = defaultdict(set)
    ways: set[tuple[str, str]] = set()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                found[_name(node)] |= {tag for part in _arguments(node) for tag in module.tags(part)}
            elif isinstance(node, ast.FunctionDef):
                found[node.name] |= module.tags(node.args)
                tags = {each.arg for each in [*node.args.args, *node.args.kwonlyargs] if each.arg in {"tag", "purpose"}}
                inner = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
                ways |= {
                    (node.name, _name(each)) for each in inner if tags & {getattr(part, "id", "") for part in _arguments(each)}
                }
    while any(found[give] - found[take] for give, take in ways):
        for give, take in ways:
            found[take] |= found[give]
    return found


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def recorded_kinds() -> dict[Tag, set[str]]:
    """Return of each tag the kinds of the targets that the code records it with."""
    modules = [Module(path) for path in sorted(CODE.rglob("*.py"))]
    given = handed_on(modules)
    found: dict[Tag, set[str]] = defaultdict(set)
    for module in modules:
        kept = {tag for each in ast.walk(module.tree) if isinstance(each, ast.ClassDef) for tag in given[each.name]}
        for function in ast.walk(module.tree):
            for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                if isinstance(node, ast.Call) and _name(node) in TARGET_AT and len(node.args) > TARGET_AT[_name(node)]:
                    target = node.args[TARGET_AT[_name(node)]]
                    named = module.tags(ast.Tuple(node.args))
                    for tag in named if _name(node) == "Refusal" else named or given[function.name] or kept:
                        # what is made by its table's name is the subject of its tag
                        is_named = isinstance(target, ast.JoinedStr) and ast.unparse(target).startswith("f'{noun}:")
                        found[tag] |= {tag.split(":")[1]} if is_named else module.kinds(target)
    return found


def test_kinds_of_a_tag_are_what_the_code_records_it_with() -> None:
    recorded = recorded_kinds()
    assert {tag.name: recorded[tag] for tag in Tag} == {tag.name: set(tag.kinds) for tag in Tag}


INDEXED = "tag IN ('admin:grant:create', 'admin:grant:update', 'admin:grant:delete', 'user:session:end')"


def test_what_is_indexed_by_kind_stays_as_it_was_released() -> None:
    """An index that is there keeps the condition it was built with: another condition needs another name, and a migration."""
    kinds = ("application", "group", "session", "user")
    assert {kind: f"{INDEXED} AND substr(target, 1, {len(kind) + 1}) = '{kind}:'" for kind in kinds} == OF_MIXED
