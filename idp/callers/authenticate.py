"""Finding out who calls, from any credential that this server knows."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from idp import access, apikeys, authorizations, clock, crypto, keys, personal_tokens, sessions, tokens
from idp.access import HeldRole
from idp.apikeys import CheckedKey
from idp.applications import known_application
from idp.audit import Tag
from idp.callers.models import Caller, CredentialKind
from idp.errors import IdpError
from idp.errors import Kind as ErrorKind
from idp.feed import Cache
from idp.jose import ID_TOKEN_SHOWN, InvalidTokenError, Kind, has_audience, kind_of, read_unverified, unverified_kind
from idp.keys import KeyRing
from idp.proofs import ANYBODYS, Binding, bound_to, check_binding, check_nonce, use_up
from idp.realms import KnownRealm, known_realm, lock_realm
from idp.runtime import Runtime
from idp.sessions import BrowserSession
from idp.tokens import Subject
from idp.users import KnownUser, known_user, lock_user

MOST_OPENED = 10_000
"""Tokens whose signature was checked that each worker remembers (about 2 KB each, and 5 of one that is introspected)."""


NO_ADDRESS = "(introspection)"
"""Address of a question about a token, which is no use of it."""


class CredentialError(IdpError):
    """The credential is wrong, over, or not for this server. One text for every cause."""

    kind = ErrorKind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("Authentication failed: the token is wrong or has expired. Sign in again, or exchange the key again.")


class NoCredentialError(CredentialError):
    """There is no credential at all."""

    kind = ErrorKind.NO_CREDENTIAL

    def __init__(self) -> None:
        IdpError.__init__(
            self, "This call needs a credential: a token in the header Authorization, or an API key in the header apiKey."
        )


class WrongTokenError(CredentialError):
    """An ID token is shown, which no API takes. It says so itself, so it is no secret that it is one."""

    def __init__(self) -> None:
        IdpError.__init__(self, ID_TOKEN_SHOWN)


@dataclass(frozen=True, slots=True)
class ActiveToken:
    """A token that counts, as introspection tells of it."""

    claims: dict[str, Any]
    derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out from the claims and want to keep exactly as long as they hold."""


@dataclass(slots=True)
class _Opened:
    """A token whose signature, dates and issuer were found right under these keys."""

    ring: KeyRing
    realm: str
    session: bool
    """A session token; else an access token."""
    claims: dict[str, Any]
    expires_at: float
    held: tuple[Any, tuple[HeldRole, ...]] | None = field(default=None)
    """The subject or key that it was worked out for, and what the token carries of its roles."""
    active: tuple[tuple[HeldRole, ...], float, ActiveToken] | None = field(default=None)
    """What introspection tells of it, the roles of the subject that this was worked out from, and until when it holds."""


def authenticate_key(process: Runtime, plain_key: str, address: str, purpose: Tag = Tag.API_KEY_USE) -> Caller:
    """Return who calls with an API key; see `apikeys.check_key` for the errors."""
    return _key_caller(apikeys.check_key(process, plain_key, address, purpose), address)


def key_holder(process: Runtime, public_part: str, address: str) -> Caller:
    """Return who holds a key that was checked a moment ago, as they are now.

    :raises CredentialError: it does not work any more.
    """
    checked = apikeys.find_live_key(process, public_part)
    if checked is None:
        raise CredentialError
    return _key_caller(checked, address)


def identify_again(caller: Caller, token: str, *, lock: str) -> Caller:
    """Lock a realm and return the caller as of this moment, in which no other change of the realm can take place.

    What is in memory may be up to a second old: enough for somebody who is losing a role to give it back to themselves.

    :param token: the token that was shown; empty for an API key.
    :param lock: name of the realm that is going to be changed; empty where what is done takes nothing from others and gives them
        nothing, so that it may as well have been done a moment earlier.
    :raises CredentialError: the credential does not work any more.
    """
    _hold_still(caller, lock)
    if not token:
        return key_holder(caller.realm.runtime, caller.key, caller.address)
    held = bound_to(caller.claims)  # as it has shown when it was first looked at
    return authenticate_token(caller.realm.runtime, token, caller.address, counted=False, shown=held)


