"""The `idp` command: one command group a file. An edge like HTTP: it calls the domains and has no rule of its own."""

import importlib
import os
import sys
from typing import Any

try:
    import click
except ImportError:  # pragma: no cover (the verifier alone is installed)
    sys.exit("The idp command needs the server's dependencies. Install them with: pip install 'realmgate[server]'")

from idp import __version__
from idp.cli.config import config_option
from idp.errors import IdpError, StorageUnavailableError

_COMMANDS = {
    "serve": "idp.cli.serve:serve",
    "setup": "idp.cli.serve:setup_command",
    "realms": "idp.cli.realms:realms_group",
    "applications": "idp.cli.applications:applications_group",
    "registration-tokens": "idp.cli.registration_tokens:registration_tokens_group",
    "roles": "idp.cli.names:roles_group",
    "projects": "idp.cli.names:projects_group",
    "users": "idp.cli.users:users_group",
    "groups": "idp.cli.groups:groups_group",
    "api-keys": "idp.cli.api_keys:api_keys_group",
    "sessions": "idp.cli.sessions:sessions_group",
    "grants": "idp.cli.grants:grants_group",
    "keys": "idp.cli.keys:keys_group",
    "federation": "idp.cli.federation:federation_group",
    "signals": "idp.cli.signals:signals_group",
    "keysets": "idp.cli.keysets:keysets_group",
    "leases": "idp.cli.leases:leases_group",
    "master-key": "idp.cli.master_key:master_key_group",
    "login": "idp.cli.login:login",
    "whoami": "idp.cli.login:whoami",
    "logout": "idp.cli.login:logout",
    "token": "idp.cli.token:token",
    "audit": "idp.cli.audit:audit_group",
    "database": "idp.cli.database:database_group",
    "backup": "idp.cli.backup:backup",
    "restore": "idp.cli.backup:restore",
    "restored": "idp.cli.restored:restored",
    "doctor": "idp.cli.doctor:doctor",
    "settings": "idp.cli.settings:settings_command",
}


class _Root(click.Group):
    """Loads a command when it is used, and ends every expected error with one sentence and status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click passes it)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click passes it)
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        os.umask(0o077)  # what a command writes (exports, keys, the database) is for its owner only
        try:
            return super().invoke(ctx)
        except StorageUnavailableError as error:
            raise click.ClickException(f"The database cannot be used: {error.cause or error}.") from error
        except IdpError as error:
            from idp.cli.words import worded

            raise click.ClickException(worded(error)) from error
        except Exception as error:
            if type(error).__module__.startswith("sqlalchemy."):
                from idp.outages import explain

                raise click.ClickException(
                    f"The database cannot be used: {explain(error)}. Run `idp doctor`, which tells you what to do."
                ) from error
            raise


@click.group(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are environment variables or lines of realmgate.toml; `idp settings` explains them. "
    "Exit status: 0 success, 1 refused, 2 wrong usage.",
)
@config_option
@click.version_option(__version__, prog_name="Realmgate")
def main() -> None:
    """Realmgate: OpenID Connect identity and tokens for programs.

    \b
    Start with:
      idp serve                                              set everything up and serve
      idp applications create --realm acme --role viewer my-app   create an application and see its secret
      idp token --realm acme --client-id my-app                   fetch a token as that application
    """  # noqa: D301 (\b is what click needs here)
