"""`/v1/auth`: signing in, refreshing, signing out, one-time codes, exchange, reports of leaks."""

from flask import Response, request
from pydantic import Field

from idp import apikeys, ratelimit, realms, runtime, sessions, users
from idp.api.answers import answer, done, set_cookie
from idp.api.requests import Schema, address, parse, public, signed_in
from idp.callers import Caller, CredentialError, CredentialKind, realm_of_token
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.users import LinkPurpose
from idp.verifier.jose import InvalidTokenError
from idp.wire.credentials import check_origin


class Authenticate(Schema):
    """`POST /v1/auth/authenticate`."""

    emailId: str = Field(max_length=1_000)  # noqa: N815 (the contract's name)
    password: str = Field(max_length=100_000)
    org: str | None = None


class ResetStart(Schema):
    """`POST /v1/auth/user/password/reset`."""

    emailId: str = Field(max_length=1_000)  # noqa: N815
    org: str | None = None


class NewPassword(Schema):
    """`PATCH /v1/auth/password/{code}/activate` and `/reset`."""

    password: str = Field(max_length=100_000)


class Leak(Schema):
    """`POST /v1/auth/credentials/report`."""

    credential: str = Field(max_length=1_000)


@public
def authenticate() -> Response:
    """Sign a person in: a session token, and by default the cookie that carries it."""
    body = parse(Authenticate)
    token = sign_in(body.emailId, body.password, body.org or None)
    response = answer({"Authorization": token.token, "isMfa": False, "expiresIn": token.expires_in})
    return set_cookie(response, token.token) if wants_cookie() else response


def sign_in(name: str, password: str, org: str | None) -> sessions.SessionToken:
    """Check a password and start a session; see `users.check_sign_in` for the errors."""
    signed = users.check_sign_in(name, password, realm=org, address=address())
    return sessions.start_session(signed.realm, signed.user, agent=request.headers.get("User-Agent", ""))


def wants_cookie() -> bool:
    """Tell whether the answer shall set the cookie, as it does unless `setCookie=false`."""
    return request.args.get("setCookie", "true").lower() != "false"


@public
def refresh(token: str) -> Response:
    """Exchange the newest token of a session for the next, once."""
    try:
        realm = realm_of_token(runtime.current(), token)
        if not realm.enabled:
            raise CredentialError
        new = sessions.refresh_session(realm, token)
    except InvalidTokenError as error:
        raise CredentialError from error
    response = answer({"Authorization": new.token, "isMfa": False, "expiresIn": new.expires_in})
    return set_cookie(response, new.token) if wants_cookie() else response


@signed_in
def logout(caller: Caller) -> Response:
    """End the session of the token that is shown, and take its cookie away."""
    return _end(caller)


def _end(caller: Caller) -> Response:
    db.session.rollback()  # whatever the method, this is a change
    if caller.kind is not CredentialKind.SESSION:
        raise InvalidValueError("Only a session can be logged out of. Revoke a key or delete a token instead.")
    realm = realms.get_realm(caller.realm.name)
    sessions.end_session(realm, sessions.get_session(realm, caller.credential_id))
    commit()
    return set_cookie(done(), "")


@signed_in
def org_logout(caller: Caller, name: str) -> Response:  # noqa: ARG001 (a token knows its organisation)
    """End the session by a GET, as the contract has it; a browser's cookie must come from a page of this origin."""
    check_origin(request.environ, runtime.current().settings.public_url)
    return _end(caller)


@public
def org() -> Response:
    """Say how an organisation signs in. The answer is the same for one that does not exist (T85)."""
    name = request.args.get("orgName", "")
    return answer({"authType": "password", "orgName": name[:64], "redirectUrl": "", "ssoLogins": []})


@signed_in
def orgs(caller: Caller) -> Response:
    """Say which organisation the caller belongs to."""
    return answer({"organizations": [{"name": caller.realm.name, "authType": "password", "redirectUrl": "", "ssoLogins": []}]})


@public
def sso(kind: str) -> Response:  # noqa: ARG001 (identity providers, logins, providers: all empty)
    """Say that nobody signs in by another identity provider here."""
    return answer({"items": []})


@public
def start_reset() -> Response:
    """Send a one-time code to who asks for a new password, if there is such an account. The answer does not tell."""
    body = parse(ResetStart)
    _start_reset(body.emailId, body.org)
    return done()


@public
def forgot() -> Response:
    """Start a password reset by a GET, as the contract has it."""
    _start_reset(request.args.get("emailId", ""), request.args.get("org"))
    return done()


def _start_reset(name: str, org_name: str | None) -> None:
    users.request_reset(name, org_name, address())
    commit()


@public
def activate(code: str) -> Response:
    """Choose the first password of an invited person."""
    users.redeem_link(code, LinkPurpose.INVITATION, parse(NewPassword).password)
    commit()
    return done()


@public
def reset(code: str) -> Response:
    """Choose a new password with a one-time code; every session of the account ends."""
    users.redeem_link(code, LinkPurpose.RESET, parse(NewPassword).password)
    commit()
    return done()


@public
def report_leak() -> Response:
    """Revoke a credential that somebody has found, on being shown it. The answer does not tell whether it was one."""
    credential = parse(Leak).credential.strip()
    if apikeys.can_be_leaked(credential):
        ratelimit.reserve_attempt([(f"leak:{ratelimit.network_of(address())}", 60)], 60)
        apikeys.revoke_leaked(credential)
        commit()
    return done()
