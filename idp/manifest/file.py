"""A realm file that was read: what it says, and where."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from idp.errors import IdpError
from idp.manifest.parts import Document, HolderPart
from idp.text_files import TextFileError, read_text
from idp.toml_files import LineIndex
from idp.users import canonical
from idp.written import one_line


class RealmFileError(IdpError):
    """A realm file is refused whole: file, line and reason."""


class RealmFile:
    """A realm file that was read and found sound in itself."""

    def __init__(self, path: Path, document: Document, lines: LineIndex) -> None:
        self.path = path
        self.realm = document.realm
        self.roles, self.projects, self.applications = document.roles, document.projects, document.applications
        self.groups, self.users, self.apis = document.groups, document.users, document.apis
        self.trusted_issuers, self.federation_rules = document.trusted_issuers, document.federation_rules
        self._lines = lines

    def error(self, where: Sequence[str | int], reason: str) -> RealmFileError:
        """Return an error that names file, line and reason."""
        place = one_line(".".join(str(each) for each in where))
        return RealmFileError(f"{self.path}:{self._lines.line(where)}: {place}: {reason}")

    def holders(self) -> dict[str, tuple[HolderPart, list[str | int]]]:
        """Return everything that holds roles with its place in the file: `user:<name>`, `group:<name>`, or an application."""
        found: dict[str, tuple[HolderPart, list[str | int]]] = {}
        for name, group in (self.groups or {}).items():
            found[f"group:{name}"] = (group, ["groups", name])
        for name, user in (self.users or {}).items():
            found[f"user:{canonical(name)}"] = (user, ["users", name])
        for name, application in self.applications.items():
            found[name] = (application, ["applications", name])
        return found

    def admitted(self) -> set[str]:
        """Return the applications that a trusted issuer vouches for."""
        return {rule.application for rule in (self.federation_rules or {}).values()}

    def grants(self, holder: str) -> dict[tuple[str, str], tuple[datetime | None, list[str | int]]]:
        """Return end date and place in the file of each grant of a holder, by project (or empty) and role."""
        part, place = self.holders()[holder]
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
                return read_text(path).strip()
            except TextFileError as error:
                raise self.error([*where, "file"], f"{path} {error.reason}") from None
        return None
