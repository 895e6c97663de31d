"""Checking a password. Every way in ends here, so every way in is counted and slowed alike (T82, R109)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from idp import audit, clock, runtime
from idp.db import commit, db, reading
from idp.errors import IdpError
from idp.ratelimit import Attempt, network_of, reserve_attempt
from idp.realms import NAME_PATTERN, Realm, get_realm
from idp.settings import Settings
from idp.users.models import User
from idp.users.passwords import LONGEST, check_password, password_works
from idp.users.service import LONGEST_NAME, canonical, change_password, lock_user

UNKNOWN = "(unknown)"
"""Stands in the audit trail for every name that no account has. What was typed there may have been a password."""


class SignInError(IdpError):
    """Name, password or organisation are wrong, or the account cannot be used. One text for every cause."""

    def __init__(self) -> None:
        super().__init__(
            "The name or the password is wrong, or the account is disabled. If several organisations know you, name one."
        )


@dataclass(frozen=True)
class SignedIn:
    """A user whose password was right. The caller commits, which also takes the attempt out of the counters."""

    realm: Realm
    user: User


def check_sign_in(name: str, password: str, *, realm: str | None, address: str) -> SignedIn:
    """Check who signs in. Only failures count, but each is counted before the password is looked at (T81).

    :param realm: name of the realm; None to look for the only account of that name.
    :param address: the client's.
    :raises SignInError: refused; the failure is recorded.
    :raises TooManyAttemptsError: a limit is reached; the password was not looked at.
    :raises BusyError: too many others are signing in.
    """
    process = runtime.current()
    settings, works = process.settings, password_works(process)
    short = canonical(name[: 4 * LONGEST_NAME])[:LONGEST_NAME]
    short = short if short.isprintable() else ""
    where = realm if realm is None or NAME_PATTERN.fullmatch(realm) else ""
    with works.seat():
        found = _find(short, where)
        counted_realm = found[0].name if found is not None else where or ""
        attempt = reserve_attempt(_limits(settings, short, counted_realm, address), settings.sign_in_window)
        stored = found[1].password_hash if found is not None else ""
        right, new_hash = works.verify(stored, password) if len(password) <= LONGEST else (False, "")
    accepted = _accept(found[1], attempt, new_hash) if found is not None and right else None
    if accepted is None:
        _record_failure(found)
        raise SignInError
    return accepted


def replace_password(name: str, current: str, new: str, *, realm: str | None, address: str) -> None:
    """Change a password by showing the old one, and commit that; every session of the account ends (R107).

    :raises SignInError: the old one is wrong.
    :raises InvalidValueError: the new one is not good enough.
    :raises TooManyAttemptsError: see `check_sign_in`.
    :raises BusyError: see `check_sign_in`.
    """
    check_password(new, canonical(name), realm or "")
    signed = check_sign_in(name, current, realm=realm, address=address)
    realm_name, uid, old_hash, user_name = signed.realm.name, signed.user.uid, signed.user.password_hash, signed.user.name
    commit()  # the old password was right, whatever becomes of the new one
    check_password(new, user_name, realm_name)
    works = password_works(runtime.current())
    with works.seat():
        new_hash = works.hash(new)
    with audit.acting_as(audit.Actor(f"user:{user_name}", address)):
        if not change_password(get_realm(realm_name), uid, old_hash, new_hash):
            raise SignInError  # somebody else was faster
        commit()


def _limits(settings: Settings, name: str, realm: str, address: str) -> Sequence[tuple[str, int]]:
    return (
        # by name alone: whoever names the organisation and whoever leaves it out meet the same counter
        (f"account:{name}", settings.sign_in_limit_account),
        (f"address:{network_of(address)}", settings.sign_in_limit_address),
        (f"realm:{realm}", settings.sign_in_limit_realm),
    )


def _find(name: str, realm: str | None) -> tuple[Realm, User] | None:
    """Return the account, if there is exactly one. It takes one statement whatever it finds (T85)."""
    query = select(Realm, User).join(Realm, Realm.id == User.realm_id).where(User.name == name).limit(2)
    if realm is not None:
        query = query.where(Realm.name == realm)
    with reading() as session:
        rows = session.execute(query).all()
        session.expunge_all()
    return (rows[0][0], rows[0][1]) if len(rows) == 1 else None


def _record_failure(found: tuple[Realm, User] | None) -> None:
    realm, target = (found[0].name, f"user:{found[1].name}") if found else ("", f"user:{UNKNOWN}")
    audit.record(audit.Tag.SIGN_IN_REFUSE, realm, target, outcome="refused")
    audit.count_one(audit.Tag.SIGN_IN_REFUSE, realm, "wrong name or password")
    commit()


def _accept(seen: User, attempt: Attempt, new_hash: str) -> SignedIn | None:
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
