"""The shape of a realm file: its tables and what each setting takes. realms/acme.toml explains them all."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from idp.access import ProjectSheet, RoleSheet
from idp.applications import ApplicationSheet, check_jwks
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.protected_apis import Audience, ProtectedApiSheet
from idp.realms import RealmSheet
from idp.users import GroupSheet, UserSheet


def _aware(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("takes a date and time with a zone, such as 2027-06-30T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("takes a date between the years 1 and 9999") from None


def _public_keys(value: Any) -> Any:
    try:
        document = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("takes a JWK set of public keys as JSON text") from None
    try:
        return check_jwks(document)
    except ValueError as error:
        raise ValueError(f"takes a JWK set of public keys as JSON text ({error})") from None


def _key_set(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("takes a JWK set as JSON text") from None


Name = Annotated[str, Field(max_length=64)]
Time = Annotated[datetime, BeforeValidator(_aware)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RealmPart(RealmSheet, _Part):
    """`[realm]`."""

    name: Name


class ProjectPart(ProjectSheet, _Part):
    """`[projects.<name>]`."""


class RolePart(RoleSheet, _Part):
    """`[roles.<name>]`."""


class GrantPart(_Part):
    """`[[applications.<name>.grants]]`, and those of users and groups."""

    role: Name
    project: Name | None = None
    until: Time | None = None


class HolderPart(_Part):
    """What everything that holds roles has."""

    roles: list[Name] = []
    grants: list[GrantPart] = []


class GroupPart(GroupSheet, HolderPart):
    """`[groups.<name>]`."""


class UserPart(UserSheet, HolderPart):
    """`[users."<name>"]`: the mail address of a person, or the name of a machine user."""

    kind: Literal["person", "machine"] = "person"
    groups: list[Name] = []


class ApiPart(ProtectedApiSheet, _Part):
    """`[apis.<name>]`: an API behind a proxy that asks the gateway."""

    audience: Audience


class TrustedIssuerPart(TrustedIssuerSheet, _Part):
    """`[trusted_issuers.<name>]`: an issuer whose word is trusted."""

    jwks: Annotated[dict[str, Any] | None, BeforeValidator(_key_set)] = None
    """As JSON text."""
    people: dict[str, Annotated[str, Field(max_length=254)]] | None = None
    """Whom it knows: users by the subjects that they are there."""


class FederationRulePart(FederationRuleSheet, _Part):
    """`[federation_rules.<name>]`: which of its assertions admit which application."""

    issuer: Name
    application: Name


class SecretPart(_Part):
    """`[applications.<name>.secrets.<name>]`."""

    env: str | None = None
    file: str | None = None
    expires: Time | None = None


class ApplicationPart(ApplicationSheet, HolderPart):
    """`[applications.<name>]`."""

    jwks: Annotated[dict[str, Any] | None, BeforeValidator(_public_keys)] = None
    """As JSON text."""
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
    trusted_issuers: dict[str, TrustedIssuerPart] | None = None
    federation_rules: dict[str, FederationRulePart] | None = None
