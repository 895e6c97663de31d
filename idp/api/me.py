"""`/v1/users`: what everybody does about themselves."""

from pydantic import Field
from typing_extensions import TypedDict

from idp import realms, runtime, sessions, users
from idp.api.auth import sign_in
from idp.api.requests import public, signed_in
from idp.api.schemas import Reply, Schema
from idp.callers import Caller, CredentialError, CredentialKind, DeniedError, authenticate_token
from idp.tokens import write_revocation
from idp.web.calls import address


class DefaultLogin(Schema):
    """`POST /v1/users/default/login`."""

    username: str = Field(max_length=1_000)
    password: str = Field(max_length=100_000)
    org: str | None = None


class Revoke(Schema):
    """`POST /v1/users/auth/tokens/revoke`."""

    tokens: list[str] = Field(max_length=100)


class PasswordChange(Schema):
    """`PATCH /v1/users/password/change`."""

    emailId: str = Field(max_length=1_000)
    currentPassword: str = Field(max_length=100_000)
    newPassword: str = Field(max_length=100_000)
    org: str | None = None


class OwnPasswordChange(Schema):
    """`PATCH /v1/users/{uid}/password/change`."""

    currentPassword: str = Field(max_length=100_000)
    newPassword: str = Field(max_length=100_000)


class TokenOnly(TypedDict):
    """A session token, as the edge host shows it."""

    Authorization: str


class EdgeLogin(TypedDict):
    """What the edge host's sign-in answers."""

    Token: TokenOnly


class Info(TypedDict):
    """Who calls."""

    orgName: str
    tenantUid: str
    userUid: str
    name: str
    credential: str
    roles: list[str]


@public
def default_login(body: DefaultLogin) -> Reply[EdgeLogin]:
    """Sign in as the edge host's contract requires: the token is in the body and in a cookie."""
    token = sign_in(body.username, body.password, body.org)
    return Reply({"Token": {"Authorization": token.token}}, cookie=token.token)


@signed_in
def info(caller: Caller) -> Info:
    """Show who is calling."""
    return {
        "orgName": caller.realm.name,
        "tenantUid": caller.realm.uid,
        "userUid": caller.subject.uid,
        "name": caller.name.partition(":")[2],
        "credential": caller.kind.value,
        "roles": sorted({each.role for each in caller.held_roles if not each.project}),
    }


@signed_in
def revoke_tokens(caller: Caller, body: Revoke) -> None:
    """End the sessions that tokens belong to, and tokens that keys were exchanged for.

    To hold a token is to be allowed to; what is none is passed over.
    """
    for token in body.tokens:
        try:
            other = authenticate_token(runtime.current(), token.removeprefix("Bearer "), caller.address, shown=None)
        except CredentialError:
            continue
        if other.kind is CredentialKind.SESSION:
            realm = realms.get_realm(other.realm.name)
            sessions.end_session(realm, sessions.get_session(realm, other.credential_id))
        elif other.kind is CredentialKind.EXCHANGED:
            write_revocation(other.realm, other.claims)


@public
def change_password(body: PasswordChange) -> None:
    """Change a password with the old one; every session of the account ends (R107)."""
    users.replace_password(body.emailId, body.currentPassword, body.newPassword, realm=body.org, address=address())


@signed_in
def change_own_password(caller: Caller, body: OwnPasswordChange, uid: str) -> None:
    """Change the caller's own password with the old one; every session of the account ends, including this one."""
    if uid != caller.user.uid:
        raise DeniedError("Nobody can change somebody else's password. An administrator can start a reset.")
    new, realm = body.newPassword, caller.realm.name
    users.replace_password(caller.user.name, body.currentPassword, new, realm=realm, address=address())
