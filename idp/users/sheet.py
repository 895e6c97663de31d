"""What can be set of a user, and of a group."""

from typing import Annotated

from pydantic import AfterValidator, Field

from idp.mail import check_address
from idp.realms import Description, DisplayName
from idp.sheets import Between, Sheet, checked_by
from idp.written import is_written


def _one_line(text: str) -> str:
    if not is_written(text):
        raise ValueError("must be one line of printable characters")
    return text


PersonName = Annotated[str, Field(max_length=100), AfterValidator(_one_line)]


class UserSettings(Sheet):
    """What a user is called, and how long their keys live."""

    kept = frozenset({"email"})

    email: Annotated[str, Field(max_length=254), checked_by(lambda text: text and check_address(text))] = Field(
        default="", title="Email address", alias="emailId"
    )
    """Where emails are sent; the name to sign in with does not change."""
    first_name: PersonName = Field(default="", title="First name")
    last_name: PersonName = Field(default="", title="Last name")
    api_key_hours: Annotated[int, Between(1, 87_600, "hours")] | None = Field(
        default=None, title="Longest lifetime of their own API keys, in hours"
    )
    """Empty for the organisation's limit. If both are set, the higher one counts."""


class UserSheet(UserSettings):
    """A person or a machine user."""

    enabled: bool = Field(default=True, title="Enabled", alias="isActive")
    """Whether any credential of theirs works."""


class GroupSettings(Sheet):
    """The display name of a group."""

    display_name: DisplayName = Field(default="", title="Display name")
    """Empty for its name."""


class GroupSheet(GroupSettings):
    """A group of users."""

    description: Description = Field(default="", title="Description")
    """What it is, in words."""
