"""`/v1/personalTokens`, and those of one user: what personal tokens there are, for who may see and delete them."""

from typing_extensions import TypedDict

from idp import personal_tokens, rules
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Reference, Schema, Timestamp, Uid
from idp.jose import read_unverified
from idp.personal_tokens import Criteria, PersonalToken
from idp.realms import known_realm
from idp.rules import Authority
from idp.users import User
from idp.web.answers import time


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
def list_tokens(authority: Authority, query: PageQuery, uid: str) -> Page[TokenResource]:
    """List a user's personal tokens, including expired ones; never their values."""
    user = rules.personal_tokens.owner_to_list(authority, uid)
    return page(
        authority.caller, query, personal_tokens.token_listing(authority.realm.id, user_id=user.id), lambda row: _shown(*row)
    )


@signed_in
def list_all_tokens(authority: Authority, query: PageQuery) -> Page[TokenResource]:
    """List the personal tokens of all users."""
    rules.personal_tokens.check_listing(authority)
    return page(authority.caller, query, personal_tokens.token_listing(authority.realm.id), lambda row: _shown(*row))


@signed_in
def get_token(authority: Authority, token_id: str) -> TokenResource:
    """Show a personal token; never its value."""
    return _shown(*rules.personal_tokens.visible(authority, token_id))


@signed_in
def delete_token(authority: Authority, uid: str, token_id: str) -> None:
    """Delete a user's personal token; it is refused everywhere within a second."""
    _delete(authority, uid, token_id)


def _delete(authority: Authority, uid: str, token_id: str) -> None:
    user = rules.personal_tokens.owner_to_change(authority, uid)
    row = personal_tokens.get_personal_token(authority.realm.id, user.id, token_id)
    known = known_realm(authority.caller.realm.runtime, authority.realm.name)
    if known is not None:
        personal_tokens.delete_personal_tokens(known, user.id, Criteria.CURRENT, current=row.uid)


@signed_in
def delete_any_token(authority: Authority, token_id: str) -> None:
    """Delete a personal token, one's own or somebody else's; it is refused everywhere within a second."""
    _, owner = rules.personal_tokens.visible(authority, token_id)
    _delete(authority, owner.uid, token_id)


@signed_in
def create_token(authority: Authority, body: NewToken) -> Created[TokenMade]:
    """Create a personal token for oneself, after signing in; its value is in this response and nowhere else."""
    user = rules.personal_tokens.maker(authority)
    token = personal_tokens.create_personal_token(authority.caller.realm, user, seconds=body.spec.seconds)
    uid = str(read_unverified(token).header["kid"])
    return Created({"uid": uid, "token": token}, f"/v1/personalTokens/{uid}")


def _shown(row: PersonalToken, user: User) -> TokenResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at)},
        "spec": {"user": {"uid": user.uid, "name": user.name}, "expiry": time(row.expires_at)},
        "status": {"createdFrom": row.created_from},
    }
