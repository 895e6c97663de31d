"""Reading realm files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from idp.manifest.checks import check_names, check_references
from idp.manifest.file import RealmFile, RealmFileError
from idp.manifest.parts import Document
from idp.sheets import reason_of
from idp.text_files import TextFileError, read_text
from idp.toml_files import TomlFileError, parse_toml
from idp.written import one_line


def find_files(folder: Path) -> list[Path]:
    """Return the realm files of a folder by name; none if it is not there.

    :raises RealmFileError: it is no folder, or cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RealmFileError(
            f"The folder of realm files {folder} cannot be read ({error.strerror}). Set IDP_REALMS_DIR."
        ) from None


def read_files(paths: Sequence[Path]) -> list[RealmFile]:
    """Read realm files; see `read_file` for the errors, to which two files of one realm are added."""
    files, problems = _read_each(paths)
    if problems:
        raise problems[0]
    return files


def read_folder(folder: Path) -> tuple[list[RealmFile], list[RealmFileError]]:
    """Read the realm files of a folder that are sound, and return what is wrong with the others.

    Of two files of one realm neither is sound: nobody can know which of them is meant.
    """
    try:
        paths = find_files(folder)
    except RealmFileError as error:
        return [], [error]
    return _read_each(paths)


def _read_each(paths: Sequence[Path]) -> tuple[list[RealmFile], list[RealmFileError]]:
    files: list[RealmFile] = []
    problems: list[RealmFileError] = []
    for path in paths:
        try:
            files.append(read_file(path))
        except RealmFileError as error:
            problems.append(error)
    first: dict[str, RealmFile] = {}
    twice = set()
    for file in files:
        name = file.realm.name
        other = first.setdefault(name, file)
        if other is not file:
            twice.add(name)
            problems.append(file.error(["realm", "name"], f"{other.path} already defines realm {name!r}"))
    return [file for file in files if file.realm.name not in twice], problems


def read_file(path: Path) -> RealmFile:
    """Read one realm file and check all that can be checked without the database.

    :raises RealmFileError: the first thing that is wrong, with file, line and reason.
    """
    try:
        data, lines = parse_toml(path, read_text(path))
    except TextFileError as error:
        raise RealmFileError(f"{path}:{error.line or 1}: {error.reason}") from None
    except TomlFileError as error:
        raise RealmFileError(str(error)) from None
    try:
        file = RealmFile(path, Document.model_validate(data), lines)
    except ValidationError as error:
        first = error.errors()[0]
        where = [each for each in first["loc"] if each not in {"function-before", "constrained-str"}]
        place = one_line(".".join(str(each) for each in where))
        raise RealmFileError(f"{path}:{lines.line(where)}: {place}: {one_line(_reason(first))}") from None
    check_names(file)
    check_references(file)
    return file


def _reason(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a setting; realms/acme.toml explains all settings"
        case "missing":
            return "is missing"
    return reason_of(error)
