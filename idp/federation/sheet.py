"""What can be set of a trusted issuer, and of a rule."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from idp.applications import check_audiences
from idp.described import Described
from idp.federation.presets import PresetName, Replay
from idp.realms import Description, TokenSeconds
from idp.sheets import Between, Sheet

MOST_AUDIENCES = 20
DAY, YEAR = 86_400, 31_536_000

KeySourceName = Literal["discovery", "url", "uploaded"]
ModeName = Literal["enforce", "audit"]


class TrustedIssuerSettings(Sheet):
    """What a trusted issuer is, but for what is said of it."""

    kept = frozenset({"preset"})

    preset: PresetName = Field(default="oidc", title="Preset")
    """The kind of issuer, with its defaults: `oidc` for any issuer of OpenID Connect tokens."""
    enabled: bool = Field(default=True, title="Enabled")
    """Whether its assertions are accepted."""
    issuer: Annotated[str, Field(max_length=500)] = Field(default="", title="Issuer")
    """`iss` of its assertions, character by character; of SPIFFE, `spiffe://` and the trust domain. Empty for the preset's."""
    key_source: KeySourceName = Field(default="discovery", title="Keys from")
    """`discovery` asks the issuer where its keys are, `url` fetches them from a URL, `uploaded` takes those given here."""
    jwks_url: Annotated[str, Field(max_length=500)] = Field(default="", title="URL of the key set")
    """An https URL."""
    jwks: dict[str, Any] | None = Field(default=None, title="Uploaded keys")
    """A JWK set, for an issuer that cannot be reached from here."""
    audiences: Annotated[list[str], Field(max_length=MOST_AUDIENCES), AfterValidator(check_audiences)] = Field(
        default=[], title="Audiences"
    )
    """What assertions must be made for (`aud`), and for nothing else. Empty for this realm's own."""
    replay: Replay | None = Field(default=None, title="Replay")
    """`once` accepts an assertion once, by its `jti`; `reuse` again, as some hand out the same. Empty for the preset's."""
    longest_life_seconds: Annotated[int, Between(60, YEAR, "seconds")] | None = Field(
        default=None, title="Longest life of an assertion, in seconds"
    )
    """From `iat` to `exp`. Empty for the preset's."""
    longest_age_seconds: Annotated[int, Between(30, YEAR, "seconds")] | None = Field(
        default=None, title="Greatest age of an assertion, in seconds"
    )
    """From `iat` on, whatever its `exp` says. Empty for the preset's."""
    leeway_seconds: Annotated[int, Between(1, 300, "seconds", zero="for none")] = Field(
        default=30, title="Clock leeway, in seconds"
    )
    """How far its clock may be off."""
    token_seconds: TokenSeconds = Field(default=3_600, title="Lifetime of tokens, in seconds")
    """Of those that are issued for its assertions: no longer than this, whatever application and rule say."""
    keep_keys_hours: Annotated[int, Between(1, 8_760, "hours")] = Field(default=24, title="Hours to keep its last keys")
    """While it does not answer. After that, its assertions are refused."""


class TrustedIssuerSheet(TrustedIssuerSettings):
    """An issuer whose assertions are trusted to say who a program is."""

    description: Description = Field(default="", title="Description")
    """What runs there."""


class LineSheet(Described):
    """A line of a rule: a claim, and what it has to be."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    claim: str
    """Its path, such as `repository_id` or `kubernetes.io.namespace`. Of a list, one member has to be that."""
    value: str
    """A value, or a pattern: `*` stands for anything within one component, and crosses neither `/` nor `:`."""


class FederationRuleSettings(Sheet):
    """What a rule is, but for what is said of it."""

    kept = frozenset({"issuer", "application"})

    issuer: str = Field(default="", title="Trusted issuer")
    """Its name."""
    application: str = Field(default="", title="Application")
    """The application that is admitted."""
    enabled: bool = Field(default=True, title="Enabled")
    """Whether it counts."""
    mode: ModeName = Field(default="enforce", title="Mode")
    """`enforce` admits what matches; `audit` records what another rule admits and this one would have refused."""
    lines: list[LineSheet] = Field(default=[], title="Lines")
    """All of them have to hold. One has to pin an owner by an id that is never given to another, such as `repository_id`."""
    token_seconds: TokenSeconds | None = Field(default=None, title="Lifetime of tokens, in seconds")
    """If it is to be shorter than what issuer and application allow."""
    roles: list[str] = Field(default=[], title="Roles")
    """The only ones that tokens carry, of those that the application holds; empty for all."""
    projects: list[str] = Field(default=[], title="Projects")
    """The only ones that tokens carry roles on, and then none on the organisation; empty for all."""

    @classmethod
    def value_in(cls, row: Any, name: str) -> Any:
        """Return the value of a field as a row has it: what it is about by its name."""
        value = super().value_in(row, name)
        if name == "lines":
            return [LineSheet.model_validate(line) if isinstance(line, dict) else line for line in value]
        return value if name not in {"issuer", "application"} or isinstance(value, str) else value.name


class FederationRuleSheet(FederationRuleSettings):
    """Which assertions of an issuer admit which application."""

    description: Description = Field(default="", title="Description")
    """What it is for."""

    @property
    def plain_lines(self) -> list[dict[str, str]]:
        """The lines as they are stored."""
        return [line.model_dump() for line in self.lines]
