"""What can be set of a protected API."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from idp.applications import check_audiences
from idp.described import Described
from idp.sheets import Sheet

Audience = Annotated[str, AfterValidator(lambda value: check_audiences([value])[0])]


class RuleSheet(Described):
    """Who may call which paths of a protected API, by which methods."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    methods: list[str]
    path: str
    """Of the path itself, and of all below it."""
    roles: list[str] = Field(default=[])
    """Of which the caller holds one; none for whoever can prove who they are."""
    project: str = ""
    """Where the role counts; empty for everywhere."""
    open: bool = False
    """Whether nobody is asked who they are."""


class ProtectedApiSheet(Sheet):
    """An API behind a proxy that asks the gateway."""

    audience: Audience = Field(default="", title="Audience")
    """What tokens for it are made for (`aud`): its own name or URL."""
    rules: list[RuleSheet] = Field(default=[], title="Rules")
    """What may be called, by whom. What no rule names is refused."""

    @property
    def plain_rules(self) -> list[dict[str, Any]]:
        """The rules as they are stored."""
        return [rule.model_dump() for rule in self.rules]
