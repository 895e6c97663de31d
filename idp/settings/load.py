"""The settings of one process, read once at start from options, environment variables, `realmgate.toml` and the data folder."""

import os
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from idp.database_url import is_sqlite, sqlite_path
from idp.outside_names import OutsideKeys, read_outside_keys
from idp.public_url import path_of
from idp.redaction import Confidential, without_user
from idp.settings import file as settings_file
from idp.settings.fields import Fields
from idp.settings.file import SettingsError, SettingsFile
from idp.settings.sources import Gathered, Origin, Source, add_remembered, gather, variable


class Settings(Fields):
    """All settings of one process, and where each comes from."""

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic's)
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has gathered, and nothing else."""
        return (init_settings,)

    @classmethod
    def load(cls, *, file: str = "", remembered: bool = True, **options: Any) -> "Settings":
        """Read the settings.

        :param file: the file of settings that somebody has named; by default the environment names one, or it is looked for.
        :param remembered: whether what the data folder remembers stands in for what nobody has set.
        :param options: values that win over the environment, by field name.
        :raises SettingsError: one sentence that names the first wrong setting, where it is set, and what it takes.
        """
        found = settings_file.find(file or os.environ.get(settings_file.VARIABLE, ""))
        read = cls._read_file(found) if found is not None else None
        gathered = gather(options, EnvSettingsSource(cls)(), read)
        if read is not None and read.is_local:
            for name, folder in (("data_dir", "var"), ("realms_dir", "realms")):
                gathered.values.setdefault(name, read.path.parent / folder)
        if not remembered:
            return cls._made(gathered, read)
        data_dir = Path(gathered.values.get("data_dir") or "var").absolute()
        try:
            return cls._made(add_remembered(gathered, data_dir), read)
        except SettingsError:
            return cls._made(gathered, read)  # what is wrong may be what was remembered

    @classmethod
    def _read_file(cls, found: settings_file.Found) -> SettingsFile:
        fields = cls.model_fields
        folders = {name for name, each in fields.items() if each.annotation in {Path, Path | None}}
        return settings_file.read(found, known=fields, folders=folders)

    @classmethod
    def _made(cls, gathered: Gathered, read: SettingsFile | None) -> "Settings":
        try:
            settings = cls(**{name: _plain(value, cls.model_fields[name].annotation) for name, value in gathered.values.items()})
        except ValidationError as error:
            raise SettingsError(cls._wrong(error.errors()[0], gathered)) from None
        settings._origins, settings._file = gathered.origins, read.path if read is not None else None
        return settings

    @classmethod
    def _wrong(cls, first: Any, gathered: Gathered) -> str:
        """Return the sentence on a wrong value: where it is set, and what it takes."""
        name = str(first["loc"][0]) if first["loc"] else ""
        shown = name and name not in cls.confidential()  # one that is wrong cannot be taken apart either
        value = without_user(repr(first["input"])) if shown else ""
        origin = gathered.origins.get(name, Origin(Source.DEFAULT))
        if origin.source is Source.FILE:
            said = f"{origin.place}:{origin.line}: {name}{f' = {value}' if value else ''}"
        else:
            said = f"{variable(name)}{f'={value}' if value else ''}"
        return f"{said} cannot be used: {_explain(first)}."

    def origin(self, name: str) -> Origin:
        """Return where the value of a setting comes from."""
        return self._origins.get(name, Origin(Source.DEFAULT))

    @property
    def file(self) -> Path | None:
        """The file of settings that was read; None if there was none."""
        return self._file

    @classmethod
    def confidential(cls) -> dict[str, Confidential]:
        """Return the settings that may hold a credential, with what of them may be shown."""
        marks = {
            name: [each for each in field.metadata if isinstance(each, Confidential)] for name, field in cls.model_fields.items()
        }
        return {name: found[0] for name, found in marks.items() if found}

    def show(self, name: str) -> str:
        """Return the value of a setting for people to read, without a credential in it."""
        value = getattr(self, name)
        mark = self.confidential().get(name)
        if mark is not None:
            return mark.show(value)
        return ",".join(value) if isinstance(value, tuple) else str(value)

    @property
    def credentials(self) -> set[str]:
        """What no log line may hold: the secret parts of all values."""
        return {part for name, mark in self.confidential().items() for part in mark.secrets(getattr(self, name))}

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is the embedded one."""
        return is_sqlite(self.database_url)

    @property
    def sqlite_path(self) -> Path | None:
        """The file of the embedded database; None with another database."""
        return sqlite_path(self.database_url) if self.is_sqlite else None

    @property
    def outside(self) -> OutsideKeys:
        """The keys outside the server's files that wrap the master keys."""
        return read_outside_keys(self.outside_keys)

    @property
    def changed_url(self) -> str:
        """What IDP_PUBLIC_URL was set to, if that is not its one form: former issuers may begin with it. Else empty."""
        return self._written_url if self._written_url not in {"", self.public_url} else ""

    @property
    def public_path(self) -> str:
        """The path that everything lies below for clients, such as `/idp`; empty for the whole host."""
        return path_of(self.public_url)

    @property
    def chosen_management_port(self) -> int:
        """The port for the operator's machines; 0 for none."""
        return (self.port + 1000) % 65_536 if self.management_port < 0 else self.management_port

    def issuer(self, realm: str) -> str:
        """Return the issuer of a realm: from the configuration only, never from a request (T102)."""
        return f"{self.public_url}/auth/realms/{realm}"


def _plain(value: Any, annotation: Any) -> Any:
    """Return a value of a file as the environment would have it where pydantic is too kind: `port = true` is no port."""
    return str(value).lower() if isinstance(value, bool) and annotation is not bool else value


def _explain(error: Any) -> str:
    """Say in half a sentence what a setting takes, from pydantic's description of what was wrong."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"].startswith(("int_", "int")):
        return "it takes a whole number"
    return message if message.startswith("takes") else message.replace("Input should be", "it must be")
