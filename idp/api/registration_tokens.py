"""`/v1/registrationTokens`: with which applications register themselves (RFC 7591)."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import clock, registrations, rules
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Schema, Timestamp, Uid, When
from idp.api.sheets import Spec, values_of
from idp.registrations import RegistrationToken, RegistrationTokenSheet
from idp.rules import Authority
from idp.web.answers import time, time_or_none


class NewRegistrationTokenSpec(RegistrationTokenSheet, Spec):
    """`spec` of a new registration token."""

    expires_at: When | None = Field(default=None, alias="expiry")
    """When it stops working, within a year; left out for a week from now."""


class NewRegistrationToken(Schema):
    """`POST /v1/registrationTokens`."""

    read_only = frozenset({"metadata"})

    spec: NewRegistrationTokenSpec = NewRegistrationTokenSpec()


class RegistrationTokenQuery(PageQuery):
    """In which order."""

    orderBy: Literal["creationTimestamp", "-creationTimestamp"] = "-creationTimestamp"


class RegistrationTokenMade(TypedDict):
    """A new registration token: its value is here and nowhere else."""

    uid: str
    token: str


class RegistrationTokenMetadata(TypedDict):
    """Which registration token it is."""

    uid: Uid
    creationTimestamp: Timestamp


class RegistrationTokenSpec(TypedDict):
    """What can be registered with it."""

    description: str
    kinds: list[str]
    scopes: list[str]
    limit: int
    expiry: Timestamp


class RegistrationTokenStatus(TypedDict):
    """How it fares."""

    state: Literal["live", "used-up", "expired", "revoked"]
    used: int
    publicPart: str
    createdBy: str
    revokedAt: Timestamp | None


class RegistrationTokenResource(TypedDict):
    """A registration token; never its value."""

    metadata: RegistrationTokenMetadata
    spec: RegistrationTokenSpec
    status: RegistrationTokenStatus


@signed_in
def list_tokens(authority: Authority, query: RegistrationTokenQuery) -> Page[RegistrationTokenResource]:
    """List the registration tokens of the realm, including those that do not work any more."""
    rules.registrations.check_reading(authority)
    return page(authority.caller, query, registrations.token_listing(authority.realm), _shown, query.orderBy)


@signed_in
def create_token(authority: Authority, body: NewRegistrationToken) -> Created[RegistrationTokenMade]:
    """Create a registration token, as an administrator of the organisation; its value is in this response and nowhere else.

    Whoever has it registers applications (OpenID Connect Dynamic Client Registration), as many and of the kinds that it says.
    People are always asked before they sign in to one. The organisation must have registration turned on.
    """
    sheet = RegistrationTokenSheet.read(values_of(body.spec, RegistrationTokenSheet))
    row, plain = rules.registrations.create(authority, sheet)
    return Created({"uid": row.uid, "token": plain}, f"/v1/registrationTokens/{row.uid}")


@signed_in
def get_token(authority: Authority, uid: str) -> RegistrationTokenResource:
    """Show a registration token; never its value."""
    return _shown(rules.registrations.visible(authority, uid))


@signed_in
def revoke_token(authority: Authority, uid: str) -> None:
    """Revoke a registration token. The applications that were registered with it stay."""
    rules.registrations.revoke(authority, uid)


def _shown(row: RegistrationToken) -> RegistrationTokenResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at)},
        "spec": {
            "description": row.description,
            "kinds": row.kinds,
            "scopes": row.scopes,
            "limit": row.limit,
            "expiry": time(row.expires_at),
        },
        "status": {
            "state": row.state(clock.now()).value,
            "used": row.used,
            "publicPart": row.public_part,
            "createdBy": row.created_by,
            "revokedAt": time_or_none(row.revoked_at),
        },
    }
