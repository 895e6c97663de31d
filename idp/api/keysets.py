"""`/v1/keysets`: third-party credentials. Values go in, and come out to applications that take a lease, see `leases`."""

from collections.abc import Sequence
from typing import Any, Literal

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import keysets, rules, runtime
from idp.api.answers import metadata
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Reference, Schema, Timestamp, describe
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.errors import ConflictError, InvalidMembersError
from idp.keysets import Holding, Keyset, KeysetSettings, KeysetSheet, KeysetVersion
from idp.rules import Authority
from idp.web.answers import time, time_or_none
from idp.web.transport import require_private

Category = Literal["provider", "solution", "storage", "user_ssh", "vcs"]
WritableCategory = Literal["provider", "solution", "storage", "user_ssh"]


class KeyValue(Schema):
    """A key with its value, which no answer shows."""

    read_only = frozenset({"fingerprint"})

    type: str = Field(max_length=20)
    """See `GET /v1/keysetKinds`."""
    value: str = Field(max_length=keysets.LONGEST_VALUE, repr=False)


class KeysetNamed(Schema):
    """`metadata` of a keyset."""

    name: str = Field(min_length=1, max_length=keysets.LONGEST_NAME)
    """One of this category and entity in the organisation."""
    annotations: dict[str, str] | None = None


class KeysetRenamed(Schema):
    """`metadata` of a change."""

    name: str | None = Field(default=None, min_length=1, max_length=keysets.LONGEST_NAME)
    annotations: dict[str, str] | None = None


class NewKeysetSpec(KeysetSettings, Spec):
    """`spec` of a new keyset."""

    read_only = frozenset({"version"})

    category: WritableCategory
    entity: str = Field(default="", max_length=40)
    keys: list[KeyValue] = Field(max_length=10)
    """All that the entity has; see `GET /v1/keysetKinds`."""
    projects: list[str] = Field(default=[], max_length=keysets.MOST_PROJECTS)
    """The only projects that it is for, by uid or name; empty for the whole organisation."""


class NewKeyset(Schema):
    """`POST /v1/keysets`."""

    metadata: KeysetNamed
    spec: NewKeysetSpec


class KeySentBack(Schema):
    """A key as a keyset shows it."""

    type: str
    fingerprint: str = ""
    value: str | None = Field(default=None, repr=False)
    """Cannot be changed here."""


class SentBack(Schema):
    """A project as a keyset shows it."""

    uid: str
    name: str = ""


@optional
class KeysetSpecChange(KeysetSettings, Spec):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"version"})

    keys: list[KeySentBack] = Field(default=[], max_length=10)
    """Can be sent back as they are shown. New values are a new version, see `POST /v1/keysets/{uid}/versions`."""
    category: Category | None = None
    """Can be sent back, and not be changed."""
    entity: str | None = None
    """Can be sent back, and not be changed."""
    projects: list[str | SentBack] = Field(default=[], max_length=keysets.MOST_PROJECTS)  # type: ignore[assignment]  # names, once they are read
    """By uid or name, or as they are shown."""


class KeysetChange(Schema):
    """`PUT` and `PATCH /v1/keysets/{uid}`. New values are a new version, see `POST /v1/keysets/{uid}/versions`."""

    metadata: KeysetRenamed = KeysetRenamed()
    spec: KeysetSpecChange = KeysetSpecChange()


class NewVersionSpec(Schema):
    """`spec` of a new version."""

    keys: list[KeyValue] = Field(max_length=10)
    """All that the entity has."""


class NewVersion(Schema):
    """`POST /v1/keysets/{uid}/versions`."""

    read_only = frozenset({"metadata"})

    spec: NewVersionSpec


