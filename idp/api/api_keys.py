"""`/v1/apiKeys`: one's own keys, and those of others for who may."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import apikeys, clock, rules
from idp.api.answers import metadata
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Metadata, Schema, Timestamp, When, describe
from idp.api.sheets import Spec, optional, with_gaps
from idp.apikeys import ApiKey, ApiKeyNarrowing, ApiKeySheet, KeyStatus, NewKey
from idp.db import db
from idp.rules import Authority
from idp.users import User
from idp.web.answers import time, time_or_none


class KeyMetadata(Schema):
    """`metadata` of a key."""

    name: str | None = None
    annotations: dict[str, str] | None = None


@optional
class KeySpec(ApiKeyNarrowing, Spec):
    """`spec` of a key."""

    read_only = frozenset({"key", "publicPart", "user"})

    expiry: When | None = None
    expiryHours: int | None = None
    neverExpires: bool = False
    userUid: str | None = None
    """The user or application that it is for; by default, and with the uid of the realm, the caller."""


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


class KeyOwner(TypedDict):
    """Who a key acts as."""

    uid: str
    name: str
    firstName: str
    lastName: str


class KeySpecShown(ApiKeyNarrowing):
    """What a key is."""

    model_config = with_gaps("expiry")

    expiry: Timestamp
    """Left out of a key that never expires."""
    key: str = ""
    publicPart: str
    user: KeyOwner


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
def list_keys(authority: Authority, query: KeyQuery) -> Page[KeyResource]:
    """List the caller's keys; with `scope=all`, those of everybody in the realm."""
    everybody = query.scope == "all"
    if everybody:
        rules.api_keys.check_listing(authority)
    owner = None if everybody else rules.api_keys.own_holder(authority.caller)
    return page(authority.caller, query, apikeys.key_listing(authority.realm, owner=owner), show_key, query.orderBy)


@signed_in
def create_key(authority: Authority, body: KeyBody) -> Created[KeyMade]:
    """Create a key for oneself or for somebody else; its value is in this response and nowhere else."""
    spec = body.spec
    sheet = ApiKeySheet.read(_changes(body) | {"expires_at": spec.expiry})
    wish = rules.api_keys.NewApiKey(sheet, spec.expiryHours, never=bool(spec.neverExpires))
    owner = None if spec.userUid in {"", authority.realm.uid} else spec.userUid
    return _made(rules.api_keys.create(authority, owner, wish))


@signed_in
def get_key(authority: Authority, uid: str) -> KeyResource:
    """Show a key, never its value."""
    return show_key(rules.api_keys.visible(authority, uid))


@signed_in(current=get_key)
def replace_key(authority: Authority, body: KeyBody, uid: str) -> None:
    """Update the name, expiry and restrictions of a key."""
    key = rules.api_keys.writable(authority, uid)
    rules.api_keys.check_change(authority, key)
    changes = _changes(body)
    if body.spec.expiry is not None or body.spec.expiryHours is not None or body.spec.neverExpires:
        user = db.session.get(User, key.user_id) if key.user_id else None
        changes["expires_at"] = apikeys.choose_expiry(
            authority.realm,
            user.api_key_hours if user else None,
            hours=body.spec.expiryHours,
            at=body.spec.expiry,
            never=bool(body.spec.neverExpires),
            may_exceed=rules.api_keys.can_exceed_limits(authority),
        )
    apikeys.update_key(authority.realm, key, ApiKeySheet.of(key).changed(changes))


@signed_in(current=get_key)
def set_state(authority: Authority, body: KeyActivity, uid: str) -> None:
    """Deactivate a key or activate it again."""
    rules.api_keys.set_active(authority, uid, active=body.isActive)


@signed_in(current=get_key)
def delete_key(authority: Authority, uid: str) -> None:
    """Delete a key."""
    apikeys.delete_key(authority.realm, rules.api_keys.writable(authority, uid))


@signed_in
def rotate_key(authority: Authority, body: Rotation, uid: str) -> Created[KeyMade]:
    """Create a successor to a key; both work during the chosen overlap."""
    overlap = timedelta(hours=body.overlapHours)
    return _made(rules.api_keys.rotate(authority, uid, overlap=overlap, hours=body.expiryHours))


@signed_in(current=get_key)
def revoke_key(authority: Authority, body: Revocation, uid: str) -> None:
    """Revoke a key permanently, with a reason."""
    apikeys.revoke_key(authority.realm, rules.api_keys.writable(authority, uid), body.reason)


def _made(new: NewKey) -> Created[KeyMade]:
    body: KeyMade = {"apiKey": new.plain_key, "uid": new.key.uid, "expiry": time_or_none(new.key.expires_at)}
    return Created(body, f"/v1/apiKeys/{new.key.uid}")


def _changes(body: KeyBody) -> dict[str, Any]:
    """Return what a body names. Null is as good as left out: it must not widen a key by chance; an empty list does."""
    described = {"name": body.metadata.name, "description": describe(body.metadata.annotations)}
    said = {name: value for name in ApiKeyNarrowing.fields() if (value := getattr(body.spec, name)) is not None}
    return said | {name: value for name, value in described.items() if value is not None}


def show_key(key: ApiKey) -> KeyResource:
    """Return what is known of a key."""
    now = clock.now()
    owner = apikeys.owner_of(key)
    user = db.session.get(User, key.user_id) if key.user_id else None
    successor = apikeys.successor_of(key)
    quiet = apikeys.quiet_since(key, now) if successor is not None else None
    holder: KeyOwner = {
        "uid": user.uid if user else owner.key,
        "name": owner.name,
        "firstName": user.first_name if user else "",
        "lastName": user.last_name if user else "",
    }
    spec: dict[str, Any] = {name: getattr(key, name) for name in ApiKeyNarrowing.fields()}
    if key.expires_at is not None:
        spec["expiry"] = time(key.expires_at)
    return {
        "metadata": metadata(key.uid, key.name, key.created_at, key.updated_at, key.description),
        "spec": KeySpecShown.model_construct(**spec, key="", publicPart=key.public_part, user=holder),
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
