"""docs/fields.md, made from the sheets: `python -m tests.field_table`."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from idp.access import GrantSheet, ProjectSheet, RoleSheet
from idp.apikeys import ApiKeySheet
from idp.applications import ApplicationSheet, SecretSheet
from idp.cli import main
from idp.cli.words import option_of
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.keysets import KeysetSheet
from idp.protected_apis import ProtectedApiSheet
from idp.realms import RealmSheet
from idp.sheets import Sheet, kind_of, meaning_of
from idp.users import GroupSheet, UserSheet

PAGE = Path(__file__).parents[1] / "docs" / "fields.md"

SHEETS: tuple[tuple[str, type[Sheet], str], ...] = (
    ("Realms", RealmSheet, "realms"),
    ("Applications", ApplicationSheet, "applications"),
    ("Secrets of applications", SecretSheet, "applications secrets"),
    ("Users", UserSheet, "users"),
    ("Groups", GroupSheet, "groups"),
    ("Roles", RoleSheet, "roles"),
    ("Projects", ProjectSheet, "projects"),
    ("Grants", GrantSheet, "grants"),
    ("API keys", ApiKeySheet, "api-keys"),
    ("Keysets", KeysetSheet, "keysets"),
    ("Trusted issuers", TrustedIssuerSheet, "federation issuers"),
    ("Federation rules", FederationRuleSheet, "federation rules"),
    ("Protected APIs", ProtectedApiSheet, ""),
)
"""Title, sheet, and the commands that set it; those that have none are set in realm files and in the console."""

NOT_IN_BODIES = {("Secrets of applications", "single_use")}
"""What the REST API shows and does not set."""

INTRODUCTION = """# Fields

What can be set of each resource. The first column is the name in realm files and in `idp realms export`, the second the member
of the REST API (of `spec`, but for `description` and `name`, which are in `metadata`), the third the option of the commands that set it
(`-` where another command does, such as `disable`).
This page is made from the code: `make docs`.
"""


def page() -> str:
    """Return the page as it has to be."""
    return INTRODUCTION + "".join(_section(title, sheet, group) for title, sheet, group in SHEETS)


def _section(title: str, sheet: type[Sheet], group: str) -> str:
    options = _options(group) if group else set()
    rows = ["field | API | option | type | default | meaning", "--- | --- | --- | --- | --- | ---"]
    for name in sheet.fields():
        field = sheet.model_fields[name]
        default = field.get_default(call_default_factory=True)
        kind, meaning = _kind(field.annotation), meaning_of(sheet, name)
        member = f"`{field.alias}`" if group and (title, name) not in NOT_IN_BODIES else "-"
        option = f"`{option_of(name).replace('The name', 'NAME')}`" if {option_of(name), name} & options else "-"
        cells = [f"`{name}`", member, option, kind, _written(default), meaning]
        rows.append(" | ".join(cells))
    return f"\n## {title}\n\n" + "".join(f"| {row} |\n" for row in rows)


def _options(group: str) -> set[str]:
    """Return what commands take: options, and the names of arguments."""
    command: click.Command = main
    for name in group.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    assert isinstance(command, click.Group)
    parts = [command.get_command(click.Context(command), name) for name in command.list_commands(click.Context(command))]
    return {
        word
        for part in parts
        if part is not None
        for each in part.get_params(click.Context(part))
        for word in (*each.opts, each.name or "")
    }


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