class KeysetQuery(PageQuery):
    """Which keysets, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    category: Category | None = None
    entity: str = Field(default="", max_length=40)
    project: str = Field(default="", max_length=64)
    """Those that are for this project, by uid or name."""
    isDefault: bool | None = None
    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "name"


class KeyShown(TypedDict):
    """A key; never its value."""

    type: str
    fingerprint: str


class KeysetSpecShown(TypedDict):
    """What a keyset is; never its values."""

    category: Category
    entity: str
    keys: list[KeyShown]
    projects: list[Reference]
    isDefault: bool
    maxLeaseSeconds: int
    version: int


class KeysetStatus(TypedDict):
    """How a keyset fares."""

    damaged: bool | None


class KeysetResource(TypedDict):
    """A set of third-party credentials. Whether its values can be opened is looked at when it is asked for by itself."""

    metadata: Metadata
    spec: KeysetSpecShown
    status: KeysetStatus


class VersionSpecShown(TypedDict):
    """Which version it is."""

    version: int
    createdAt: Timestamp
    createdBy: str


class VersionStatus(TypedDict):
    """Who holds a version: while `liveLeases` is not 0, programs may be using its values; `freeSince` says since when not."""

    state: Literal["current", "replaced"]
    replacedAt: Timestamp | None
    liveLeases: int
    heldUntil: Timestamp | None
    freeSince: Timestamp | None


class VersionResource(TypedDict):
    """A version of a keyset."""

    spec: VersionSpecShown
    status: VersionStatus


class Versions(TypedDict):
    """The versions of a keyset, the newest first: at most the last hundred."""

    items: list[VersionResource]


class VersionMade(TypedDict):
    """The number of a new version."""

    uid: str
    version: int


class KeyKind(TypedDict):
    """A key that a keyset has."""

    type: str
    description: str


class KeysetKind(TypedDict):
    """A category and entity, and the keys that its keysets have."""

    category: Category
    entity: str
    keys: list[KeyKind]
    writable: bool


class KeysetKinds(TypedDict):
    """What can be kept."""

    items: list[KeysetKind]


@signed_in
def list_kinds() -> KeysetKinds:
    """List the supported categories and entities, and the keys of each."""
    items: list[KeysetKind] = [
        {
            "category": category,  # type: ignore[typeddict-item]
            "entity": entity,
            "keys": [{"type": each, "description": meaning} for each, meaning in types.items()],
            "writable": category in keysets.WRITABLE,
        }
        for category, entities in keysets.CATEGORIES.items()
        for entity, types in entities.items()
    ]
    return {"items": items}


@signed_in
def list_keysets(authority: Authority, query: KeysetQuery) -> Page[KeysetResource]:
    """List the keysets that the caller can view or lease, without their values."""
    names = rules.keysets.listed(authority)
    project = rules.projects.visible(authority, query.project).name if query.project else ""
    listing = keysets.keyset_listing(
        authority.realm,
        containing=query.name,
        category=query.category or "",
        entity=query.entity,
        project=project,
        projects=names,
        default=query.isDefault,
    )
    return page(authority.caller, query, listing, lambda row: show_keyset(row, None), query.orderBy)


@signed_in
def create_keyset(authority: Authority, body: NewKeyset) -> Created[Made]:
    """Create a keyset: each value is encrypted before it is stored, and no response ever contains it."""
    require_private(request.environ, runtime.current().settings.trusted_proxies)
    spec = body.spec
    projects = rules.keysets.projects_to_write(authority, spec.projects)
    described = {"name": body.metadata.name, "description": describe(body.metadata.annotations) or ""}
    sheet = KeysetSheet.read(values_of(spec, KeysetSheet) | {"projects": projects} | described)
    keyset = rules.keysets.create(authority, spec.category, spec.entity, sheet, _values(spec.keys))
    return Created({"uid": keyset.uid}, f"/v1/keysets/{keyset.uid}")


@signed_in
def get_keyset(authority: Authority, uid: str) -> KeysetResource:
    """Show a keyset without its values, by uid, or by name if only one has it."""
    keyset = rules.keysets.visible(authority, uid)
    return show_keyset(keyset, keysets.is_damaged(authority.realm, keyset))


@signed_in(current=get_keyset)
def replace_keyset(authority: Authority, body: KeysetChange, uid: str) -> None:
    """Replace the description of a keyset; what is left out gets its default, and its values do not change."""
    keyset, spec = _changeable(authority, uid), body.spec
    if spec.projects is None:
        raise InvalidMembersError([("spec.projects", "Name its projects, or [] for the whole organisation")])
    given = {name: value for name, value in values_of(spec, KeysetSettings).items() if value is not None}
    described = {"name": body.metadata.name or keyset.name, "description": describe(body.metadata.annotations) or ""}
    _change(authority, keyset, body, KeysetSheet.read(_named(authority, given) | described))


@signed_in(current=get_keyset)
def change_keyset(authority: Authority, body: KeysetChange, uid: str) -> None:
    """Update a keyset: name, description, projects, whether it is the default, longest lease."""
    keyset = _changeable(authority, uid)
    described = {"name": body.metadata.name, "description": describe(body.metadata.annotations)}
    changes = changes_in(body.spec, KeysetSheet, described)
    _change(authority, keyset, body, KeysetSheet.of(keyset).changed(_named(authority, changes)))


def _named(authority: Authority, changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes with the projects by name, which were sent by uid or name, or as they are shown."""
    if "projects" not in changes:
        return changes
    sent = [each if isinstance(each, str) else each.uid for each in changes["projects"]]
    return changes | {"projects": rules.keysets.projects_to_write(authority, sent)}


