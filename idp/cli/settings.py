"""`idp settings`: every setting, what it does, its value here, and where that comes from."""

import click

from idp.cli.config import config_option, load_settings


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print the reference page docs/settings.md.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@config_option
def settings_command(markdown: bool, as_json: bool) -> None:
    """Explain the settings, with their values here and where each comes from.

    Options override environment variables, which override the file realmgate.toml, which overrides what the data folder remembers
    from the last time it was served. Possible secrets in values are not shown.
    """
    from idp.cli.session import show_json
    from idp.cli.settings_page import about_file, meaning, names, reference_page, setting_json

    if markdown:
        click.echo(reference_page(), nl=False)
        return
    settings = load_settings()
    if as_json:
        show_json(
            {
                "file": str(settings.file) if settings.file else None,
                "settings": [setting_json(settings, name) for name in names()],
            }
        )
        return
    click.echo(about_file(settings) + "\n")
    for name in names():
        said = click.style(f"IDP_{name.upper()}", bold=True) + f" = {settings.show(name)}"
        click.echo(f"{said}  ({settings.origin(name)})")
        click.echo(click.wrap_text(meaning(name), 100, "    ", "    ") + "\n")
