"""What can be set of an application."""

from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field

from idp.applications.checks import MOST_ORIGINS, check_jwks, check_keys_uri, check_origins
from idp.applications.kinds import GrantName, KindName
from idp.applications.redirects import LONGEST_URI, MOST_SCOPES, MOST_URIS, check_logout_uri, check_redirect_uris, check_scopes
from idp.realms import AccessTokenType, Algorithm, Audiences, Description, DisplayName, Link, Profile, TokenSeconds
from idp.sheets import Between, Sheet

FASTEST = 1_000_000


class ApplicationSettings(Sheet):
    """What an application is, but for what it says of itself."""

    enabled: bool = Field(default=True, title="Enabled")
    """Whether it gets tokens."""
    audience: Audiences = Field(default=[], title="Audience")
    """What its access tokens are for (`aud`); empty for no API in particular."""
    resources: Audiences = Field(default=[], title="Introspects tokens for")
    """Audiences whose tokens it may introspect as a resource server, besides its client_id."""
    signing_algorithm: Algorithm | None = Field(default=None, title="Signature algorithm")
    """Signature algorithm of its tokens; by default that of the organisation."""
    access_token_type: AccessTokenType | None = Field(default=None, title="Access token type")
    """Header `typ` of its access tokens; by default that of the organisation. `JWT` is for APIs that refuse RFC 9068."""
    token_seconds: TokenSeconds | None = Field(default=None, title="Lifetime of its tokens, in seconds")
    """Of access and ID tokens that it gets, for itself or people; the organisation's if that is shorter, or if this is empty."""
    kind: KindName = Field(default="machine", title="Kind")
    """`machine` acts for itself; people sign in to `web` (has a secret), `native` and `browser` (have none)."""
    display_name: DisplayName = Field(default="", title="Display name")
    """What people are told it is called when they sign in to it; empty for its name."""
    redirect_uris: Annotated[list[str], Field(max_length=MOST_URIS), AfterValidator(check_redirect_uris)] = Field(
        default=[], title="Redirect URIs"
    )
    """Where people are sent back to after they have signed in. Compared byte for byte, but for the port of a loopback address."""
    post_logout_redirect_uris: Annotated[list[str], Field(max_length=MOST_URIS), AfterValidator(check_redirect_uris)] = Field(
        default=[], title="Redirect URIs after signing out"
    )
    """Where people may be sent back to after they have signed out."""
    backchannel_logout_uri: Annotated[str, Field(max_length=LONGEST_URI), AfterValidator(check_logout_uri)] | None = Field(
        default=None, title="Back-channel logout URI"
    )
    """Where it is told that a person has signed out (OpenID Connect Back-Channel Logout)."""
    grant_types: Annotated[list[GrantName], Field(max_length=len(get_args(GrantName)))] = Field(
        default=[], title="Grants", alias="grants"
    )
    """The OAuth grants that it may use; empty for those of its kind."""
    scopes: Annotated[list[str], Field(max_length=MOST_SCOPES), AfterValidator(check_scopes)] = Field(default=[], title="Scopes")
    """The scopes that it may ask people for; empty for all."""
    privacy_url: Link = Field(default="", title="Link to its privacy policy")
    """Shown to people who are asked for consent: an https URL."""
    terms_url: Link = Field(default="", title="Link to its terms of use")
    """Shown beside it."""
    consent: bool = Field(default=False, title="Ask people for consent")
    """Whether people are asked before it learns who they are. Leave it off for applications of the organisation itself."""
    signed_userinfo: bool = Field(default=False, title="Signed UserInfo")
    """Whether UserInfo answers it with a signed JWT instead of JSON (OpenID Connect Core §5.3.2)."""
    pushed_requests: bool = Field(default=False, title="Only pushed authorization requests")
    """Whether it must push its authorization requests (RFC 9126)."""
    dpop_bound_access_tokens: bool = Field(default=False, title="Only tokens bound to a key (DPoP)")
    """Whether it gets no access token without a proof of the key that the token is bound to (RFC 9449)."""
    dpop_nonces: bool = Field(default=False, title="Proofs need a nonce")
    """Whether its DPoP proofs must carry a nonce of this server: then nobody can make proofs for later."""
    tls_client_certificate_bound_access_tokens: bool = Field(default=False, title="Only tokens bound to a certificate (mTLS)")
    """Whether its tokens are bound to the certificate of its TLS connection, and it gets none without one (RFC 8705)."""
    profile: Profile | None = Field(default=None, title="Security profile")
    """By default that of the organisation. `fapi2` is FAPI 2.0: pushed requests, a key in the place of secrets, bound tokens."""
    web_origins: Annotated[list[str], Field(max_length=MOST_ORIGINS), AfterValidator(check_origins)] = Field(
        default=[], title="Web origins"
    )
    """Origins whose pages may read the responses of the token endpoint and the like to it, such as https://app.example.com."""
    jwks: Annotated[dict[str, Any], AfterValidator(check_jwks)] | None = Field(default=None, title="Public keys")
    """Public keys for `private_key_jwt` (RFC 7523). When one is taken away, the tokens that were fetched with it end."""
    jwks_uri: Annotated[str, Field(max_length=LONGEST_URI), AfterValidator(check_keys_uri)] | None = Field(
        default=None, title="URL of its public keys"
    )
    """Where it publishes them, instead: an https URL of a JWK set, which is fetched from time to time."""
    rate_per_second: Annotated[int, Between(1, FASTEST, "tokens per second")] | None = Field(
        default=None, title="Tokens per second"
    )
    """Tokens that it may fetch per second; bursts may be five times as large. Empty for the server's limit."""

    @property
    def has_keys(self) -> bool:
        """Whether it proves who it is by a key of its own."""
        return self.jwks is not None or self.jwks_uri is not None


class ApplicationSheet(ApplicationSettings):
    """An application."""

    description: Description = Field(default="", title="Description")
    """What it does."""


class SecretSheet(Sheet):
    """A client secret, without its value."""

    expires_at: datetime | None = Field(default=None, title="Expires", alias="expiry")
    """When it stops working; empty for no expiry."""
    single_use: bool = Field(default=False, title="Single use")
    """Whether it works once, and is then retired."""


NEW_SECRET = SecretSheet()
"""What a secret is, of which nothing is said."""