def _hold_still(caller: Caller, realm: str) -> None:
    """Let nothing change in a realm before the commit, and know all that has changed until now."""
    if realm:
        lock_realm(realm)
    if realm and isinstance(caller.subject, KnownUser):
        lock_user(caller.subject.id)  # a change of the password, say, has taken place, or waits
    caller.realm.runtime.feed.confirm_now()


def authenticate_browser(session: BrowserSession, address: str) -> Caller:
    """Return whom a browser's session is of, with all that they hold."""
    return Caller(
        realm=session.realm,
        subject=session.user,
        held_roles=session.user.held_roles,
        kind=CredentialKind.SESSION,
        credential_id=session.sid,
        expires_at=session.expires_at,
        address=address,
    )


def identify_browser_again(caller: Caller, cookie: str, *, lock: str) -> Caller:
    """Do for a browser's session what `identify_again` does for a token.

    :raises SessionOverError: it has ended.
    """
    _hold_still(caller, lock)
    return authenticate_browser(sessions.open_session(caller.realm.runtime, cookie), caller.address)


def _key_caller(checked: CheckedKey, address: str) -> Caller:
    key = checked.key
    return Caller(
        realm=checked.realm,
        subject=checked.owner,
        held_roles=checked.held_roles(),
        kind=CredentialKind.API_KEY,
        credential_id=key.uid,
        expires_at=key.expires_at,
        address=address,
        key=key.public_part,
        narrowed=bool(key.roles or key.projects),
    )


def authenticate_token(
    process: Runtime, token: str, address: str, *, audience: str = "", counted: bool = True, shown: Binding | None = ANYBODYS
) -> Caller:
    """Return who calls with a session token, an access token made for this server, or a personal token.

    :param audience: another audience whose access tokens are accepted.
    :param counted: whether this is a use of the key that the token was exchanged for, and not a second look at it.
    :param shown: what the request shows that it holds, for tokens that are bound; None where the token is not used, but asked
        about. A proof is used up by this.
    :raises ProofError: the token is bound to something else, or to nothing.
    :raises CredentialError: it is none of these, or does not count any more.
    """
    try:
        opened = _recall(process, token)
        if opened is None:
            if personal_tokens.is_personal_token(token):
                check_binding({}, shown or ANYBODYS)
                return _by_personal_token(process, token, address)
            opened = _open(process, token)
        realm = known_realm(process, opened.realm)
        if realm is None or not realm.enabled:
            raise CredentialError
        if opened.session:
            caller = _by_session_token(realm, opened, address, counted=counted)
        else:
            audiences = {realm.issuer, audience, realm.general_audience} if audience else {realm.issuer}
            caller = _by_access_token(realm, opened, address, audiences)
    except (InvalidTokenError, KeyError, TypeError, AttributeError) as error:
        if unverified_kind(token) is Kind.ID:
            raise WrongTokenError from error
        raise CredentialError from error  # the last three: signed by this realm, and yet not of the shape that is due
    if shown is not None:
        _check_possession(realm, opened.claims, shown)
    return caller


def _check_possession(realm: KnownRealm, claims: dict[str, Any], shown: Binding) -> None:
    """See that a request holds what its token is bound to, and use up the proof of that.

    :raises ProofError: it does not, or the proof was used before, or lacks a nonce.
    """
    check_binding(claims, shown)
    if shown.proof is not None:
        application = known_application(realm, claims.get("client_id", ""))
        check_nonce(realm, shown.proof, demanded=application is not None and application.demands_nonces)
        use_up(shown.proof)


def remember_access_token(realm: KnownRealm, token: str, shown: Binding) -> tuple[Subject, dict[str, Any]] | None:
    """Return whose access token of this realm it is, and what it says, from memory; None if it does not count.

    Whether it was revoked is at most a second old (R53). What its subject holds by now is not looked at.

    :param shown: what the request shows that it holds.
    :raises ProofError: the token is bound to something else, or to nothing.
    """
    try:
        opened = _recall(realm.runtime, token) or _open(realm.runtime, token)
    except InvalidTokenError:
        return None
    if opened.session or opened.realm != realm.name:
        return None
    subject = tokens.live_subject(realm, opened.claims)
    if subject is None or tokens.is_revoked(realm, opened.claims):
        return None
    _check_possession(realm, opened.claims, shown)
    return subject, opened.claims


