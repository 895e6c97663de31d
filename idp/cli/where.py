"""Is something set up, and where: what a command says that finds nothing to work on."""

from pathlib import Path
from typing import TYPE_CHECKING

from idp.errors import IdpError

if TYPE_CHECKING:
    from idp.settings import Settings


class NotSetUpError(IdpError):
    """There is no database yet, or its master key is not there."""


def check_is_set_up(settings: "Settings") -> None:
    """See that there is a database with its master key.

    :raises NotSetUpError: there is not, with what to do.
    """
    database = settings.sqlite_path
    if not settings.master_key_file.exists():
        raise NotSetUpError(missing_key(settings))
    if database is not None and not database.exists():
        raise NotSetUpError(missing_database(settings))


def missing_key(settings: "Settings") -> str:
    """Return what to do where there is no master key: it depends on whether there is a database."""
    from idp import setup

    return setup.lost_key(settings) if setup.is_sealed(settings) else _nothing(settings)


def missing_database(settings: "Settings") -> str:
    """Return what to do where there is a master key, and the embedded database is gone."""
    return (
        f"There is a master key ({settings.master_key_file}) but no database ({settings.sqlite_path}). Restore the database "
        "from its backup with `idp restore`, or say where it is with IDP_DATABASE_URL. If there never was one, `idp setup` "
        "creates an empty one, with different keys and secrets."
    )


def _nothing(settings: "Settings") -> str:
    """Return where was looked, and what to do."""
    return f"Nothing is set up in {settings.data_dir}. {_looked(settings)} {_advice(settings)}"


def _looked(settings: "Settings") -> str:
    from idp.settings import NAME, Source, places

    origin = settings.origin("data_dir")
    if origin.source is not Source.DEFAULT:
        return f"That folder is set by {origin}."
    if settings.file is not None:
        return f"The settings file {settings.file} names no other data folder."
    folders = [str(path.parent) for path, is_local in places() if not is_local]
    return f"No settings file ({NAME}) is here or in a folder above, nor in {' or '.join(folders)}."


def _advice(settings: "Settings") -> str:
    from idp.settings import NAME

    found = _data_folder_above(settings)
    if found is not None:
        return f"There is a data folder {found}: go to {found.parent}, or set IDP_DATA_DIR={found}."
    return (
        f"For an existing server, go to the folder that it was started in, set IDP_DATA_DIR, or write data_dir into a {NAME}. "
        "For a new one, run `idp serve` or `idp setup` here."
    )


def _data_folder_above(settings: "Settings") -> Path | None:
    """Return the data folder that a start in a folder above would have used, if there is one."""
    for folder in settings.data_dir.parent.parents:
        if (folder / "var" / "master.key").is_file():
            return folder / "var"
    return None
