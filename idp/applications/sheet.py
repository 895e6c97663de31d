"""What can be set of an application."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from idp.applications.checks import MOST_AUDIENCES, MOST_ORIGINS, check_audiences, check_jwks, check_origins
from idp.realms import AccessTokenType, Algorithm, Description
from idp.sheets import Sheet, between

FASTEST = 1_000_000

Audiences = Annotated[list[str], Field(max_length=MOST_AUDIENCES), AfterValidator(check_audiences)]


class ApplicationSettings(Sheet):
    """What an application is, but for what it says of itself."""

    enabled: bool = Field(default=True, title="Enabled")
    """Whether it gets tokens."""
    audience: Audiences = Field(default=[], title="Audience")
    """What its access tokens are for (`aud`); empty for no API in particular."""
    resources: Audiences = Field(default=[], title="Introspects tokens for")
    """Audiences that it answers for, besides its own name: it may introspect their tokens."""
    signing_algorithm: Algorithm | None = Field(default=None, title="Signature algorithm")
    """Left out: that of all applications."""
    access_token_type: AccessTokenType | None = Field(default=None, title="Access token type")
    """Header `typ` of its access tokens; left out: that of all applications. `JWT` is for APIs that refuse RFC 9068."""
    web_origins: Annotated[list[str], Field(max_length=MOST_ORIGINS), AfterValidator(check_origins)] = Field(
        default=[], title="Web origins"
    )
    """Origins whose pages may read what it is answered by the token endpoint and the like, such as https://app.example.com."""
    jwks: Annotated[dict[str, Any], AfterValidator(check_jwks)] | None = Field(default=None, title="Public keys")
    """Public keys for `private_key_jwt` (RFC 7523)."""
    rate_per_second: Annotated[int, between(1, FASTEST, "tokens a second")] | None = Field(
        default=None, title="Tokens per second"
    )
    """Tokens that it may fetch in a second, five times as many at once; left out for the server's own limit."""


class ApplicationSheet(ApplicationSettings):
    """An application."""

    description: Description = Field(default="", title="Description")
    """What it is, for who reads this in a year."""