def introspect(realm: KnownRealm, token: str) -> ActiveToken | None:
    """Return an active token of this realm, of any kind, or None (RFC 7662 §2.2).

    Roles and projects are those that the token names *and* its subject still holds. What was revoked before this is asked, by
    whichever worker, is not active: no answer here contradicts one of the revocation endpoint.
    """
    if crypto.is_well_formed(token, "rt"):
        return _introspect_refresh_token(realm, token)
    process = realm.runtime
    process.feed.confirm_now()
    try:
        opened = _recall(process, token)
        if opened is None and unverified_kind(token) is not Kind.PERSONAL:
            opened = _open(process, token)
        if opened is not None and not opened.session:
            return _introspect_access_token(realm, opened)
        caller = authenticate_token(process, token, NO_ADDRESS, counted=False, shown=None)
    except (InvalidTokenError, CredentialError):
        return None
    if caller.realm.name != realm.name:
        return None
    return ActiveToken(tokens.still_held(caller.held_roles, caller.claims or read_unverified(token).claims))


def _introspect_access_token(realm: KnownRealm, opened: _Opened) -> ActiveToken | None:
    claims = opened.claims
    subject = tokens.live_subject(realm, claims) if opened.realm == realm.name else None
    if subject is None or tokens.is_revoked(realm, claims):
        return None
    now = clock.timestamp()
    if opened.active is None or opened.active[0] is not subject.held_roles or now >= opened.active[1]:
        held = access.limited_to(claims.get("limited"), subject.held_roles)
        until = min((each.until for each in held if now < each.until), default=float("inf"))
        opened.active = (subject.held_roles, until, ActiveToken(tokens.still_held(held, claims)))
    return opened.active[2]


def _introspect_refresh_token(realm: KnownRealm, token: str) -> ActiveToken | None:
    found = authorizations.find_active(realm, token)
    user = known_user(realm, found.user_uid) if found is not None else None
    known = authorizations.known_authorization(realm, found.uid) if found is not None else None
    if found is None or user is None or known is None or not user.enabled or not known.lives_after(user.signed_out_at):
        return None
    told = {
        "iss": realm.issuer,
        "sub": user.uid,
        "aud": realm.issuer,
        "client_id": known.client_id,
        "scope": found.scope,
        "iat": int(found.rotated_at.timestamp()),
        "exp": int(found.expires_at.timestamp()),
        **({"preferred_username": user.name} if "profile" in found.scope.split() else {}),
        "grant_id": found.uid,
        "token_type": "refresh_token",
        **({"cnf": found.confirmation} if found.confirmation else {}),
    }
    return ActiveToken(told)


def _by_personal_token(process: Runtime, token: str, address: str) -> Caller:
    checked = personal_tokens.check_personal_token(process, token)
    return Caller(
        realm=checked.realm,
        subject=checked.owner,
        held_roles=checked.owner.held_roles,
        kind=CredentialKind.PERSONAL_TOKEN,
        credential_id=checked.token.uid,
        expires_at=checked.token.expires_at,
        address=address,
    )


def _by_session_token(realm: KnownRealm, opened: _Opened, address: str, *, counted: bool) -> Caller:
    claims = opened.claims
    if "key" in claims:
        checked = apikeys.find_live_key(realm.runtime, claims["key"])
        if checked is None or checked.realm.name != realm.name or not _is_of(checked, claims) or not _actor_lives(realm, claims):
            raise CredentialError
        if tokens.is_revoked(realm, claims):
            raise CredentialError
        if address != NO_ADDRESS and not apikeys.is_allowed_from(checked.key, address):
            raise CredentialError
        if counted:
            apikeys.count_use(realm.runtime, checked.key)
        subject, carried, kind = checked.owner, checked.held_roles(), CredentialKind.EXCHANGED
    else:
        session = sessions.known_session(realm, claims["sid"])
        user = tokens.live_subject(realm, claims)
        if session is None or user is None or session.user_uid != claims["sub"]:
            raise CredentialError
        if not isinstance(user, KnownUser) or not sessions.is_alive(session.started_at, session.expires_at, user):
            raise CredentialError
        subject, carried, kind = user, user.held_roles, CredentialKind.SESSION
    return Caller(
        realm=realm,
        subject=subject,
        held_roles=_carried(opened, carried),
        kind=kind,
        credential_id=claims["sid"],
        expires_at=opened.expires_at,
        address=address,
        key=claims.get("key", ""),
        narrowed=kind is CredentialKind.EXCHANGED,
        claims=claims,
    )


