"""What can be set of an API key."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from idp.apikeys.policy import MOST_ENTRIES, MOST_PER_MINUTE, check_addresses
from idp.realms import Description
from idp.sheets import Between, Sheet, checked_by
from idp.written import is_written


def _one_line(text: str) -> str:
    if not is_written(text):
        raise ValueError("must be one line of printable characters")
    return text


class ApiKeyNarrowing(Sheet):
    """What an API key is restricted to."""

    roles: Annotated[list[str], Field(max_length=MOST_ENTRIES)] = Field(default=[], title="Only with these roles")
    """Of those that its owner holds; empty for all."""
    projects: Annotated[list[str], Field(max_length=MOST_ENTRIES)] = Field(default=[], title="Only on these projects")
    """Empty for all."""
    addresses: Annotated[list[str], Field(max_length=MOST_ENTRIES), checked_by(check_addresses)] = Field(
        default=[], title="Only from these addresses"
    )
    """Addresses or networks, such as 192.0.2.0/24; empty for any."""
    rate_per_minute: Annotated[int, Between(1, MOST_PER_MINUTE, "uses per minute")] | None = Field(
        default=None, title="Uses per minute"
    )
    """Empty for no limit of its own."""


class ApiKeySheet(ApiKeyNarrowing):
    """An API key: what it is told by, when it ends, and what it is restricted to."""

    name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_one_line)] = Field(default="key", title="Name")
    """What it is told by; several keys may have the same."""
    description: Description = Field(default="", title="Description")
    """What it is for."""
    active: bool = Field(default=True, title="Active", alias="isActive")
    """Whether it works; a deactivated key can be activated again."""
    expires_at: datetime | None = Field(default=None, title="Expires", alias="expiry")
    """When it stops working; empty for no expiry, if you are allowed to."""
