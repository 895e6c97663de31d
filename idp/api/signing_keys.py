"""`/v1/signingKeys`: the calendar of a realm's keys, turned ahead of time, or taken out of use at once."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import clock, keys, rules
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Schema, Timestamp, Uid
from idp.errors import NotFoundError
from idp.keys import KeyState, SigningKey
from idp.rules import Authority
from idp.web.answers import time, time_or_none


class NewKeySpec(Schema):
    """`spec` of a new key."""

    algorithm: Literal["RS256", "ES256"]


class NewSigningKey(Schema):
    """`POST /v1/signingKeys`."""

    read_only = frozenset({"metadata"})

    spec: NewKeySpec


class KeyRevocation(Schema):
    """`POST /v1/signingKeys/{kid}/revoke`."""

    reason: str = Field(min_length=1, max_length=500)


class SigningKeyMetadata(TypedDict):
    """Which key it is: its uid is the `kid` of what it signs."""

    uid: Uid
    creationTimestamp: Timestamp


class SigningKeySpec(TypedDict):
    """What a key is."""

    algorithm: str
    activeFrom: Timestamp
    retiresAt: Timestamp | None
    removedAt: Timestamp | None


class SigningKeyStatus(TypedDict):
    """Where a key is in its life."""

    state: KeyState
    revokedAt: Timestamp | None
    revokeReason: str


class SigningKeyResource(TypedDict):
    """A signing key; never its private half."""

    metadata: SigningKeyMetadata
    spec: SigningKeySpec
    status: SigningKeyStatus


class SigningKeys(TypedDict):
    """The keys of a realm."""

    items: list[SigningKeyResource]


@signed_in
def list_signing_keys(authority: Authority) -> SigningKeys:
    """List the signing keys of the realm, including past ones."""
    rules.signing_keys.check_reading(authority)
    return {"items": [_shown(key) for key in keys.list_keys(authority.realm)]}


@signed_in(prepare=keys.prepare)
def create_signing_key(authority: Authority, body: NewSigningKey) -> Created[Made]:
    """Announce a successor to the signing key of an algorithm. It signs once every cached key set is sure to contain it."""
    rules.signing_keys.check_changing(authority)
    key = keys.rotate_key(authority.realm, body.spec.algorithm)
    return Created({"uid": key.uid}, f"/v1/signingKeys/{key.uid}")


@signed_in
def get_signing_key(authority: Authority, kid: str) -> SigningKeyResource:
    """Show a signing key."""
    rules.signing_keys.check_reading(authority)
    found = next((key for key in keys.list_keys(authority.realm) if key.uid == kid), None)
    if found is None:
        raise NotFoundError("There is no signing key with this kid (not found).")
    return _shown(found)


@signed_in(current=get_signing_key, prepare=keys.prepare)
def revoke_signing_key(authority: Authority, body: KeyRevocation, kid: str) -> None:
    """Remove a key that may have leaked from the key set immediately; its tokens fail as the verifiers' caches expire."""
    rules.signing_keys.check_changing(authority)
    keys.revoke_key(authority.realm, kid, body.reason)


def _shown(key: SigningKey) -> SigningKeyResource:
    return {
        "metadata": {"uid": key.uid, "creationTimestamp": time(key.created_at)},
        "spec": {
            "algorithm": key.algorithm,
            "activeFrom": time(key.active_from),
            "retiresAt": time_or_none(key.retires_at),
            "removedAt": time_or_none(key.removed_at),
        },
        "status": {
            "state": key.state(clock.now()),
            "revokedAt": time_or_none(key.revoked_at),
            "revokeReason": key.revoke_reason,
        },
    }
