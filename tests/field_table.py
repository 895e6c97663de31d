"""docs/fields.md, made from the sheets: `python -m tests.field_table`."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from idp.access import GrantSheet, ProjectSheet, RoleSheet
from idp.apikeys import ApiKeySheet
from idp.applications import ApplicationSheet, SecretSheet
from idp.cli.words import option_of
from idp.keysets import KeysetSheet
from idp.protected_apis import ProtectedApiSheet
from idp.realms import RealmSheet
from idp.sheets import Sheet, kind_of, meaning_of
from idp.users import GroupSheet, UserSheet

PAGE = Path(__file__).parents[1] / "docs" / "fields.md"

SHEETS: tuple[tuple[str, type[Sheet]], ...] = (
    ("Realms", RealmSheet),
    ("Applications", ApplicationSheet),
    ("Secrets of applications", SecretSheet),
    ("Users", UserSheet),
    ("Groups", GroupSheet),
    ("Roles", RoleSheet),
    ("Projects", ProjectSheet),
    ("Grants", GrantSheet),
    ("API keys", ApiKeySheet),
    ("Keysets", KeysetSheet),
    ("Protected APIs", ProtectedApiSheet),
)

INTRODUCTION = """# Fields

What can be set of each resource. The first column is the name in realm files and in `idp realms export`, the second the member
of the REST API (of `spec`, but for `description` and `name`, which are in `metadata`), the third the option of the commands that set it.
This page is made from the code: `make docs`.
"""


def page() -> str:
    """Return the page as it has to be."""
    return INTRODUCTION + "".join(_section(title, sheet) for title, sheet in SHEETS)


def _section(title: str, sheet: type[Sheet]) -> str:
    rows = ["field | API | option | type | default | meaning", "--- | --- | --- | --- | --- | ---"]
    for name in sheet.fields():
        field = sheet.model_fields[name]
        default = field.get_default(call_default_factory=True)
        kind, meaning = _kind(field.annotation), meaning_of(sheet, name)
        cells = [f"`{name}`", f"`{field.alias}`", f"`{option_of(name)}`", kind, _written(default), meaning]
        rows.append(" | ".join(cells))
    return f"\n## {title}\n\n" + "".join(f"| {row} |\n" for row in rows)


def _kind(annotation: Any) -> str:
    kind = kind_of(annotation)
    if get_origin(kind) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(kind))
    if get_origin(kind) is list:
        return "list of rules" if get_args(kind)[0].__name__ == "RuleSheet" else "list of texts"
    if get_origin(kind) is dict:
        return "JSON object"
    return {"bool": "true or false", "int": "number", "str": "text", "datetime": "time"}[kind.__name__]


def _written(default: Any) -> str:
    if default in (None, "", []):
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
