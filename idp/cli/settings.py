"""`idp settings`: every setting, what it does, and its value here."""

import click


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print the reference page docs/settings.md.")
def settings_command(markdown: bool) -> None:  # noqa: FBT001
    """Explain the settings, with the values they have here."""
    from idp.settings import Settings

    if markdown:
        click.echo(reference_page(), nl=False)
        return
    settings = Settings.load()
    for name, field in Settings.model_fields.items():
        click.echo(click.style(f"IDP_{name.upper()}", bold=True) + f" = {settings.show(name)}")
        click.echo(click.wrap_text(" ".join((field.description or "").split()), 100, "    ", "    ") + "\n")


def reference_page() -> str:
    """Return docs/settings.md, made from the docstrings under the fields."""
    from idp.settings import Settings

    lines = [
        "# Settings",
        "",
        "Environment variables, read once at start. A wrong value stops the start with a sentence that names the setting.",
        "`idp settings` shows the values in force. This page is made by `idp settings --markdown`. The command line also reads",
        "`IDP_REALM` (the default of `--realm`), `IDP_CLIENT_SECRET` (for `idp token`) and `IDP_COPY_TO` (for `idp database`).",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "see below" if default in ("", ()) or str(default) == "." else f"`{default}`"
        lines += [f"## `IDP_{name.upper()}`", "", " ".join((field.description or "").split()), ""]
        if shown != "see below":
            lines += [f"Default: {shown}.", ""]
    return "\n".join(lines).rstrip() + "\n"
