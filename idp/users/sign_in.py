"""Checking a password. Every way in ends here, so every way in is counted and slowed alike (T82, R109)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from idp import audit, clock, runtime
from idp.db import commit, db, reading
from idp.errors import IdpError
from idp.ratelimit import Attempt, reserve_attempt
from idp.realms import NAME_PATTERN, Realm
from idp.settings import Settings
from idp.users.models import User
from idp.users.passwords import LONGEST, password_works
from idp.users.service import LONGEST_NAME, canonical

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
    where = realm if realm is None or NAME_PATTERN.fullmatch(realm) else ""
    with works.seat():
        attempt = reserve_attempt(_limits(settings, short, where or "", address), settings.sign_in_window)
        found = _find(short, where)
        stored = found[1].password_hash if found is not None else ""
        right, new_hash = works.verify(stored, password) if len(password) <= LONGEST else (False, "")
    if found is None or not right or not found[1].enabled or not found[0].enabled:
        _record_failure(found)
        raise SignInError
    return _accept(found[1].id, attempt, new_hash)


def _limits(settings: Settings, name: str, realm: str, address: str) -> Sequence[tuple[str, int]]:
    return (
        # by name alone: whoever names the organisation and whoever leaves it out meet the same counter
        (f"account:{name}", settings.sign_in_limit_account),
        (f"address:{_network(address)}", settings.sign_in_limit_address),
        (f"realm:{realm}", settings.sign_in_limit_realm),
    )


def _network(address: str) -> str:
    """Return what a client can be told by: its IPv4 address, or the /64 network that an IPv6 client has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


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
    commit()


def _accept(user_id: int, attempt: Attempt, new_hash: str) -> SignedIn:
    user = db.session.get_one(User, user_id)
    attempt.give_back()
    user.last_sign_in_at = clock.now()
    if new_hash:
        db.session.execute(update(User).where(User.id == user_id).values(password_hash=new_hash))
    return SignedIn(db.session.get_one(Realm, user.realm_id), user)
