"""`/v1/leases`: an application is lent a keyset, and gets its values once."""

from typing import Literal

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import clock, keysets, rules, runtime
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Query, Reference, Schema, Timestamp, Uid
from idp.callers import Caller
from idp.keysets import Lease
from idp.rules import Authority
from idp.web.answers import time, time_or_none
from idp.web.transport import require_private


class LeaseWish(Schema):
    """`spec` of a lease."""

    keyset: str = Field(min_length=1, max_length=200)
    """Its uid, or its name where only one has it."""
    reason: str = Field(min_length=1, max_length=500)
    """What it is needed for: kept in the audit trail."""
    seconds: int | None = None
    """How long it is needed; left out for as long as the keyset is lent."""


class NewLease(Schema):
    """`POST /v1/leases`."""

    spec: LeaseWish


class LeaseQuery(PageQuery):
    """Which leases, in which order."""

    keyset: str = Field(default="", max_length=200)
    """Those of this keyset, by uid or name."""
    application: str = Field(default="", max_length=64)
    """Those of the application of this name."""
    state: Literal["live", "over"] | None = None
    orderBy: Literal["creationTimestamp", "-creationTimestamp"] = "-creationTimestamp"


class EndQuery(Query):
    """Why a lease ends."""

    reason: str = Field(default="", max_length=500)
    """For the audit trail."""


class LeaseTaken(TypedDict):
    """A lease that was taken. The values are here and nowhere else: whoever loses them takes another lease."""

    uid: str
    keyset: Reference
    version: int
    expiresAt: Timestamp
    values: dict[str, str]


class LeaseMetadata(TypedDict):
    """Which lease it is."""

    uid: Uid
    creationTimestamp: Timestamp


class LeaseSpecShown(TypedDict):
    """What was lent to whom, and why; never the values."""

    keyset: Reference
    version: int
    application: Reference
    reason: str
    address: str


class LeaseStatus(TypedDict):
    """How a lease fares. When `state` is not `live`, its values must not be used any more."""

    state: Literal["live", "expired", "ended"]
    expiresAt: Timestamp
    endedAt: Timestamp | None
    endReason: str
    endedBy: str


class LeaseResource(TypedDict):
    """That an application was lent a keyset."""

    metadata: LeaseMetadata
    spec: LeaseSpecShown
    status: LeaseStatus


@signed_in(unlocked=True)
def take_lease(caller: Caller, body: NewLease) -> Created[LeaseTaken]:
    """Lease a keyset, as an application: its values are in this response and nowhere else.

    It takes the permission keysets:lease on a project that the keyset is for, or on the organisation; HTTPS, or a call from the
    machine itself (403 HttpsRequired); and no Idempotency-Key, for each call is another lease. 409 KeysetDamaged says that the
    values do not open, 429 TooManyLeases that the application holds as many as it may. The lease ends with its time, with the
    grant, the application or the keyset, or by hand.
    """
    require_private(request.environ, runtime.current().settings.trusted_proxies)
    application, spec = rules.keysets.borrower(caller), body.spec
    taken = keysets.take_lease(
        caller.realm, application, caller.held_roles, caller.address, spec.keyset, spec.reason, spec.seconds
    )
    shown: LeaseTaken = {
        "uid": taken.uid,
        "keyset": {"uid": taken.keyset.uid, "name": taken.keyset.name},
        "version": taken.keyset.version,
        "expiresAt": time(taken.expires_at),
        "values": taken.values,
    }
    return Created(shown, f"/v1/leases/{taken.uid}")


@signed_in
def list_leases(authority: Authority, query: LeaseQuery) -> Page[LeaseResource]:
    """List leases: of the keysets that the caller may read, or else the caller's own; ended ones for 90 days."""
    own, names = rules.keysets.listed_leases(authority)
    named = [
        keyset.uid for keyset in keysets.find_keysets(authority.realm, query.keyset) if rules.keysets.sees(authority, keyset)
    ]
    listing = keysets.lease_listing(
        authority.realm,
        keyset_uid=named[0] if len(named) == 1 else query.keyset,
        client_id=query.application,
        state=query.state or "",
        projects=names,
        application_uid=own,
    )
    return page(authority.caller, query, listing, show_lease, query.orderBy)


@signed_in
def get_lease(authority: Authority, uid: str) -> LeaseResource:
    """Show a lease, without the values."""
    return show_lease(rules.keysets.visible_lease(authority, uid))


@signed_in
def end_lease(authority: Authority, query: EndQuery, uid: str) -> None:
    """End a lease: one's own, or one of a keyset that the caller may update. An ended lease does not change."""
    keysets.end_lease(authority.realm, rules.keysets.endable_lease(authority, uid), query.reason)


def show_lease(lease: Lease) -> LeaseResource:
    """Return a lease as the API shows it."""
    state = lease.state(clock.now())
    return {
        "metadata": {"uid": lease.uid, "creationTimestamp": time(lease.created_at)},
        "spec": {
            "keyset": {"uid": lease.keyset_uid, "name": lease.keyset_name},
            "version": lease.version,
            "application": {"uid": lease.application_uid, "name": lease.client_id},
            "reason": lease.reason,
            "address": lease.address,
        },
        "status": {
            "state": state.value,
            "expiresAt": time(lease.expires_at),
            "endedAt": time_or_none(lease.ended_at),
            "endReason": lease.end_reason,
            "endedBy": lease.ended_by,
        },
    }
