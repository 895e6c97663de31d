"""`/v1/apiKeys`: one's own keys, and those of others for who may."""

from datetime import timedelta
from typing import Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from idp import apikeys, callers, clock
from idp.api.answers import metadata, time, time_or_none
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Metadata, Schema, Timestamp, When, describe
from idp.apikeys import ApiKey, KeyStatus, NewKey
from idp.callers import Caller
from idp.db import db
from idp.realms import Realm
from idp.users import User


class KeyMetadata(Schema):
    """`metadata` of a key."""

    name: str | None = None
    annotations: dict[str, str] | None = None


class KeySpec(Schema):
    """`spec` of a key."""

    read_only = frozenset({"key", "publicPart", "user"})

    expiry: When | None = None
    expiryHours: int | None = None
    neverExpires: bool = False
    userUid: str | None = None
    """The user or application that it is for; by default, and with the uid of the realm, the caller."""
    roles: list[str] | None = None
    """The only roles that it carries."""
    projects: list[str] | None = None
    """The only projects that it is for."""
    addresses: list[str] | None = None
    """Networks that it works from."""
    ratePerMinute: int | None = None


class KeyBody(Schema):
    """`POST /v1/apiKeys` and `PUT /v1/apiKeys/{uid}`."""

    metadata: KeyMetadata = KeyMetadata()
    spec: KeySpec = KeySpec()


class KeyActivity(Schema):
    """`PATCH /v1/apiKeys/{uid}` and `PUT /v1/apiKeys/{uid}/state`."""

    isActive: bool


class Rotation(Schema):
    """`POST /v1/apiKeys/{uid}/rotate`."""

    overlapHours: float = Field(default=24, ge=0, le=8760)
    expiryHours: int | None = None


class Revocation(Schema):
    """`POST /v1/apiKeys/{uid}/revoke`."""

    reason: str = Field(min_length=1, max_length=500)


class KeyQuery(PageQuery):
    """Which keys, in which order."""

    scope: Literal["", "all"] = ""
    """`all` for those of everybody."""
    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "creationTimestamp"


class KeyMade(TypedDict):
    """A new key: its value is here and nowhere else."""

    apiKey: str
    uid: str
    expiry: Timestamp | None


class _End(TypedDict):
    expiry: NotRequired[Timestamp]


class KeyOwner(TypedDict):
    """Who a key acts as."""

    uid: str
    name: str
    firstName: str
    lastName: str


class KeySpecShown(TypedDict):
    """What a key is."""

    expiry: NotRequired[Timestamp]
    """Left out of a key that never expires."""
    key: str
    publicPart: str
    user: KeyOwner
    roles: list[str]
    projects: list[str]
    addresses: list[str]
    ratePerMinute: int | None


class KeyStatusShown(TypedDict):
    """How a key fares."""

    isActive: bool
    state: KeyStatus
    createdBy: str
    revokedAt: Timestamp | None
    revokeReason: str
    lastUsedAt: Timestamp | None
    lastUsedAddress: str
    useCount: int
    replacedBy: str | None
    quietSince: Timestamp | None


class KeyResource(TypedDict):
    """An API key; never its value."""

    metadata: Metadata
    spec: KeySpecShown
    status: KeyStatusShown


@signed_in
def list_keys(caller: Caller, realm: Realm, query: KeyQuery) -> Page[KeyResource]:
    """List the caller's keys; with `scope=all`, those of everybody in the realm."""
    everybody = query.scope == "all"
    if everybody:
        caller.require("api-keys:read", realm=realm.name)
    owner = None if everybody else callers.own_holder(caller)
    return page(caller, query, apikeys.key_listing(realm, owner=owner), show_key, query.orderBy)


@signed_in
def create_key(caller: Caller, realm: Realm, body: KeyBody) -> Created[KeyMade]:
    """Create a key for oneself or for somebody else; its value is in this response and nowhere else."""
    spec = body.spec
    wish = callers.KeyWish(hours=spec.expiryHours, expires_at=spec.expiry, never=spec.neverExpires, **_fields(body))
    owner = None if spec.userUid in {"", realm.uid} else spec.userUid
    return _made(callers.make_key(caller, realm, owner, wish))