def _by_access_token(realm: KnownRealm, opened: _Opened, address: str, audiences: set[str]) -> Caller:
    claims = opened.claims
    if "grant_id" in claims and not tokens.carries_roles(claims.get("scope", "")):
        raise CredentialError  # an application that was only told who somebody is does not act for them
    subject = tokens.live_subject(realm, claims)
    if not has_audience(claims, audiences) or subject is None or tokens.is_revoked(realm, claims):
        raise CredentialError
    if claims["azp"] == tokens.GATEWAY_CLIENT or ("act" in claims and has_audience(claims, {realm.issuer})):
        # what was handed to an API to recognise its caller by does not let that API act as the caller here
        raise CredentialError
    return Caller(
        realm=realm,
        subject=subject,
        held_roles=_carried(opened, access.limited_to(claims.get("limited"), subject.held_roles)),
        kind=CredentialKind.ACCESS_TOKEN,
        credential_id=claims["jti"],
        expires_at=opened.expires_at,
        address=address,
        narrowed=True,
        claims=claims,
    )


def _is_of(checked: CheckedKey, claims: dict[str, Any]) -> bool:
    return (checked.owner.uid, checked.key.uid) == (claims["sub"], claims["sid"])


def _actor_lives(realm: KnownRealm, claims: dict[str, Any]) -> bool:
    """Tell whether who presented the key in exchange, if that was somebody else, is still there."""
    return "act" not in claims or tokens.live_subject(realm, claims) is not None


def _carried(opened: _Opened, held_roles: tuple[HeldRole, ...]) -> tuple[HeldRole, ...]:
    """Return what of the roles that are held now the token names; worked out once for as long as neither changes."""
    if opened.held is None or opened.held[0] is not held_roles:
        named = {("", role) for role in opened.claims["realm_access"]["roles"]}
        named |= {(project["name"], role) for project in opened.claims["projects"] for role in project["roles"]}
        opened.held = (held_roles, tuple(each for each in held_roles if (each.project, each.role) in named))
    return opened.held[1]


def _remembered(process: Runtime) -> Cache[_Opened]:
    found: Cache[_Opened] = process.extensions.setdefault("opened-tokens", Cache(MOST_OPENED))
    return found


def _recall(process: Runtime, token: str) -> _Opened | None:
    """Return a session or access token that was opened under the keys that its realm has now; None if there is none."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    opened = _remembered(process).get(digest)
    if opened is None:
        return None
    realm = known_realm(process, opened.realm)
    if realm is not None and keys.key_ring(realm) is opened.ring and clock.timestamp() < opened.expires_at:
        return opened
    _remembered(process).drop(digest)
    return None


def _open(process: Runtime, token: str) -> _Opened:
    """Open a session or access token, and remember that this was done.

    :raises InvalidTokenError: it is none, or no longer one.
    """
    realm = realm_of_token(process, token)
    ring = keys.key_ring(realm)
    found = tokens.open_token_of(realm, token, {Kind.ACCESS, Kind.SESSION})
    session = kind_of(found) is Kind.SESSION
    opened = _Opened(ring, realm.name, session, found.claims, found.claims["exp"])
    return _remembered(process).load(hashlib.sha256(token.encode()).hexdigest(), lambda: opened)


def realm_of_token(process: Runtime, token: str) -> KnownRealm:
    """Find the realm that a token says it is of; whether that is so, its keys tell.

    :raises InvalidTokenError: it is no token, or none of a realm here.
    """
    unverified_issuer = read_unverified(token).claims.get("iss")
    prefix = process.settings.issuer("")
    realm = None
    if isinstance(unverified_issuer, str) and unverified_issuer.startswith(prefix):
        realm = known_realm(process, unverified_issuer.removeprefix(prefix))
    if realm is None:
        raise InvalidTokenError("The token was issued by another issuer.")
    return realm
