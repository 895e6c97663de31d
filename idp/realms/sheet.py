"""What can be set of a realm."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from idp.realms.audiences import Audiences
from idp.realms.branding import Link, check_colour, check_logo
from idp.realms.names import DisplayName
from idp.settings import TOKEN_LIFETIME
from idp.sheets import Between, Sheet

LEAST_AUDIT_DAYS = 30
"""Days for which every realm keeps events of tokens: whoever comes to rule one cannot have its traces removed at once."""

Algorithm = Literal["RS256", "ES256"]
Profile = Literal["plain", "fapi2"]
AccessTokenType = Literal["at+jwt", "JWT"]
TokenSeconds = Annotated[int, Between(60, TOKEN_LIFETIME, "seconds")]


class RealmSettings(Sheet):
    """The settings of a realm."""

    display_name: DisplayName = Field(default="", title="Display name")
    """What it is called in pages and emails."""
    signing_algorithm: Algorithm = Field(default="RS256", title="Signature algorithm")
    """Of applications that choose none themselves. Every verifier knows RS256; ES256 is thirteen times cheaper to sign."""
    access_token_type: AccessTokenType = Field(default="at+jwt", title="Access token type")
    """Header `typ` of access tokens; `JWT` is for APIs that refuse RFC 9068."""
    key_rotation_days: Annotated[int, Between(1, 3650, "days", zero="for no automatic rotation")] = Field(
        default=90, title="Signing key rotation, in days"
    )
    """0 turns automatic rotation off."""
    audit_days: Annotated[int, Between(LEAST_AUDIT_DAYS, 36_500, "days", zero="to keep everything forever")] = Field(
        default=365, title="Retention of token and key uses in the audit trail, in days"
    )
    """0 keeps them forever. What people do is always kept."""
    session_hours: Annotated[int, Between(1, 8760, "hours")] = Field(default=12, title="Longest session, in hours")
    """No matter how often it is renewed."""
    api_key_hours: Annotated[int, Between(1, 87_600, "hours")] = Field(default=2160, title="Lifetime of API keys, in hours")
    """The default, and the most for keys that people create themselves."""
    personal_token_limit: Annotated[int, Between(1, 10_000, "tokens for each identity")] = Field(
        default=50, title="Personal tokens per user"
    )
    """Expired ones included, until they are deleted."""
    personal_token_seconds: Annotated[int, Between(60, 315_360_000, "seconds")] = Field(
        default=31_536_000, title="Lifetime of personal tokens, in seconds"
    )
    """From when they are created."""
    personal_token_choice: bool = Field(default=False, title="People may choose a shorter lifetime for a personal token")
    """Otherwise each lives as long as the setting says."""
    token_seconds: TokenSeconds = Field(default=TOKEN_LIFETIME, title="Lifetime of applications' tokens, in seconds")
    """Of the access and ID tokens that applications get for themselves. An application can have a shorter one."""
    person_token_seconds: Annotated[int, Between(60, 3600, "seconds")] = Field(
        default=900, title="Lifetime of people's tokens at applications, in seconds"
    )
    """Of the access and ID tokens that applications get for people who sign in to them."""
    refresh_idle_hours: Annotated[int, Between(1, 87_600, "hours")] = Field(
        default=336, title="Lifetime of unused refresh tokens, in hours"
    )
    """From its last use on."""
    refresh_hours: Annotated[int, Between(1, 87_600, "hours")] = Field(
        default=2160, title="New sign-in to applications required after, in hours"
    )
    """No matter how often the refresh token is used."""
    refresh_overlap_seconds: Annotated[int, Between(1, 60, "seconds", zero="for none")] = Field(
        default=10, title="Grace period for reused refresh tokens, in seconds"
    )
    """For clients that have lost the answer: they get the same again. Later reuse counts as theft, and ends the whole line."""
    pushed_requests: bool = Field(default=False, title="Only pushed authorization requests")
    """Whether all applications must push their authorization requests (RFC 9126)."""
    profile: Profile = Field(default="plain", title="Security profile")
    """Of applications that choose none themselves. `fapi2` has them push requests, authenticate by a key, and bind tokens."""
    registration: bool = Field(default=False, title="Applications may register themselves")
    """With a token that an administrator has created for that (RFC 7591)."""
    client_documents: bool = Field(default=False, title="Applications may describe themselves at a URL")
    """That URL is their client_id, and nobody registers them (client ID metadata documents). People are asked for consent."""
    open_audiences: Audiences = Field(default=[], title="APIs open to all applications")
    """Audiences that every application may ask for (`resource`) when people sign in to it: those of MCP servers, say."""
    brand_color: Annotated[str, Field(max_length=7), AfterValidator(check_colour)] = Field(default="", title="Colour")
    """Of buttons and links on the sign-in pages, such as #14539a; readable on white. On dark screens it is made lighter."""
    brand_logo: Annotated[str, Field(max_length=28_000), AfterValidator(check_logo)] = Field(default="", title="Logo")
    """For the sign-in pages: a PNG, JPEG or WebP picture of at most 20,000 bytes, as data:image/png;base64,..."""
    help_url: Link = Field(default="", title="Link to help")
    """Shown on the sign-in pages, as the next two are."""
    privacy_url: Link = Field(default="", title="Link to the privacy policy")
    """An https URL."""
    terms_url: Link = Field(default="", title="Link to the terms of use")
    """An https URL."""


class RealmSheet(RealmSettings):
    """A realm: its settings, and whether it works."""

    enabled: bool = Field(default=True, title="Enabled")
    """Whether its credentials work."""
