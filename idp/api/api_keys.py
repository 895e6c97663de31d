"""`/v1/apiKeys`: one's own keys, and those of others for who may."""

from datetime import timedelta
from typing import Any

from flask import Response, request
from pydantic import AwareDatetime, Field

from idp import apikeys, callers, clock
from idp.api.answers import answer, created, done, metadata, time
from idp.api.pages import page_of
from idp.api.requests import Schema, parse, realm_of, signed_in
from idp.apikeys import ApiKey, KeyStatus, NewKey
from idp.callers import Caller
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.users import User


class KeyMetadata(Schema):
    """`metadata` of a key."""

    name: str | None = None
    annotations: dict[str, str] | None = None


class KeySpec(Schema):
    """`spec` of a key."""

    expiry: AwareDatetime | None = None
    expiryHours: int | None = None  # noqa: N815 (the API's names)
    neverExpires: bool = False  # noqa: N815
    userUid: str | None = None  # noqa: N815
    roles: list[str] | None = None
    projects: list[str] | None = None
    addresses: list[str] | None = None
    ratePerMinute: int | None = None  # noqa: N815


class KeyBody(Schema):
    """`POST /v1/apiKeys` and `PUT /v1/apiKeys/{uid}`."""

    metadata: KeyMetadata = KeyMetadata()
    spec: KeySpec = KeySpec()


class KeyState(Schema):
    """`PATCH /v1/apiKeys/{uid}` and `PUT /v1/apiKeys/{uid}/state`."""

    isActive: bool  # noqa: N815


class Rotation(Schema):
    """`POST /v1/apiKeys/{uid}/rotate`."""

    overlapHours: float = Field(default=24, ge=0, le=8760)  # noqa: N815
    expiryHours: int | None = None  # noqa: N815


class Revocation(Schema):
    """`POST /v1/apiKeys/{uid}/revoke`."""

    reason: str = Field(min_length=1, max_length=500)


@signed_in
def list_keys(caller: Caller) -> Response:
    """List the caller's keys; with `scope=all`, those of everybody in the realm."""
    realm = realm_of(caller)
    everybody = request.args.get("scope") == "all"
    if everybody:
        caller.require("api-keys:read", realm=realm.name)
    owner = None if everybody else callers.own_holder(caller)
    page = page_of(caller)
    return answer(page.listed(apikeys.list_keys(realm, owner=owner, after=page.after, limit=page.limit + 1), show_key))


@signed_in
def create_key(caller: Caller) -> Response:
    """Make a key for oneself, or for somebody else; its value is in this answer and nowhere else."""
    realm = realm_of(caller)
    body = parse(KeyBody)
    spec = body.spec
    wish = callers.KeyWish(hours=spec.expiryHours, expires_at=spec.expiry, never=spec.neverExpires, **_fields(body))
    return _answer_new(callers.make_key(caller, realm, spec.userUid, wish))


@signed_in
def get_key(caller: Caller, uid: str) -> Response:
    """Show what is known of a key: never its value."""
    return answer(show_key(callers.readable_key(caller, realm_of(caller), uid)))


@signed_in
def replace_key(caller: Caller, uid: str) -> Response:
    """Change name, expiry and narrowing of a key."""
    realm = realm_of(caller)
    key = callers.writable_key(caller, realm, uid)
    callers.check_change(caller, realm, key)
    body = parse(KeyBody)
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
    commit()
    return done()


@signed_in
def set_state(caller: Caller, uid: str) -> Response:
    """Deactivate a key, or activate it again."""
    realm = realm_of(caller)
    callers.set_key_active(caller, realm, uid, active=parse(KeyState).isActive)
    commit()
    return done()


@signed_in
def delete_key(caller: Caller, uid: str) -> Response:
    """Remove a key."""
    realm = realm_of(caller)
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))
    commit()
    return done()


@signed_in
def rotate_key(caller: Caller, uid: str) -> Response:
    """Make a successor to a key; both work for the overlap that is chosen."""
    body = parse(Rotation)
    overlap = timedelta(hours=body.overlapHours)
    return _answer_new(callers.rotate_key(caller, realm_of(caller), uid, overlap=overlap, hours=body.expiryHours))


@signed_in
def revoke_key(caller: Caller, uid: str) -> Response:
    """End a key for good, and say why."""
    realm = realm_of(caller)
    apikeys.revoke_key(realm, callers.writable_key(caller, realm, uid), parse(Revocation).reason)
    commit()
    return done()


def _answer_new(new: NewKey) -> Response:
    body = {"apiKey": new.plain_key, "uid": new.key.uid, "expiry": time(new.key.expires_at)}
    location = f"/v1/apiKeys/{new.key.uid}"
    commit()
    return created(body, location)


def _fields(body: KeyBody) -> dict[str, Any]:
    annotations = body.metadata.annotations
    if annotations is not None and annotations.keys() - {"description"}:
        raise InvalidValueError("metadata.annotations takes a description, and nothing else.")
    spec = body.spec
    fields = {
        "name": body.metadata.name,
        "description": None if annotations is None else annotations.get("description", ""),
        "roles": spec.roles,
        "projects": spec.projects,
        "addresses": spec.addresses,
        "rate_per_minute": spec.ratePerMinute,
    }
    return {name: value for name, value in fields.items() if value is not None}


def show_key(key: ApiKey) -> dict[str, Any]:
    """Return what is known of a key."""
    now = clock.now()
    owner = apikeys.owner_of(key)
    user = db.session.get(User, key.user_id) if key.user_id else None
    successor = apikeys.successor_of(key)
    quiet = apikeys.quiet_since(key, now) if successor is not None else None
    return {
        "metadata": metadata(key.uid, key.name, key.created_at, key.updated_at, key.description),
        "spec": {
            "expiry": time(key.expires_at),
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
            "state": key.status(now).value,
            "createdBy": key.created_by,
            "revokedAt": time(key.revoked_at),
            "revokeReason": key.revoke_reason,
            "lastUsedAt": time(key.last_used_at),
            "lastUsedAddress": key.last_used_address,
            "useCount": key.use_count,
            "replacedBy": successor.uid if successor else None,
            "quietSince": time(quiet),
        },
    }
