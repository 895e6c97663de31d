"""`/v1/applications` and their secrets."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, applications, clock, rules
from idp.access import Project
from idp.api.answers import metadata
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Metadata, Named, Renamed, Schema, Timestamp, Uid, When
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.applications import Application, ApplicationSecret, ApplicationSettings, ApplicationSheet, SecretSheet
from idp.db import is_uid
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.rules import Authority
from idp.web.answers import time, time_or_none


class ProjectGrant(Schema):
    """A role on a project that a new application gets."""

    projectUid: str
    role: str
    """By uid or name."""
    until: When | None = None


class ApplicationSpec(ApplicationSettings, Spec):
    """`spec` of an application."""


class NewApplicationSpec(ApplicationSpec):
    """`spec` of a new application."""

    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm that it gets, by uid or name."""
    projects: list[ProjectGrant] = Field(default=[], max_length=100)
    withSecret: bool = True
    """False makes no secret: a trusted issuer vouches for it (`POST /v1/federation/rules`), or it has keys of its own."""


class NewApplication(Schema):
    """`POST /v1/applications`."""

    metadata: Named
    spec: NewApplicationSpec = NewApplicationSpec()


class ReplacedApplication(Schema):
    """`PUT /v1/applications/{uid}`: what is left out is emptied."""

    metadata: Renamed = Renamed()
    spec: ApplicationSpec


@optional
class ApplicationSpecChange(ApplicationSpec):
    """`spec` of a change: what is left out stays, and null empties."""


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
    """Empty for an application that keeps no secret."""


class ApplicationSpecShown(ApplicationSettings):
    """What an application is."""


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
def list_applications(authority: Authority, project: Project | None, query: ApplicationQuery) -> Page[ApplicationResource]:
    """List applications; with `ProjectUid`, those that hold a role on the project."""
    named = rules.applications.listed(authority, project.name if project else "")
    listing = applications.application_listing(authority.realm, containing=query.name, enabled=query.isActive, projects=named)
    return page(authority.caller, query, listing, show_application, query.orderBy)


def _is_alone(body: NewApplication) -> bool:
    """Tell whether an application is given nothing, and uses up nothing of which a realm has only so much."""
    spec = body.spec
    return not (spec.roles or spec.projects or spec.web_origins)


@signed_in(alone=_is_alone)
def create_application(authority: Authority, body: NewApplication) -> Created[ApplicationMade]:
    """Create an application with its roles and its first secret, which is in this response and nowhere else."""
    spec = body.spec
    roles = [access.find_role_name(authority.realm, role) for role in spec.roles]
    projects = [
        (_project(authority.realm, each.projectUid), access.find_role_name(authority.realm, each.role), each.until)
        for each in spec.projects
    ]
    wish = rules.applications.NewApplication(body.metadata.name, _sheet(body), roles, projects, spec.withSecret)
    application, secret = rules.applications.create(authority, wish)
    shown: ApplicationMade = {"uid": application.uid, "clientId": application.name, "clientSecret": secret}
    return Created(shown, f"/v1/applications/{application.uid}")


@signed_in
def get_application(authority: Authority, uid: str) -> ApplicationResource:
    """Show an application, by uid or name."""
    return show_application(rules.applications.visible(authority, uid))


@signed_in(current=get_application)
def replace_application(authority: Authority, body: ReplacedApplication, uid: str) -> None:
    """Replace an application; what is left out is emptied."""
    rules.applications.update(authority, rules.applications.visible(authority, uid).name, _sheet(body))


@signed_in(current=get_application)
def change_application(authority: Authority, body: ApplicationChange, uid: str) -> None:
    """Update an application; what is left out keeps its value."""
    application = rules.applications.visible(authority, uid)
    changes = changes_in(body.spec, ApplicationSheet, {"description": body.metadata.description})
    rules.applications.update(authority, application.name, ApplicationSheet.of(application).changed(changes))


@signed_in(current=get_application)
def delete_application(authority: Authority, uid: str) -> None:
    """Delete an application with its secrets and grants."""
    application = rules.applications.manageable(authority, rules.applications.visible(authority, uid).name)
    applications.delete_application(authority.realm, application)


@signed_in
def list_secrets(authority: Authority, uid: str) -> Secrets:
    """List the secrets of an application, including retired ones; never their values."""
    application = rules.applications.visible(authority, uid)
    every = applications.list_secrets(application)
    return {"items": [_show_secret(secret, every) for secret in every]}


@signed_in
def create_secret(authority: Authority, body: NewSecret, uid: str) -> Created[SecretMade]:
    """Add a secret to an application; its value is in this response and nowhere else."""
    application = rules.applications.manageable(authority, rules.applications.visible(authority, uid).name)
    secret, plain = rules.applications.add_secret(
        authority, application, body.metadata.name, SecretSheet(expires_at=body.spec.expiry)
    )
    return Created({"uid": secret.uid, "clientSecret": plain}, f"/v1/applications/{application.uid}/secrets/{secret.uid}")


@signed_in
def get_secret(authority: Authority, uid: str, secret: str) -> SecretResource:
    """Show a secret, by uid or name; never its value."""
    application = rules.applications.visible(authority, uid)
    every = applications.list_secrets(application)
    return _show_secret(_secret(every, secret), every)


@signed_in(current=get_secret)
def change_secret(authority: Authority, body: SecretChange, uid: str, secret: str) -> None:
    """Change when a secret expires."""
    application = rules.applications.manageable(authority, rules.applications.visible(authority, uid).name)
    row = _live_secret(application, secret)
    applications.change_expiry(authority.realm, application, row, body.spec.expiry)


@signed_in(current=get_secret)
def retire_secret(authority: Authority, uid: str, secret: str) -> None:
    """Retire a secret permanently; every worker refuses it within a second, and the tokens that were fetched with it."""
    application = rules.applications.manageable(authority, rules.applications.visible(authority, uid).name)
    applications.retire_secret(authority.realm, application, _live_secret(application, secret).name)


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


def _sheet(body: NewApplication | ReplacedApplication) -> ApplicationSheet:
    return ApplicationSheet.read(values_of(body.spec, ApplicationSheet) | {"description": body.metadata.description or ""})


def show_application(application: Application) -> ApplicationResource:
    """Return what is known of an application."""
    return {
        "metadata": metadata(
            application.uid, application.name, application.created_at, application.updated_at, application.description
        ),
        "spec": ApplicationSpecShown.of(application),
        "status": {
            "clientId": application.name,
            "tokenCount": application.token_count,
            "lastUsedAt": time_or_none(application.last_used_at),
        },
    }


def _show_secret(secret: ApplicationSecret, every: Sequence[ApplicationSecret]) -> SecretResource:
    created: SecretMetadata = {
        "uid": secret.uid,
        "name": secret.name,
        "creationTimestamp": time(secret.created_at),
    }
    return {
        "metadata": created,
        "spec": {
            "publicPart": secret.public_part,
            "expiry": time_or_none(secret.expires_at),
            "singleUse": secret.single_use,
            "limited": secret.frozen is not None,
        },
        "status": {
            "state": secret.state(clock.now()).value,
            "retiredAt": time_or_none(secret.retired_at),
            "lastUsedAt": time_or_none(secret.last_used_at),
            "lastUsedAddress": secret.last_used_address,
            "useCount": secret.use_count,
            "safeToRetire": applications.safe_to_retire(secret, every) is not None,
        },
    }
