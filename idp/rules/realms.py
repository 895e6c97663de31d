"""Who sees and changes realms and their settings, and what only operators do."""

from idp import realms
from idp.access import may
from idp.callers import Caller, DeniedError
from idp.errors import NotFoundError, Sentence
from idp.realms import MASTER, Realm
from idp.rules.authority import Authority, permission_missing

READ, WRITE = "realm:read", "realm:write"


def listed(caller: Caller) -> str:
    """Return the uid of the only realm that the caller may list; empty for all, which are an operator's.

    :raises DeniedError: there is none.
    """
    _require(caller, caller.realm.name, READ)
    return "" if caller.realm.name == MASTER else caller.realm.uid


def visible(caller: Caller, named: str) -> Realm:
    """Return a realm that the caller may see, by uid or name; any other is not there (T73).

    :raises NotFoundError: there is none.
    """
    realm = realms.find_realm_by_uid_or_name(named)
    if realm is None or not sees(caller, realm):
        raise NotFoundError("There is no organisation with this uid or name (not found).")
    return realm


def sees(caller: Caller, realm: Realm) -> bool:
    """Tell whether the caller may see a realm and its settings."""
    return may(caller.held_in(realm.name), READ)


def writable(caller: Caller, named: str) -> Realm:
    """Return a realm whose settings the caller may change, locked until the change is committed.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and not change it.
    """
    realm = visible(caller, named)
    _require(caller, realm.name, WRITE)
    return realms.lock_realm(realm.name) or realm


def operated(caller: Caller, named: str) -> Realm:
    """Return a realm whose life an operator may decide over, locked until the change is committed.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller is no operator who may.
    """
    check_operator(caller)
    return writable(caller, named)


def check_listing_all(caller: Caller) -> None:
    """See that the caller may list every realm.

    :raises DeniedError: they may not.
    """
    if not is_operator(caller):
        _require(caller, MASTER, READ)


def can_operate(caller: Caller) -> bool:
    """Tell whether the caller may decide over realms; see `check_operator`."""
    return caller.realm.name == MASTER and may(caller.held_roles, WRITE)


def check_operator(caller: Caller) -> None:
    """See that the caller may decide over realms: make them, stop them, let them begin.

    :raises DeniedError: they may not.
    """
    if caller.realm.name != MASTER:
        raise DeniedError(Sentence("This call is for operators, who belong to {realm}.", realm=MASTER))
    _require(caller, MASTER, WRITE)


def is_operator(caller: Caller) -> bool:
    """Tell whether the caller may see every realm."""
    return caller.realm.name == MASTER and may(caller.held_roles, READ)


def check_reading(authority: Authority) -> None:
    """See that the caller may see the settings of the realm.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def check_changing(authority: Authority) -> None:
    """See that the caller may change the settings of the realm.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def can_change(authority: Authority) -> bool:
    """Tell whether the caller may change the settings of the realm."""
    return authority.can(WRITE)


def own_tenant(caller: Caller, uid: str, *, to_change: bool = False) -> None:
    """See that a uid is that of the caller's own realm, whose settings they may see, or change.

    :raises NotFoundError: it is not.
    :raises DeniedError: they may not.
    """
    if uid != caller.realm.uid:
        raise NotFoundError("There is no tenant with this uid (not found).")
    _require(caller, caller.realm.name, WRITE if to_change else READ)


def _require(caller: Caller, realm: str, permission: str) -> None:
    if not may(caller.held_in(realm), permission):
        raise permission_missing(permission, realm)
