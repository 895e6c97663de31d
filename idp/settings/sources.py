"""Where the value of a setting comes from: options win over the environment, that over the file, that over what is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from idp.service_links import is_service_link
from idp.settings.file import SettingsFile
from idp.settings.last_served import FILE, recall


class Source(StrEnum):
    """What gives a value."""

    DEFAULT = "default"
    DATA_FOLDER = "data folder"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True)
class Origin:
    """Where a value comes from."""

    source: Source
    place: str = ""
    """The variable, or the path of the file."""
    line: int = 0
    """Of the file, from 1; 0 for none."""

    def __str__(self) -> str:
        where = f"{self.place}:{self.line}" if self.line else self.place
        return f"{self.source.value} {where}" if where else self.source.value


@dataclass(frozen=True)
class Gathered:
    """The values that are set, and where each comes from."""

    values: dict[str, Any]
    origins: dict[str, Origin]


def gather(options: Mapping[str, Any], environment: Mapping[str, Any], file: SettingsFile | None) -> Gathered:
    """Return the values that somebody has set, each from the source that wins."""
    gathered = Gathered({}, {})
    for name, value in options.items():
        _set(gathered, name, value, Origin(Source.OPTION))
    for name, value in environment.items():
        if not (name.endswith("port") and is_service_link(value)):
            _set(gathered, name, value, Origin(Source.ENVIRONMENT, variable(name)))
    if file is not None:
        for name, value in file.values.items():
            _set(gathered, name, value, Origin(Source.FILE, str(file.path), file.lines[name]))
    return gathered


def add_remembered(gathered: Gathered, data_dir: Path) -> Gathered:
    """Return the values together with what the data folder remembers and nobody has set.

    A public URL that was served on another port than is set now says nothing of this server.
    """
    remembered = recall(data_dir)
    port = gathered.values.get("port")
    if port is not None and str(port) != str(remembered.get("port")):
        remembered = {}
    added = Gathered(dict(gathered.values), dict(gathered.origins))
    for name, value in remembered.items():
        _set(added, name, value, Origin(Source.DATA_FOLDER, str(data_dir / FILE)))
    return added


def variable(name: str) -> str:
    """Return the variable of the environment that holds a setting."""
    return f"IDP_{name.upper()}"


def _set(gathered: Gathered, name: str, value: Any, origin: Origin) -> None:
    if name not in gathered.values:
        gathered.values[name], gathered.origins[name] = value, origin
