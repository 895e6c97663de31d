"""What can be set of a registration token."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from idp.applications import check_scopes
from idp.realms import Description
from idp.sheets import Between, Sheet

RegisteredKind = Literal["web", "native", "browser"]


class RegistrationTokenSheet(Sheet):
    """A registration token, without its value."""

    description: Description = Field(default="", title="Description")
    """Who gets it, and what for."""
    kinds: Annotated[list[RegisteredKind], Field(max_length=3)] = Field(default=["web", "native", "browser"], title="Kinds")
    """The kinds of applications that can be registered with it."""
    scopes: Annotated[list[str], AfterValidator(check_scopes)] = Field(
        default=["openid", "profile", "email", "offline_access"], title="Scopes"
    )
    """The scopes that these applications may ask people for."""
    limit: Annotated[int, Between(1, 10_000, "applications")] = Field(default=1, title="Applications")
    """How many applications can be registered with it."""
    expires_at: datetime | None = Field(default=None, title="Expires", alias="expiry")
    """When it stops working, within a year; empty for a week from now."""
