"""`/v1/personalTokens`, and those of one user: what personal tokens there are, for who may see and delete them."""

from typing_extensions import TypedDict

from idp import callers, personal_tokens
from idp.api.answers import time
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Reference, Schema, Timestamp, Uid
from idp.callers import Caller, CredentialKind, DeniedError
from idp.errors import NotFoundError
from idp.personal_tokens import Criteria, PersonalToken
from idp.realms import Realm, known_realm
from idp.users import User
from idp.verifier.jose import read_unverified


class NewTokenSpec(Schema):
    """`spec` of a personal token."""

    seconds: int | None = None
    """Its life, where the organisation lets people choose."""


class NewToken(Schema):
    """`POST /v1/personalTokens`."""

    spec: NewTokenSpec = NewTokenSpec()


class TokenMade(TypedDict):
    """A new token: its value is here and nowhere else."""

    uid: str
    token: str


class TokenMetadata(TypedDict):
    """Which token it is."""

    uid: Uid
    creationTimestamp: Timestamp


class TokenSpec(TypedDict):
    """Whose token it is, and until when."""

    user: Reference
    expiry: Timestamp


class TokenStatus(TypedDict):
    """How it was made."""

    createdFrom: str


class TokenResource(TypedDict):
    """A personal token; never its value."""

    metadata: TokenMetadata
    spec: TokenSpec
    status: TokenStatus


@signed_in
def list_tokens(caller: Caller, realm: Realm, query: PageQuery, uid: str) -> Page[TokenResource]:
    """List a user's personal tokens, including expired ones; never their values."""
    user = _whose(caller, realm, uid, "personal-tokens:read")
    return page(caller, query, personal_tokens.token_listing(realm.id, user_id=user.id), lambda row: _shown(*row))


@signed_in
def list_all_tokens(caller: Caller, realm: Realm, query: PageQuery) -> Page[TokenResource]:
    """List the personal tokens of all users."""
    caller.require("personal-tokens:read", realm=realm.name)
    return page(caller, query, personal_tokens.token_listing(realm.id), lambda row: _shown(*row))


@signed_in
def get_token(caller: Caller, realm: Realm, token_id: str) -> TokenResource:
    """Show a personal token; never its value."""
    found = personal_tokens.find_with_owner(realm.id, token_id)
    if found is None or (found[1].uid != caller.subject.uid and not caller.may("personal-tokens:read", realm=realm.name)):
        raise NotFoundError("There is no personal token with this uid (not found).")
    return _shown(*found)


@signed_in
def delete_token(caller: Caller, realm: Realm, uid: str, token_id: str) -> None:
    """Delete a user's personal token; it is refused everywhere within a second."""
    _delete(caller, realm, uid, token_id)


def _delete(caller: Caller, realm: Realm, uid: str, token_id: str) -> None:
    user = _whose(caller, realm, uid, "personal-tokens:write")
    row = personal_tokens.get_personal_token(realm.id, user.id, token_id)
    known = known_realm(caller.realm.runtime, realm.name)
    if known is not None:
        personal_tokens.delete_personal_tokens(known, user.id, Criteria.CURRENT, current=row.uid)


@signed_in
def delete_any_token(caller: Caller, realm: Realm, token_id: str) -> None:
    """Delete a personal token, one's own or somebody else's; it is refused everywhere within a second."""
    found = personal_tokens.find_with_owner(realm.id, token_id)
    if found is None or (found[1].uid != caller.subject.uid and not caller.may("personal-tokens:read", realm=realm.name)):
        raise NotFoundError("There is no personal token with this uid (not found).")
    _delete(caller, realm, found[1].uid, token_id)


@signed_in
def create_token(caller: Caller, realm: Realm, body: NewToken) -> Created[TokenMade]:
    """Create a personal token for oneself, after signing in; its value is in this response and nowhere else."""
    if caller.kind is not CredentialKind.SESSION or realm.name != caller.realm.name:
        raise DeniedError("Personal tokens are made for oneself, after signing in.")
    token = personal_tokens.create_personal_token(caller.realm, caller.user, seconds=body.spec.seconds)
    uid = str(read_unverified(token).header["kid"])
    return Created({"uid": uid, "token": token}, f"/v1/personalTokens/{uid}")


def _whose(caller: Caller, realm: Realm, uid: str, permission: str) -> User:
    if uid != caller.subject.uid:
        caller.require(permission, realm=realm.name)
    elif caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own personal tokens are managed after signing in, or at /auth/v1/tokens.")
    return callers.visible_user(caller, realm, uid)


def _shown(row: PersonalToken, user: User) -> TokenResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at)},
        "spec": {"user": {"uid": user.uid, "name": user.name}, "expiry": time(row.expires_at)},
        "status": {"createdFrom": row.created_from},
    }
