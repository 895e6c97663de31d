"""What can be set of a keyset, but for its values."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from idp.db import resembles_uid
from idp.keysets.models import DEFAULT_LEASE, LONGEST_LEASE
from idp.realms import Description
from idp.sheets import Between, Sheet
from idp.written import is_written

LONGEST_NAME = 200
MOST_PROJECTS = 100


def _checked_name(name: str) -> str:
    if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not is_written(name):
        raise ValueError(f"Use one line of 1 to {LONGEST_NAME} printable characters, without spaces at the ends")
    if resembles_uid(name):
        raise ValueError("This has the form of a uid: use another name")
    return name


def _each_once(names: list[str]) -> list[str]:
    return sorted(set(names))


class KeysetSettings(Sheet):
    """Whom a keyset is for, and for how long it is lent."""

    kept = frozenset({"projects"})

    projects: Annotated[list[str], Field(max_length=MOST_PROJECTS), AfterValidator(_each_once)] = Field(
        default=[], title="Only for these projects"
    )
    """Empty for the whole organisation."""
    is_default: bool = Field(default=False, title="Default")
    """Used unless another keyset of its category and entity is named."""
    max_lease_seconds: Annotated[int, Between(1, LONGEST_LEASE, "seconds")] = Field(
        default=DEFAULT_LEASE, title="Longest lease, in seconds"
    )
    """Leases end by themselves after this time at the latest."""


class KeysetSheet(KeysetSettings):
    """A keyset, without its values."""

    name: Annotated[str, AfterValidator(_checked_name)] = Field(default="keyset", title="Name")
    """Unique for its category and entity in the organisation."""
    description: Description = Field(default="", title="Description")
    """What it is, in words."""

    @classmethod
    def value_in(cls, row: Any, name: str) -> Any:
        """Return the value of a field as a row has it: projects by their names."""
        return sorted(project.name for project in row.projects) if name == "projects" else super().value_in(row, name)
