"""The unit of work of a call: who calls, what they send, who they are once nobody else can change it, the act, one commit.

The native API and the contracts of other systems differ in how a caller is shown and a realm is named, and in nothing else here.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import request

from idp import audit, callers, realms, runtime
from idp.callers import Caller, CredentialError
from idp.db import commit, db, only_read
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.web.address import client_address
from idp.web.body import read_body
from idp.web.credentials import Credentials, Shown, check_origin, read_credentials
from idp.web.possession import shown_binding

Result = TypeVar("Result")

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def nothing_to_prepare() -> None:
    """Do nothing beforehand."""


def credentials_of_request() -> Credentials:
    """Return what a request shows in the ways of the native API."""
    return read_credentials(request.environ)


def carry_out(
    act: Callable[[Caller], Result],
    *,
    read: Callable[[], Credentials] = credentials_of_request,
    realm_to_lock: Callable[[Caller], str],
    prepare: Callable[[], None] = nothing_to_prepare,
    records: bool = False,
    unlocked: bool = False,
) -> Result:
    """Carry out a call of somebody who proves who they are. What a change does is committed once, before it is answered.

    :param act: does what is asked for.
    :param read: returns what the request shows.
    :param realm_to_lock: returns the name of the realm in which no other change takes place meanwhile; empty for none.
    :param prepare: does beforehand what takes long, so that nobody waits for it: nothing is locked yet.
    :param records: whether a GET writes something to the audit trail.
    :param unlocked: whether it goes by what is in memory, waits for no other, and commits by itself.
    :raises CredentialError: nobody proves anything, or it will not do.
    """
    runtime.current().feed.confirm()
    credentials = read()
    caller = identify(credentials)
    writes = request.method in UNSAFE and not unlocked
    if writes:
        read_body(request.environ)  # however slowly it comes, it keeps nobody waiting
        prepare()
        # what is in memory may be up to a second old: enough for somebody who is losing a role to give it back to themselves
        shown = "" if credentials.shown is Shown.KEY else credentials.value
        caller = callers.identify_again(caller, shown, lock=realm_to_lock(caller))
    elif not (records or unlocked):
        only_read()
    with audit.acting_as(caller.actor):
        result = act(caller)
        if writes or (records and not unlocked):
            commit()
        return result


def carry_out_openly(act: Callable[[], Result]) -> Result:
    """Carry out a call that takes no credential. What is recorded names nobody, unless the call finds out who it is."""
    runtime.current().feed.confirm()
    with audit.acting_as(audit.Actor("unauthenticated", address())):
        result = act()
        commit()
        return result


def address() -> str:
    """Return the client's address."""
    return client_address(request.environ, runtime.current().settings.trusted_proxies)


def identify(credentials: Credentials) -> Caller:
    """Return who shows these credentials.

    :raises CredentialError: nobody, or they will not do.
    """
    process = runtime.current()
    match credentials.shown:
        case Shown.TOKEN:
            if credentials.by_cookie and request.method in UNSAFE:
                check_origin(request.environ, process.settings.public_url)
            shown = shown_binding(request.environ, credentials)
            return callers.authenticate_token(process, credentials.value, address(), shown=shown)
        case Shown.KEY:
            return callers.authenticate_key(process, credentials.value, address())
        case Shown.NOTHING:
            raise callers.NoCredentialError
    raise CredentialError


def realm_of(caller: Caller) -> Realm:
    """Return the realm that a call is about: the caller's own, or what an operator names in `X-Organization-Id`, by name or uid.

    :raises CredentialError: the realm is gone.
    :raises DeniedError: it names another, and the caller is no operator.
    """
    own = realms.find_realm(caller.realm.name)
    if own is None:
        raise CredentialError
    named = request.headers.get("X-Organization-Id")
    if named is None:
        return own
    realm = realms.find_realm_by_uid_or_name(named)
    if realm is not own and caller.realm.name != realms.MASTER:
        raise callers.DeniedError("The caller does not belong to the organisation named in X-Organization-Id.")
    if realm is None:
        raise NotFoundError("There is no organisation with the name or uid in X-Organization-Id (not found).")
    return realm


def begin_writing() -> None:
    """Have a GET that records something write: what it has read so far, it reads no more."""
    db.session.rollback()
