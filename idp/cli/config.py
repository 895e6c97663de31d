"""The settings of a command: `--config` names the file, and stands before the command or among its options."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from idp.settings import Settings


Command = TypeVar("Command", bound=Callable[..., Any])

_NAMED = "idp.config"


def config_option(command: Command) -> Command:
    """Add `--config`, which `load_settings` goes by."""
    option = click.option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=_keep,
        help="File of settings; by default realmgate.toml here or above, or in the usual places.  [env: IDP_CONFIG]",
    )
    return option(command)


def _keep(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_NAMED] = value


def load_settings(*, remembered: bool = True, **options: Any) -> "Settings":
    """Return the settings; see `Settings.load`.

    :param options: what the command's own options say; None for those that were not given.
    """
    from idp.settings import Settings

    context = click.get_current_context(silent=True)
    named: str = context.meta.get(_NAMED, "") if context is not None else ""
    given = {name: value for name, value in options.items() if value}
    return Settings.load(file=named, remembered=remembered, **given)
