"""`/v1/applications` and their secrets."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, applications, callers, clock
from idp.access import Project
from idp.api.answers import metadata, time, time_or_none
from idp.api.changes import changed_fields
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Metadata, Named, Renamed, Schema, Timestamp, Uid, When
from idp.applications import Application, ApplicationSecret
from idp.callers import ApplicationWish, Caller
from idp.db import is_uid
from idp.errors import NotFoundError
from idp.realms import Realm

Algorithm = Literal["RS256", "ES256"]
AccessTokenType = Literal["at+jwt", "JWT"]


class ProjectGrant(Schema):
    """A role on a project that a new application gets."""

    projectUid: str
    role: str
    """By uid or name."""
    until: When | None = None


class ApplicationSpec(Schema):
    """`spec` of an application."""

    enabled: bool = True
    audience: list[str] = Field(default=[], max_length=100)
    """What its access tokens are for; empty for the realm's issuer."""
    resources: list[str] = Field(default=[], max_length=100)
    """Audiences that it answers for, besides its own name."""
    signingAlgorithm: Algorithm | None = None
    """Left out for the realm's."""
    accessTokenType: AccessTokenType | None = None
    """Header `typ` of its access tokens; left out for the realm's. `JWT` is for APIs that refuse RFC 9068."""
    webOrigins: list[str] = Field(default=[], max_length=50)
    """Origins whose pages may read what it is answered by the token endpoint and the like, such as https://app.example.com."""
    jwks: dict[str, Any] | None = None
    """Public keys for `private_key_jwt` (RFC 7523)."""
    ratePerSecond: int | None = None
    """Tokens that it may fetch in a second; left out for the server's own limit."""


class NewApplicationSpec(ApplicationSpec):
    """`spec` of a new application."""

    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm that it gets, by uid or name."""
    projects: list[ProjectGrant] = Field(default=[], max_length=100)


class NewApplication(Schema):
    """`POST /v1/applications`."""

    metadata: Named
    spec: NewApplicationSpec = NewApplicationSpec()


class ReplacedApplication(Schema):
    """`PUT /v1/applications/{uid}`: what is left out is emptied."""

    metadata: Renamed = Renamed()
    spec: ApplicationSpec


class ApplicationSpecChange(Schema):
    """`spec` of a change: what is left out stays, and null empties."""

    enabled: bool | None = None
    audience: list[str] | None = None
    resources: list[str] | None = None
    signingAlgorithm: Algorithm | None = None
    accessTokenType: AccessTokenType | None = None
    webOrigins: list[str] | None = None
    jwks: dict[str, Any] | None = None
    ratePerSecond: int | None = None


class ApplicationChange(Schema):
    """`PATCH /v1/applications/{uid}`."""

    metadata: Renamed = Renamed()
    spec: ApplicationSpecChange = ApplicationSpecChange()


class SecretExpiry(Schema):
    """`spec` of a secret."""

    read_only = frozenset({"publicPart", "singleUse"})

    expiry: When | None = None
    """null for never."""


class NewSecret(Schema):
    """`POST /v1/applications/{uid}/secrets`."""

    metadata: Named
    spec: SecretExpiry = SecretExpiry()


class SecretChange(Schema):
    """`PUT` and `PATCH /v1/applications/{uid}/secrets/{secret}`: it expires at another time, and nothing else of it changes."""

    metadata: Renamed = Renamed()
    spec: SecretExpiry


class ApplicationQuery(PageQuery):
    """Which applications, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    isActive: bool | None = None
    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "name"


class ApplicationMade(TypedDict):
    """A new application: its secret is here and nowhere else."""

    uid: str
    clientId: str
    clientSecret: str


class ApplicationSpecShown(TypedDict):
    """What an application is."""

    enabled: bool
    audience: list[str]
    resources: list[str]
    signingAlgorithm: Algorithm | None
    accessTokenType: AccessTokenType | None
    webOrigins: list[str]
    jwks: dict[str, Any] | None
    ratePerSecond: int | None


class ApplicationStatus(TypedDict):
    """How an application fares."""

    clientId: str
    tokenCount: int
    lastUsedAt: Timestamp | None


class ApplicationResource(TypedDict):
    """A program with its own identity."""

    metadata: Metadata
    spec: ApplicationSpecShown
    status: ApplicationStatus


class SecretMetadata(TypedDict):
    """Which secret it is."""

    uid: Uid
    name: str
    creationTimestamp: Timestamp


