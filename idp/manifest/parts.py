"""The shape of a realm file: its tables and what each setting takes. realms/acme.toml explains them all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from idp.access import check_permissions
from idp.applications import check_audiences, check_jwks, check_origins
from idp.errors import InvalidValueError
from idp.realms import check_access_token_type, check_algorithm, check_text


def _aware(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("takes a date and time with a zone, such as 2027-06-30T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("takes a date between the years 1 and 9999") from None


def _public_keys(value: Any) -> Any:
    try:
        return check_jwks(json.loads(value) if isinstance(value, str) else value)
    except InvalidValueError as error:
        raise ValueError(f"takes a JWK set of public keys as JSON text ({error})") from None
    except (ValueError, RecursionError):
        raise ValueError("takes a JWK set of public keys as JSON text") from None


def _checked_by(check: Callable[[Any], Any]) -> AfterValidator:
    """Have pydantic refuse what a domain's own check refuses, with the domain's sentence."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except InvalidValueError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


Name = Annotated[str, Field(max_length=64)]
DisplayName = Annotated[str, _checked_by(lambda text: check_text("display_name", text, 200))]
Description = Annotated[str, _checked_by(lambda text: check_text("description", text, 500))]
Time = Annotated[datetime, BeforeValidator(_aware)]
Permissions = Annotated[list[str], _checked_by(check_permissions)]
Algorithm = Annotated[str, _checked_by(check_algorithm)]
AccessTokenType = Annotated[str, _checked_by(check_access_token_type)]
Origins = Annotated[list[str], _checked_by(check_origins)]
Audiences = Annotated[list[str], _checked_by(lambda values: check_audiences("the list", values))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RealmPart(_Part):
    """`[realm]`."""

    name: Name
    display_name: DisplayName = ""
    enabled: bool = True
    signing_algorithm: Algorithm = "RS256"
    access_token_type: AccessTokenType = "at+jwt"  # noqa: S105
    key_rotation_days: Annotated[int, Field(ge=0, le=3650)] = 90
    audit_days: Annotated[int, Field(ge=0, le=36_500)] = 365
    session_hours: Annotated[int, Field(ge=1, le=8760)] = 12
    api_key_hours: Annotated[int, Field(ge=1, le=87_600)] = 2160
    personal_token_limit: Annotated[int, Field(ge=1, le=10_000)] = 50
    personal_token_seconds: Annotated[int, Field(ge=60, le=315_360_000)] = 31_536_000
    personal_token_choice: bool = False


class ProjectPart(_Part):
    """`[projects.<name>]`."""

    display_name: DisplayName = ""
    description: Description = ""


class RolePart(_Part):
    """`[roles.<name>]`."""

    description: Description = ""
    permissions: Permissions = []


class GrantPart(_Part):
    """`[[applications.<name>.grants]]`, and those of users and groups."""

    role: Name
    project: Name | None = None
    until: Time | None = None


class HolderPart(_Part):
    """What everything that holds roles has."""

    roles: list[Name] = []
    grants: list[GrantPart] = []


class GroupPart(HolderPart):
    """`[groups.<name>]`."""

    display_name: DisplayName = ""
    description: Description = ""


class UserPart(HolderPart):
    """`[users."<name>"]`: the mail address of a person, or the name of a machine user."""

    kind: Literal["person", "machine"] = "person"
    email: Annotated[str, Field(max_length=254)] = ""
    first_name: Annotated[str, Field(max_length=100)] = ""
    last_name: Annotated[str, Field(max_length=100)] = ""
    enabled: bool = True
    api_key_hours: Annotated[int | None, Field(ge=1, le=87_600)] = None
    groups: list[Name] = []


class RulePart(_Part):
    """`[[apis.<name>.rules]]`."""

    methods: list[str]
    path: str
    roles: list[Name] = []
    project: Name = ""
    open: bool = False


class ApiPart(_Part):
    """`[apis.<name>]`: an API behind a proxy that asks the gateway."""

    audience: str
    rules: list[RulePart] = []


class SecretPart(_Part):
    """`[applications.<name>.secrets.<name>]`."""

    env: str | None = None
    file: str | None = None
    expires: Time | None = None


class ApplicationPart(HolderPart):
    """`[applications.<name>]`."""

    description: Description = ""
    enabled: bool = True
    audience: Audiences = []
    resources: Audiences = []
    signing_algorithm: Algorithm | None = None
    access_token_type: AccessTokenType | None = None
    web_origins: Origins = []
    rate_per_second: Annotated[int | None, Field(ge=1)] = None
    jwks: Annotated[dict[str, Any] | None, BeforeValidator(_public_keys)] = None
    secrets: dict[str, SecretPart] | None = None


class Document(_Part):
    """A whole file."""

    realm: RealmPart
    roles: dict[str, RolePart] = {}
    projects: dict[str, ProjectPart] = {}
    groups: dict[str, GroupPart] | None = None
    users: dict[str, UserPart] | None = None
    applications: dict[str, ApplicationPart] = {}
    apis: dict[str, ApiPart] = {}
