"""What can be set of a role, of a project, and of a grant."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from idp.access.policy import check_permissions
from idp.realms import Description, DisplayName
from idp.sheets import Sheet, checked_by


class RoleSettings(Sheet):
    """What a role permits."""

    permissions: Annotated[list[str], Field(max_length=200), checked_by(check_permissions)] = Field(
        default=[], title="Permissions on this server"
    )
    """Other APIs decide for themselves what the role means to them."""


class RoleSheet(RoleSettings):
    """A role."""

    description: Description = Field(default="", title="Description")
    """What it is, in words."""


class ProjectSettings(Sheet):
    """The display name of a project."""

    display_name: DisplayName = Field(default="", title="Display name")
    """Empty for its name."""


class ProjectSheet(ProjectSettings):
    """A project."""

    description: Description = Field(default="", title="Description")
    """What it is, in words."""


class GrantSheet(Sheet):
    """A grant: what can be set of it, besides who holds which role where."""

    until: datetime | None = Field(default=None, title="Until")
    """When it ends; empty for no end."""