@signed_in
def get_key(caller: Caller, realm: Realm, uid: str) -> KeyResource:
    """Show a key, never its value."""
    return show_key(callers.readable_key(caller, realm, uid))


@signed_in(current=get_key)
def replace_key(caller: Caller, realm: Realm, body: KeyBody, uid: str) -> None:
    """Update the name, expiry and restrictions of a key."""
    key = callers.writable_key(caller, realm, uid)
    callers.check_change(caller, realm, key)
    fields = _fields(body)
    if body.spec.expiry is not None or body.spec.expiryHours is not None or body.spec.neverExpires:
        user = db.session.get(User, key.user_id) if key.user_id else None
        fields["expires_at"] = apikeys.choose_expiry(
            realm,
            user.api_key_hours if user else None,
            hours=body.spec.expiryHours,
            at=body.spec.expiry,
            never=body.spec.neverExpires,
            may_exceed=callers.may_exceed_limits(caller, realm),
        )
    apikeys.update_key(realm, key, **fields)


@signed_in(current=get_key)
def set_state(caller: Caller, realm: Realm, body: KeyActivity, uid: str) -> None:
    """Deactivate a key or activate it again."""
    callers.set_key_active(caller, realm, uid, active=body.isActive)


@signed_in(current=get_key)
def delete_key(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete a key."""
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))


@signed_in
def rotate_key(caller: Caller, realm: Realm, body: Rotation, uid: str) -> Created[KeyMade]:
    """Create a successor to a key; both work during the chosen overlap."""
    overlap = timedelta(hours=body.overlapHours)
    return _made(callers.rotate_key(caller, realm, uid, overlap=overlap, hours=body.expiryHours))


@signed_in(current=get_key)
def revoke_key(caller: Caller, realm: Realm, body: Revocation, uid: str) -> None:
    """Revoke a key permanently, with a reason."""
    apikeys.revoke_key(realm, callers.writable_key(caller, realm, uid), body.reason)


def _made(new: NewKey) -> Created[KeyMade]:
    body: KeyMade = {"apiKey": new.plain_key, "uid": new.key.uid, "expiry": time_or_none(new.key.expires_at)}
    return Created(body, f"/v1/apiKeys/{new.key.uid}")


def _fields(body: KeyBody) -> dict[str, Any]:
    spec = body.spec
    fields = {
        "name": body.metadata.name,
        "description": describe(body.metadata.annotations),
        "roles": spec.roles,
        "projects": spec.projects,
        "addresses": spec.addresses,
        "rate_per_minute": spec.ratePerMinute,
    }
    return {name: value for name, value in fields.items() if value is not None}


def show_key(key: ApiKey) -> KeyResource:
    """Return what is known of a key."""
    now = clock.now()
    owner = apikeys.owner_of(key)
    user = db.session.get(User, key.user_id) if key.user_id else None
    successor = apikeys.successor_of(key)
    quiet = apikeys.quiet_since(key, now) if successor is not None else None
    end: _End = {} if key.expires_at is None else {"expiry": time(key.expires_at)}
    return {
        "metadata": metadata(key.uid, key.name, key.created_at, key.updated_at, key.description),
        "spec": {
            **end,
            "key": "",
            "publicPart": key.public_part,
            "user": {
                "uid": user.uid if user else owner.key,
                "name": owner.name,
                "firstName": user.first_name if user else "",
                "lastName": user.last_name if user else "",
            },
            "roles": key.roles,
            "projects": key.projects,
            "addresses": key.addresses,
            "ratePerMinute": key.rate_per_minute,
        },
        "status": {
            "isActive": key.status(now) is KeyStatus.ACTIVE,
            "state": key.status(now),
            "createdBy": key.created_by,
            "revokedAt": time_or_none(key.revoked_at),
            "revokeReason": key.revoke_reason,
            "lastUsedAt": time_or_none(key.last_used_at),
            "lastUsedAddress": key.last_used_address,
            "useCount": key.use_count,
            "replacedBy": successor.uid if successor else None,
            "quietSince": time_or_none(quiet),
        },
    }