def _change(authority: Authority, keyset: Keyset, body: KeysetChange, sheet: KeysetSheet) -> None:
    for name, sent, stored in (("category", body.spec.category, keyset.category), ("entity", body.spec.entity, keyset.entity)):
        if sent not in {None, stored}:
            raise InvalidMembersError([(f"spec.{name}", "Cannot be changed: create another keyset")])
    if any(key.value is not None for key in body.spec.keys or ()):
        raise InvalidMembersError([("spec.keys", "New values are a new version: POST /v1/keysets/{uid}/versions")])
    rules.keysets.update(authority, keyset, sheet)


def _changeable(authority: Authority, uid: str) -> Keyset:
    keyset = rules.keysets.writable(authority, uid)
    if keyset.category not in keysets.WRITABLE:
        raise ConflictError(f"Keysets of {keyset.category} can be changed in the console only, and read and deleted here.")
    return keyset


@signed_in(current=get_keyset)
def delete_keyset(authority: Authority, uid: str) -> None:
    """Delete a keyset with its values. Its leases end."""
    keysets.delete_keyset(authority.realm, rules.keysets.writable(authority, uid))


@signed_in
def list_versions(authority: Authority, uid: str) -> Versions:
    """List the versions of a keyset, and which of them are still leased."""
    keyset = rules.keysets.visible(authority, uid)
    versions = keysets.list_versions(keyset)
    held = keysets.holdings(keyset, versions)
    return {"items": [_version(keyset, version, held[version.number]) for version in versions]}


@signed_in(current=get_keyset)
def create_version(authority: Authority, body: NewVersion, uid: str) -> Created[VersionMade]:
    """Replace the values of a keyset. The old ones are removed; active leases still have them, and say so."""
    require_private(request.environ, runtime.current().settings.trusted_proxies)
    keyset = _changeable(authority, uid)
    number = keysets.replace_values(authority.realm, keyset, _values(body.spec.keys))
    return Created({"uid": keyset.uid, "version": number}, f"/v1/keysets/{keyset.uid}/versions")


def _values(keys: Sequence[KeyValue]) -> list[tuple[str, str]]:
    return [(key.type, key.value) for key in keys]


def show_keyset(keyset: Keyset, damaged: bool | None) -> KeysetResource:  # noqa: FBT001 (it is what is shown)
    """Return a keyset as the API shows it.

    :param damaged: whether its values do not open; None where nobody has looked.
    """
    return {
        "metadata": metadata(keyset.uid, keyset.name, keyset.created_at, keyset.updated_at, keyset.description),
        "spec": {
            "category": keyset.category,  # type: ignore[typeddict-item]
            "entity": keyset.entity,
            "keys": [{"type": key.key_type, "fingerprint": key.fingerprint} for key in keyset.keys],
            "projects": [{"uid": project.uid, "name": project.name} for project in keyset.projects],
            "isDefault": keyset.is_default,
            "maxLeaseSeconds": keyset.max_lease_seconds,
            "version": keyset.version,
        },
        "status": {"damaged": damaged},
    }


def _version(keyset: Keyset, version: KeysetVersion, held: Holding) -> VersionResource:
    return {
        "spec": {"version": version.number, "createdAt": time(version.created_at), "createdBy": version.created_by},
        "status": {
            "state": "current" if version.number == keyset.version else "replaced",
            "replacedAt": time_or_none(version.superseded_at),
            "liveLeases": held.live,
            "heldUntil": time_or_none(held.until),
            "freeSince": time_or_none(held.free_since),
        },
    }
