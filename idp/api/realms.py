"""`/v1/realms`: organisations, for operators; and each its own, for who may see and change its settings."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import keys, manifest, organisations, realms, rules
from idp.api.answers import metadata
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import public, signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Schema, Timestamp
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.callers import Caller
from idp.organisations import SignUpWish
from idp.realms import Realm, RealmSettings, RealmSheet, RealmState
from idp.web.answers import time
from idp.web.calls import address


class RealmSpec(RealmSettings, Spec):
    """`spec` of a realm. What is left out is as the server has it by default."""


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


@optional
class RealmSpecChange(RealmSpec):
    """`spec` of a change: what is left out stays."""


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


class RealmSpecShown(RealmSettings):
    """Settings of a realm."""


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


@signed_in
def list_realms(caller: Caller, query: RealmQuery) -> Page[RealmResource]:
    """List organisations: all for operators, their own for everybody else."""
    listing = realms.realm_listing(containing=query.name, state=query.state, uid=rules.realms.listed(caller))
    return page(caller, query, listing, lambda realm: show_realm(caller, realm), query.orderBy)


@signed_in(prepare=keys.prepare)
def create_realm(caller: Caller, body: NewRealm) -> Created[Made]:
    """Create an organisation, with its signing keys and the built-in roles. Operators only."""
    rules.realms.check_operator(caller)
    realm = manifest.create_empty_realm(
        body.metadata.name, RealmSheet.read(values_of(body.spec, RealmSheet)), pending=body.pending
    )
    return Created({"uid": realm.uid}, f"/v1/realms/{realm.uid}")


@signed_in
def get_realm(caller: Caller, uid: str) -> RealmResource:
    """Show an organisation, by uid or name."""
    return show_realm(caller, rules.realms.visible(caller, uid))


@signed_in(current=get_realm)
def replace_realm(caller: Caller, body: ReplacedRealm, uid: str) -> None:
    """Replace all settings of an organisation."""
    realms.update_realm(rules.realms.writable(caller, uid), RealmSettings.read(values_of(body.spec, RealmSettings)))


@signed_in(current=get_realm)
def change_realm(caller: Caller, body: RealmChange, uid: str) -> None:
    """Update settings of an organisation."""
    realm = rules.realms.writable(caller, uid)
    realms.update_realm(realm, RealmSettings.of(realm).changed(changes_in(body.spec, RealmSettings)))


@signed_in(current=get_realm)
def delete_realm(caller: Caller, uid: str) -> None:
    """Delete an organisation. It can be restored for 30 days; then all but its audit trail is removed. Operators only."""
    realms.delete_realm(rules.realms.operated(caller, uid))


@signed_in
def approve_realm(caller: Caller, uid: str) -> None:
    """Approve a pending organisation; its administrators are notified by email. Operators only."""
    organisations.approve(rules.realms.operated(caller, uid))


@signed_in
def deactivate_realm(caller: Caller, uid: str) -> None:
    """Deactivate an organisation: every credential is refused everywhere within a second. Operators only."""
    realms.deactivate_realm(rules.realms.operated(caller, uid))


@signed_in
def activate_realm(caller: Caller, uid: str) -> None:
    """Activate an organisation again, with all its credentials. Operators only."""
    realms.activate_realm(rules.realms.operated(caller, uid))


@signed_in
def restore_realm(caller: Caller, uid: str) -> None:
    """Restore a deleted organisation, deactivated. Operators only."""
    realms.restore_realm(rules.realms.operated(caller, uid))


@signed_in
def purge_realm(caller: Caller, uid: str) -> None:
    """Permanently remove a deleted organisation before its 30 days are over; its audit trail is kept. Operators only."""
    organisations.purge_realm(rules.realms.operated(caller, uid).name)


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


def show_realm(caller: Caller, realm: Realm) -> RealmResource:
    """Return what is known of a realm."""
    shown = metadata(realm.uid, realm.name, realm.created_at, realm.updated_at)
    if realm.deleted_at is not None:
        shown["deletionTimestamp"] = time(realm.deleted_at)
    return {
        "metadata": shown,
        "spec": RealmSpecShown.of(realm),
        "status": {
            "state": realm.state,
            "issuer": caller.realm.runtime.settings.issuer(realm.name),
            "contractNumber": realm.contract_number,
        },
    }