class SecretSpec(TypedDict):
    """What a secret is; never the secret."""

    publicPart: str
    expiry: Timestamp | None
    singleUse: bool
    limited: bool
    """Whether it carries only what the application held when it was made, and not what it was given later."""


class SecretStatus(TypedDict):
    """How a secret fares."""

    state: Literal["live", "expired", "retired"]
    retiredAt: Timestamp | None
    lastUsedAt: Timestamp | None
    lastUsedAddress: str
    useCount: int
    safeToRetire: bool


class SecretResource(TypedDict):
    """A client secret; never its value."""

    metadata: SecretMetadata
    spec: SecretSpec
    status: SecretStatus


class Secrets(TypedDict):
    """The secrets of an application."""

    items: list[SecretResource]


class SecretMade(TypedDict):
    """A new secret: its value is here and nowhere else."""

    uid: str
    clientSecret: str


@signed_in
def list_applications(
    caller: Caller, realm: Realm, project: Project | None, query: ApplicationQuery
) -> Page[ApplicationResource]:
    """List applications; with `ProjectUid`, those that hold a role on the project."""
    caller.require("applications:read", realm=realm.name, project=project.name if project else "")
    named = None if project is None else [project.name]
    listing = applications.application_listing(realm, containing=query.name, enabled=query.isActive, projects=named)
    return page(caller, query, listing, show_application, query.orderBy)


@signed_in
def create_application(caller: Caller, realm: Realm, body: NewApplication) -> Created[ApplicationMade]:
    """Create an application with its roles and its first secret, which is in this response and nowhere else."""
    spec = body.spec
    fields = _fields(spec) | {"description": body.metadata.description or ""}
    roles = [access.find_role_name(realm, role) for role in spec.roles]
    projects = [(_project(realm, each.projectUid), access.find_role_name(realm, each.role), each.until) for each in spec.projects]
    wish = ApplicationWish(body.metadata.name, roles, projects, fields)
    application, secret = callers.make_application(caller, realm, wish)
    shown: ApplicationMade = {"uid": application.uid, "clientId": application.name, "clientSecret": secret}
    return Created(shown, f"/v1/applications/{application.uid}")


@signed_in
def get_application(caller: Caller, realm: Realm, uid: str) -> ApplicationResource:
    """Show an application, by uid or name."""
    return show_application(callers.visible_application(caller, realm, uid))


@signed_in(current=get_application)
def replace_application(caller: Caller, realm: Realm, body: ReplacedApplication, uid: str) -> None:
    """Replace an application; what is left out is emptied."""
    fields = _fields(body.spec) | {"description": body.metadata.description or ""}
    callers.change_application(caller, realm, callers.visible_application(caller, realm, uid).name, **fields)


@signed_in(current=get_application)
def change_application(caller: Caller, realm: Realm, body: ApplicationChange, uid: str) -> None:
    """Update an application; what is left out keeps its value."""
    fields = changed_fields(body.spec, _API_NAMES, _EMPTY)
    if body.metadata.description is not None:
        fields["description"] = body.metadata.description
    callers.change_application(caller, realm, callers.visible_application(caller, realm, uid).name, **fields)


