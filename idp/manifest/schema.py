"""What a realm file may say. See realms/acme.toml, which explains every setting."""

import json
import os
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from idp.access import BUILT_IN_ROLES
from idp.applications import check_audiences, check_client_id, check_jwks
from idp.errors import IdpError, InvalidValueError, one_line
from idp.manifest.lines import LineIndex
from idp.realms import check_algorithm, check_name, check_text


class RealmFileError(IdpError):
    """A realm file is refused whole: file, line and reason."""


def _aware(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("takes a date and time with a zone, such as 2027-06-30T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("takes a date between the years 1 and 9999") from None


def _public_keys(value: Any) -> Any:
    try:
        return check_jwks(json.loads(value) if isinstance(value, str) else value)
    except InvalidValueError as error:
        raise ValueError(f"takes a JWK set of public keys as JSON text ({error})") from None
    except (ValueError, RecursionError):
        raise ValueError("takes a JWK set of public keys as JSON text") from None


def _checked_by(check: Callable[[Any], Any]) -> AfterValidator:
    """Have pydantic refuse what a domain's own check refuses, with the domain's sentence."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except InvalidValueError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


Name = Annotated[str, Field(max_length=64)]
DisplayName = Annotated[str, _checked_by(lambda text: check_text("display_name", text, 200))]
Description = Annotated[str, _checked_by(lambda text: check_text("description", text, 500))]
Time = Annotated[datetime, BeforeValidator(_aware)]
Algorithm = Annotated[str, _checked_by(check_algorithm)]
Audiences = Annotated[list[str], _checked_by(lambda values: check_audiences("the list", values))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RealmPart(_Part):
    """`[realm]`."""

    name: Name
    display_name: DisplayName = ""
    enabled: bool = True
    signing_algorithm: Algorithm = "RS256"
    key_rotation_days: Annotated[int, Field(ge=0, le=3650)] = 90


class NamedPart(_Part):
    """`[roles.<name>]` and `[projects.<name>]`."""

    description: Description = ""


class GrantPart(_Part):
    """`[[applications.<name>.grants]]`."""

    role: Name
    project: Name | None = None
    until: Time | None = None


class SecretPart(_Part):
    """`[applications.<name>.secrets.<name>]`."""

    env: str | None = None
    file: str | None = None
    expires: Time | None = None


class ApplicationPart(_Part):
    """`[applications.<name>]`."""

    description: Description = ""
    enabled: bool = True
    audience: Audiences = []
    resources: Audiences = []
    signing_algorithm: Algorithm | None = None
    jwks: Annotated[dict[str, Any] | None, BeforeValidator(_public_keys)] = None
    roles: list[Name] = []
    grants: list[GrantPart] = []
    secrets: dict[str, SecretPart] | None = None


class _Document(_Part):
    realm: RealmPart
    roles: dict[str, NamedPart] = {}
    projects: dict[str, NamedPart] = {}
    applications: dict[str, ApplicationPart] = {}


class RealmFile:
    """A realm file that was read and found sound in itself."""

    def __init__(self, path: Path, document: _Document, lines: LineIndex) -> None:
        self.path = path
        self.realm = document.realm
        self.roles, self.projects, self.applications = document.roles, document.projects, document.applications
        self._lines = lines

    def error(self, where: Sequence[str | int], reason: str) -> RealmFileError:
        """Return an error that names file, line and reason."""
        place = one_line(".".join(str(each) for each in where))
        return RealmFileError(f"{self.path}:{self._lines.line(where)}: {place}: {reason}")

    def grants(self, application: str) -> dict[tuple[str, str], tuple[datetime | None, list[str | int]]]:
        """Return end date and place in the file of each grant of an application, by project (or empty) and role."""
        part = self.applications[application]
        place: list[str | int] = ["applications", application]
        found: dict[tuple[str, str], tuple[datetime | None, list[str | int]]] = {}
        for role in part.roles:
            found["", role] = (None, [*place, "roles"])
        for number, grant in enumerate(part.grants):
            where = [*place, "grants", number]
            key = (grant.project or "", grant.role)
            if key in found:
                raise self.error(where, f"role {grant.role!r} is granted twice in the same place")
            found[key] = (grant.until, where)
        return found

    def secret_value(self, application: str, name: str) -> str | None:
        """Return the secret that the environment or a file holds; None when the server is to make one."""
        part = (self.applications[application].secrets or {})[name]
        where = ["applications", application, "secrets", name]
        if part.env is not None and part.file is not None:
            raise self.error(where, "takes env or file, not both")
        if part.env is not None:
            value = os.environ.get(part.env)
            if not value:
                raise self.error([*where, "env"], f"the environment variable {part.env} is not set")
            return value
        if part.file is not None:
            path = self.path.parent / part.file
            try:
                return path.read_text().strip()
            except (OSError, ValueError) as error:
                raise self.error([*where, "file"], f"{path} cannot be read ({type(error).__name__})") from None
        return None


def find_files(folder: Path) -> list[Path]:
    """Return the realm files of a folder by name."""
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))


def read_files(paths: Sequence[Path]) -> list[RealmFile]:
    """Read realm files; see `read_file` for the errors, to which two files of one realm are added."""
    files = [read_file(path) for path in paths]
    first: dict[str, RealmFile] = {}
    for file in files:
        other = first.setdefault(file.realm.name, file)
        if other is not file:
            raise file.error(["realm", "name"], f"{other.path} is of realm {file.realm.name!r} already")
    return files


def read_file(path: Path) -> RealmFile:
    """Read one realm file and check all that can be checked without the database.

    :raises RealmFileError: the first thing that is wrong, with file, line and reason.
    """
    try:
        text = path.read_text()
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RealmFileError(f"{path}:1: cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        line = getattr(error, "lineno", None) or _line_of(str(error), text)
        raise RealmFileError(f"{path}:{line}: is no TOML: {one_line(str(error))}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise RealmFileError(f"{path}:1: holds a value that cannot be read ({type(error).__name__})") from None
    lines = LineIndex(text)
    try:
        file = RealmFile(path, _Document.model_validate(data), lines)
    except ValidationError as error:
        first = error.errors()[0]
        where = [each for each in first["loc"] if each not in {"function-before", "constrained-str"}]
        place = one_line(".".join(str(each) for each in where))
        raise RealmFileError(f"{path}:{lines.line(where)}: {place}: {one_line(_reason(first))}") from None
    _check_names(file)
    _check_references(file)
    return file


def _line_of(message: str, text: str) -> int:
    """Find the line in the parser's message; an error at the end of the file has none."""
    _, _, rest = message.partition("at line ")
    number = rest.partition(",")[0]
    return int(number) if number.isdigit() else max(1, len(text.splitlines()))


def _reason(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a setting here; realms/acme.toml explains those there are"
        case "missing":
            return "is missing"
    message: str = error["msg"]
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


def _check_names(file: RealmFile) -> None:
    checks: list[tuple[list[str | int], Callable[[], object]]] = [
        (["realm", "name"], lambda: check_name("a realm", file.realm.name))
    ]
    for kind, parts in {"role": file.roles, "project": file.projects}.items():
        checks += [([f"{kind}s", name], lambda kind=kind, name=name: check_name(f"a {kind}", name)) for name in parts]  # type: ignore[misc]
    for name, part in file.applications.items():
        place: list[str | int] = ["applications", name]
        checks.append((place, lambda name=name: check_client_id(name)))  # type: ignore[misc]
        checks += [
            ([*place, "secrets", secret], lambda secret=secret: check_name("a secret", secret))  # type: ignore[misc]
            for secret in part.secrets or {}
        ]
    for where, check in checks:
        try:
            check()
        except InvalidValueError as error:
            raise file.error(where, str(error)) from None
    for name in file.roles:
        if name in BUILT_IN_ROLES:
            raise file.error(["roles", name], "is built in: every realm has it, and it cannot be changed")


def _check_references(file: RealmFile) -> None:
    for name in file.applications:
        for (project, role), (_, where) in file.grants(name).items():
            if role not in file.roles and role not in BUILT_IN_ROLES:
                raise file.error(where, f"there is no role {role!r}: add [roles.{role}], or use one that is there")
            if project and project not in file.projects:
                raise file.error(where, f"there is no project {project!r}: add [projects.{project}]")
