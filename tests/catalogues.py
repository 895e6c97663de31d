"""All texts that people are shown, found in the code, and the catalogues brought into step with them.

`python -m tests.catalogues` (or `make catalogues`) adds what is new to each catalogue, without a translation, and takes out what
is no longer said. A translator fills in what is empty; `tests/test_catalogues.py` fails as long as anything is.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes
from pydantic.fields import FieldInfo

import idp
from idp.access import GrantState, HolderKind
from idp.apikeys import KeyStatus
from idp.applications import Kind, SecretState
from idp.console.forms import UNITS
from idp.console.render import _AGO, _AHEAD
from idp.console.sheet_forms import unit_of
from idp.errors import IdpError
from idp.keys import KeyState
from idp.keysets import CATEGORIES, LeaseState
from idp.oauth.errors import ProtocolError
from idp.realms import RealmState
from idp.registrations import TokenState
from idp.sheets import Between, Sheet
from idp.tokens.claim_list import CLAIMS
from idp.users import UserKind
from idp.web.languages import codes
from tests.serving import PROJECT

LOCALE = PROJECT / "idp" / "web" / "locale"
PAGES = (PROJECT / "idp" / "console", PROJECT / "idp" / "sign_in")
"""The edges that people see; what their code has in constants is for people, too."""

TABLES = (
    *("idp/posture.py", "idp/access/policy.py", "idp/access/roles.py", "idp/web/errors.py", "idp/keysets/leases.py"),
    *("idp/federation/conditions.py", "idp/jose/weak_keys.py"),
)
"""Modules whose constants are shown by pages as they are."""

FOR_DEVELOPERS = frozenset({"components.py", "design.py", "assets.py"})
"""Modules of pages that only developers see, in English; so are the templates of `design/`."""

_NOBODYS = ("outside_keys/helper.py", "outside_keys/hsm.py", "outside_keys/kms.py", "trail/export.py")
"""Modules whose errors another process catches, or a command."""

_OTHER_EDGES = frozenset(
    {
        *("api", "backup", "cli", "compat", "copying", "clock_trust", "database_url", "gateway", "jose", "log"),
        *(
            "management",
            "manifest",
            "master_keys",
            "migrations",
            "nodes",
            "oauth",
            "opening",
            "outside_names",
            "proofs",
            "protocol",
        ),
        *("public_url", "server", "settings", "setup", "toml_files", "verifier"),
    }
)
"""Packages and modules whose errors only programs and operators are told, in English."""

_TOLD_ANYWAY = {"AccessDeniedError", "ClientDocumentError", "UnknownRealmError", "UnsafeRequestError"}
"""Errors of protocols that people are told: their browser cannot be led back to the application."""

Text = str | tuple[str, str]
"""What is looked up: a text, or what is said of one and of several."""


def reads_like_a_text(value: object) -> bool:
    """Tell whether a constant is for people: it begins with a capital letter, or has a space between words."""
    if (
        not isinstance(value, str)
        or value in NO_TEXTS
        or "\n" in value
        or "<" in value[:1]
        or "://" in value
        or re.match(r"[a-z-]+[:=]", value)
    ):
        return False
    return bool(re.match(r"[A-Z][a-z]+(?:-[a-z]+)*(?![\w-])", value) or re.search(r"[A-Za-z{}]{2,},? [a-z{“]{2,}", value))


NO_TEXTS = frozenset(
    {
        *("Accept", "Content-Type", "Cookie", "Cookie, Accept-Language", "Lax", "Location", "Origin", "Vary"),
        *("Bearer", 'Bearer error="invalid_token"', "Forbidden", "Unauthorized", "Unavailable"),
        *("the database cannot be used: %s", "unexpected error %s", "list users", "console top"),
        *("console numbers being counted", "the numbers of realm %s could not be counted"),
        *("Android", "Chrome", "Edge", "Firefox", "Linux", "Opera", "Safari", "Windows"),
        *("Go", "Java", "Kubernetes Secret", "Node", "Python", "Token.java"),
        *("console changes", "console counts", "console numbers", "draft of a form", "fields of a form that may be kept"),
        *("delete personal tokens", "list projects", "sign_in asset", "sign_in logo"),
        *(
            "Applications cannot register themselves in this realm.",
            "form of visitor {visitor}",
            "form of session {sid}",
            "secret that {form_context} holds",
        ),
        *("a member is named twice", "a naive datetime has no place in the database; use clock.now()"),
        *("NaN and Infinity are not JSON", "{name} is not JSON", "{template} is not a template"),
    }
)
"""Constants that read like texts, and are none: names of headers, languages, places where something is kept, and acts that lead on."""


@cache
def all_texts() -> frozenset[Text]:
    """Return all texts that a page may show."""
    return frozenset({*texts_of_templates(), *texts_of_pages(), *texts_of_tables(), *texts_of_sheets(), *texts_of_errors()})


def texts_of_templates() -> Iterator[Text]:
    """Go through what templates say."""
    environment = Environment(autoescape=True)  # the ones of the pages need an application
    for folder in PAGES:
        for path in sorted(set(folder.rglob("*.html")) - set(folder.rglob("design/*.html"))):
            tree = environment.parse(path.read_text())
            for call in tree.find_all(nodes.Call):
                name = call.node.name if isinstance(call.node, nodes.Name) else ""
                texts = [each.value for each in call.args if isinstance(each, nodes.Const) and isinstance(each.value, str)]
                if name == "_":
                    yield from texts[:1]
                elif name == "plural":
                    yield (texts[0], texts[1])
            for filtered in tree.find_all(nodes.Filter):
                if filtered.name == "count_of" and isinstance(filtered.args[0], nodes.Const):
                    yield _counted(filtered.args[0].value)
                elif filtered.name in {"when", "ago"} and filtered.args and isinstance(filtered.args[0], nodes.Const):
                    yield filtered.args[0].value


def _counted(what: str) -> Text:
    return f"{{count}} {what}", f"{{count}} {what}s"


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def texts_of_pages() -> Iterator[Text]:
    """Go through the constants of the code of pages."""
    paths = [path for folder in PAGES for path in sorted(folder.rglob("*.py")) if path.name not in FOR_DEVELOPERS] + [
        PROJECT / each for each in TABLES
    ]
    for path in paths:
        if not path.exists():
            continue
        tree = _tree(path)
        left_out = set(_docstrings(tree)) | set(_counted_constants(tree)) | set(_parts_of_texts(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from _counted_texts(node)
            elif isinstance(node, ast.Tuple) and _is_counted(node):
                yield (node.elts[0].value, node.elts[1].value)  # type: ignore[attr-defined]
            elif isinstance(node, ast.Constant) and id(node) not in left_out and reads_like_a_text(node.value):
                yield str(node.value)


def texts_of_tables() -> Iterator[Text]:
    """Go through what domains have in tables of theirs, and pages show: what claims and values mean, and states of things."""
    yield from (claim.meaning for claim in CLAIMS)
    yield from (meaning for entities in CATEGORIES.values() for types in entities.values() for meaning in types.values())
    for states in (GrantState, HolderKind, KeyState, KeyStatus, LeaseState, RealmState, SecretState, TokenState, UserKind, Kind):
        yield from (each.value for each in states)
    yield from ("success", "refused")
    yield from (*map(_counted, UNITS), *_AGO.values(), *_AHEAD.values())
    yield from ("role", "project", "a group", "a machine user", "a project", "a protected API", "a role", "a secret")
    yield from ("attempts", "emails to this address")
    yield from ("Key {number}: {error}", "An RSA key must have {shortest} to {longest} bits.")


def _is_counted(node: ast.Tuple) -> bool:
    """Tell whether a pair is what is said of one and of several."""
    return len(node.elts) == 2 and all(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and "{count}" in each.value for each in node.elts
    )


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _counted_texts(call: ast.Call) -> Iterator[Text]:
    if _called(call) == "count_of" and isinstance(call.args[-1], ast.Constant):
        yield _counted(call.args[-1].value)
    elif _called(call) == "say" and call.args and isinstance(call.args[0], ast.Constant):
        yield call.args[0].value
    elif _called(call) == "say_count" and all(isinstance(each, ast.Constant) for each in call.args[:2]):
        yield (call.args[0].value, call.args[1].value)  # type: ignore[attr-defined]
    elif _called(call) == "say" and call.args and isinstance(call.args[0], ast.Constant):
        yield str(call.args[0].value)
    elif _called(call) == "bulk" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        yield _counted(str(call.args[1].value))


def _counted_constants(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in {"count_of", "say_count"}:
            yield from (id(each) for each in node.args)
        elif isinstance(node, ast.Tuple) and _is_counted(node):
            yield from (id(each) for each in node.elts)


def _docstrings(tree: ast.Module) -> Iterator[int]:
    """Go through the constants that document something: they are statements of their own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _parts_of_texts(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield from (id(each) for each in node.values)


def texts_of_sheets() -> Iterator[Text]:
    """Go through what the fields of things are called, and what they mean."""
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if not module.name.startswith(("idp.migrations", "idp.__main__", "idp.verifier.")):
            importlib.import_module(module.name)
    left = [Sheet]
    while left:
        sheet = left.pop()
        left += sheet.__subclasses__()
        if sheet.__module__.split(".")[1] in _OTHER_EDGES:
            continue
        for name in sheet.model_fields:
            title = (sheet.model_fields[name].title or "").removesuffix(f", in {unit_of(name)}s")  # it takes any unit
            yield from filter(None, (title, " ".join(sheet.description_of(name).split())))
            for limits in _limits_of(sheet.model_fields[name]):
                besides = f", or 0 {limits.zero}" if limits.zero else ""
                yield f"{{value}} is out of range: use {{least}} to {{most}} {limits.unit}{besides}"


def _limits_of(field: FieldInfo) -> Iterator[Between]:
    """Go through the limits of a field, also of one that can be left out."""
    left: list[Any] = [field.annotation, *field.metadata]
    while left:
        found = left.pop()
        if isinstance(found, Between):
            yield found
        left += [*get_args(found), *getattr(found, "__metadata__", ())]


def _error_names() -> set[str]:
    found, left = {"ValueError", "ValidationError"}, [IdpError, ProtocolError]
    while left:
        below = left.pop().__subclasses__()
        found |= {each.__name__ for each in below}
        left += below
    return found


def texts_of_errors() -> Iterator[Text]:
    """Go through the sentences of domains that refuse something, with gaps where values stand in them."""
    everywhere = _error_names() | {"Sentence", "_UnknownKeyError", "OutboundError"} | _TOLD_ANYWAY
    for path in sorted((PROJECT / "idp").rglob("*.py")):
        is_told = path.relative_to(PROJECT / "idp").parts[0].removesuffix(".py") not in _OTHER_EDGES
        is_told = is_told and not any(map(path.match, _NOBODYS))
        tree = _tree(path)
        names = (
            everywhere if is_told or (path.parent.name == "oauth" and path.name in {"errors.py", "realm.py"}) else _TOLD_ANYWAY
        )
        if path.match("jose/reader.py"):  # keys that somebody types, and assertions that somebody has explained
            names = names | {"InvalidTokenError"}
        named = _named_texts(tree)
        for found in _first_arguments(tree, names):
            for said in named.get(found.id, []) if isinstance(found, ast.Name) else [found]:
                yield from (each for each in _sentences(said) if each not in NO_TEXTS)


def _named_texts(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return the texts that have a name in a module, or in one of its functions."""
    found = dict[str, list[ast.expr]]()
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant | ast.JoinedStr | ast.IfExp):
                found.setdefault(target.id, []).append(node.value)
    return found


def _first_arguments(tree: ast.Module, names: set[str]) -> Iterator[ast.expr]:
    """Go through what errors are made with: where they are raised, and by their classes themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in names:
            for each in ast.walk(node):
                if isinstance(each, ast.Call) and _called(each) == "__init__":
                    yield from each.args[:1]
                elif isinstance(each, ast.FunctionDef) and each.name == "__init__":
                    yield from each.args.defaults
        elif isinstance(node, ast.Call) and _called(node) in names:
            yield from node.args[:1]


def _sentences(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        text = _with_gaps(node)
        if re.search(r"[a-z]{2,} [a-z{]{2,}|[a-z]{3,}", re.sub(r"\{\w+\}", "", text)):
            yield text
    elif isinstance(node, ast.IfExp):
        yield from _sentences(node.body)
        yield from _sentences(node.orelse)


def _with_gaps(text: ast.JoinedStr) -> str:
    """Return the text of an f-string with a gap for each of its values, named after where the value comes from."""
    made, seen = "", dict[str, str]()
    for piece in text.values:
        if isinstance(piece, ast.Constant):
            made += str(piece.value).replace("{", "{{").replace("}", "}}")
        elif isinstance(piece, ast.FormattedValue):
            source = ast.unparse(piece.value)
            names = re.findall(r"[a-z_]+", source) or ["value"]
            name = names[-1].strip("_") or "value"
            while seen.setdefault(name, source) != source:
                name += "_"
            made += f"{{{name}}}"
    return made


def read(code: str) -> Catalog:
    """Return the catalogue of a language."""
    with (LOCALE / f"{code}.po").open("rb") as file:
        return read_po(file)


def bring_into_step(code: str) -> list[Text]:
    """Add to a catalogue what is new, take out what is no longer said, and return what has no translation."""
    old, new = read(code), Catalog(locale=code)
    missing = []
    for text in sorted(all_texts(), key=lambda text: (text, "") if isinstance(text, str) else text):
        entry = old.get(text)
        string = entry.string if entry is not None and entry.id == text else ""
        done = all(string) if isinstance(string, tuple) else bool(string)
        if not done:
            missing.append(text)
            string = "" if isinstance(text, str) else ("",) * new.num_plurals
        new.add(text, string)
    with (LOCALE / f"{code}.po").open("wb") as file:
        write_po(file, new, width=0, omit_header=False, sort_output=False, no_location=True)
    path = LOCALE / f"{code}.po"
    kept = re.sub(
        r'"(?:POT-Creation|PO-Revision|Generated-By|Project-Id|Report-Msgid|Last-Translator|Language-Team|MIME)[^\n]*\n',
        "",
        path.read_text(),
    )
    path.write_text(re.sub(r"\A(?:#[^\n]*\n)+", "", kept))
    return missing


if __name__ == "__main__":
    for each in codes()[1:]:
        print(f"{each}: {len(bring_into_step(each))} texts without a translation")
