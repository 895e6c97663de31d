"""`/v1/realms`: organisations, for operators; and each its own, for who may see and change its settings."""

from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import callers, keys, manifest, organisations, realms
from idp.api.answers import metadata, time
from idp.api.changes import changed_fields
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import address, public, signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Schema, Timestamp
from idp.callers import Caller
from idp.errors import NotFoundError
from idp.organisations import SignUpWish
from idp.realms import MASTER, Realm, RealmState


class RealmSpec(Schema):
    """`spec` of a realm. What is left out is as the server has it by default."""

    displayName: str = Field(default="", max_length=200)
    signingAlgorithm: Literal["RS256", "ES256"] = "RS256"
    accessTokenType: Literal["at+jwt", "JWT"] = "at+jwt"
    """Header `typ` of access tokens; `JWT` is for APIs that refuse RFC 9068."""
    keyRotationDays: int = 90
    """0 leaves rotation to the operator."""
    auditDays: int = 365
    sessionHours: int = 12
    apiKeyHours: int = 2160
    personalTokenLimit: int = 50
    personalTokenSeconds: int = 31_536_000
    personalTokenChoice: bool = False


class NewRealm(Schema):
    """`POST /v1/realms`."""

    metadata: Named
    spec: RealmSpec = RealmSpec()
    pending: bool = False
    """Whether it waits for approval."""


class ReplacedRealm(Schema):
    """`PUT /v1/realms/{uid}`."""

    read_only = frozenset({"metadata"})

    spec: RealmSpec


class RealmSpecChange(Schema):
    """`spec` of a change: what is left out stays."""

    displayName: str | None = Field(default=None, max_length=200)
    signingAlgorithm: Literal["RS256", "ES256"] | None = None
    accessTokenType: Literal["at+jwt", "JWT"] | None = None
    keyRotationDays: int | None = None
    auditDays: int | None = None
    sessionHours: int | None = None
    apiKeyHours: int | None = None
    personalTokenLimit: int | None = None
    personalTokenSeconds: int | None = None
    personalTokenChoice: bool | None = None


class RealmChange(Schema):
    """`PATCH /v1/realms/{uid}`."""

    read_only = frozenset({"metadata"})

    spec: RealmSpecChange


class SignUpBody(Schema):
    """`POST /v1/auth/signup`."""

    orgName: str = Field(max_length=64)
    """Name of the realm."""
    emailId: str = Field(max_length=254)
    """Of the first administrator, who is mailed a code."""
    displayName: str = Field(default="", max_length=200)
    firstName: str = Field(default="", max_length=100)
    lastName: str = Field(default="", max_length=100)


class Verification(Schema):
    """`PATCH /v1/auth/signup/{code}/verify`."""

    password: str = Field(max_length=100_000)
    """Of the first administrator."""


class RealmQuery(PageQuery):
    """Which realms, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or display name contains this."""
    state: RealmState | None = None
    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "name"


class RealmSpecShown(TypedDict):
    """Settings of a realm."""

    displayName: str
    signingAlgorithm: Literal["RS256", "ES256"]
    accessTokenType: Literal["at+jwt", "JWT"]
    keyRotationDays: int
    auditDays: int
    sessionHours: int
    apiKeyHours: int
    personalTokenLimit: int
    personalTokenSeconds: int
    personalTokenChoice: bool


class RealmStatus(TypedDict):
    """How a realm fares."""

    state: RealmState
    issuer: str
    contractNumber: int | None


class RealmResource(TypedDict):
    """An organisation."""

    metadata: Metadata
    spec: RealmSpecShown
    status: RealmStatus


class Waiting(TypedDict):
    """That a code was mailed, and until when it works."""

    uid: str
    expiry: Timestamp


class Verified(TypedDict):
    """The organisation that was made."""

    orgName: str
    state: RealmState


_FIELDS = {
    "displayName": "display_name",
    "signingAlgorithm": "signing_algorithm",
    "accessTokenType": "access_token_type",
    "keyRotationDays": "key_rotation_days",
    "auditDays": "audit_days",
    "sessionHours": "session_hours",
    "apiKeyHours": "api_key_hours",
    "personalTokenLimit": "personal_token_limit",
    "personalTokenSeconds": "personal_token_seconds",
    "personalTokenChoice": "personal_token_choice",
}


@signed_in
def list_realms(caller: Caller, query: RealmQuery) -> Page[RealmResource]:
    """List organisations: all for operators, their own for everybody else."""
    own = "" if caller.realm.name == MASTER else caller.realm.uid
    caller.require("realm:read")
    listing = realms.realm_listing(containing=query.name, state=query.state, uid=own)
    return page(caller, query, listing, lambda realm: show_realm(caller, realm), query.orderBy)


@signed_in(prepare=keys.prepare)
def create_realm(caller: Caller, body: NewRealm) -> Created[Made]:
    """Create an organisation, with its signing keys and the built-in roles. Operators only."""
    _operator(caller)
    realm = manifest.create_empty_realm(body.metadata.name, pending=body.pending, **_fields(body.spec))
    return Created({"uid": realm.uid}, f"/v1/realms/{realm.uid}")


