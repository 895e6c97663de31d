"""`/v1/auth`: signing in, refreshing, signing out, one-time codes, exchange, reports of leaks."""

from datetime import date
from typing import Literal

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import apikeys, ratelimit, realms, runtime, sessions, users
from idp.api.operations import Deprecation
from idp.api.requests import public, signed_in
from idp.api.schemas import Done, Query, Reply, Schema, Timestamp
from idp.callers import Caller, CredentialError, CredentialKind, realm_of_token
from idp.errors import InvalidValueError
from idp.jose import InvalidTokenError
from idp.users import LinkPurpose
from idp.web.calls import address
from idp.web.credentials import check_origin


class Authenticate(Schema):
    """`POST /v1/auth/authenticate`."""

    emailId: str = Field(max_length=1_000)
    password: str = Field(max_length=100_000)
    org: str | None = None


class ResetStart(Schema):
    """`POST /v1/auth/user/password/reset`."""

    emailId: str = Field(max_length=1_000)
    org: str | None = None


class NewPassword(Schema):
    """`PATCH /v1/auth/password/{code}/activate` and `/reset`."""

    password: str = Field(max_length=100_000)


class Leak(Schema):
    """`POST /v1/auth/credentials/report`."""

    credential: str = Field(max_length=1_000)


class Refresh(Schema):
    """`POST /v1/auth/refresh`."""

    token: str = Field(max_length=16_384)
    """The newest session token."""


class CookieQuery(Query):
    """Whether the answer sets the cookie. To a page of another origin it never does."""

    setCookie: str = "true"
    """`false` for the token in the body only."""

    @property
    def wants_cookie(self) -> bool:
        """Whether it does."""
        return self.setCookie.lower() != "false"


class OrgQuery(Query):
    """Which organisation is asked for."""

    orgName: str = Field(default="", max_length=1_000)


class ForgotQuery(Query):
    """Who has forgotten the password."""

    emailId: str = Field(default="", max_length=1_000)
    org: str | None = None


class SessionShown(TypedDict):
    """A session token."""

    Authorization: str
    isMfa: bool
    expiresIn: int


class OrgShown(TypedDict):
    """How an organisation signs in."""

    authType: Literal["password"]
    orgName: str
    redirectUrl: str
    ssoLogins: list[str]


class OwnOrg(TypedDict):
    """An organisation that the caller belongs to."""

    name: str
    authType: Literal["password"]
    redirectUrl: str
    ssoLogins: list[str]


class OwnOrgs(TypedDict):
    """The organisations that the caller belongs to."""

    organizations: list[OwnOrg]


class Provider(TypedDict):
    """An identity provider. There are none."""

    id: str
    name: str


class Device(TypedDict):
    """A second factor. There are none."""

    deviceName: str
    creationTimestamp: Timestamp


class SsoQuery(Query):
    """Whose providers."""

    org: str = Field(default="", max_length=64)


@public
def authenticate(query: CookieQuery, body: Authenticate) -> Reply[SessionShown]:
    """Sign a person in: returns a session token and, by default, sets a cookie with it."""
    return _session(sign_in(body.emailId, body.password, body.org or None), query)


def _session(token: sessions.SessionToken, query: CookieQuery) -> Reply[SessionShown]:
    return Reply(_shown(token), cookie=token.token if query.wants_cookie else None)


def _shown(token: sessions.SessionToken) -> SessionShown:
    return {"Authorization": token.token, "isMfa": False, "expiresIn": token.expires_in}


def sign_in(name: str, password: str, org: str | None) -> sessions.SessionToken:
    """Check a password and start a session; see `users.check_sign_in` for the errors."""
    signed = users.check_sign_in(name, password, realm=org, address=address())
    return sessions.start_session(signed.realm, signed.user, agent=request.headers.get("User-Agent", ""))


@public
def refresh_session(query: CookieQuery, body: Refresh) -> Reply[SessionShown]:
    """Exchange the newest token of a session for the next one, once."""
    return _session(_refreshed(body.token), query)


@public(deprecation=Deprecation(date(2026, 11, 22), None, "POST /v1/auth/refresh: a URL is written down in many places"))
def refresh(query: CookieQuery, token: str) -> SessionShown:  # noqa: ARG001 (taken, for clients that send it)
    """Exchange the newest token of a session, given in the URL, for the next one, once. Sets no cookie: a GET signs nobody in."""
    return _shown(_refreshed(token))


def _refreshed(token: str) -> sessions.SessionToken:
    try:
        realm = realm_of_token(runtime.current(), token)
        if not realm.enabled:
            raise CredentialError
        return sessions.refresh_session(realm, token)
    except InvalidTokenError as error:
        raise CredentialError from error


@signed_in
def logout(caller: Caller) -> Done:
    """End the session of the presented token, and remove its cookie."""
    return _end(caller)


def _end(caller: Caller) -> Done:
    if caller.kind is not CredentialKind.SESSION:
        raise InvalidValueError("Only sessions can be logged out. Revoke a key or delete a token instead.")
    realm = realms.get_realm(caller.realm.name)
    sessions.end_session(realm, sessions.get_session(realm, caller.credential_id))
    return Done("")


@signed_in(records=True)
def org_logout(caller: Caller, name: str) -> Done:  # noqa: ARG001 (a token knows its organisation)
    """End the session with a GET, as the contract requires; a browser's cookie must come from a page of this origin."""
    check_origin(request.environ, runtime.current().settings.public_url)
    return _end(caller)


@public
def org(query: OrgQuery) -> OrgShown:
    """Show how an organisation signs in. The response is the same for one that does not exist (T85)."""
    return {"authType": "password", "orgName": query.orgName[:64], "redirectUrl": "", "ssoLogins": []}


@signed_in
def orgs(caller: Caller) -> OwnOrgs:
    """Show which organisation the caller belongs to."""
    return {"organizations": [{"name": caller.realm.name, "authType": "password", "redirectUrl": "", "ssoLogins": []}]}


@public
def sso(query: SsoQuery, kind: str) -> list[Provider]:  # noqa: ARG001 (identity providers, logins, providers: all empty)
    """List other identity providers for sign-in: there are none."""
    return []


@signed_in
def list_devices(caller: Caller) -> list[Device]:  # noqa: ARG001 (everybody who is signed in)
    """List second factors: there are none."""
    return []


@public
def start_reset(body: ResetStart) -> None:
    """Send a one-time code for a new password, if the account exists. The response does not reveal whether it does."""
    users.request_reset(body.emailId, body.org, address())


@public
def forgot(query: ForgotQuery) -> None:
    """Start a password reset with a GET, as the contract requires."""
    users.request_reset(query.emailId, query.org, address())


@public
def activate(body: NewPassword, code: str) -> None:
    """Choose the first password of an invited person."""
    users.redeem_link(code, LinkPurpose.INVITATION, body.password)


@public
def reset(body: NewPassword, code: str) -> None:
    """Choose a new password with a one-time code; every session of the account ends."""
    users.redeem_link(code, LinkPurpose.RESET, body.password)


@public
def report_leak(body: Leak) -> None:
    """Revoke a found credential, which has to be presented. The response does not reveal whether it was valid."""
    credential = body.credential.strip()
    if apikeys.can_be_leaked(credential):
        ratelimit.reserve_attempt(ratelimit.network_limits("leak", address(), 60), 60)
        apikeys.revoke_leaked(credential)
