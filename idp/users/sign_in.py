"""Checking a password. Every way in ends here, so every way in is counted and slowed alike (T82, R109)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, func, select

from idp import audit, clock, runtime
from idp.db import commit, db, reading
from idp.errors import IdpError, Kind
from idp.networks import network_of
from idp.ratelimit import Attempt, Limit, network_limits, reserve_attempt
from idp.realms import NAME_PATTERN, Realm, get_realm
from idp.settings import Settings
from idp.users.models import User
from idp.users.names import LONGEST_NAME, canonical
from idp.users.passwords import LONGEST, BusyError, check_password, password_hashing
from idp.users.service import change_password, lock_user
from idp.users.usage import PasswordPurpose, password_usage

WRONG = "wrong name or password"


class SignInError(IdpError):
    """Name, password or organisation are wrong, or the account cannot be used. One text for every cause."""

    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__(
            "The name or the password is wrong, or the account is disabled. If you belong to several organisations, name one."
        )


@dataclass(frozen=True)
class SignedIn:
    """A user whose password was right. The caller commits, which also takes the attempt out of the counters."""

    realm: Realm
    user: User


@dataclass(frozen=True, slots=True)
class UsedPassword:
    """Whose password was shown, as they were when it was found right."""

    realm: str
    user_id: int
    uid: str
    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class _Account:
    """What was found of the account that somebody wants to sign in to."""

    id: int
    uid: str
    name: str
    realm: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class _Named:
    """Whom somebody wants to sign in as: what was typed, and what there is of it."""

    name: str
    realm: str | None
    """None where no organisation was named."""
    realm_exists: bool
    """Whether there is such an organisation, which everybody may know."""
    account: _Account | None


_Summary = Select[int, int, int, str, str, str, str]
_SUMMARY: _Summary = select(
    func.count(User.id).label("accounts"),
    func.count(Realm.id).label("realms"),
    func.min(User.id).label("id"),
    func.min(User.uid).label("uid"),
    func.min(User.name).label("name"),
    func.min(Realm.name).label("realm"),
    func.min(User.password_hash).label("password_hash"),
)
"""One row whatever there is; of one account, all of it."""


def check_sign_in(name: str, password: str, *, realm: str | None, address: str) -> SignedIn:
    """Check who signs in, to begin a session. Only failures count, but each is counted before the password is looked at (T81).

    :param realm: name of the realm; None to look for the only account of that name that somebody has made their own.
    :param address: the client's.
    :raises SignInError: refused; the failure is recorded.
    :raises TooManyAttemptsError: a limit is reached; the password was not looked at.
    :raises BusyError: too many others are signing in.
    """
    process = runtime.current()
    settings = process.settings
    short = canonical(name[: 4 * LONGEST_NAME])[:LONGEST_NAME]
    short = short if short.isprintable() else ""
    with password_hashing(process).seat(address) as seat:
        named = _find(short, realm if realm is None or NAME_PATTERN.fullmatch(realm) else "")
        account = named.account
        attempt = reserve_attempt(_limits(settings, named, address), settings.sign_in_window)
        stored = account.password_hash if account is not None else ""
        try:
            right, new_hash = seat.verify(stored, password) if len(password) <= LONGEST else (False, "")
        except BusyError:  # it was not looked at, so it is no failure
            attempt.give_back()
            commit()
            raise
    accepted = _accept(account, attempt, new_hash) if account is not None and right else None
    if accepted is None:
        _record_failure(account, address)
        raise SignInError
    return accepted


def use_password(name: str, password: str, *, realm: str | None, address: str, purpose: PasswordPurpose) -> UsedPassword:
    """Check a password that is shown without a session beginning, and commit that it was right, whatever becomes of the rest.

    :param purpose: what it is shown for, for the audit trail.
    :raises SignInError: see `check_sign_in`, for the others too.
    """
    signed = check_sign_in(name, password, realm=realm, address=address)
    user = signed.user
    used = UsedPassword(signed.realm.name, user.id, user.uid, user.name, user.password_hash)
    commit()
    password_usage(runtime.current()).used(used.realm, used.name, address, purpose)
    return used


def replace_password(name: str, current: str, new: str, *, realm: str | None, address: str) -> None:
    """Change a password with the old one, and commit that; every session of the account ends (R107).

    :raises SignInError: the old one is wrong.
    :raises InvalidValueError: the new one is not acceptable.
    :raises TooManyAttemptsError: see `check_sign_in`.
    :raises BusyError: see `check_sign_in`.
    """
    check_password(new, canonical(name), realm or "")
    used = use_password(name, current, realm=realm, address=address, purpose=PasswordPurpose.CHANGE)
    check_password(new, used.name, used.realm)
    with password_hashing(runtime.current()).seat(address) as seat:
        new_hash = seat.hash(new)
    with audit.acting_as(audit.Actor(f"user:{used.name}", address)):
        if not change_password(get_realm(used.realm), used.uid, used.password_hash, new_hash):
            raise SignInError  # somebody else was faster
        commit()


def _limits(settings: Settings, named: _Named, address: str) -> Sequence[Limit]:
    """Return what a failure counts for, and how far that goes.

    From one network an account is told by its name alone, so that naming the organisation and leaving it out meet the same
    counter, whether somebody has that name or not (T85); an organisation that there is not is another matter. For all
    networks together it is the account itself, so that nobody is kept out by failures that were not theirs. A realm is full
    for every name, but only accounts that exist fill it.
    """
    account, typed = named.account, f"{named.realm!r}/{named.name}"
    here = named.name if named.realm is None or named.realm_exists else typed
    counted = account.uid if account is not None else f"nobody {typed}"
    realm = account.realm if account is not None else named.realm or ""
    return (
        Limit(f"account {here} from {network_of(address)}", settings.sign_in_limit_account),
        Limit(f"account {counted}", settings.sign_in_limit_account_everywhere),
        *network_limits("address", address, settings.sign_in_limit_address),
        Limit(f"realm {realm}", settings.sign_in_limit_realm, places=1 if account is not None else 0),
    )


def _find(name: str, realm: str | None) -> _Named:
    """Look for the account. It takes one statement, and that returns one row, whatever there is (T85)."""
    with reading() as session:
        row = session.execute(_in_realm(name, realm) if realm is not None else _anywhere(name)).one()
    account = _Account(row.id, row.uid, row.name, row.realm, row.password_hash) if row.accounts == 1 else None
    return _Named(name, realm, bool(row.realms), account)


def _in_realm(name: str, realm: str) -> _Summary:
    of_name = and_(User.realm_id == Realm.id, User.name == name)
    return _SUMMARY.select_from(Realm).outerjoin(User, of_name).where(Realm.name == realm)


def _anywhere(name: str) -> _Summary:
    """Select the accounts that count where no organisation is named: those that somebody can sign in to.

    Whoever adds an address to an organisation does not stand in the way of the person it belongs to: see `send_link` for who
    chooses the first password.
    """
    own = (User.password_hash != "", User.enabled, Realm.enabled)
    return _SUMMARY.select_from(User).join(Realm, Realm.id == User.realm_id).where(User.name == name, *own)


def _record_failure(account: _Account | None, address: str) -> None:
    """Record a failure: of an account before the answer, of a name that nobody has with others, at the same cost (T85)."""
    realm, target = (account.realm, account.name) if account is not None else ("", audit.UNKNOWN)
    exists = account is not None
    audit.record_when(exists, audit.Tag.SIGN_IN_REFUSE, realm, f"user:{target}", outcome="refused")
    audit.count_one(audit.Tag.SIGN_IN_REFUSE, realm, WRONG, number=1 if exists else 0)
    commit()
    if not exists:
        password_usage(runtime.current()).refused(WRONG, address)


def _accept(seen: _Account, attempt: Attempt, new_hash: str) -> SignedIn | None:
    """Take the attempt back, unless the account has changed while its password was being compared."""
    user = lock_user(seen.id)
    realm = db.session.get(Realm, user.realm_id) if user is not None else None
    if user is None or realm is None or user.password_hash != seen.password_hash or not user.enabled or not realm.enabled:
        db.session.rollback()
        return None
    attempt.give_back()
    user.last_sign_in_at = clock.now()
    if new_hash:
        user.password_hash = new_hash
    return SignedIn(realm, user)