@signed_in
def get_realm(caller: Caller, uid: str) -> RealmResource:
    """Show an organisation, by uid or name."""
    return show_realm(caller, _find(caller, uid, "realm:read"))


@signed_in(current=get_realm)
def replace_realm(caller: Caller, body: ReplacedRealm, uid: str) -> None:
    """Replace all settings of an organisation."""
    realms.update_realm(_find(caller, uid, "realm:write"), **_fields(body.spec))


@signed_in(current=get_realm)
def change_realm(caller: Caller, body: RealmChange, uid: str) -> None:
    """Update settings of an organisation."""
    fields = changed_fields(body.spec, {field: name for name, field in _FIELDS.items()}, {"display_name": ""})
    realms.update_realm(_find(caller, uid, "realm:write"), **fields)


@signed_in(current=get_realm)
def delete_realm(caller: Caller, uid: str) -> None:
    """Delete an organisation. It can be restored for 30 days; then all but its audit trail is removed. Operators only."""
    _operator(caller)
    realms.delete_realm(_find(caller, uid, "realm:write"))


@signed_in
def approve_realm(caller: Caller, uid: str) -> None:
    """Approve a pending organisation; its administrators are notified by email. Operators only."""
    _operator(caller)
    organisations.approve(_find(caller, uid, "realm:write"))


@signed_in
def deactivate_realm(caller: Caller, uid: str) -> None:
    """Deactivate an organisation: every credential is refused everywhere within a second. Operators only."""
    _operator(caller)
    realms.deactivate_realm(_find(caller, uid, "realm:write"))


@signed_in
def activate_realm(caller: Caller, uid: str) -> None:
    """Activate an organisation again, with all its credentials. Operators only."""
    _operator(caller)
    realms.activate_realm(_find(caller, uid, "realm:write"))


@signed_in
def restore_realm(caller: Caller, uid: str) -> None:
    """Restore a deleted organisation, deactivated. Operators only."""
    _operator(caller)
    realms.restore_realm(_find(caller, uid, "realm:write"))


@signed_in
def purge_realm(caller: Caller, uid: str) -> None:
    """Permanently remove a deleted organisation before its 30 days are over; its audit trail is kept. Operators only."""
    _operator(caller)
    organisations.purge_realm(_find(caller, uid, "realm:write").name)


@public
def sign_up(body: SignUpBody) -> Created[Waiting]:
    """Sign up an organisation: a code is emailed, and nothing is created before it is used. Off unless the operator allows it."""
    wish = SignUpWish(body.orgName, body.emailId, body.displayName, body.firstName, body.lastName)
    row = organisations.sign_up(wish, address())
    return Created({"uid": row.uid, "expiry": time(row.expires_at)}, "/v1/auth/signup")


@public
def verify_sign_up(body: Verification, code: str) -> Verified:
    """Verify the emailed code and choose the password: the organisation and its first administrator are created."""
    realm = organisations.verify_sign_up(code, body.password, address())
    return {"orgName": realm.name, "state": realm.state}


def _operator(caller: Caller) -> None:
    if caller.realm.name != MASTER:
        raise callers.DeniedError("This call is for operators, who belong to realm 'master'.")
    caller.require("realm:write")


def _find(caller: Caller, named: str, permission: str) -> Realm:
    """Return a realm that the caller may see; any other is not there (T73). A change is made with it locked."""
    realm = realms.find_realm_by_uid_or_name(named)
    if realm is None or not caller.may("realm:read", realm=realm.name):
        raise NotFoundError("There is no organisation with this uid or name (not found).")
    caller.require(permission, realm=realm.name)
    if permission == "realm:write":
        realm = realms.lock_realm(realm.name) or realm
    return realm


def _fields(spec: RealmSpec) -> dict[str, Any]:
    return {field: getattr(spec, name) for name, field in _FIELDS.items()}


def show_realm(caller: Caller, realm: Realm) -> RealmResource:
    """Return what is known of a realm."""
    shown = metadata(realm.uid, realm.name, realm.created_at, realm.updated_at)
    if realm.deleted_at is not None:
        shown["deletionTimestamp"] = time(realm.deleted_at)
    return {
        "metadata": shown,
        "spec": {
            "displayName": realm.display_name,
            "signingAlgorithm": "ES256" if realm.signing_algorithm == "ES256" else "RS256",
            "accessTokenType": "JWT" if realm.access_token_type == "JWT" else "at+jwt",  # noqa: S105
            "keyRotationDays": realm.key_rotation_days,
            "auditDays": realm.audit_days,
            "sessionHours": realm.session_hours,
            "apiKeyHours": realm.api_key_hours,
            "personalTokenLimit": realm.personal_token_limit,
            "personalTokenSeconds": realm.personal_token_seconds,
            "personalTokenChoice": realm.personal_token_choice,
        },
        "status": {
            "state": realm.state,
            "issuer": caller.realm.runtime.settings.issuer(realm.name),
            "contractNumber": realm.contract_number,
        },
    }