@signed_in(current=get_application)
def delete_application(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete an application with its secrets and grants."""
    application = callers.manageable_application(caller, realm, callers.visible_application(caller, realm, uid).name)
    applications.delete_application(realm, application)


@signed_in
def list_secrets(caller: Caller, realm: Realm, uid: str) -> Secrets:
    """List the secrets of an application, including retired ones; never their values."""
    application = callers.visible_application(caller, realm, uid)
    every = applications.list_secrets(application)
    return {"items": [_show_secret(secret, every) for secret in every]}


@signed_in
def create_secret(caller: Caller, realm: Realm, body: NewSecret, uid: str) -> Created[SecretMade]:
    """Add a secret to an application; its value is in this response and nowhere else."""
    application = callers.manageable_application(caller, realm, callers.visible_application(caller, realm, uid).name)
    secret, plain = callers.make_secret(caller, realm, application, body.metadata.name, expires_at=body.spec.expiry)
    return Created({"uid": secret.uid, "clientSecret": plain}, f"/v1/applications/{application.uid}/secrets/{secret.uid}")


@signed_in
def get_secret(caller: Caller, realm: Realm, uid: str, secret: str) -> SecretResource:
    """Show a secret, by uid or name; never its value."""
    application = callers.visible_application(caller, realm, uid)
    every = applications.list_secrets(application)
    return _show_secret(_secret(every, secret), every)


@signed_in(current=get_secret)
def change_secret(caller: Caller, realm: Realm, body: SecretChange, uid: str, secret: str) -> None:
    """Change when a secret expires."""
    application = callers.manageable_application(caller, realm, callers.visible_application(caller, realm, uid).name)
    row = _live_secret(application, secret)
    applications.change_expiry(realm, application, row, body.spec.expiry)


@signed_in(current=get_secret)
def retire_secret(caller: Caller, realm: Realm, uid: str, secret: str) -> None:
    """Retire a secret permanently; every worker refuses it within a second."""
    application = callers.manageable_application(caller, realm, callers.visible_application(caller, realm, uid).name)
    applications.retire_secret(realm, application, _live_secret(application, secret).name)


def _live_secret(application: Application, named: str) -> ApplicationSecret:
    return _secret([each for each in applications.list_secrets(application) if each.retired_at is None], named)


def _secret(every: Sequence[ApplicationSecret], named: str) -> ApplicationSecret:
    """Return a secret by uid or name; of several of one name, the live one or the newest."""
    named_so = [each for each in every if (each.uid == named.lower() if is_uid(named) else each.name == named)]
    if not named_so:
        raise NotFoundError("The application has no secret with this uid or name (not found).")
    return next((each for each in named_so if each.retired_at is None), named_so[-1])


def _project(realm: Realm, uid: str) -> str:
    project = access.find_project_by_uid(realm, uid)
    if project is None:
        raise NotFoundError("There is no project with this uid (not found).")
    return project.name


_API_NAMES = {
    "enabled": "enabled",
    "audience": "audience",
    "resources": "resources",
    "signing_algorithm": "signingAlgorithm",
    "access_token_type": "accessTokenType",
    "web_origins": "webOrigins",
    "jwks": "jwks",
    "rate_per_second": "ratePerSecond",
}
_EMPTY: dict[str, Any] = {
    "audience": [], "resources": [], "signing_algorithm": None, "access_token_type": None, "web_origins": [], "jwks": None,
    "rate_per_second": None,
}  # fmt: skip


def _fields(spec: ApplicationSpec) -> dict[str, Any]:
    return {field: getattr(spec, name) for field, name in _API_NAMES.items()}


def show_application(application: Application) -> ApplicationResource:
    """Return what is known of an application."""
    algorithm: Algorithm | None = None
    if application.signing_algorithm is not None:
        algorithm = "ES256" if application.signing_algorithm == "ES256" else "RS256"
    token_type: AccessTokenType | None = None
    if application.access_token_type is not None:
        token_type = "JWT" if application.access_token_type == "JWT" else "at+jwt"  # noqa: S105
    return {
        "metadata": metadata(
            application.uid, application.name, application.created_at, application.updated_at, application.description
        ),
        "spec": {
            "enabled": application.enabled,
            "audience": application.audience,
            "resources": application.resources,
            "signingAlgorithm": algorithm,
            "accessTokenType": token_type,
            "webOrigins": application.web_origins,
            "jwks": application.jwks,
            "ratePerSecond": application.rate_per_second,
        },
        "status": {
            "clientId": application.name,
            "tokenCount": application.token_count,
            "lastUsedAt": time_or_none(application.last_used_at),
        },
    }


def _show_secret(secret: ApplicationSecret, every: Sequence[ApplicationSecret]) -> SecretResource:
    state: Literal["live", "expired", "retired"] = "live"
    if secret.retired_at is not None:
        state = "retired"
    elif secret.expires_at is not None and secret.expires_at <= clock.now():
        state = "expired"
    created: SecretMetadata = {
        "uid": secret.uid, "name": secret.name, "creationTimestamp": time(secret.created_at),
    }  # fmt: skip
    return {
        "metadata": created,
        "spec": {
            "publicPart": secret.public_part,
            "expiry": time_or_none(secret.expires_at),
            "singleUse": secret.single_use,
            "limited": secret.frozen is not None,
        },
        "status": {
            "state": state,
            "retiredAt": time_or_none(secret.retired_at),
            "lastUsedAt": time_or_none(secret.last_used_at),
            "lastUsedAddress": secret.last_used_address,
            "useCount": secret.use_count,
            "safeToRetire": applications.safe_to_retire(secret, every) is not None,
        },
    }
